# SPDX-License-Identifier: Apache-2.0
"""Rows of documents: in one array, or in several, one behind the other."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core import interruptible
from bitsift.core.interruptible import copy_into

__all__ = ["Rows", "joined", "row_bytes", "take_into", "taken"]

Rows: TypeAlias = "NDArray[Any] | native.Segments"

_ROWS_AT_A_TIME = 1 << 16


def row_bytes(rows: Rows) -> int:
    """Return the bytes of one row."""
    array = rows.arrays[0] if isinstance(rows, native.Segments) else rows
    return int(np.prod(array.shape[1:], dtype=np.int64)) * array.itemsize


def joined(rows: Rows) -> NDArray[Any]:
    """Return the rows in one array: as they are if they lie in one, else a copy."""
    if not isinstance(rows, native.Segments):
        return np.asarray(rows)
    arrays = rows.arrays
    out = np.empty((len(rows), *arrays[0].shape[1:]), arrays[0].dtype)
    begin = 0
    for array in arrays:
        copy_into(out[begin : begin + len(array)], array)
        begin += len(array)
    return out


def taken(rows: Rows, numbers: NDArray[np.int64]) -> NDArray[Any]:
    """Return a copy of some rows; `numbers` has one axis."""
    if not isinstance(rows, native.Segments):
        return interruptible.taken(np.asarray(rows), numbers)
    first = rows.arrays[0]
    out = np.empty((len(numbers), *first.shape[1:]), first.dtype)
    take_into(out, rows, numbers)
    return out


def take_into(out: NDArray[Any], rows: Rows, numbers: NDArray[np.int64]) -> None:
    """Copy some rows into an array of their shape."""
    if not isinstance(rows, native.Segments):
        interruptible.take_into(out, np.asarray(rows), numbers)
        return
    arrays = rows.arrays
    begins = np.cumsum([0, *map(len, arrays)])
    for first in range(0, len(numbers), _ROWS_AT_A_TIME):
        part = slice(first, first + _ROWS_AT_A_TIME)
        some = numbers[part]
        segments = np.searchsorted(begins, some, side="right") - 1
        for segment in np.unique(segments).tolist():
            places = np.flatnonzero(segments == segment)
            out[part][places] = arrays[segment][some[places] - begins[segment]]
