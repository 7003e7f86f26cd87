# SPDX-License-Identifier: Apache-2.0
"""The steps of a search of an index: candidates by their codes, then their order."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitsift import _core
from bitsift.asymmetric import AsymmetricQueries

__all__ = ["Metric", "Plan", "Rows", "Scoring", "find_rows"]

Metric = Literal["cosine", "dot", "l2"]
Scoring = Literal["hamming", "asymmetric"]
_MOST_ASYMMETRIC_VALUES = 1 << 24  # of queries that are rounded at once


class Rows(NamedTuple):
    """What a search reads: replaced as a whole, so that it sees one state of the index."""

    codes: NDArray[np.uint8]
    originals: NDArray[Any] | None
    ids: NDArray[np.int64] | None  # None: the number of the row
    tie_ids: NDArray[np.int64] | None  # None: the order of ids is the order of rows


class Plan(NamedTuple):
    """How to search, every choice made."""

    k: int
    metric: Metric
    scoring: Scoring
    rescore: bool
    oversampling: float
    threshold: float | NDArray[np.float32]
    isa: str
    threads: int


def find_rows(
    rows: Rows, codes: NDArray[np.uint8], values: NDArray[np.float32] | None, plan: Plan
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return scores and row numbers, both of shape (n_queries, k).

    `values` are the queries as float32, or None if they came as bits: then neither asymmetric
    scoring nor rescoring is asked for.
    """
    if not plan.rescore:
        return _scan(rows, codes, values, plan.k, plan)
    wanted = plan.k * plan.oversampling
    n_candidates = len(rows.codes) if wanted >= len(rows.codes) else math.ceil(wanted)
    _, candidates = _scan(rows, codes, values, n_candidates, plan)
    return _core.rescore(
        rows.originals,  # type: ignore[arg-type]
        values,  # type: ignore[arg-type]
        candidates,
        plan.k,
        plan.metric,
        rows.tie_ids,
        plan.isa,
        plan.threads,
    )


def _scan(
    rows: Rows, codes: NDArray[np.uint8], values: NDArray[np.float32] | None, k: int, plan: Plan
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    if plan.scoring == "hamming":
        return _core.search(rows.codes, codes, k, rows.tie_ids, plan.isa, plan.threads)
    assert values is not None
    scores = np.empty((len(values), k), np.float32)
    found = np.empty((len(values), k), np.int64)
    step = max(1, _MOST_ASYMMETRIC_VALUES // values.shape[1])
    for begin in range(0, len(values), step):
        part = slice(begin, begin + step)
        # Signs are those of values minus threshold. A cosine or a distance is between what is left
        # of both; a product with the threshold is the same for all documents.
        origin = np.float32(0) if plan.metric == "dot" else plan.threshold
        queries = AsymmetricQueries.of(np.subtract(values[part], origin, dtype=np.float64))
        distances, found[part] = _core.search(
            rows.codes,
            queries.codes,
            k,
            rows.tie_ids,
            plan.isa,
            plan.threads,
            queries.magnitudes,
        )
        scores[part] = queries.scores(distances, plan.metric)
    return scores, found
