# SPDX-License-Identifier: Apache-2.0
"""Make the index folders of format version 2 in ``index-v2``, once and for all.

Run ``python tests/golden/make_index_v2.py`` only to add a variant: folders that are there stay as
they are, because releases must read forever what earlier ones wrote.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

FOLDER = Path(__file__).parent / "index-v2"


def _numbers(n: int, dim: int) -> np.ndarray[Any, Any]:
    row, column = np.indices((n, dim))
    return (row * 7919 + column * 104729 + row * column) % 251


def _bytes(n: int, n_columns: int) -> np.ndarray[Any, Any]:
    return _numbers(n, n_columns).astype(np.uint8)


def _codes(n: int, dim: int) -> np.ndarray[Any, Any]:
    return np.packbits(_numbers(n, dim) > 125, axis=1)


def _flips(n: int, dim: int) -> np.ndarray[Any, Any]:
    return np.where(_numbers(n, dim) > 125, 1, -1).astype(np.float32)


def _floats(n: int, dim: int, dtype: str) -> np.ndarray[Any, Any]:
    # Multiples of 1/64 below 2: exact in either type.
    return ((_numbers(n, dim) - 125) / 64).astype(dtype)


def _int4(n: int) -> np.ndarray[Any, Any]:
    stored = _bytes(n, 7)  # of 13 dimensions: the last low nibble is spare
    stored[:, -1] &= 0xF0
    return stored


def _ternary(n: int) -> np.ndarray[Any, Any]:
    stored = _bytes(n, 3) % 243  # of 13 dimensions: the last byte has three digits and two spare 1s
    stored[:, -1] = stored[:, -1] % 27 * 9 + 4
    return stored


def variants() -> dict[str, dict[str, Any]]:
    """Give what each folder holds, by formula; calibrations as kind, n_std, n and array."""
    bounds = np.stack((np.arange(13) / 8 - 2, np.arange(13) / 4))
    squares = np.stack((np.arange(13) / 8 - 0.75, np.arange(13) / 16))
    return {
        "everything": {
            "dim": 13,
            "metric": "cosine",
            "threshold": (np.arange(13) / 64 - 0.125).astype(np.float32),
            "codes": _codes(7, 13),
            "ids": np.array([2**63 - 1, 0, 42, 7, 8, 5, 6], np.int64),
            "originals": {
                "int8": _bytes(7, 13).view(np.int8),
                "float16": _floats(7, 13, "float16"),
                "ternary": _ternary(7),
                "uint8": _bytes(7, 13),
                "int4": _int4(7),
                "float32": _floats(7, 13, "float32"),
            },
            "ids_ascending": False,
            "rule": "half-mean",
            "rotate": True,
            "flips": _flips(6, 13),
            "normalized": True,
            # Not finite from 0x7F80 on.
            "factors": (_numbers(7, 2) * 128).astype(np.uint16),
            "calibrators": {
                "int8": ("min_max", None, 100, bounds),
                "ternary": ("rolling", 0.7, 101, squares),
                "uint8": ("rolling", 2, 2**63 - 1, squares),
                "int4": ("rolling", 3.0, 1000, squares),
            },
        },
        "rotated": {
            "dim": 16,
            "metric": "l2",
            "threshold": -0.125,
            "codes": _codes(5, 16),
            "ids": None,
            "originals": {},
            "rotate": True,
            "flips": _flips(3, 16),
            "factors": (_numbers(5, 2) * 128).astype(np.uint16),
        },
        "unfitted": {
            "dim": 9,
            "metric": "dot",
            "threshold": None,
            "codes": np.zeros((0, 2), np.uint8),
            "ids": None,
            "originals": {"int4": np.zeros((0, 5), np.uint8)},
            "rule": "auto",
            "rotate": True,
            "factors": np.zeros((0, 1), np.uint16),
            "calibrators": {"int4": ("rolling", 3.0, 0, None)},
        },
    }


def contents_of(fields: dict[str, Any]) -> Any:
    """Give a variant as contents; these, and nothing above, need bitsift."""
    from bitsift import RollingCalibrator
    from bitsift.quantization.calibration import Calibrator
    from bitsift.storage.contents import Contents

    calibrators = {
        store: Calibrator.from_state({"kind": kind, "n_std": n_std, "n": n}, array)
        if n > 0
        else RollingCalibrator(n_std)
        for store, (kind, n_std, n, array) in fields.get("calibrators", {}).items()
    }
    return Contents(**{**fields, "calibrators": calibrators})


def main() -> None:
    """Write the variants that are not there yet."""
    from bitsift.storage import writer

    for number, (name, fields) in enumerate(variants().items()):
        if not (FOLDER / name).exists():
            # Random names would differ each time.
            with mock.patch.object(writer.secrets, "token_hex", return_value=f"{number:032x}"):
                writer.write(FOLDER / name, contents_of(fields))


if __name__ == "__main__":
    main()
