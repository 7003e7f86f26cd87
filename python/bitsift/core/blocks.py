# SPDX-License-Identifier: Apache-2.0
"""Blocks of rows that fit a cache, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray

__all__ = ["fill", "row_blocks"]

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
