# SPDX-License-Identifier: Apache-2.0
"""Range searches: all documents of an index within a distance, or with a score, of each query."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, SupportsIndex

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.core.arguments import Codes, Values
from bitsift.core.floats import in_default_floats
from bitsift.core.interruptible import interruptibly
from bitsift.core.options import Kind, SearchScoring
from bitsift.core.range_results import RangeResult, joined_ranges
from bitsift.core.unreadable import shown
from bitsift.encoding.encoder import Queries
from bitsift.retrieval.ladder import LadderOptions
from bitsift.retrieval.pipeline import AsymmetricScoring, Documents, most_rounded_queries

__all__ = ["RangeSearch"]

# Queries that are searched at once: of codes in one native call, and of a chunk or of scores, which
# are computed for a block of documents and all these queries.
_MOST_OF_CODES = 1 << 14
_MOST_TOGETHER = 256
_BLOCK_BYTES = 1 << 24  # of originals
_BLOCK_PAIRS = 1 << 20  # of a query and a document


class _Found(NamedTuple):
    """What was found for some queries.

    Attributes
    ----------
    lims : ndarray of int64, shape (n_queries + 1,)
        Where the results of each query begin.
    scores : ndarray, shape (n_results,)
        Distances or scores.
    rows : ndarray of int64, shape (n_results,)
        Row numbers, by (score, id) for each query.
    end : int
        Rows from here on were not searched.
    """

    lims: NDArray[np.int64]
    scores: NDArray[Any]
    rows: NDArray[np.int64]
    end: int


class _Source(Protocol):
    """Finds documents for some queries."""

    def find(self, begin: int = 0, most: int | None = None) -> _Found:
        """Return all that is found from row `begin` on, or among so many rows that it is `most`."""

    def count(self) -> NDArray[np.int64]:
        """Return how many documents are found for each query."""


class _ByHamming:
    """Documents within a Hamming distance."""

    def __init__(self, documents: Documents, queries: Queries, radius: int, threads: int) -> None:
        self._documents = documents
        self._codes = queries.codes
        self._limits = np.full(len(queries.codes), radius, np.int64)
        self._options = {"isa": documents.encoder.isa, "threads": threads}

    def find(self, begin: int = 0, most: int | None = None) -> _Found:
        found = native.range_search(
            self._documents.columns.codes,
            self._codes,
            None,
            self._limits,
            ids=self._documents.tie_ids,
            rows=self._documents.rows,
            begin=begin,
            most=most,
            **self._options,  # type: ignore[arg-type]
        )
        return _Found(*found)

    def count(self) -> NDArray[np.int64]:
        return native.count_in_range(
            self._documents.columns.codes,
            self._codes,
            None,
            self._limits,
            rows=self._documents.rows,
            **self._options,  # type: ignore[arg-type]
        )


class _ByAsymmetric:
    """Documents with an asymmetric score, which follows from a weighted distance."""

    def __init__(self, scoring: AsymmetricScoring, bound: float) -> None:
        self._scoring = scoring
        self._bound = bound

    def find(self, begin: int = 0, most: int | None = None) -> _Found:
        return _Found(*self._scoring.range_search(self._bound, begin, most))

    def count(self) -> NDArray[np.int64]:
        return self._scoring.count_in_range(self._bound)


class _ByScore:
    """Documents with a score that has to be computed for each of them.

    `score` returns the scores of candidates, both of shape (n_queries, m).
    """

    def __init__(
        self,
        documents: Documents,
        score: Callable[[NDArray[np.int64]], NDArray[np.float32]],
        n_queries: int,
        row_bytes: int,
        bound: float,
    ) -> None:
        self._documents = documents
        self._score = score
        self._n_queries = n_queries
        self._row_bytes = row_bytes
        self._bound = bound
        self._descending = documents.encoder.metric != "l2"

    @in_default_floats
    def find(self, begin: int = 0, most: int | None = None) -> _Found:
        n_found, end = 0, len(self._documents)
        found: list[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]] = [
            (np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.int64))
        ]
        for first, numbers in self._blocks(begin, most):
            scores, is_found = self._within(numbers)
            queries, columns = np.nonzero(is_found)
            n_found += len(queries)
            if most is not None and n_found > most:
                end = first
                break
            found.append((queries, scores[is_found], numbers[columns]))
        return self._ordered(found, end)

    @in_default_floats
    def count(self) -> NDArray[np.int64]:
        counts = np.zeros(self._n_queries, np.int64)
        for _, numbers in self._blocks(0, None):
            counts += np.count_nonzero(self._within(numbers)[1], axis=1)
        return counts

    def _blocks(self, begin: int, most: int | None) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield numbers of rows, and the row from which on these were looked for.

        A block has no more pairs of a query and a row than `most`.
        """
        n, rows = len(self._documents), self._documents.rows
        pairs = _BLOCK_PAIRS if most is None else min(_BLOCK_PAIRS, most)
        step = max(1, min(_BLOCK_BYTES // self._row_bytes, pairs // max(1, self._n_queries)))
        stride = step * max(1, n // max(1, self._documents.n_searched))
        for first in range(begin, n, stride):
            last = min(first + stride, n)
            numbers = np.arange(first, last) if rows is None else rows.numbers(first, last)
            for i in range(0, len(numbers), step):
                yield first if i == 0 else int(numbers[i]), numbers[i : i + step]

    def _within(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the scores of rows, and which are good enough."""
        candidates = np.ascontiguousarray(np.broadcast_to(rows, (self._n_queries, len(rows))))
        scores = self._score(candidates)
        return scores, scores >= self._bound if self._descending else scores <= self._bound

    def _ordered(
        self,
        found: list[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]],
        end: int,
    ) -> _Found:
        n = sum(len(queries) for queries, _, _ in found)
        queries, scores, rows = (
            interruptibly(n, np.concatenate, arrays) for arrays in zip(*found, strict=True)
        )
        keys = (self._documents.ties_of(rows), -scores if self._descending else scores, queries)
        order = interruptibly(n, np.lexsort, keys)
        counts = np.bincount(queries, minlength=self._n_queries)
        lims = np.concatenate([[0], np.cumsum(counts)])
        return _Found(lims, scores[order], rows[order], end)


@dataclass(frozen=True)
class RangeSearch:
    """One range search: arguments checked, queries encoded.

    Attributes
    ----------
    documents : Documents
        What is searched.
    queries : Queries
        The encoded queries.
    is_single : bool
        Whether they came as one, with one axis.
    rows : RowSet, list of RowSet, or None
        The rows that may be found: for all queries, or for each.
    measure : str
        ``"hamming"``, ``"asymmetric"`` or a store.
    radius : int or numpy.float32
        The largest Hamming distance or l2 that is found, or the least cosine or dot.
    threads : int
        Number of threads; 0 means all.
    """

    documents: Documents
    queries: Queries
    is_single: bool
    rows: native.RowSet | Sequence[native.RowSet] | None
    measure: str
    radius: Any
    threads: int

    @classmethod
    def of(
        cls,
        documents: Documents,
        parsed: Codes | Values,
        radius: SupportsIndex | float,
        rescore: bool | None,
        scoring: SearchScoring | None,
        rows: native.RowSet | Sequence[native.RowSet] | None,
        threads: int,
    ) -> RangeSearch:
        """Return the search that a caller asks for, or raise if it does not fit the index."""
        queries = documents.encoder.encode_queries(parsed, threads)
        measure = _measure(documents, rescore, scoring, are_bits=queries.are_bits)
        bound: Any
        if measure == "hamming":
            bound = arguments.check_bits(radius, "radius")  # type: ignore[arg-type]
        else:
            bound = arguments.check_score(radius, "radius")  # type: ignore[arg-type]
        return cls(documents, queries, parsed.is_single, rows, measure, bound, threads)

    @property
    def kind(self) -> Kind:
        """What is bounded by the radius."""
        return "hamming" if self.measure == "hamming" else self.documents.encoder.metric

    def find(self) -> RangeResult:
        """Return all that is found."""
        found = [source.find()[:3] for _, source in self._parts(_MOST_OF_CODES)]
        dtype = np.int32 if self.measure == "hamming" else np.float32
        return self._result(*joined_ranges(found, dtype))

    def count(self) -> NDArray[np.int64]:
        """Return how many documents are found for each query."""
        counts = [source.count() for _, source in self._parts(_MOST_OF_CODES)]
        all_counts = np.concatenate([np.zeros(0, np.int64), *counts])
        return all_counts.reshape(()) if self.is_single else all_counts

    def chunks(self, most: int) -> Iterator[tuple[range, RangeResult]]:
        """Yield numbers of queries and what is found for them, at most so much at a time."""
        for numbers, source in self._parts(min(_MOST_TOGETHER, most)):
            found = source.find(most=most)
            if found.end == len(self.documents):
                yield numbers, self._result(*found[:3])
                continue
            del found
            ends = np.cumsum(source.count())
            begin = 0
            while begin < len(ends):
                before = 0 if begin == 0 else int(ends[begin - 1])
                end = int(np.searchsorted(ends, before + most, side="right"))
                some = numbers[begin : max(end, begin + 1)]
                yield from self._chunks_of(some, most, are_too_many=end <= begin)
                begin += len(some)

    def _chunks_of(
        self, numbers: range, most: int, *, are_too_many: bool
    ) -> Iterator[tuple[range, RangeResult]]:
        """Yield what is found for some queries, or for one for which it is more than `most`."""
        ((_, source),) = self._parts(len(numbers), numbers)
        begin = 0
        while begin < len(self.documents):
            found = source.find(begin, most)
            begin = found.end
            if len(found.rows) or not are_too_many:
                yield numbers, self._result(*found[:3])

    def _parts(
        self, most_queries: int, numbers: range | None = None
    ) -> Iterator[tuple[range, _Source]]:
        """Yield numbers of queries, of some or of all, and the source for them."""
        numbers = range(len(self.queries.codes)) if numbers is None else numbers
        step = most_queries
        if self.measure == "asymmetric":
            step = min(step, most_rounded_queries(self.documents.encoder.dim))
        if self._are_scored:
            step = min(step, _MOST_TOGETHER)
        if isinstance(self.rows, Sequence):
            step = 1
        for begin in range(0, max(len(numbers), 1), step):
            part = numbers[begin : begin + step]
            rows = self.rows[part[0]] if isinstance(self.rows, Sequence) else self.rows
            queries = self.queries.part(slice(part.start, part.stop))
            yield part, self._source(self.documents.only(rows), queries)

    @property
    def _are_scored(self) -> bool:
        """Whether a score has to be computed for each document."""
        if self.measure == "asymmetric":
            return self.documents.are_corrected
        return self.measure != "hamming"

    @in_default_floats
    def _source(self, documents: Documents, queries: Queries) -> _Source:
        if self.measure == "hamming":
            return _ByHamming(documents, queries, self.radius, self.threads)
        n_queries, encoder = len(queries.codes), documents.encoder
        if self.measure == "asymmetric":
            scoring = AsymmetricScoring(documents, queries, self.threads)
            if not self._are_scored:
                return _ByAsymmetric(scoring, self.radius)

            def estimate(candidates: NDArray[np.int64]) -> NDArray[np.float32]:
                m = candidates.shape[1]
                return scoring.rescore(candidates, [(m, m)], keep_order=True)[0]

            n_bytes = encoder.binarizer.n_bytes
            return _ByScore(documents, estimate, n_queries, n_bytes, self.radius)
        assert queries.block is not None
        values = queries.block.values
        place = encoder.store_names.index(self.measure)
        store, originals = encoder.stores[place], documents.columns.originals[place]

        def score(candidates: NDArray[np.int64]) -> NDArray[np.float32]:
            m = candidates.shape[1]
            return store.rescore(
                originals, values, candidates, [(m, m)], encoder.metric, None, encoder.isa,
                self.threads, keep_order=True,
            )[0]  # fmt: skip

        return _ByScore(documents, score, n_queries, store.empty(1).nbytes, self.radius)

    def _result(
        self, lims: NDArray[np.int64], scores: NDArray[Any], rows: NDArray[np.int64]
    ) -> RangeResult:
        return RangeResult(lims, scores, self.documents.ids_of(rows), kind=self.kind)


def _measure(
    documents: Documents, rescore: bool | None, scoring: SearchScoring | None, *, are_bits: bool
) -> str:
    """Return what a radius bounds: the distances or scores of what."""
    says_scoring = scoring not in (None, "auto")
    if rescore and says_scoring:
        raise ValueError(
            "rescore=True has every vector scored by its original, and scoring says that it is by "
            f"its bits: give one of both; got rescore={shown(rescore)}, scoring={shown(scoring)}"
        )
    options = LadderOptions(
        None, False if says_scoring and rescore is None else rescore, scoring, None
    )
    stores, defaults = documents.encoder.store_names, documents.defaults
    measure = options.rungs(stores, defaults, are_bits=are_bits, corrected=False)[-1].name
    if measure == "hamming":  # warns of a correction that is of no use
        options.rungs(stores, defaults, are_bits=are_bits, corrected=documents.are_corrected)
    return measure
