# SPDX-License-Identifier: Apache-2.0
"""Ids of documents, given or automatic, and the rows that they belong to."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.index.growable import GrowableArray

__all__ = ["IdTable"]

MAX_ID = 2**63 - 1


class IdTable:
    """The id of each row: unique, 0 to 2**63 - 1.

    Ids 0, 1, 2, ... are not stored. Ascending ids are looked up by bisection in place. For others a
    sorted copy is made when first needed; ids added after that go into a dictionary until there are
    many, and are then sorted in.
    """

    def __init__(
        self, n_rows: int = 0, ids: NDArray[np.int64] | None = None, *, ascending: bool = True
    ) -> None:
        self._n_rows = n_rows
        self._stored = None if ids is None else GrowableArray(ids)
        self._ascending = ascending
        self._largest_known: int | None = None
        self._sorted_ids = np.empty(0, np.int64)
        self._sorted_rows = np.empty(0, np.int64)
        self._recent: dict[int, int] = {}

    @property
    def ascending(self) -> bool:
        """Whether each id is greater than that of the row before."""
        return self._ascending

    @property
    def stored(self) -> NDArray[np.int64] | None:
        """The ids of all rows, a view; None if each is the number of its row."""
        return None if self._stored is None else self._stored.rows

    @property
    def _largest(self) -> int:
        # Computed when first needed: a mapped index must open without a pass over its ids.
        if self._largest_known is None:
            if self._n_rows == 0:
                self._largest_known = -1
            elif self._stored is None:
                self._largest_known = self._n_rows - 1
            else:
                rows = self._stored.rows
                self._largest_known = int(rows[-1] if self._ascending else rows.max())
        return self._largest_known

    def check(self, new: NDArray[np.int64] | None, n_new: int) -> NDArray[np.int64]:
        """Return the ids of `n_new` new rows, or raise; changes nothing."""
        if new is None:
            if self._largest > MAX_ID - n_new:
                raise ValueError(
                    f"automatic ids continue after the largest id, {self._largest}, and there are "
                    f"no {n_new} more below 2**63; pass ids"
                )
            return np.arange(self._largest + 1, self._largest + 1 + n_new, dtype=np.int64)
        if new.shape != (n_new,):
            raise ValueError(
                f"ids must have shape ({n_new},), one for each vector; got shape {new.shape}"
            )
        if n_new == 0:
            return new
        if new.min() < 0:
            raise ValueError(f"ids must be 0 or greater (-1 means no result); got {new.min()}")
        if is_ascending(new):
            if new[0] > self._largest:
                return new
        else:
            in_order = np.sort(new)
            twice = in_order[1:][in_order[1:] == in_order[:-1]]
            if len(twice):
                raise ValueError(f"ids must be unique; got {twice[0]} more than once")
        known = new[self.rows_of(new) >= 0]
        if len(known):
            raise ValueError(f"ids must be new; got {known[0]}, which the index has already")
        return new

    def append(self, new: NDArray[np.int64]) -> None:
        """Add ids that `check` returned."""
        if len(new) == 0:
            return
        first_row = self._n_rows
        largest = self._largest
        ascending = is_ascending(new) and int(new[0]) > largest
        if self._stored is None and not (ascending and int(new[-1]) == first_row + len(new) - 1):
            self._stored = GrowableArray(np.arange(first_row, dtype=np.int64))
        if self._stored is not None:
            self._stored.next_rows(len(new))[:] = new
            self._stored.commit(len(new))
        if self._ascending and not ascending:
            self._ascending = False
        elif not self._ascending:
            self._remember(new, first_row)
        self._n_rows += len(new)
        self._largest_known = max(largest, int(new[-1] if ascending else new.max()))

    def _remember(self, new: NDArray[np.int64], first_row: int) -> None:
        n_sorted, n_recent = len(self._sorted_ids), len(self._recent)
        is_current = n_sorted + n_recent == first_row
        if is_current and n_recent + len(new) <= 1024 + n_sorted // 8:
            self._recent.update(
                zip(new.tolist(), range(first_row, first_row + len(new)), strict=True)
            )
        else:  # sorted when next needed
            self._sorted_ids = np.empty(0, np.int64)
            self._recent = {}

    def rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each id, -1 where there is none."""
        if self._stored is None:
            return np.where((ids >= 0) & (ids < self._n_rows), ids, -1)
        if self._ascending:
            return _bisect(self._stored.rows, None, ids)
        if len(self._sorted_ids) + len(self._recent) != self._n_rows:
            self._sorted_rows = np.argsort(self._stored.rows, kind="stable")
            self._sorted_ids = self._stored.rows[self._sorted_rows]
            self._recent = {}
        rows = _bisect(self._sorted_ids, self._sorted_rows, ids)
        if self._recent:
            recent = np.array([self._recent.get(i, -1) for i in ids.tolist()], np.int64)
            rows = np.maximum(rows, recent)
        return rows


def as_ids(ids: ArrayLike) -> NDArray[np.int64]:
    """Return a copy of ids as int64, or raise; integers beyond int64 come in other types."""
    array = arguments.plain_array(ids, "ids", "be integers below 2**63")
    if array.size == 0 and array.dtype.kind == "f":  # an empty list
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"ids must be integers below 2**63; got {array.dtype}")
    if array.dtype.kind == "u" and array.size and int(array.max()) > MAX_ID:
        raise ValueError(f"ids must be below 2**63; got {array.max()}")
    return array.astype(np.int64)


def is_ascending(ids: NDArray[np.int64]) -> bool:
    """Say whether each id is greater than the one before."""
    return bool((ids[1:] > ids[:-1]).all())


def _bisect(
    in_order: NDArray[np.int64], rows: NDArray[np.int64] | None, ids: NDArray[np.int64]
) -> NDArray[np.int64]:
    if len(in_order) == 0:
        return np.full(ids.shape, -1, np.int64)
    place = np.minimum(np.searchsorted(in_order, ids), len(in_order) - 1)
    found = in_order[place] == ids
    return np.where(found, place if rows is None else rows[place], -1)
