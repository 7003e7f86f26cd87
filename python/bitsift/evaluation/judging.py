# SPDX-License-Identifier: Apache-2.0
"""Quality of results: by judgments, and by overlap with exact float32 search."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Judge", "overlaps"]

_NEED = "qrels need the package ir-measures"


class Judge:
    """Judgments of documents for queries, evaluated as trec_eval does.

    Queries without a document of a grade above 0 do not count: for them, all results are alike.

    Parameters
    ----------
    qrels : ndarray of int64, shape (n, 3)
        Query row, document row, grade.
    k, depth : int
        NDCG is computed on the first `k` results, recall on the first `depth`.

    Raises
    ------
    ImportError
        The extra ``eval`` is not installed, or fails to import.
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
        """Return NDCG@k of each query that counts; the gain is the grade, the discount log2."""
        return self._measure(self._ndcg, found)

    def recall(self, found: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return recall@depth of each query that counts."""
        return self._measure(self._recall, found)

    def _measure(self, evaluator: Any, found: NDArray[np.int64]) -> NDArray[np.float64]:
        # trec_eval sorts by score and breaks ties in its own way, so each rank gets its own score.
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
        if isinstance(error, ModuleNotFoundError) and error.name in ("ir_measures", "pytrec_eval"):
            raise ImportError(f"{_NEED}: pip install 'bitsift[eval]'") from error
        raise ImportError(f"{_NEED}, which fails to import: {error}") from error
    return ir_measures


def overlaps(found: NDArray[np.int64], true: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each query the share of the true ids that were found.

    Both arrays have shape (n_queries, n). A row of `true` holds n different ids.
    """
    shares = np.empty(len(true), np.float64)
    for query, (found_ids, true_ids) in enumerate(zip(found, true, strict=True)):
        shares[query] = np.isin(true_ids, found_ids).mean()
    return shares
