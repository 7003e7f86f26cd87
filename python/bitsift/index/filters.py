# SPDX-License-Identifier: Apache-2.0
"""Filters: which vectors of an index a search may find."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.core.public import public
from bitsift.core.unreadable import shown
from bitsift.index.ids import as_ids
from bitsift.index.table import Snapshot

__all__ = ["Filter", "make_filter", "row_sets"]

_WANTED = (
    "be allowed ids (integers), a boolean mask over index.ids, what index.filter(...) returned, or "
    "a list of these, one for each query"
)


@public
class Filter:
    """Vectors that a search may find, prepared for many searches; :meth:`Index.filter` makes it.

    ``len(filter)`` is their number. It belongs to the index that made it. Vectors that are added
    later are not among them. It never changes; any number of threads may use it.
    """

    __slots__ = ("_owner", "_rows")

    def __init__(self, rows: native.RowSet, owner: object) -> None:
        self._rows = rows
        self._owner = owner

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<bitsift.Filter: {len(self)} vectors>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a filter cannot be pickled or copied: it belongs to one index of one process. Keep "
            "its ids, and make it again with index.filter(ids)"
        )


def make_filter(allowed: object, snapshot: Snapshot, owner: object) -> Filter:
    """Return a prepared filter of what a caller gives."""
    return Filter(_one_set(allowed, snapshot, owner), owner)


def row_sets(
    given: object, snapshot: Snapshot, owner: object, n_queries: int
) -> native.RowSet | list[native.RowSet]:
    """Return the rows that a search may find: one set for all queries, or one for each."""
    if isinstance(given, (list, tuple)) and not all(np.ndim(one) == 0 for one in _listed(given)):
        each: Sequence[Any] = given
    elif isinstance(given, np.ndarray) and given.ndim == 2:
        each = list(given)
    else:
        return _one_set(given, snapshot, owner)
    if len(each) != n_queries:
        raise ValueError(
            f"filter must be one for all queries, or a list of one for each: {n_queries}; got "
            f"{len(each)}"
        )
    return [_one_set(one, snapshot, owner) for one in each]


def _listed(given: Sequence[Any]) -> list[Any]:
    """Return the elements of a list; a prepared filter or a set as something with an axis."""
    return [[] if isinstance(one, (Filter, Set)) else one for one in given]


def _one_set(allowed: object, snapshot: Snapshot, owner: object) -> native.RowSet:
    n_rows = len(snapshot.documents)
    if isinstance(allowed, Filter):
        if allowed._owner is not owner:
            raise ValueError(
                "filter must be made by this index; got one of another index, or of the one that "
                "this is a copy of"
            )
        return allowed._rows.extended_to(n_rows)
    if isinstance(allowed, (str, bytes)) or allowed is None:
        raise TypeError(f"filter must {_WANTED}; got {shown(allowed)}")
    some: ArrayLike = list(allowed) if isinstance(allowed, Set) else allowed  # type: ignore[assignment]
    array = arguments.plain_array(some, "filter", _WANTED)
    if array.ndim != 1:
        raise ValueError(f"filter must {_WANTED}; got an array of shape {array.shape}")
    if array.dtype == np.bool_:
        return _of_mask(array, n_rows)
    rows = snapshot.ids.rows_of(as_ids(array, "filter"))
    return native.RowSet.of_numbers(rows, n_rows)


def _of_mask(mask: NDArray[Any], n_rows: int) -> native.RowSet:
    if len(mask) != n_rows:
        raise ValueError(
            f"filter must have shape ({n_rows},), one value for each of index.ids; got shape "
            f"{mask.shape}"
        )
    return native.RowSet.of_values(np.ascontiguousarray(mask))
