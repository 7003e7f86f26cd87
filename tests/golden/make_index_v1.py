# SPDX-License-Identifier: Apache-2.0
"""Make the index folders of format version 1 in ``index-v1``, once and for all.

Run ``python tests/golden/make_index_v1.py`` only to add a variant: folders that are there stay as
they are, because releases must read forever what earlier ones wrote.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

FOLDER = Path(__file__).parent / "index-v1"


def _bits(n: int, dim: int) -> np.ndarray[Any, Any]:
    row, column = np.indices((n, dim))
    return ((row * 7919 + column * 104729 + row * column) % 251 > 125).astype(np.uint8)


def _originals(n: int, dim: int, dtype: str) -> np.ndarray[Any, Any]:
    # Multiples of 1/64 below 2: exact in either type.
    row, column = np.indices((n, dim))
    return (((row * 31 + column * 17) % 255 - 127) / 64).astype(dtype)


def variants() -> dict[str, dict[str, Any]]:
    """Give what each folder holds, by formula."""
    return {
        "codes-only": {
            "dim": 100,
            "metric": "cosine",
            "threshold": 0.0,
            "codes": np.packbits(_bits(5, 100), axis=1),
            "ids": None,
            "originals": {},
            "ids_ascending": True,
        },
        "float32": {
            "dim": 13,
            "metric": "l2",
            "threshold": (np.arange(13) / 8 - 0.75).astype(np.float32),
            "codes": np.packbits(_bits(7, 13), axis=1),
            "ids": np.array([2, 3, 5, 7, 11, 13, 2**40], np.int64),
            "originals": {"float32": _originals(7, 13, "float32")},
            "ids_ascending": True,
        },
        "float16": {
            "dim": 64,
            "metric": "dot",
            "threshold": -0.1,
            "codes": np.packbits(_bits(4, 64), axis=1),
            "ids": np.array([2**63 - 1, 0, 42, 7], np.int64),
            "originals": {"float16": _originals(4, 64, "float16")},
            "ids_ascending": False,
        },
        "empty": {
            "dim": 9,
            "metric": "cosine",
            "threshold": np.zeros(9, np.float32),
            "codes": np.zeros((0, 2), np.uint8),
            "ids": np.zeros(0, np.int64),
            "originals": {"float32": np.zeros((0, 9), np.float32)},
            "ids_ascending": True,
        },
    }


def main() -> None:
    """Write the variants that are not there yet."""
    # What is expected must not depend on it.
    from bitsift.storage import writer
    from bitsift.storage.contents import Contents

    for number, (name, fields) in enumerate(variants().items()):
        if not (FOLDER / name).exists():
            # Random names would differ each time.
            with mock.patch.object(writer.secrets, "token_hex", return_value=f"{number:032x}"):
                writer.write(FOLDER / name, Contents(**fields))


if __name__ == "__main__":
    main()
