# SPDX-License-Identifier: Apache-2.0
"""Filters: which vectors of an index a search may find."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.core.interruptible import counted, interruptibly, taken
from bitsift.core.public import public
from bitsift.core.unreadable import shown
from bitsift.index.ids import IdTable, as_ids

__all__ = ["Filter", "RowSets"]

_WANTED = (
    "be allowed ids (integers), a boolean mask over index.ids, what index.filter(...) returned, or "
    "a list of these, one for each query"
)


@public
class Filter:
    """Vectors that a search may find, prepared for many searches; :meth:`Index.filter` makes it.

    ``len(filter)`` is their number when it was made. It belongs to the index that made it. Vectors
    that are added later are not among them, but a vector that takes the place of one of them, with
    its id, is. Any number of threads may use it.
    """

    __slots__ = ("_ids", "_latest", "_made", "_owner")

    def __init__(self, rows: native.RowSet, table: IdTable, owner: object) -> None:
        self._made = table, rows
        # The rows of the newest table that was searched, if they are others.
        self._latest = self._made
        self._ids: NDArray[np.int64] | None = None  # in ascending order
        self._owner = owner

    def __len__(self) -> int:
        return len(self._made[1])

    def __repr__(self) -> str:
        return f"<bitsift.Filter: {len(self)} vectors>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a filter cannot be pickled or copied: it belongs to one index of one process. Keep "
            "its ids, and make it again with index.filter(ids)"
        )

    def _rows_in(self, table: IdTable, owner: object) -> native.RowSet:
        """Return the rows of a state of the index that has this table of ids."""
        if self._owner is not owner:
            raise ValueError(
                "filter must be made by this index; got one of another index, or of the one that "
                "this is a copy of"
            )
        # Nothing is locked: any thread may find it out anew.
        for known, rows in (self._latest, self._made):
            if known.numbering is table.numbering and known.n_rows <= table.n_rows:
                if table.n_rows_at_reuse <= known.n_rows:
                    return rows.extended_to(table.n_rows)
                assert table.stored is not None
                late = taken(table.stored, counted(known.n_rows, table.n_rows))
                numbers = np.flatnonzero(self._has(late)) + known.n_rows
                found = rows.extended_to(table.n_rows).with_numbers(numbers)
                break
        else:
            found = native.RowSet.of_numbers(table.rows_of(self._ids_in_order()), table.n_rows)
        self._latest = table, found
        return found

    def _has(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        known = self._ids_in_order()
        if len(known) == 0:
            return np.zeros(len(ids), np.bool_)
        places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        is_known: NDArray[np.bool_] = known[places] == ids
        return is_known

    def _ids_in_order(self) -> NDArray[np.int64]:
        if self._ids is None:
            table, rows = self._made
            ids = table.of_rows(rows)
            self._ids = ids if table.ascending else interruptibly(len(ids), np.sort, ids)
        return self._ids


class RowSets:
    """Turns what callers give as filters into rows of one state of an index.

    Parameters
    ----------
    ids : IdTable
        The ids of that state.
    live : RowSet or None
        Its live rows; None if all are.
    owner : object
        The identity of its table.
    """

    def __init__(self, ids: IdTable, live: native.RowSet | None, owner: object) -> None:
        self._table = ids
        self._live = live
        self._owner = owner

    def prepared(self, allowed: object) -> Filter:
        """Return a prepared filter."""
        return Filter(self._one(allowed), self._table, self._owner)

    def of(self, given: object, n_queries: int) -> native.RowSet | list[native.RowSet] | None:
        """Return the rows that a search may find: one set for all queries, or one for each.

        None for all rows.
        """
        if given is None:
            return self._live
        rows = self._of_filter(given, n_queries)
        return self._live if isinstance(rows, list) and not rows else rows

    def _of_filter(self, given: object, n_queries: int) -> native.RowSet | list[native.RowSet]:
        if isinstance(given, (list, tuple)) and not all(
            np.ndim(one) == 0 for one in _listed(given)
        ):
            each: Sequence[Any] = given
        elif isinstance(given, np.ndarray) and given.ndim == 2:
            each = list(given)
        else:
            return self._one(given)
        if len(each) != n_queries:
            raise ValueError(
                f"filter must be one for all queries, or a list of one for each: {n_queries}; got "
                f"{len(each)}"
            )
        return [self._one(one) for one in each]

    def _one(self, allowed: object) -> native.RowSet:
        live, n_rows = self._live, self._table.n_rows
        if isinstance(allowed, Filter):
            rows = allowed._rows_in(self._table, self._owner)
            return rows if live is None else rows & live
        if isinstance(allowed, (str, bytes)) or allowed is None:
            raise TypeError(f"filter must {_WANTED}; got {shown(allowed)}")
        some: ArrayLike = list(allowed) if isinstance(allowed, Set) else allowed  # type: ignore[assignment]
        array = arguments.plain_array(some, "filter", _WANTED)
        if array.ndim != 1:
            raise ValueError(f"filter must {_WANTED}; got an array of shape {array.shape}")
        if array.dtype == np.bool_:
            return self._of_mask(np.ascontiguousarray(array))
        numbers = self._table.rows_of(as_ids(array, "filter"), live)
        return native.RowSet.of_numbers(numbers, n_rows)

    def _of_mask(self, mask: NDArray[np.bool_]) -> native.RowSet:
        live = self._live
        n = self._table.n_rows if live is None else len(live)
        if len(mask) != n:
            raise ValueError(
                f"filter must have shape ({n},), one value for each of index.ids; got shape "
                f"{mask.shape}"
            )
        return native.RowSet.of_values(mask) if live is None else live.selected(mask)


def _listed(given: Sequence[Any]) -> list[Any]:
    """Return the elements of a list; a prepared filter or a set as something with an axis."""
    return [[] if isinstance(one, (Filter, Set)) else one for one in given]
