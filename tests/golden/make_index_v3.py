# SPDX-License-Identifier: Apache-2.0
"""Make the index folders of format version 3 in ``index-v3``, once and for all.

Run ``python tests/golden/make_index_v3.py`` only to add a variant: folders that are there stay as
they are, because releases must read forever what earlier ones wrote.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

FOLDER = Path(__file__).parent / "index-v3"


def _numbers(n: int, dim: int) -> np.ndarray[Any, Any]:
    row, column = np.indices((n, dim))
    return (row * 7919 + column * 104729 + row * column) % 251


def _codes(n: int, dim: int) -> np.ndarray[Any, Any]:
    return np.packbits(_numbers(n, dim) > 125, axis=1)


def _floats(n: int, dim: int, dtype: str) -> np.ndarray[Any, Any]:
    # Multiples of 1/64 below 2: exact in either type.
    return ((_numbers(n, dim) - 125) / 64).astype(dtype)


def variants() -> dict[str, dict[str, Any]]:
    """Give what each folder holds, by formula."""
    return {
        "asymmetric": {
            "dim": 20,
            "metric": "cosine",
            "threshold": 0.0,
            "codes": _codes(6, 20),
            "ids": None,
            "originals": {"float16": _floats(6, 20, "float16")},
            "scoring": "asymmetric",
            "candidates": "by-position",
        },
        "hamming": {
            "dim": 13,
            "metric": "l2",
            "threshold": (np.arange(13) / 8 - 0.75).astype(np.float32),
            "codes": _codes(5, 13),
            "ids": np.array([2, 3, 5, 7, 2**40], np.int64),
            "originals": {},
            "rule": "mean",
            # Not finite from 0x7F80 on.
            "factors": (_numbers(5, 2) * 128).astype(np.uint16),
            "scoring": "hamming",
            "candidates": "by-position",
        },
        "asymmetric-fixed": {
            "dim": 8,
            "metric": "dot",
            "threshold": 0.25,
            "codes": _codes(3, 8),
            "ids": None,
            "originals": {},
            "scoring": "asymmetric",
            "candidates": "fixed",
        },
        "undecided": {
            "dim": 9,
            "metric": "dot",
            "threshold": 0.0,
            "codes": np.packbits(_floats(4, 9, "float32") > 0, axis=1),
            "ids": np.array([7, 3, 2**63 - 1, 0], np.int64),
            "originals": {"float16": _floats(4, 9, "float16"), "float32": _floats(4, 9, "float32")},
            "ids_ascending": False,
            "scoring": None,
            "candidates": "by-position",
            "vectors": _floats(4, 9, "float32"),
        },
        "empty": {
            "dim": 17,
            "metric": "cosine",
            "threshold": None,
            "codes": np.zeros((0, 3), np.uint8),
            "ids": None,
            "originals": {"float16": np.zeros((0, 17), np.float16)},
            "rule": "auto",
            "scoring": None,
            "candidates": "by-position",
        },
        "removed": {
            "dim": 8,
            "metric": "l2",
            "threshold": 0.0,
            "codes": _codes(3, 8),
            "ids": np.array([4, 9, 11], np.int64),
            "originals": {},
            "largest_id": 2**40,
        },
        "pending": {
            "dim": 9,
            "metric": "l2",
            "threshold": None,
            "codes": np.zeros((0, 2), np.uint8),
            "ids": np.array([7, 3, 2**63 - 1, 0], np.int64),
            "originals": {"float16": np.zeros((0, 9), np.float16)},
            "ids_ascending": False,
            "rule": "median",
            "rotate": True,
            "scoring": "hamming",
            "candidates": "by-position",
            "vectors": _floats(4, 9, "float32"),
        },
    }


def main() -> None:
    """Write the variants that are not there yet."""
    # What is expected must not depend on it.
    from bitsift.storage import manifest, writer
    from bitsift.storage.contents import Contents

    for number, (name, fields) in enumerate(variants().items(), 1):
        if not (FOLDER / name).exists():
            # Random names would differ each time; 0 names the note of a lock.
            with mock.patch.object(manifest.secrets, "token_hex", return_value=f"{number:032x}"):
                writer.write(FOLDER / name, Contents(**fields))


if __name__ == "__main__":
    main()
