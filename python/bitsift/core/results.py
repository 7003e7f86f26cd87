# SPDX-License-Identifier: Apache-2.0
"""The result of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from bitsift.core.options import Kind
from bitsift.core.public import public

__all__ = ["OfKind", "SearchResult", "joined", "worst_score"]


class OfKind:
    """What scores are, for a result whose last but one array has them.

    In the attributes of an instance, unless the scores tell it: they are Hamming distances if they
    are integers.
    """

    _kind: Kind | None

    def _set_kind(self, kind: Kind | None) -> Self:
        if kind is not None and kind != "hamming":
            vars(self)["_kind"] = kind
        return self

    def __setattr__(self, name: str, value: object) -> None:
        """Raise, as a tuple does."""
        raise AttributeError(f"a result never changes: {name} cannot be set")

    @property
    def kind(self) -> Kind | None:
        """What the scores are: ``"hamming"``, ``"cosine"``, ``"dot"`` or ``"l2"``.

        Asymmetric scores are those of the metric. None for float scores of which nothing is known,
        as in a pickle of version 0.1.0.
        """
        known: Kind | None = vars(self).get("_kind")
        if known is None and np.issubdtype(self[-2].dtype, np.integer):  # type: ignore[index]
            return "hamming"
        return known

    @property
    def descending(self) -> bool | None:
        """Whether the best score is the largest; None where the kind is not known."""
        kind = self.kind
        return None if kind is None else kind in ("cosine", "dot")


class _Pair(NamedTuple):
    scores: NDArray[Any]
    ids: NDArray[np.int64]


@public
class SearchResult(OfKind, _Pair):
    """Scores and ids that a search found, best first; one row for each query.

    A tuple of two: ``scores, ids = index.search(queries)``. A 1-D query gives 1-D arrays.

    Attributes
    ----------
    scores : ndarray, shape (n_queries, k) or (k,)
        int32 Hamming distances, ascending; or, after rescoring or asymmetric scoring, float32:
        cosine and dot descending, l2 (Euclidean distance) ascending. A missing result has the
        largest int32, or the infinity that is the worst score.
    ids : ndarray of int64, same shape
        Ids of the documents; -1 for a missing result, where one query has fewer than another.
        ``ids[ids >= 0]`` drops these; as a position, -1 would be the last document.
    """

    def __new__(
        cls, scores: NDArray[Any], ids: NDArray[np.int64], *, kind: Kind | None = None
    ) -> Self:
        """Return a result; `kind` is known of integer scores."""
        return super().__new__(cls, scores, ids)._set_kind(kind)

    def _replace(self, **changes: Any) -> Self:
        result = super()._replace(**changes)
        vars(result).update(vars(self))
        return result


def joined(
    results: Sequence[tuple[NDArray[Any], NDArray[np.int64]]], dtype: Any, worst: float
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the scores and ids of single queries as one: as many columns as any of them has.

    Those who have fewer end with the worst score and -1.
    """
    shape = len(results), max((ids.shape[1] for _, ids in results), default=0)
    scores, all_ids = np.full(shape, worst, dtype), np.full(shape, -1, np.int64)
    for i, (found, ids) in enumerate(results):
        scores[i, : ids.shape[1]], all_ids[i, : ids.shape[1]] = found[0], ids[0]
    return scores, all_ids


def worst_score(kind: Kind) -> float:
    """Return the score of a missing result."""
    if kind == "hamming":
        return np.iinfo(np.int32).max
    return np.inf if kind == "l2" else -np.inf
