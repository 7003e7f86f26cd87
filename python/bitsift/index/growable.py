# SPDX-License-Identifier: Apache-2.0
"""Arrays to which rows are appended, also behind mapped ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core.interruptible import copied, copy_into
from bitsift.core.memory import aligned_empty
from bitsift.core.segments import Rows, joined, take_into
from bitsift.encoding.encoder import Columns

__all__ = ["GrowableArray", "GrowableColumns", "GrowableRows"]

# Mapped rows of fewer bytes are copied when others follow them.
_MOST_BYTES_COPIED = 1 << 20


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

    def next_rows(self, n: int) -> NDArray[Any]:
        """Return the memory of the next `n` rows, for which there is room, to be written."""
        return self._memory[len(self.rows) : len(self.rows) + n]

    def committed(self, n: int) -> GrowableArray:
        """Return these rows and the next `n`, which have been written."""
        return GrowableArray(self._memory, len(self.rows) + n)


class GrowableRows:
    """Rows to which others are appended: mapped ones, which stay where they are, and then others.

    To append works as with `GrowableArray`. Few mapped rows are copied, so that searches see one
    array.

    Attributes
    ----------
    rows : ndarray or Segments
        The committed rows; read-only.
    """

    __slots__ = ("_mapped", "_others", "rows")

    def __init__(self, mapped: tuple[NDArray[Any], ...], others: GrowableArray) -> None:
        self._mapped = mapped
        self._others = others
        self.rows: Rows = others.rows
        if len(mapped) == 1 and len(others.rows) == 0:
            self.rows = mapped[0]
        elif mapped:
            self.rows = native.Segments([*mapped, others.rows])

    @classmethod
    def of(cls, array: NDArray[Any], *, is_mapped: bool = False) -> GrowableRows:
        """Return rows without room behind them."""
        if not is_mapped or len(array) == 0:
            return cls((), GrowableArray(array))
        array.flags.writeable = False
        return cls((array,), GrowableArray(np.empty((0, *array.shape[1:]), array.dtype)))

    @classmethod
    def of_arrays(cls, arrays: Sequence[NDArray[Any]]) -> GrowableRows:
        """Return the rows of at least one array, which stay where they are."""
        for array in arrays:
            array.flags.writeable = False
        first = arrays[0]
        return cls(tuple(arrays), GrowableArray(np.empty((0, *first.shape[1:]), first.dtype)))

    @property
    def capacity(self) -> int:
        """Rows for which there is memory."""
        return self._n_mapped + self._others.capacity

    @property
    def are_mapped(self) -> bool:
        """Whether there are mapped rows."""
        return len(self._mapped) > 0

    @property
    def _n_mapped(self) -> int:
        return sum(map(len, self._mapped))

    def reserved(self, size: int) -> GrowableRows:
        """Return these rows with memory for `size` rows in all."""
        if size <= self.capacity:
            return self
        if sum(array.nbytes for array in self._mapped) > _MOST_BYTES_COPIED:
            return GrowableRows(self._mapped, self._others.reserved(size - self._n_mapped))
        return GrowableRows((), GrowableArray(joined(self.rows)).reserved(size))

    def with_room(self, n: int) -> GrowableRows:
        """Return these rows with memory for at least `n` more; as `GrowableArray.with_room`."""
        if self.has_room(n):
            return self
        size = len(self._others.rows)
        return self.reserved(self._n_mapped + max(size + n, size + size // 2))

    def has_room(self, n: int) -> bool:
        """Say whether there is memory for `n` more rows."""
        return len(self.rows) + n <= self.capacity

    def only(self, numbers: NDArray[np.int64]) -> GrowableRows:
        """Return some of the rows, in memory of their own."""
        first = self._others.rows
        memory = aligned_empty((len(numbers), *first.shape[1:]), first.dtype)
        take_into(memory, self.rows, numbers)
        return GrowableRows((), GrowableArray(memory))

    def apart(self) -> GrowableRows:
        """Return the same rows without the room behind them."""
        return GrowableRows(self._mapped, GrowableArray(self._others.rows))

    def copied(self) -> GrowableRows:
        """Return these rows in memory of their own."""
        rows = self.rows
        array = joined(rows) if isinstance(rows, native.Segments) else copied(rows)
        return GrowableRows((), GrowableArray(array))

    def next_rows(self, n: int) -> NDArray[Any]:
        """Return the memory of the next `n` rows, for which there is room, to be written."""
        return self._others.next_rows(n)

    def committed(self, n: int) -> GrowableRows:
        """Return these rows and the next `n`, which have been written."""
        return GrowableRows(self._mapped, self._others.committed(n))


class GrowableColumns(NamedTuple):
    """The rows of encoded vectors, which grow together.

    Attributes
    ----------
    codes : GrowableRows
    originals : tuple of GrowableRows
    factors : GrowableRows or None
        As in `Columns`.
    """

    codes: GrowableRows
    originals: tuple[GrowableRows, ...]
    factors: GrowableRows | None

    @classmethod
    def of(cls, columns: Columns[NDArray[Any]], *, are_mapped: bool = False) -> GrowableColumns:
        """Return columns that can grow; their first growth allocates memory."""
        codes, originals, factors = columns

        def rows_of(array: NDArray[Any]) -> GrowableRows:
            return GrowableRows.of(array, is_mapped=are_mapped)

        return cls(
            rows_of(codes),
            tuple(map(rows_of, originals)),
            None if factors is None else rows_of(factors),
        )

    @classmethod
    def of_segments(
        cls, segments: Sequence[Columns[NDArray[Any]]], *, are_mapped: bool
    ) -> GrowableColumns:
        """Return the rows of one or several segments; several stay where they are."""
        if len(segments) == 1:
            return cls.of(segments[0], are_mapped=are_mapped)
        factors = [one.factors for one in segments if one.factors is not None]
        return cls(
            GrowableRows.of_arrays([one.codes for one in segments]),
            tuple(
                map(GrowableRows.of_arrays, zip(*(one.originals for one in segments), strict=True))
            ),
            GrowableRows.of_arrays(factors) if factors else None,
        )

    @property
    def are_mapped(self) -> bool:
        """Whether some rows are mapped."""
        return self.codes.are_mapped

    def reserved(self, size: int) -> GrowableColumns:
        """Return these rows with memory for `size` rows in all."""
        return self._each(lambda rows: rows.reserved(size))

    def with_room(self, n: int) -> GrowableColumns:
        """Return these rows with memory for at least `n` more."""
        return self._each(lambda rows: rows.with_room(n))

    def has_room(self, n: int) -> bool:
        """Say whether there is memory for `n` more rows."""
        return self.codes.has_room(n)

    def only(self, numbers: NDArray[np.int64]) -> GrowableColumns:
        """Return some of the rows, in memory of their own."""
        return self._each(lambda rows: rows.only(numbers))

    def apart(self) -> GrowableColumns:
        """Return the same rows without the room behind them."""
        return self._each(lambda rows: rows.apart())

    def copied(self) -> GrowableColumns:
        """Return these rows in memory of their own."""
        return self._each(lambda rows: rows.copied())

    def with_rows(self, columns: Columns[Rows], numbers: NDArray[np.int64]) -> GrowableColumns:
        """Return these rows and some of others, for which there is room, as they are."""
        out = self.next_rows(len(numbers))
        take_into(out.codes, columns.codes, numbers)
        for own, rows in zip(out.originals, columns.originals, strict=True):
            take_into(own, rows, numbers)
        if out.factors is not None:
            assert columns.factors is not None
            take_into(out.factors, columns.factors, numbers)
        return self.committed(len(numbers))

    def committed(self, n: int) -> GrowableColumns:
        """Return these rows and the next `n`, which have been written."""
        return self._each(lambda rows: rows.committed(n))

    def rows(self) -> Columns[Rows]:
        """Return the committed rows; read-only."""
        return Columns(
            self.codes.rows,
            tuple(original.rows for original in self.originals),
            None if self.factors is None else self.factors.rows,
        )

    def next_rows(self, n: int) -> Columns[NDArray[Any]]:
        """Return the memory of the next `n` rows, for which there is room, to be written."""
        return Columns(
            self.codes.next_rows(n),
            tuple(original.next_rows(n) for original in self.originals),
            None if self.factors is None else self.factors.next_rows(n),
        )

    def _each(self, change: Callable[[GrowableRows], GrowableRows]) -> GrowableColumns:
        factors = None if self.factors is None else change(self.factors)
        return GrowableColumns(change(self.codes), tuple(map(change, self.originals)), factors)
