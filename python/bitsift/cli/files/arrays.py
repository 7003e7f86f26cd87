# SPDX-License-Identifier: Apache-2.0
"""Arrays in ``.npy`` files, opened without reading them and without trusting them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.cli.failure import InputError, one_line

__all__ = [
    "Rows",
    "check_finite",
    "chunk_rows",
    "evenly_spaced",
    "native_copy",
    "open_npy",
    "open_rows",
]

Rows = NDArray[Any]

_CHUNK_BYTES = 8 * 1024 * 1024


def open_npy(path: Path) -> Rows:
    """Open a ``.npy`` file as a read-only memory map; no pickle is ever read."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; wanted a .npy file")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if not path.is_file():
        raise InputError(f"{path}: is not a regular file; wanted a .npy file")
    try:
        with path.open("rb") as file:
            magic = file.read(6)
        if magic[:2] == b"PK":
            raise InputError(f"{path}: is an .npz archive; wanted a .npy file")
        if magic != b"\x93NUMPY":
            raise InputError(
                f"{path}: cannot be read as a .npy array: it has not their first bytes"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except InputError:
        raise
    except Exception as error:  # of a damaged header NumPy raises whatever its parsers raise
        raise InputError(f"{path}: cannot be read as a .npy array: {one_line(error)}") from error


def open_rows(path: Path, *, one: bool = False) -> Rows:
    """Open a 2-D array of float16, float32 or float64 rows, or of packed uint8 codes.

    With `one`, a 1-D array is taken as a single row.
    """
    array = open_npy(path)
    if one and array.ndim == 1:
        array = array[None]
    if array.ndim != 2:
        raise InputError(f"{path}: has shape {array.shape}; wanted (n, dim), one vector a row")
    if array.dtype.kind == "f" and array.dtype.itemsize in (2, 4, 8):
        return array
    if array.dtype == np.uint8:
        return array
    hint = ""
    if array.dtype == np.int8:
        hint = (
            ". Packed codes come as int8 in two conventions: convert them with "
            "bitsift.codes_from_int8, which names them"
        )
    raise InputError(
        f"{path}: holds {array.dtype}; wanted float16, float32 or float64, or packed uint8{hint}"
    )


def chunk_rows(array: Rows) -> int:
    """Rows to take at a time, so that a chunk stays small beside the index."""
    row_bytes = int(array.shape[1]) * array.dtype.itemsize
    return max(1, _CHUNK_BYTES // max(1, row_bytes))


def native_copy(rows: Rows) -> Rows:
    """Copy rows of a file into memory, C-contiguous and in the machine's byte order."""
    return np.array(rows, dtype=rows.dtype.newbyteorder("="), order="C")


def evenly_spaced(n: int, most: int) -> NDArray[np.int64]:
    """Choose the numbers of at most `most` of `n` rows, the first and the last among them."""
    return np.linspace(0, n - 1, min(n, most)).astype(np.int64)


def check_finite(path: Path, numbers: Sequence[int] | NDArray[np.integer[Any]], rows: Rows) -> None:
    """Refuse rows with NaN or infinity; `numbers` are theirs in the file."""
    if rows.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            raise InputError(f"{path}: row {numbers[bad[0]]} holds NaN or infinity")
