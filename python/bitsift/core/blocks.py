# SPDX-License-Identifier: Apache-2.0
"""Blocks of rows that fit a cache, one after the other: of arrays, and of lists that become arrays.

NumPy holds the GIL while it reads a list, and no signal handler runs. So a long list is read a
block at a time, where the blocks make the array that the whole list would.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["converted", "fill", "listed", "row_blocks"]

_BLOCK_VALUES = 1 << 17
# Shorter lists of rows are read at once.
_MANY_ROWS = 64


def row_blocks(n_rows: int, dim: int) -> Iterator[tuple[int, int]]:
    """Yield the first row and the end of each block; a block of float64 takes about 1 MB."""
    step = max(1, _BLOCK_VALUES // max(1, dim))
    for begin in range(0, n_rows, step):
        yield begin, min(begin + step, n_rows)


def fill(
    out: NDArray[Any], function: Callable[[NDArray[Any]], NDArray[Any]], rows: NDArray[Any]
) -> None:
    """Set ``out[...] = function(rows)`` a block of rows at a time; both have two axes.

    A signal handler runs between two blocks, and temporary arrays stay small.
    """
    for begin, end in row_blocks(len(rows), max(rows.shape[1], out.shape[1])):
        out[begin:end] = function(rows[begin:end])


def listed(rows: list[Any] | tuple[Any, ...]) -> NDArray[Any] | None:
    """Return ``numpy.asarray(rows)``, read a block at a time; None if only the whole tells.

    The blocks tell if all of them are numbers of one dtype, and rows of one shape. Promotion cannot
    differ then: a dtype that holds each element of a block holds those of the next one.
    """
    n = len(rows)
    if n <= _MANY_ROWS or type(rows) not in (list, tuple):  # a subclass may slice in its own way
        return None
    first = converted(rows[:1])
    if isinstance(first, Exception):
        return None
    array: NDArray[Any] | None = None
    for begin, end in row_blocks(n, first.size):
        if end - begin == n:
            return None
        block = converted(rows[begin:end])
        if isinstance(block, Exception):
            return None
        if array is None:
            # In another byte order, a list of one array and a list of several differ.
            if block.dtype.kind not in "biuf" or not block.dtype.isnative:
                return None
            array = np.empty((n, *block.shape[1:]), block.dtype)
        if block.dtype != array.dtype or block.shape != (end - begin, *array.shape[1:]):
            return None
        array[begin:end] = block
    return array


def converted(x: object) -> NDArray[Any] | Exception:
    """Return ``numpy.asarray(x)``, or the error of the conversion; raise that of a handler."""
    try:
        return np.asarray(x)
    except MemoryError:
        raise
    except Exception as error:
        if not _is_of_a_conversion(error):
            raise
        return error


def _is_of_a_conversion(error: Exception) -> bool:
    """Say whether NumPy, or a method of the caller's object that it calls, has raised an error.

    If not, a signal handler has, and the error is not about the object.
    """
    assert error.__traceback__ is not None  # it was caught
    inner = error.__traceback__.tb_next
    return (
        inner is None or re.fullmatch("__(?!call__).*__", inner.tb_frame.f_code.co_name) is not None
    )
