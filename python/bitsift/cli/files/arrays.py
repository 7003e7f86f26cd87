# SPDX-License-Identifier: Apache-2.0
"""Arrays in ``.npy`` files: opened without reading them whole, and never trusted."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.cli.failure import InputError, one_line
from bitsift.core.blocks import evenly_spaced

__all__ = [
    "FileRows",
    "check_finite",
    "chunk_rows",
    "native_copy",
    "open_npy",
    "open_rows",
    "sample_rows",
]

FileRows = NDArray[Any]

_CHUNK_BYTES = 8 * 1024 * 1024


def open_npy(path: Path) -> FileRows:
    """Open a ``.npy`` file as a read-only memory map; pickles are refused."""
    if path.is_dir():
        raise InputError(f"{path}: the input must be a .npy file; got a folder")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if not path.is_file():
        raise InputError(f"{path}: the input must be a .npy file; got a pipe or a device")
    try:
        with path.open("rb") as file:
            magic = file.read(6)
        if magic[:2] == b"PK":
            raise InputError(
                f"{path}: the input must be a .npy file; got an .npz archive. numpy.save writes "
                "one array as a .npy file"
            )
        if magic != b"\x93NUMPY":
            raise InputError(
                f"{path}: cannot be read as a .npy array: it does not start as such a file does"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except InputError:
        raise
    except Exception as error:  # NumPy raises whatever its parsers of the header raise.
        raise InputError(f"{path}: cannot be read as a .npy array: {one_line(error)}") from error


def open_rows(path: Path, *, one: bool = False) -> FileRows:
    """Open a 2-D array of float16, float32 or float64 rows, or of packed codes (uint8).

    With `one`, a 1-D array is taken as a single row.
    """
    array = open_npy(path)
    if one and array.ndim == 1:
        array = array[None]
    if array.ndim != 2:
        raise InputError(
            f"{path}: the array must have shape (n, dim), one vector a row; got shape {array.shape}"
        )
    if array.dtype.kind == "f" and array.dtype.itemsize in (2, 4, 8):
        return array
    if array.dtype == np.uint8:
        return array
    hint = ""
    if array.dtype == np.int8:
        hint = (
            f". As packed bits, {array.shape[1]} bytes a row are {8 * array.shape[1]} dimensions: "
            'bitsift.to_codes(codes, "binary") or bitsift.to_codes(codes, "vespa") converts them. '
            "As numbers, one a dimension, save them as floats: numpy.asarray(array, 'float32')"
        )
    elif array.dtype.kind in "iu":
        hint = ". Save numbers as floats: numpy.asarray(array, 'float32')"
    elif array.dtype == np.bool_:
        hint = ". bitsift.pack(array) makes codes of bits"
    raise InputError(
        f"{path}: the array must be float16, float32 or float64, or packed codes (uint8); got "
        f"{array.dtype}{hint}"
    )


def chunk_rows(array: FileRows) -> int:
    """Return how many rows to read at a time, so that a chunk stays small beside the index."""
    row_bytes = int(array.shape[1]) * array.dtype.itemsize
    return max(1, _CHUNK_BYTES // max(1, row_bytes))


def native_copy(rows: FileRows) -> FileRows:
    """Copy rows of a file into memory, C-contiguous and in the machine's byte order."""
    return np.array(rows, dtype=rows.dtype.newbyteorder("="), order="C")


def sample_rows(rows: FileRows, most: int) -> tuple[FileRows, NDArray[np.int64]]:
    """Copy at most `most` rows, evenly spaced; return them and their numbers in the file."""
    numbers = evenly_spaced(len(rows), most)
    return native_copy(rows[numbers]), numbers


def check_finite(
    path: Path, numbers: Sequence[int] | NDArray[np.integer[Any]], rows: FileRows
) -> None:
    """Refuse rows with NaN or infinity; `numbers` are the numbers of the rows in the file."""
    if rows.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            number = numbers[bad[0]]
            raise InputError(f"{path}: values must be finite; row {number} holds NaN or infinity")
