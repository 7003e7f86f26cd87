# SPDX-License-Identifier: Apache-2.0
"""The result of a range search."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple, Self, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from bitsift.core.interruptible import interruptibly
from bitsift.core.options import Kind
from bitsift.core.public import public
from bitsift.core.results import OfKind, SearchResult

__all__ = ["RangeResult", "joined_ranges"]


class _Triple(NamedTuple):
    lims: NDArray[np.int64]
    distances: NDArray[Any]
    ids: NDArray[np.int64]


@public
class RangeResult(OfKind, _Triple):
    """All that a range search found, of one query behind that of the other; best first.

    A tuple of three: ``lims, distances, ids = index.range_search(queries, radius)``. What belongs
    to query `i` are elements ``lims[i]`` to ``lims[i + 1] - 1`` of the other two; :meth:`of` gives
    these. ``numpy.diff(lims)`` are the numbers of results. A 1-D query is one query.

    Attributes
    ----------
    lims : ndarray of int64, shape (n_queries + 1,)
        Where the results of each query begin, and at last the number of all results.
    distances : ndarray, shape (n_results,)
        int32 Hamming distances, ascending for each query; or, of rescored or asymmetric scores,
        float32: cosine and dot descending, l2 (Euclidean distance) ascending. `kind` says which.
    ids : ndarray of int64, shape (n_results,)
        Ids of the documents.
    """

    def __new__(
        cls,
        lims: NDArray[np.int64],
        distances: NDArray[Any],
        ids: NDArray[np.int64],
        *,
        kind: Kind | None = None,
    ) -> Self:
        """Return a result; `kind` is known of integer distances."""
        return super().__new__(cls, lims, distances, ids)._set_kind(kind)

    def of(self, query: SupportsIndex) -> SearchResult:
        """Return the results of one query.

        Parameters
        ----------
        query : int
            Its number; negative ones count from the end.

        Returns
        -------
        SearchResult
            ``scores, ids``, both of shape (m,); views.

        Raises
        ------
        IndexError
            There is no such query.
        """
        number, n_queries = operator.index(query), len(self.lims) - 1
        if not -n_queries <= number < n_queries:
            raise IndexError(f"query must be one of {n_queries} queries; got {number}")
        part = slice(*self.lims[number % n_queries :][:2])
        return SearchResult(self.distances[part], self.ids[part], kind=self.kind)

    def _replace(self, **changes: Any) -> Self:
        result = super()._replace(**changes)
        vars(result).update(vars(self))
        return result


def joined_ranges(
    parts: Sequence[tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]], dtype: Any
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]:
    """Return lims, distances and ids of several runs of queries as those of all; never a view."""
    if len(parts) == 1:
        return parts[0]
    counts = [np.zeros(1, np.int64), *(np.diff(lims) for lims, _, _ in parts)]
    lims = np.cumsum(np.concatenate(counts))
    none = np.empty(0, dtype), np.empty(0, np.int64)
    distances, ids = (
        interruptibly(int(lims[-1]), np.concatenate, [empty, *(part[i] for part in parts)])
        for i, empty in enumerate(none, 1)
    )
    return lims, distances, ids
