# SPDX-License-Identifier: Apache-2.0
"""One condition, run: its index, its results, its bytes, and the time of a search."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from bitsift.core import BitsiftWarning
from bitsift.core.limits import LEAST_ROWS_FITTED
from bitsift.core.options import Metric, Store
from bitsift.core.samples import evenly
from bitsift.evaluation.conditions import BASELINE, Condition
from bitsift.evaluation.corpus import EvaluationCorpus
from bitsift.evaluation.float_search import FloatSearch
from bitsift.index import Index

__all__ = ["Measurement", "Runner"]

# Other work on the machine only adds to a time, so the least of several runs is the steadiest.
_N_RUNS = 5
_N_ALONE = 25  # Queries that are searched alone.
_MOST_CANDIDATES = 1 << 23  # In one search whose candidates are all vectors.


@dataclass(frozen=True)
class Measurement:
    """The results of a condition, its bytes, and its times.

    Attributes
    ----------
    best : ndarray of int64, shape (n_queries, k)
        Results of a search for `k`.
    deep : ndarray of int64, shape (n_queries, depth)
        Results of a search for `depth`, with the same oversampling.
    bytes_per_vector : int
        Bytes of a vector that a search may read: code, correction, originals.
    bytes_scanned : int
        Bytes of a vector that every search reads; the others may stay on disk.
    batch_s, alone_s : float or None
        Seconds of a search for all queries at once, the least of several runs; and for one query,
        the median of several queries, each the least of several runs.
    """

    best: NDArray[np.int64]
    deep: NDArray[np.int64]
    bytes_per_vector: int
    bytes_scanned: int
    batch_s: float | None
    alone_s: float | None


class Runner:
    """Runs conditions on a corpus; the next condition reuses the index if it needs the same one.

    Attributes
    ----------
    warnings : dict of str to None
        The warnings of bitsift, each once, in order.
    recommendation : dict or None
        Arguments of an index with originals that ``threshold="auto"`` chose.
    """

    def __init__(
        self, corpus: EvaluationCorpus, metric: Metric, k: int, depth: int, isa: str, threads: int
    ) -> None:
        self._corpus = corpus
        self._metric = metric
        self._k, self._depth = k, depth
        self._isa, self._threads = isa, threads
        self._index: tuple[str, Index] | None = None
        self.warnings: dict[str, None] = {}
        self.recommendation: dict[str, Any] | None = None

    def run(self, condition: Condition) -> Measurement:
        """Run one condition."""
        index = self._index_of(condition)
        queries = self._corpus.queries
        if condition.quantize_queries:
            queries = self._rounded(index, cast(Store, index.store))
        deep = self._search(index, condition, queries, self._depth)
        n_bytes = index.nbytes // len(index)
        if condition.scores_all:
            n_bytes -= index.codes.shape[1]
            batch_s = alone_s = None
            if condition.name == BASELINE:
                floats = FloatSearch(self._corpus.documents, self._metric)
                batch_s, alone_s = _times(lambda some: floats.search(some, self._k), queries)
                one_core_s = _alone_s(lambda one: floats.search_on_one_core(one, self._k), queries)
                alone_s = min(alone_s, one_core_s)
            # Every vector is scored, so the first k of `depth` results are those of a search for k.
            return Measurement(deep[:, : self._k], deep, n_bytes, n_bytes, batch_s, alone_s)
        best = self._search(index, condition, queries, self._k)
        batch_s, alone_s = _times(
            lambda some: index.search(some, self._k, threads=self._threads, **condition.search),
            queries,
        )
        n_scanned = n_bytes if index.store is None else index.codes.shape[1]
        return Measurement(best, deep, n_bytes, n_scanned, batch_s, alone_s)

    def _index_of(self, condition: Condition) -> Index:
        code = condition.index_code(self._corpus.dim, self._metric)
        if self._index is not None and self._index[0] == code:
            return self._index[1]
        self._index = None  # Large data has memory for one index, not for two.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            index = Index(self._corpus.dim, metric=self._metric, isa=self._isa, **condition.index)
            if len(self._corpus.documents) < LEAST_ROWS_FITTED:  # it would wait for more
                index.fit(self._corpus.documents)
            index.add(self._corpus.documents)
        for warning in caught:
            if issubclass(warning.category, BitsiftWarning):
                self.warnings[str(warning.message)] = None
            else:
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno
                )
        if index.advice is not None and index.store is not None:
            self.recommendation = index.advice.recommendation
        self._index = code, index
        return index

    def _rounded(self, index: Index, store: Store) -> NDArray[Any]:
        """Return the queries, rounded with the documents' bounds."""
        rounded = Index(
            self._corpus.dim, store=store, calibrator=index.calibrators[store], isa=self._isa
        )
        with warnings.catch_warnings():
            # Nothing reads the bits of this index.
            warnings.simplefilter("ignore", BitsiftWarning)
            return rounded.get(rounded.add(self._corpus.queries))

    def _search(
        self, index: Index, condition: Condition, queries: NDArray[Any], k: int
    ) -> NDArray[np.int64]:
        options = dict(condition.search)
        n_queries = len(queries)
        if condition.scores_all:
            options["oversampling"] = len(index) / k
            n_queries = max(1, _MOST_CANDIDATES // len(index))
        return np.concatenate(
            [
                index.search(
                    queries[begin : begin + n_queries], k, threads=self._threads, **options
                ).ids
                for begin in range(0, len(queries), n_queries)
            ]
        )


def _times(search: Callable[[NDArray[Any]], object], queries: NDArray[Any]) -> tuple[float, float]:
    """Return the seconds of a search for all queries, and of a search for one."""
    search(queries[:1])
    return _least_seconds(search, queries), _alone_s(search, queries)


def _alone_s(search: Callable[[NDArray[Any]], object], queries: NDArray[Any]) -> float:
    some = evenly(queries, _N_ALONE)
    return float(np.median([_least_seconds(search, one[np.newaxis]) for one in some]))


def _least_seconds(search: Callable[[NDArray[Any]], object], queries: NDArray[Any]) -> float:
    seconds = []
    for _ in range(_N_RUNS):
        start = time.perf_counter()
        search(queries)
        seconds.append(time.perf_counter() - start)
    return min(seconds)
