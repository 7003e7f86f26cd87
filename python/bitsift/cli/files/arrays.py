# SPDX-License-Identifier: Apache-2.0
"""Arrays in ``.npy`` files: opened without reading them whole, and never trusted."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.lib.format as npy_format
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.cli.failure import InputError, one_line
from bitsift.cli.files.infile import open_regular
from bitsift.core.handlers import call_raised
from bitsift.core.samples import evenly_spaced

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
# Packages that read a header.
_PARSERS = ("bitsift", "numpy", "ast", "tokenize")


def open_npy(path: Path) -> FileRows:
    """Open a ``.npy`` file, which holds one array and nothing else, as a read-only memory map.

    Pickles are refused, and files that end before or after the array that their header names.
    """
    with open_regular(path, ".npy") as file:
        try:
            magic = file.read(6)
            if magic[:2] == b"PK":
                raise InputError(
                    f"{path}: the input must be a .npy file; got an .npz archive. numpy.save "
                    "writes one array as a .npy file"
                )
            if magic != b"\x93NUMPY":
                raise InputError(
                    f"{path}: cannot be read as a .npy array: it does not start as such a file does"
                )
            file.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _map_array(path, file)
        except InputError:
            raise
        except Exception as error:  # NumPy raises whatever its parsers of the header raise.
            if not call_raised(error, *_PARSERS):
                raise
            raise InputError(
                f"{path}: cannot be read as a .npy array: {one_line(error)}"
            ) from error


def _map_array(path: Path, file: BinaryIO) -> FileRows:
    version = npy_format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"its version is {version[0]}.{version[1]}, expected 1.0, 2.0 or 3.0")
    # Version 3.0 differs from 2.0 in names of fields alone, and an array with fields is refused.
    read_header = (
        npy_format.read_array_header_1_0 if version[0] == 1 else npy_format.read_array_header_2_0
    )
    shape, is_fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("its values are Python objects, which are pickled")
    if any(extent < 0 for extent in shape):
        raise ValueError(f"its shape is {shape}")
    start = file.tell()
    n_bytes = math.prod(shape) * dtype.itemsize
    n_there = os.fstat(file.fileno()).st_size - start
    if n_there < n_bytes:
        raise ValueError(
            f"it is cut short: {n_bytes} bytes must follow its header, for {dtype} of shape "
            f"{shape}; got {n_there}"
        )
    if n_there > n_bytes:
        raise InputError(
            f"{path}: the file must end with its array, {dtype} of shape {shape}; got "
            f"{n_there - n_bytes} bytes more. Save arrays to a file each, or one array of all rows "
            "(numpy.concatenate)"
        )
    if n_bytes == 0:
        return np.empty(shape, dtype, "F" if is_fortran else "C")
    data = native.map_file(file.fileno(), start + n_bytes)[start:].view(dtype)
    return data.reshape(shape[::-1]).T if is_fortran else data.reshape(shape)


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
