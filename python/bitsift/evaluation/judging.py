# SPDX-License-Identifier: Apache-2.0
"""How good a list of results is: by judgments, and by what exact search of the floats finds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Judge", "overlaps"]

_HINT = "qrels are evaluated by ir-measures: pip install 'bitsift[eval]'"


class Judge:
    """Judgments of documents for queries, as trec_eval computes with them.

    Queries without a document of a grade above 0 are left out: no list is better than another.

    Parameters
    ----------
    qrels : ndarray of int64, shape (n, 3)
        Query row, document row, grade.
    k, depth : int
        NDCG is that of the first `k` results, recall that of the first `depth`.

    Raises
    ------
    ImportError
        The extra ``eval`` is not installed.
    """

    def __init__(self, qrels: NDArray[np.int64], k: int, depth: int) -> None:
        relevant = np.unique(qrels[qrels[:, 2] > 0, 0])
        self._queries: list[int] = relevant.tolist()
        judged: dict[str, dict[str, int]] = {str(query): {} for query in self._queries}
        for query, document, grade in qrels[np.isin(qrels[:, 0], relevant)].tolist():
            judged[str(query)][str(document)] = grade
        measures = _measures()
        self._ndcg = measures.pytrec_eval.evaluator([measures.nDCG @ k], judged)
        self._recall = measures.pytrec_eval.evaluator([measures.R @ depth], judged)

    @property
    def n_judged(self) -> int:
        """Queries that count."""
        return len(self._queries)

    def ndcg(self, found: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return NDCG@k of each query that counts: gain is the grade, discount log2."""
        return self._of(self._ndcg, found)

    def recall(self, found: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return recall@depth of each query that counts."""
        return self._of(self._recall, found)

    def _of(self, evaluator: Any, found: NDArray[np.int64]) -> NDArray[np.float64]:
        # trec_eval sorts by score and breaks ties in its own way: so scores follow the rank.
        run = {
            str(query): {
                str(document): float(-rank)
                for rank, document in enumerate(found[query].tolist())
                if document >= 0
            }
            for query in self._queries
        }
        values = {metric.query_id: metric.value for metric in evaluator.iter_calc(run)}
        return np.array([values[str(query)] for query in self._queries], np.float64)


def _measures() -> Any:
    try:
        import ir_measures  # noqa: PLC0415 (optional)
        import pytrec_eval  # noqa: F401, PLC0415
    except ImportError as error:
        raise ImportError(_HINT) from error
    return ir_measures


def overlaps(found: NDArray[np.int64], true: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each query which share of the true ids is among those found.

    Both of shape (n_queries, n); ids of a row differ, and none is missing.
    """
    shares = np.empty(len(true), np.float64)
    for query, (one, other) in enumerate(zip(found, true, strict=True)):
        shares[query] = np.isin(other, one).mean()
    return shares
