# SPDX-License-Identifier: Apache-2.0
"""Arrays to which rows are appended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitsift.core.interruptible import copy_into, take_into
from bitsift.core.memory import aligned_empty
from bitsift.encoding.encoder import Columns

__all__ = ["GrowableArray", "GrowableColumns"]


class GrowableArray:
    """Rows in one contiguous array with room behind them. An object never changes.

    To append, make room, write the next rows, and commit them: the result is another array, which
    shares the memory. Only the newest one may be appended to. Rows that were written and not
    committed are written over by the next ones.

    Attributes
    ----------
    rows : ndarray
        The committed rows; read-only.
    """

    __slots__ = ("_memory", "rows")

    def __init__(self, memory: NDArray[Any], size: int | None = None) -> None:
        self._memory = memory
        self.rows = memory[:size]
        self.rows.flags.writeable = False

    @property
    def capacity(self) -> int:
        """Rows for which there is memory."""
        return len(self._memory)

    def reserved(self, size: int) -> GrowableArray:
        """Return these rows with memory for `size` rows in all."""
        if size <= self.capacity:
            return self
        memory = aligned_empty((size, *self.rows.shape[1:]), self.rows.dtype)
        copy_into(memory[: len(self.rows)], self.rows)
        return GrowableArray(memory, len(self.rows))

    def with_room(self, n: int) -> GrowableArray:
        """Return these rows with memory for at least `n` more.

        Memory grows by at least half, so appending row by row takes amortised constant time a row.
        Memory that is never written is never taken from the machine.
        """
        size = len(self.rows)
        if size + n <= self.capacity:
            return self
        return self.reserved(max(size + n, size + size // 2))

    def only(self, rows: NDArray[np.int64]) -> GrowableArray:
        """Return some of the rows, in memory of their own."""
        memory = aligned_empty((len(rows), *self.rows.shape[1:]), self.rows.dtype)
        take_into(memory, self.rows, rows)
        return GrowableArray(memory)

    def next_rows(self, n: int) -> NDArray[Any]:
        """Return the memory of the next `n` rows, for which there is room, to be written."""
        return self._memory[len(self.rows) : len(self.rows) + n]

    def committed(self, n: int) -> GrowableArray:
        """Return these rows and the next `n`, which have been written."""
        return GrowableArray(self._memory, len(self.rows) + n)


class GrowableColumns(NamedTuple):
    """The arrays of encoded vectors, which grow together.

    Attributes
    ----------
    codes : GrowableArray
    originals : tuple of GrowableArray
    factors : GrowableArray or None
        As in `Columns`.
    """

    codes: GrowableArray
    originals: tuple[GrowableArray, ...]
    factors: GrowableArray | None

    @classmethod
    def of(cls, columns: Columns) -> GrowableColumns:
        """Return columns that can grow; their first growth allocates memory."""
        codes, originals, factors = columns
        return cls(
            GrowableArray(codes),
            tuple(map(GrowableArray, originals)),
            None if factors is None else GrowableArray(factors),
        )

    def reserved(self, size: int) -> GrowableColumns:
        """Return these rows with memory for `size` rows in all."""
        return self._each(lambda array: array.reserved(size))

    def with_room(self, n: int) -> GrowableColumns:
        """Return these rows with memory for at least `n` more."""
        return self._each(lambda array: array.with_room(n))

    def has_room(self, n: int) -> bool:
        """Say whether there is memory for `n` more rows."""
        return len(self.codes.rows) + n <= self.codes.capacity

    def only(self, rows: NDArray[np.int64]) -> GrowableColumns:
        """Return some of the rows, in memory of their own."""
        return self._each(lambda array: array.only(rows))

    def committed(self, n: int) -> GrowableColumns:
        """Return these rows and the next `n`, which have been written."""
        return self._each(lambda array: array.committed(n))

    def rows(self) -> Columns:
        """Return the committed rows; read-only."""
        return self._columns(lambda array: array.rows)

    def next_rows(self, n: int) -> Columns:
        """Return the memory of the next `n` rows, for which there is room, to be written."""
        return self._columns(lambda array: array.next_rows(n))

    def _each(self, change: Callable[[GrowableArray], GrowableArray]) -> GrowableColumns:
        factors = None if self.factors is None else change(self.factors)
        return GrowableColumns(change(self.codes), tuple(map(change, self.originals)), factors)

    def _columns(self, view: Callable[[GrowableArray], NDArray[Any]]) -> Columns:
        factors = None if self.factors is None else view(self.factors)
        return Columns(view(self.codes), tuple(map(view, self.originals)), factors)
