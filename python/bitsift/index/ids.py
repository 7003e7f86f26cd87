# SPDX-License-Identifier: Apache-2.0
"""Ids of documents, given or automatic, and the rows that they belong to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.interruptible import copied, copy_into, counted, interruptibly, taken
from bitsift.index.growable import GrowableArray

__all__ = ["MAX_ID", "IdTable", "as_ids", "is_ascending"]

MAX_ID = 2**63 - 1

# Looking up as many takes some 10 ms where memory is slow.
_IDS_AT_A_TIME = 1 << 14
_LATE_IDS_AT_A_TIME = 1 << 16

_Finder = Callable[[NDArray[np.int64]], NDArray[np.int64]]


class IdTable:
    """The id of each row: unique, 0 to 2**63 - 1. The ids of an object never change.

    So a look-up takes no lock, whatever is added meanwhile. Ids 0, 1, 2, ... are not stored.
    Ascending ids are looked up by bisection in place. Others are sorted when first needed; what the
    table and those that extend it find out is kept for all of them.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    ascending : bool
        Whether each id is greater than that of the row before.
    stored : ndarray of int64, shape (n_rows,), or None
        The ids of all rows; None if each is the number of its row.
    """

    def __init__(
        self,
        n_rows: int = 0,
        ids: GrowableArray | None = None,
        *,
        ascending: bool = True,
        largest: int | None = None,
        order: _Order | None = None,
    ) -> None:
        self.n_rows = n_rows
        self.ascending = ascending
        self.stored = None if ids is None else ids.rows
        self._array = ids
        self._largest_known = largest
        self._order = _Order() if order is None else order

    @property
    def _largest(self) -> int:
        # Computed when first needed: a mapped index must open without a pass over its ids.
        if self._largest_known is None:
            if self.n_rows == 0:
                self._largest_known = -1
            elif self.stored is None:
                self._largest_known = self.n_rows - 1
            elif self.ascending:
                self._largest_known = int(self.stored[-1])
            else:
                self._largest_known = int(interruptibly(self.n_rows, self.stored.max))
        return self._largest_known

    def check(self, new: NDArray[np.int64] | None, n_new: int) -> NDArray[np.int64]:
        """Return the ids of `n_new` new rows, or raise."""
        if new is None:
            if self._largest > MAX_ID - n_new:
                raise ValueError(
                    f"automatic ids continue after the largest id, {self._largest}, and there are "
                    f"no {n_new} more below 2**63; pass ids"
                )
            return counted(self._largest + 1, self._largest + 1 + n_new)
        if new.shape != (n_new,):
            raise ValueError(
                f"ids must have shape ({n_new},), one for each vector; got shape {new.shape}"
            )
        if n_new == 0:
            return new
        smallest = interruptibly(n_new, new.min)
        if smallest < 0:
            raise ValueError(f"ids must be 0 or greater (-1 means no result); got {smallest}")
        if is_ascending(new):
            if new[0] > self._largest:
                return new
        elif (twice := interruptibly(n_new, _first_twice, new)) is not None:
            raise ValueError(f"ids must be unique; got {twice} more than once")
        known = new[self.rows_of(new) >= 0]
        if len(known):
            raise ValueError(f"ids must be new; got {known[0]}, which the index has already")
        return new

    def extended(self, new: NDArray[np.int64]) -> IdTable:
        """Return these ids and the new ones, which `check` returned."""
        if len(new) == 0:
            return self
        n_rows, n_new, largest = self.n_rows, len(new), self._largest
        ascending = is_ascending(new) and int(new[0]) > largest
        array = self._array
        if array is None and not (ascending and int(new[-1]) == n_rows + n_new - 1):
            array = GrowableArray(counted(0, n_rows))
        if array is not None:
            array = array.with_room(n_new)
            copy_into(array.next_rows(n_new), new)
            array = array.committed(n_new)
        newest = int(new[-1] if ascending else interruptibly(n_new, new.max))
        return IdTable(
            n_rows + n_new,
            array,
            ascending=self.ascending and ascending,
            largest=max(largest, newest),
            # Ids that do not ascend never ascend again.
            order=None if self.ascending else self._order,
        )

    def rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each id, -1 where there is none."""
        find = self._finder(len(ids))
        if len(ids) <= _IDS_AT_A_TIME:
            return find(ids)
        rows = np.empty(len(ids), np.int64)
        for begin in range(0, len(ids), _IDS_AT_A_TIME):
            part = slice(begin, begin + _IDS_AT_A_TIME)
            rows[part] = find(ids[part])
        return rows

    def _finder(self, n_ids: int) -> _Finder:
        """Return what finds the rows of as many ids, in one or more calls."""
        if self.stored is None:
            return lambda ids: np.where((ids >= 0) & (ids < self.n_rows), ids, -1)
        if self.ascending:
            return partial(_bisect, self.stored, None)
        return self._order.finder(self.stored, n_ids)


class _Order:
    """The ids of a table in order, and of all tables that extend it: each has more rows.

    The rows that a table has are the same in those that extend it. So all share what is found out
    by any thread, and every thread may find it out anew: nothing here is locked.
    """

    def __init__(self) -> None:
        self._sorted: _SortedIds | None = None

    def finder(self, stored: NDArray[np.int64], n_ids: int) -> _Finder:
        """Return what finds the rows of as many ids, -1 where there is none.

        More rows than those of `stored` may have been sorted.
        """
        found = self._sorted
        n_rows, n_sorted = len(stored), 0 if found is None else len(found.ids)
        if found is None or n_rows - n_sorted > 1024 + n_sorted // 8:
            found = self._sorted = _SortedIds(stored)
            n_sorted = n_rows
        early = partial(_bisect, found.ids, found.rows)
        if n_rows == n_sorted:
            return early
        if n_rows < n_sorted:
            return lambda ids: _below(n_rows, early(ids))
        if 16 * n_ids > n_rows - n_sorted:
            late = _SortedIds(stored[n_sorted:])
            later = partial(_bisect, late.ids, late.rows + n_sorted)
            return lambda ids: np.maximum(early(ids), later(ids))
        row_of = found.late_rows(stored).get

        def find(ids: NDArray[np.int64]) -> NDArray[np.int64]:
            rows = np.array([row_of(i, -1) for i in ids.tolist()], np.int64)
            return np.maximum(early(ids), _below(n_rows, rows))

        return find


class _SortedIds:
    """The ids of the first rows in order, with their rows; the rows of later ids by id."""

    def __init__(self, stored: NDArray[np.int64]) -> None:
        self.rows: NDArray[np.int64] = interruptibly(len(stored), np.argsort, stored, kind="stable")
        self.ids = taken(stored, self.rows)
        self._late: dict[int, int] = {}
        self._n_known = len(stored)

    def late_rows(self, stored: NDArray[np.int64]) -> dict[int, int]:
        """Return a dictionary that has the rows of the later ids of `stored`, and perhaps more."""
        # Other threads may do the same at once. The count is set last, so it never says too much.
        for begin in range(self._n_known, len(stored), _LATE_IDS_AT_A_TIME):
            end = min(begin + _LATE_IDS_AT_A_TIME, len(stored))
            self._late.update(zip(stored[begin:end].tolist(), range(begin, end), strict=True))
            self._n_known = end
        return self._late


def as_ids(ids: ArrayLike, name: str = "ids") -> NDArray[np.int64]:
    """Return a copy of ids as int64, or raise; integers beyond int64 come in other types."""
    array = arguments.plain_array(ids, name, "be integers below 2**63")
    if array.size == 0 and array.dtype.kind == "f":  # an empty list
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers below 2**63; got {array.dtype}")
    if array.dtype.kind == "u" and array.size:
        largest = int(interruptibly(array.size, array.max))
        if largest > MAX_ID:
            raise ValueError(f"{name} must be below 2**63; got {largest}")
    return copied(array, np.int64)


def is_ascending(ids: NDArray[np.int64]) -> bool:
    """Say whether each id is greater than the one before."""
    return len(ids) < 2 or interruptibly(len(ids), _ascends, ids)


def _ascends(ids: NDArray[np.int64]) -> bool:
    return bool((ids[1:] > ids[:-1]).all())


def _first_twice(ids: NDArray[np.int64]) -> int | None:
    """Return the smallest id that is there twice, or None."""
    in_order = np.sort(ids)
    twice = in_order[1:][in_order[1:] == in_order[:-1]]
    return int(twice[0]) if len(twice) else None


def _below(n_rows: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(rows < n_rows, rows, -1)


def _bisect(
    in_order: NDArray[np.int64], rows: NDArray[np.int64] | None, ids: NDArray[np.int64]
) -> NDArray[np.int64]:
    if len(in_order) == 0:
        return np.full(ids.shape, -1, np.int64)
    place = np.minimum(np.searchsorted(in_order, ids), len(in_order) - 1)
    found = in_order[place] == ids
    return np.where(found, place if rows is None else rows[place], -1)
