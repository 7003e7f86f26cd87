# SPDX-License-Identifier: Apache-2.0
"""Which rows to read: blocks that fit a cache, one after the other, or an evenly spaced sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.interruptible import taken

__all__ = ["evenly", "evenly_spaced", "fill", "row_blocks"]

_BLOCK_VALUES = 1 << 17


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


def evenly_spaced(n_rows: int, n: int) -> NDArray[np.int64]:
    """Return at most `n` row numbers below `n_rows`, evenly spaced, the first and last included."""
    return np.linspace(0, n_rows - 1, min(n, n_rows)).astype(np.int64)


def evenly(array: NDArray[Any], n: int) -> NDArray[Any]:
    """Return at most `n` rows, evenly spaced."""
    if len(array) <= n:
        return array
    return taken(array, evenly_spaced(len(array), n))
