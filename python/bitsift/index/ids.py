# SPDX-License-Identifier: Apache-2.0
"""Ids of documents, given or automatic, and the rows that they belong to."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.core.interruptible import copied, copy_into, counted, interruptibly, taken
from bitsift.core.limits import MAX_ID
from bitsift.index.growable import GrowableArray

__all__ = ["IdTable", "as_ids", "is_ascending", "one_axis", "require_found"]

# Looking up as many takes some 10 ms where memory is slow.
_IDS_AT_A_TIME = 1 << 14
_MOST_IDS_UNSORTED = 1 << 9

# What is found by a hash table, and the version of the table that found its rows.
_Found = tuple[native.IdIndex, int]


class IdTable:
    """The id of each row, 0 to 2**63 - 1. What an object says never changes.

    No two live rows have the same id: the id of a removed row may be that of a later one. So a
    look-up takes no lock, whatever is added meanwhile; it is told which rows are live. Ids
    0, 1, 2, ... are not stored. Ascending ids are looked up by bisection in place, others in a hash
    table, which is made when first needed, and which tables that extend this one share.

    Attributes
    ----------
    n_rows : int
        Number of rows, also removed ones.
    ascending : bool
        Whether each id is greater than that of the row before.
    stored : ndarray of int64, shape (n_rows,), or None
        The ids of all rows; None if each is the number of its row.
    numbering : object
        Shared by tables in which a vector has the same row number.
    n_rows_at_reuse : int
        Of the rows from this number on, none has the id of a row that was removed before.
    """

    def __init__(
        self,
        n_rows: int = 0,
        ids: GrowableArray | None = None,
        *,
        ascending: bool = True,
        largest: int | None = None,
    ) -> None:
        self.n_rows = n_rows
        self.ascending = ascending
        self.stored = None if ids is None else ids.rows
        self.numbering = object()
        self.n_rows_at_reuse = 0
        self._has_lost = False
        self._array = ids
        self._largest_known = largest
        self._found: _Found | None = None

    @property
    def largest(self) -> int:
        """The largest id that there ever was, -1 if there was none."""
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

    @property
    def largest_removed(self) -> int | None:
        """The largest id that there ever was, if it is not that of a row; else None."""
        if self._largest_known is None:
            return None
        own = IdTable(self.n_rows, self._array, ascending=self.ascending).largest
        return self._largest_known if self._largest_known > own else None

    def of_rows(self, live: native.RowSet | None) -> NDArray[np.int64]:
        """Return the ids of live rows, in order of addition; read-only."""
        if live is None:
            ids = counted(0, self.n_rows) if self.stored is None else self.stored
        else:
            rows = live.numbers()
            ids = rows if self.stored is None else taken(self.stored, rows)
        ids.flags.writeable = False
        return ids

    def check(
        self,
        new: NDArray[np.int64] | None,
        n_new: int,
        live: native.RowSet | None = None,
        *,
        may_be_known: bool = False,
    ) -> NDArray[np.int64]:
        """Return the ids of `n_new` new rows, or raise.

        `may_be_known` says that ids of live rows are right too.
        """
        if new is None:
            if self.largest > MAX_ID - n_new:
                raise ValueError(
                    f"automatic ids continue after the largest id, {self.largest}, and there are "
                    f"no {n_new} more below 2**63; pass ids"
                )
            return counted(self.largest + 1, self.largest + 1 + n_new)
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
            if new[0] > self.largest:
                return new
        elif (twice := interruptibly(n_new, _first_twice, new)) is not None:
            raise ValueError(f"ids must be unique; got {twice} more than once")
        if not may_be_known:
            known = new[self.rows_of(new, live) >= 0]
            if len(known):
                raise ValueError(
                    f"ids must be new; got {known[0]}, which the index has already. upsert "
                    "replaces its vector"
                )
        return new

    def extended(self, new: NDArray[np.int64], live: native.RowSet | None = None) -> IdTable:
        """Return these ids and the new ones, which `check` returned.

        `live` has no row whose id is among the new ones.
        """
        if len(new) == 0:
            return self
        n_rows, n_new, largest = self.n_rows, len(new), self.largest
        follows = int(new[0]) > largest and is_ascending(new)
        array = self._array
        if array is None and not (follows and int(new[-1]) == n_rows + n_new - 1):
            array = GrowableArray(counted(0, n_rows))
        if array is not None:
            array = array.with_room(n_new)
            copy_into(array.next_rows(n_new), new)
            array = array.committed(n_new)
        newest = int(new[-1] if follows else interruptibly(n_new, new.max))
        ids = IdTable(
            n_rows + n_new,
            array,
            ascending=self.ascending and follows,
            largest=max(largest, newest),
        )
        ids.numbering = self.numbering
        ids._has_lost = self._has_lost
        are_new = follows or (live is None and not self._has_lost)
        ids.n_rows_at_reuse = self.n_rows_at_reuse if are_new else ids.n_rows
        # Ids that do not ascend never ascend again.
        if self._found is not None:
            assert self.stored is not None
            assert ids.stored is not None
            ids._found = _entered(self._found, self.stored, new, ids.stored, live)
        return ids

    def only(self, rows: NDArray[np.int64]) -> IdTable:
        """Return the ids of some rows, ascending; the largest id is remembered."""
        ids = rows if self.stored is None else taken(self.stored, rows)
        n = len(ids)
        ascending = self.ascending or is_ascending(ids)
        is_stored = n > 0 and not (ascending and int(ids[0]) == 0 and int(ids[-1]) == n - 1)
        array = GrowableArray(ids) if is_stored else None
        table = IdTable(n, array, ascending=ascending, largest=self.largest)
        table._has_lost = True  # ids, which may return
        return table

    def rows_of(
        self, ids: NDArray[np.int64], live: native.RowSet | None = None
    ) -> NDArray[np.int64]:
        """Return the live row of each id, -1 where there is none; `live` is None if all are."""
        if self.stored is not None and not self.ascending:
            return self._look_up(self.stored, ids, live)
        rows = np.empty(len(ids), np.int64)
        for begin in range(0, len(ids), _IDS_AT_A_TIME):
            part = slice(begin, begin + _IDS_AT_A_TIME)
            if self.stored is None:
                rows[part] = np.where((ids[part] >= 0) & (ids[part] < self.n_rows), ids[part], -1)
            else:
                rows[part] = _bisect(self.stored, None, ids[part])
        return rows if live is None else live.kept(rows)

    def row_of(self, id: int) -> int:
        """Return the last row of an id, 0 to 2**63 - 1, or -1. It may have been removed."""
        stored = self.stored
        if stored is None:
            return id if id < self.n_rows else -1
        if self.ascending:
            row = int(stored.searchsorted(id))
            return row if row < self.n_rows and stored[row] == id else -1
        index, version = self._hashed(stored)
        row = index.find_one(stored, id)
        if row < 0 and index.version != version:
            row = int(_look_through(stored, np.array([id], np.int64), None)[0])
        return row

    def _look_up(
        self, stored: NDArray[np.int64], ids: NDArray[np.int64], live: native.RowSet | None
    ) -> NDArray[np.int64]:
        index, version = self._hashed(stored)
        rows = index.find(stored, live, ids)
        if index.version != version:
            # Later tables have entered ids again. Where they were before, the hash table has
            # forgotten.
            missing = np.flatnonzero(rows < 0)
            rows[missing] = _look_through(stored, ids[missing], live)
        return rows

    def _hashed(self, stored: NDArray[np.int64]) -> _Found:
        found = self._found
        if found is None:
            # Other threads may do the same at once: each result is right.
            found = self._found = _index_of(stored, len(stored)), 0
        return found


def _entered(
    found: _Found,
    known: NDArray[np.int64],
    new: NDArray[np.int64],
    together: NDArray[np.int64],
    live: native.RowSet | None,
) -> _Found:
    """Return the hash table of known and new ids; `live` has no row of the new ones."""
    index, version = found
    # If it has another version, ids were entered again for rows that were never published.
    if index.version == version and len(index) + len(new) <= index.capacity:
        refused = index.enter(known, live, new)
        assert refused is None
        return index, index.version
    return _index_of(together, len(together) + len(together) // 2), 0


def _index_of(ids: NDArray[np.int64], capacity: int) -> native.IdIndex:
    # Who chooses ids must not know the seed, lest all of them fall into one place.
    return native.IdIndex(ids, capacity, int.from_bytes(os.urandom(8), "little"))


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


def require_found(ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
    """Raise if an id has no row."""
    missing = ids[rows < 0]
    if len(missing):
        raise KeyError(f"id {missing[0]} is not in the index")


def one_axis(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the ids, one or several of one axis, or raise."""
    if ids.ndim > 1:
        raise ValueError(f"ids must be one id or have shape (m,); got shape {ids.shape}")
    return ids


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


def _look_through(
    stored: NDArray[np.int64], ids: NDArray[np.int64], live: native.RowSet | None
) -> NDArray[np.int64]:
    """Return the last live row of each id, by a look at all rows."""
    rows = interruptibly(len(stored), np.flatnonzero, np.isin(stored, ids))
    if live is not None:
        rows = rows[live.kept(rows) >= 0]
    order = np.argsort(stored[rows], kind="stable")
    in_order = stored[rows[order]]
    is_last = np.append(in_order[1:] != in_order[:-1], True)[: len(rows)]
    return _bisect(in_order[is_last], rows[order][is_last], ids)


def _bisect(
    in_order: NDArray[np.int64], rows: NDArray[np.int64] | None, ids: NDArray[np.int64]
) -> NDArray[np.int64]:
    if len(in_order) == 0:
        return np.full(ids.shape, -1, np.int64)
    if len(ids) > _MOST_IDS_UNSORTED:  # in order, they are looked up in lines that are cached
        order = np.argsort(ids)
        found = np.empty(len(ids), np.int64)
        found[order] = _bisect_some(in_order, rows, ids[order])
        return found
    return _bisect_some(in_order, rows, ids)


def _bisect_some(
    in_order: NDArray[np.int64], rows: NDArray[np.int64] | None, ids: NDArray[np.int64]
) -> NDArray[np.int64]:
    place = np.minimum(np.searchsorted(in_order, ids), len(in_order) - 1)
    found = in_order[place] == ids
    return np.where(found, place if rows is None else rows[place], -1)
