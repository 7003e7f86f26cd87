# SPDX-License-Identifier: Apache-2.0
"""One condition: its index, its results, its bytes, and how long a search takes."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.errors import BitsiftWarning
from bitsift.evaluation.conditions import BASELINE, Condition
from bitsift.evaluation.corpus import Corpus
from bitsift.evaluation.float_search import FloatSearch
from bitsift.index.index import Index

__all__ = ["N_RUNS", "Found", "Runner"]

N_RUNS = 5
_N_ALONE = 25
_MOST_CANDIDATES = 1 << 23  # of queries that have all vectors as candidates


@dataclass(frozen=True)
class Found:
    """What a condition found and took.

    Attributes
    ----------
    best : ndarray of int64, shape (n_queries, k)
        Results of a search for `k`.
    deep : ndarray of int64, shape (n_queries, depth)
        Results of a search for `depth`, with the same oversampling.
    bytes_per_vector : int
        What is read of a vector: bits, corrections, originals.
    bytes_scanned : int
        Those that every search reads of every vector; the others may stay on disk.
    batch_s, alone_s : float or None
        Seconds of a search for all queries at once, and for one: medians.
    """

    best: NDArray[np.int64]
    deep: NDArray[np.int64]
    bytes_per_vector: int
    bytes_scanned: int
    batch_s: float | None
    alone_s: float | None


class Runner:
    """Runs conditions on a corpus; keeps the index for the next one if that wants the same.

    Attributes
    ----------
    warnings : dict of str to None
        What was warned of, each once, in order.
    advised : dict or None
        Arguments of an index with originals that ``threshold="auto"`` chose.
    """

    def __init__(
        self, corpus: Corpus, metric: str, k: int, depth: int, isa: str, threads: int
    ) -> None:
        self._corpus = corpus
        self._metric = metric
        self._k, self._depth = k, depth
        self._isa, self._threads = isa, threads
        self._index: tuple[str, Index] | None = None
        self.warnings: dict[str, None] = {}
        self.advised: dict[str, Any] | None = None

    def run(self, condition: Condition) -> Found:
        """Run one condition."""
        index = self._index_of(condition)
        queries = self._corpus.queries
        if condition.quantize_queries:
            queries = self._rounded(index, str(index.store))
        deep = self._found(index, condition, queries, self._depth)
        n_bytes = index.nbytes // len(index)
        if condition.scores_all:
            n_bytes -= index.codes.shape[1]
            batch_s = alone_s = None
            if condition.name == BASELINE:
                searcher = FloatSearch(self._corpus.documents, self._metric)
                batch_s, alone_s = self._times(lambda some: searcher.search(some, self._k), queries)
            # All are scored, so a search for fewer finds the first of these.
            return Found(deep[:, : self._k], deep, n_bytes, n_bytes, batch_s, alone_s)
        best = self._found(index, condition, queries, self._k)
        batch_s, alone_s = self._times(
            lambda some: index.search(some, self._k, threads=self._threads, **condition.search),
            queries,
        )
        n_scanned = n_bytes if index.store is None else index.codes.shape[1]
        return Found(best, deep, n_bytes, n_scanned, batch_s, alone_s)

    def _index_of(self, condition: Condition) -> Index:
        code = condition.index_code(self._corpus.dim, self._metric)
        if self._index is not None and self._index[0] == code:
            return self._index[1]
        self._index = None  # two indexes at once would be one too many for large data
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            index = Index(self._corpus.dim, metric=self._metric, isa=self._isa, **condition.index)  # type: ignore[arg-type]
            index.add(self._corpus.documents)
        for warning in caught:
            if issubclass(warning.category, BitsiftWarning):
                self.warnings[str(warning.message)] = None
            else:
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno
                )
        if index.advice is not None and index.store is not None:
            self.advised = index.advice.recommendation
        self._index = code, index
        return index

    def _rounded(self, index: Index, store: str) -> NDArray[Any]:
        """Return queries as what the documents' bounds and steps make of them."""
        rounded = Index(
            self._corpus.dim,
            store=store,  # type: ignore[arg-type]
            calibrator=index.calibrators[store],
            isa=self._isa,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BitsiftWarning)  # of its bits, which nobody reads
            return rounded.get(rounded.add(self._corpus.queries))

    def _found(
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

    def _times(
        self, search: Callable[[NDArray[Any]], object], queries: NDArray[Any]
    ) -> tuple[float, float]:
        """Return seconds of a batch of all queries, and of one query alone."""
        evenly = np.linspace(0, len(queries) - 1, min(_N_ALONE, len(queries))).astype(np.int64)
        search(queries[:1])
        batches = [_seconds(search, queries) for _ in range(N_RUNS)]
        alone = [_seconds(search, queries[query : query + 1]) for query in evenly]
        return statistics.median(batches), statistics.median(alone)


def _seconds(search: Callable[[NDArray[Any]], object], queries: NDArray[Any]) -> float:
    start = time.perf_counter()
    search(queries)
    return time.perf_counter() - start
