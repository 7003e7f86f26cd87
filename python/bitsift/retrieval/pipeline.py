# SPDX-License-Identifier: Apache-2.0
"""The steps of a search of an index: candidates by their codes, then their order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.encoding.correction import query_numbers
from bitsift.encoding.rounded_queries import AsymmetricQueries
from bitsift.retrieval.rows import Plan, Queries, Rows

__all__ = ["find_rows"]

_MOST_ASYMMETRIC_VALUES = 1 << 24  # of queries that are rounded at once
_NO_DISTANCE = np.iinfo(np.int32).max


def find_rows(rows: Rows, queries: Queries, plan: Plan) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return scores and row numbers, both of shape (n_queries, k)."""
    if not any(rung.name == "asymmetric" for rung in plan.rungs):
        return _climb(rows, queries, None, plan)
    # Rounded queries take many times the memory of codes.
    n_queries, dim = len(queries.codes), rows.binarizer.dim
    step = max(1, _MOST_ASYMMETRIC_VALUES // dim)
    found = []
    for begin in range(0, max(n_queries, 1), step):
        part = queries.part(slice(begin, begin + step))
        found.append(_climb(rows, part, _Asymmetric(rows, part, plan), plan))
    return np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])


class _Asymmetric:
    """Asymmetric scoring of some queries."""

    def __init__(self, rows: Rows, queries: Queries, plan: Plan) -> None:
        assert queries.packed is not None
        binarizer = rows.binarizer
        # Signs are those of values minus threshold. A cosine or a distance is between what is left
        # of both; a product with the threshold is the same for all documents.
        if plan.metric == "dot" and rows.factors is None:
            relative = binarizer.rotated(queries.packed, plan.threads)
        else:
            relative = binarizer.relative(queries.packed)
        centre = None
        if rows.factors is not None and binarizer.is_centred:
            centre = binarizer.relative_centre()
        self._queries = AsymmetricQueries.of(relative, centre, plan.threads)
        self._rows = rows
        self._plan = plan
        self._estimate = None
        if rows.factors is not None:
            numbers = query_numbers(self._queries, plan.metric, centred=centre is not None)
            self._estimate = plan.metric, rows.factors, numbers

    def scan(self, k: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return weighted distances and rows of the nearest."""
        rows, plan = self._rows, self._plan
        return native.search(
            rows.codes,
            self._queries.codes,
            self._queries.magnitudes,
            k=k,
            ids=rows.tie_ids,
            isa=plan.isa,
            threads=plan.threads,
        )

    def rescore(
        self, candidates: NDArray[np.int64], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return scores and rows of the best candidates, corrected if the index is."""
        rows, plan = self._rows, self._plan
        scores, found = native.rescore_codes(
            rows.codes,
            self._queries.codes,
            self._queries.magnitudes,
            candidates,
            estimate=self._estimate,
            k=k,
            ids=rows.tie_ids,
            isa=plan.isa,
            threads=plan.threads,
        )
        if self._estimate is not None:
            return scores, found
        is_none = found < 0
        distances = np.where(is_none, 0, scores).astype(np.int32)
        distances[is_none] = _NO_DISTANCE  # no float32
        return self.scores(distances), found

    def scores(self, distances: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return what weighted distances are in the metric."""
        return self._queries.scores(distances, self._plan.metric)


def _climb(
    rows: Rows, queries: Queries, asymmetric: _Asymmetric | None, plan: Plan
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    n_rows = len(rows.codes)
    first, *others = plan.rungs
    k = first.n_out(plan.k, n_rows)
    scores: NDArray[Any]
    if asymmetric is not None and first.name == "asymmetric":
        scores, found = asymmetric.scan(k)
        if not others:
            scores = asymmetric.scores(scores)
    else:
        scores, found = native.search(
            rows.codes,
            queries.codes,
            None,
            k=k,
            ids=rows.tie_ids,
            isa=plan.isa,
            threads=plan.threads,
        )
    for rung in others:
        k = rung.n_out(plan.k, n_rows)
        if asymmetric is not None and rung.name == "asymmetric":
            scores, found = asymmetric.rescore(found, k)
            continue
        names = [kept.name for kept in rows.formats]
        store = names.index(rung.name)
        assert queries.packed is not None
        scores, found = rows.formats[store].rescore(
            rows.originals[store],
            queries.packed.values,
            found,
            k,
            plan.metric,
            rows.tie_ids,
            plan.isa,
            plan.threads,
        )
    return scores, found
