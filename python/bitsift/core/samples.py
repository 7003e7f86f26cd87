# SPDX-License-Identifier: Apache-2.0
"""Samples of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.interruptible import taken

__all__ = ["Stacked", "evenly", "evenly_spaced", "scattered", "shuffled"]

_SEED = 1


class Stacked:
    """Rows of two matrices, one behind the other, without a copy of both: the second may be large.

    It takes what samples and blocks are made by: a slice of rows, or an array of row numbers.
    """

    def __init__(self, first: NDArray[Any], second: NDArray[Any]) -> None:
        self._parts = first, second
        self.shape = len(first) + len(second), first.shape[1]
        self.dtype = np.result_type(first, second)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> NDArray[Any]:
        first, second = self._parts
        n = len(first)
        if isinstance(rows, slice):
            begin, end, _ = rows.indices(len(self))
            parts = first[begin:end], second[max(0, begin - n) : max(0, end - n)]
            return parts[1] if begin >= n else np.concatenate(parts)
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        is_first = rows < n
        out[is_first] = first[rows[is_first]]
        out[~is_first] = second[rows[~is_first] - n]
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)


def evenly_spaced(n_rows: int, n: int) -> NDArray[np.int64]:
    """Return at most `n` row numbers below `n_rows`, evenly spaced, the first and last included."""
    return np.linspace(0, n_rows - 1, min(n, n_rows)).astype(np.int64)


def evenly(array: NDArray[Any] | Stacked, n: int) -> NDArray[Any]:
    """Return at most `n` rows, evenly spaced."""
    if len(array) <= n:
        return np.asarray(array)
    return taken(array, evenly_spaced(len(array), n))  # type: ignore[arg-type]


def scattered(array: NDArray[Any] | Stacked, n: int) -> NDArray[Any]:
    """Return at most `n` rows, one at an irregular place in each of `n` equal parts.

    The places depend on the number of rows alone. Evenly spaced rows of data with a period can all
    be alike; these cannot.
    """
    if len(array) <= n:
        return np.asarray(array)
    numbers = np.arange(n + 1, dtype=np.int64)
    edges = numbers * len(array) // n
    # Multiples of the golden ratio, modulo 1, in units of 2**-32: equally dense everywhere, and
    # without a period of their own. The width of a part may have 31 bits.
    places = numbers[:-1] * 0x9E3779B9 & 0xFFFFFFFF
    rows = edges[:-1] + (places * np.diff(edges) >> 32)
    return taken(array, rows)  # type: ignore[arg-type]


def shuffled(n: int) -> NDArray[np.int64]:
    """Return the numbers 0 to n - 1 in an irregular order, which depends on `n` alone."""
    raw = np.random.PCG64(_SEED).random_raw(n)  # this stream is the same in every NumPy
    return np.argsort(raw, kind="stable").astype(np.int64)
