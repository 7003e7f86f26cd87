# SPDX-License-Identifier: Apache-2.0
"""One search: the rungs of a ladder, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core.arguments import Codes, Values
from bitsift.core.blocks import row_blocks
from bitsift.core.floats import in_default_floats
from bitsift.core.interruptible import interruptibly
from bitsift.core.options import DEFAULT_OVERSAMPLING
from bitsift.core.results import SearchResult, joined, worst_score
from bitsift.core.segments import Rows
from bitsift.encoding.correction import query_constants
from bitsift.encoding.encoder import Columns, Encoder, Queries
from bitsift.encoding.rounded_queries import RoundedQueries
from bitsift.retrieval.defaults import DEFAULTS, SearchDefaults, Step, steps_by_position
from bitsift.retrieval.ladder import LadderOptions, Plan

__all__ = ["AsymmetricScoring", "Documents", "find_rows", "most_rounded_queries", "search"]

_SearchOne = Callable[[object, object, object], SearchResult | None]

_MOST_ROUNDED_VALUES = 1 << 24  # of queries that are rounded at once
_MOST_RESULTS = 1 << 12  # of one query in one native call
_ANY_ROWS = 1 << 40  # more than there are
_NO_DISTANCE = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class Documents:
    """All that a search reads: never changed, so that a search sees one state of an index.

    Attributes
    ----------
    encoder : Encoder
        What made the columns.
    columns : Columns
        The encoded vectors.
    ids : ndarray of int64, shape (n,), or None
        The id of each row; None if it is the row's number.
    tie_ids : ndarray of int64, shape (n,), or None
        What orders rows of equal scores; None if the row's number does.
    defaults : SearchDefaults
        What a search does where its caller says nothing.
    rows : RowSet or None
        The rows that searches may find; None for all.
    search_one : callable or None
        What `prepare_search_one` returned; None before.
    """

    encoder: Encoder
    columns: Columns[Rows]
    ids: NDArray[np.int64] | None = None
    tie_ids: NDArray[np.int64] | None = None
    defaults: SearchDefaults = DEFAULTS
    rows: native.RowSet | None = None
    search_one: _SearchOne | None = field(default=None, init=False)

    def __len__(self) -> int:
        return len(self.columns.codes)

    @property
    def n_searched(self) -> int:
        """How many rows searches may find."""
        return len(self) if self.rows is None else len(self.rows)

    def only(self, rows: native.RowSet | None) -> Documents:
        """Return the same documents, of which searches may find these rows; None for all."""
        return self if rows is None else replace(self, rows=rows)

    @property
    def are_corrected(self) -> bool:
        """Whether asymmetric scores of them are estimates of the metric."""
        return self.columns.factors is not None

    def prepare_search_one(self, live: native.LiveRows | None = None) -> _SearchOne | None:
        """Return a function that searches for one query without further Python code.

        It finds the rows that are live when it is called. Always call this with the same `live`.

        It takes a query, `k` and `threads`, and returns None unless all are right and of the types
        that they usually have. None instead of the function, if each search has to warn or to
        correct scores.
        """
        if self.are_corrected or self.rows is not None:
            return None
        candidates: int | list[Step] = int(DEFAULT_OVERSAMPLING)
        if self.defaults.candidates == "by-position":
            candidates = list(steps_by_position(_MOST_RESULTS, _ANY_ROWS))
        elif self.defaults.candidates == "all":
            candidates = [Step(_MOST_RESULTS, _ANY_ROWS)]
        encoder = self.encoder
        originals = None
        if encoder.stores:
            originals = encoder.stores[-1].arrays(self.columns.originals[-1])
        prepared = native.one_query_search(
            self.columns.codes,
            dim=encoder.dim,
            **encoder.binarizer.arrays(),
            originals=originals,
            metric=encoder.metric,
            ids=self.ids,
            tie_ids=self.tie_ids,
            candidates=candidates,
            asymmetric=self.defaults.scan == "asymmetric",
            live=live,
            isa=encoder.isa,
            result_type=SearchResult,
        )
        # Not locked: other threads may do the same, and a signal handler may search.
        object.__setattr__(self, "search_one", prepared)
        return prepared

    def ties_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what orders rows of equal scores."""
        return rows if self.tie_ids is None else interruptibly(rows.size, self.tie_ids.take, rows)

    def ids_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the ids of rows; -1 stays -1."""
        if self.ids is None or len(self.ids) == 0:
            return rows
        return interruptibly(rows.size, _ids_of, self.ids, rows)


def _ids_of(ids: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(rows >= 0, ids[rows], -1)


def search(
    documents: Documents,
    parsed: Codes | Values,
    k: int,
    offset: int,
    options: LadderOptions,
    threads: int,
    rows: native.RowSet | Sequence[native.RowSet] | None = None,
) -> SearchResult:
    """Return the results number `offset` to ``offset + k - 1`` of each query.

    Of the documents in `rows`: one set for all queries, or one for each.
    """
    queries = documents.encoder.encode_queries(parsed, threads)
    if rows is None or isinstance(rows, native.RowSet):
        found = _search_page(documents.only(rows), queries, k, offset, options, threads)
    else:
        each = [
            _search_page(
                documents.only(some), queries.part(slice(i, i + 1)), k, offset, options, threads
            )
            for i, some in enumerate(rows)
        ]
        kind = each[0].kind
        assert kind is not None
        found = SearchResult(*joined(each, each[0].scores.dtype, worst_score(kind)), kind=kind)
    if parsed.is_single:
        return SearchResult(found.scores[0], found.ids[0], kind=found.kind)
    return found


def _search_page(
    documents: Documents,
    queries: Queries,
    k: int,
    offset: int,
    options: LadderOptions,
    threads: int,
) -> SearchResult:
    encoder = documents.encoder
    n = documents.n_searched
    begin = min(offset, n)
    page = range(begin, min(begin + k, n))
    rungs = options.rungs(
        encoder.store_names,
        documents.defaults,
        are_bits=queries.are_bits,
        corrected=documents.are_corrected,
    )
    # An empty page needs no search of what is before it.
    n_results = page.stop if page else 0
    steps = options.steps(n_results, n, documents.defaults)
    scores, rows = find_rows(documents, queries, Plan(steps, rungs, threads))
    if page and page.start > 0:
        scores, rows = (_columns(array, page) for array in (scores, rows))
    kind = "hamming" if rungs[-1].name == "hamming" else encoder.metric
    return SearchResult(scores, documents.ids_of(rows), kind=kind)


def _columns(array: NDArray[Any], columns: range) -> NDArray[Any]:
    """Return a copy of some columns, so that the others take no memory."""
    part = array[:, columns.start : columns.stop]
    return interruptibly(part.size, np.ascontiguousarray, part)


def find_rows(
    documents: Documents, queries: Queries, plan: Plan
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return what `search` returns, but rows instead of ids."""
    if "asymmetric" not in [rung.name for rung in plan.rungs]:
        return _climb(documents, queries, None, plan)
    return _find_asymmetric(documents, queries, plan)


@in_default_floats
def _find_asymmetric(
    documents: Documents, queries: Queries, plan: Plan
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    # Rounded queries take many times the memory of codes, so few are rounded at once.
    n_queries = len(queries.codes)
    step = most_rounded_queries(documents.encoder.dim)
    found = []
    for begin in range(0, max(n_queries, 1), step):
        part = queries.part(slice(begin, begin + step))
        found.append(
            _climb(documents, part, AsymmetricScoring(documents, part, plan.threads), plan)
        )
    scores, rows = (
        interruptibly(n_queries * plan.k, np.concatenate, parts)
        for parts in zip(*found, strict=True)
    )
    return scores, rows


def most_rounded_queries(dim: int) -> int:
    """Return how many queries of a dimension are rounded at once."""
    return max(1, _MOST_ROUNDED_VALUES // dim)


class AsymmetricScoring:
    """Asymmetric scoring of some queries."""

    def __init__(self, documents: Documents, queries: Queries, threads: int) -> None:
        assert queries.block is not None
        encoder = documents.encoder
        binarizer = encoder.binarizer
        # The bits are signs of centred vectors. A cosine or a distance compares centred queries
        # with them; the product of a query and the threshold is the same for all documents.
        if encoder.metric == "dot" and not documents.are_corrected:
            rows = binarizer.rotated_rows(queries.block, threads)
        else:
            rows = binarizer.centred_rows(queries.block)
        threshold = None
        if documents.are_corrected and binarizer.is_centred:
            threshold = binarizer.rotated_threshold()
        self._documents = documents
        self._threads = threads
        self._queries = RoundedQueries.of(rows, threshold, threads)
        self._estimate = None
        if documents.columns.factors is not None:
            constants = query_constants(
                self._queries, encoder.metric, centred=threshold is not None
            )
            self._estimate = encoder.metric, documents.columns.factors, constants

    def scan(self, k: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the weighted distances and rows of the `k` nearest documents."""
        return native.search(
            self._documents.columns.codes,
            self._queries.codes,
            self._queries.magnitudes,
            k=k,
            ids=self._documents.tie_ids,
            rows=self._documents.rows,
            isa=self._documents.encoder.isa,
            threads=self._threads,
        )

    @in_default_floats
    def range_search(
        self, bound: float, begin: int, most: int | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], int]:
        """Return what `native.range_search` returns, but scores: all that are `bound` or better."""
        documents = self._documents
        lims, distances, rows, end = native.range_search(
            documents.columns.codes,
            self._queries.codes,
            self._queries.magnitudes,
            self._queries.limits(bound, documents.encoder.metric),
            ids=documents.tie_ids,
            rows=documents.rows,
            begin=begin,
            most=most,
            isa=documents.encoder.isa,
            threads=self._threads,
        )
        scores = np.empty(len(rows), np.float32)
        queries = np.repeat(np.arange(len(lims) - 1), np.diff(lims))
        for first, last in row_blocks(len(rows), 1):
            some = self._queries.repeated(queries[first:last])
            block = some.scores(distances[first:last, np.newaxis], documents.encoder.metric)
            scores[first:last] = block[:, 0]
        return lims, scores, rows, end

    @in_default_floats
    def count_in_range(self, bound: float) -> NDArray[np.int64]:
        """Return how many documents of each query have the score `bound` or a better one."""
        documents = self._documents
        return native.count_in_range(
            documents.columns.codes,
            self._queries.codes,
            self._queries.magnitudes,
            self._queries.limits(bound, documents.encoder.metric),
            rows=documents.rows,
            isa=documents.encoder.isa,
            threads=self._threads,
        )

    def rescore(
        self,
        candidates: NDArray[np.int64],
        steps: list[tuple[int, int]],
        *,
        keep_order: bool = False,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return scores and rows by steps (results, candidates): estimates if there are factors."""
        scores, rows = native.rescore_codes(
            self._documents.columns.codes,
            self._queries.codes,
            self._queries.magnitudes,
            candidates,
            estimate=self._estimate,
            k=steps[-1][0],
            steps=steps,
            keep_order=keep_order,
            ids=self._documents.tie_ids,
            isa=self._documents.encoder.isa,
            threads=self._threads,
        )
        if self._estimate is not None:
            return scores, rows
        is_none = rows < 0
        distances = np.where(is_none, 0, scores).astype(np.int32)
        distances[is_none] = _NO_DISTANCE  # float32 cannot hold it
        return self.scores(distances), rows

    def scores(self, distances: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the metric that weighted distances stand for."""
        return self._queries.scores(distances, self._documents.encoder.metric)


def _climb(
    documents: Documents, queries: Queries, asymmetric: AsymmetricScoring | None, plan: Plan
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    encoder, columns = documents.encoder, documents.columns
    isa, n_rows = encoder.isa, documents.n_searched
    first, *others = plan.rungs
    given = plan.ends(0, n_rows)
    k = given[-1]
    scores: NDArray[Any]
    if asymmetric is not None and first.name == "asymmetric":
        scores, rows = asymmetric.scan(k)
        if not others:
            scores = asymmetric.scores(scores)
    else:
        scores, rows = native.search(
            columns.codes,
            queries.codes,
            None,
            k=k,
            ids=documents.tie_ids,
            rows=documents.rows,
            isa=isa,
            threads=plan.threads,
        )
    for number, rung in enumerate(others, 1):
        wanted = plan.ends(number, n_rows)
        steps = list(zip(wanted, given, strict=True))
        given = wanted
        if asymmetric is not None and rung.name == "asymmetric":
            scores, rows = asymmetric.rescore(rows, steps)
            continue
        assert queries.block is not None
        store = encoder.store_names.index(rung.name)
        scores, rows = encoder.stores[store].rescore(
            columns.originals[store],
            queries.block.values,
            rows,
            steps,
            encoder.metric,
            documents.tie_ids,
            isa,
            plan.threads,
        )
    return scores, rows
