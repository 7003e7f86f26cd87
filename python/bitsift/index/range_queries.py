# SPDX-License-Identifier: Apache-2.0
"""Range searches of an index: all vectors within a distance, or with a score, of each query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, SupportsIndex, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.arguments import Codes
from bitsift.core.options import SEARCH_SCORINGS, SearchScoring
from bitsift.core.range_results import RangeResult
from bitsift.index.filters import Filter, RowSets
from bitsift.index.table import Table
from bitsift.retrieval.ladder import LadderOptions
from bitsift.retrieval.ranges import RangeSearch

__all__ = ["RangeQueries"]

# Results of a chunk: 12 MiB.
_CHUNK_RESULTS = 1 << 20
_Filters = Filter | ArrayLike | Sequence[Filter | ArrayLike]


class RangeQueries:
    """The base of `Index` that searches for all vectors within a radius."""

    _table: Table

    @overload
    def range_search(
        self,
        queries: ArrayLike,
        radius: SupportsIndex | float,
        *,
        filter: _Filters | None = None,
        rescore: bool | None = None,
        scoring: SearchScoring | None = "auto",
        count_only: Literal[False] = False,
        threads: SupportsIndex = 0,
    ) -> RangeResult: ...

    @overload
    def range_search(
        self,
        queries: ArrayLike,
        radius: SupportsIndex | float,
        *,
        filter: _Filters | None = None,
        rescore: bool | None = None,
        scoring: SearchScoring | None = "auto",
        count_only: Literal[True],
        threads: SupportsIndex = 0,
    ) -> NDArray[np.int64]: ...

    def range_search(
        self,
        queries: ArrayLike,
        radius: SupportsIndex | float,
        *,
        filter: _Filters | None = None,
        rescore: bool | None = None,
        scoring: SearchScoring | None = "auto",
        count_only: bool = False,
        threads: SupportsIndex = 0,
    ) -> RangeResult | NDArray[np.int64]:
        """Find all vectors within a radius of each query, exactly.

        What the radius bounds is the score of the results: the l2 distance, the cosine or the
        product of the query and the original vector; or, by the bits alone, the asymmetric score or
        the Hamming distance. There are no candidates: every vector gets this score, and all whose
        score is at the radius or better are found.

        Parameters
        ----------
        queries : array_like, shape (n_queries, dim) or (dim,)
            As in :meth:`Index.search`.
        radius : int or float
            The bound, inclusive: the largest l2 (Euclidean distance), or the least cosine or dot;
            rounded to float32, as scores are. For Hamming distances an integer, the largest number
            of bits.
        filter : Filter, array_like, or a list of them, optional
            The vectors that may be found, as in :meth:`Index.search`.
        rescore : bool, optional
            Whether scores are those of the originals. By default yes, if there are originals, the
            queries are not bits, and `scoring` is ``"auto"``.
        scoring : {"auto", "hamming", "asymmetric"}
            What is bounded without originals: Hamming distances, or asymmetric scores. ``"auto"``
            is what the index scans with, its property `scoring`; queries that are bits have Hamming
            distances.
        count_only : bool
            Whether to return the numbers of results alone. Nothing else is kept.
        threads : int
            Number of threads; 0 means all.

        Returns
        -------
        RangeResult
            ``lims, distances, ids``, best first for each query, ties by the smaller id. `kind` says
            what the distances are: int32 Hamming distances, or float32 scores. With `count_only`,
            an array of int64 of shape (n_queries,), or () for a 1-D query.

        Raises
        ------
        TypeError
            Another dtype, or a radius that is no number, or no integer where it is one of bits.
        ValueError
            Shapes that do not fit, NaN or infinity, ``rescore=True`` without originals, with bits
            or together with `scoring`, or asymmetric scoring with bits.

        Warns
        -----
        BitsiftWarning
            The index has a correction and the radius bounds Hamming distances, but `scoring` does
            not say that it should; or bits are asked for, and the threshold is still to be computed
            from more vectors.

        Notes
        -----
        The results are those of :meth:`Index.search` with as many results as there are vectors, all
        of them candidates, cut at the radius; the same bytes on every instruction set and number of
        threads.

        Hamming distances, and asymmetric scores without a correction, cost one scan of the codes
        for every 256 queries, as a search does, and some nanoseconds a result. Scores of originals
        are computed for every vector: one pass over all originals for every 256 queries, and as
        much arithmetic as an exact float search. Corrected scores are computed for every vector
        too, from its code. A filter makes all of this cost what its vectors cost.

        A result takes 12 bytes, and up to 100 until the call ends. :meth:`iter_range` takes a
        bounded number of bytes.

        Examples
        --------
        >>> index = bitsift.Index(8, metric="l2", store="float32")
        >>> ids = index.add(numpy.arange(5, dtype="float32")[:, None] * numpy.eye(1, 8))
        >>> found = index.range_search(numpy.zeros((1, 8), dtype="float32"), 2.0)
        >>> found.of(0)
        SearchResult(scores=array([0., 1., 2.], dtype=float32), ids=array([0, 1, 2]))
        >>> bits = index.range_search(numpy.zeros(8, dtype="float32"), 0, scoring="hamming")
        >>> bits.ids, bits.kind
        (array([0]), 'hamming')
        """
        count_only = arguments.check_bool(count_only, "count_only")
        search = self._range_search(queries, radius, filter, rescore, scoring, threads)
        return search.count() if count_only else search.find()

    def iter_range(
        self,
        queries: ArrayLike,
        radius: SupportsIndex | float,
        *,
        filter: _Filters | None = None,
        rescore: bool | None = None,
        scoring: SearchScoring | None = "auto",
        chunk_size: SupportsIndex = _CHUNK_RESULTS,
        threads: SupportsIndex = 0,
    ) -> Iterator[tuple[range, RangeResult]]:
        """Find all vectors within a radius of each query, a bounded number of results at a time.

        Parameters
        ----------
        queries, radius, filter, rescore, scoring, threads
            As in :meth:`range_search`.
        chunk_size : int
            The most results of a chunk; at least 1.

        Yields
        ------
        numbers : range
            The queries of the chunk: consecutive ones, in ascending order of chunks.
        found : RangeResult
            What belongs to them: ``found.of(i)`` to query ``numbers[i]``. It is complete, unless
            one query alone has more than `chunk_size` results. That one comes in several chunks of
            its own, each with the results among the next vectors in order of addition; best first
            in each chunk, but not from one to the next.

        Raises
        ------
        TypeError, ValueError
            As :meth:`range_search`, at the call.

        Notes
        -----
        Besides the encoded queries, which are as large as float32 queries, it takes at most
        ``(1 + threads / 16) * chunk_size`` times 100 bytes, and 64 MiB for blocks of rows. So a
        query that finds everything takes no more than others.

        It sees the index as it was at the call, however long it runs. Chunks do not depend on the
        instruction set or the number of threads. Queries are searched 256 at a time, for one pass
        over the vectors if their results fit into one chunk. Else there are two passes more, and
        one for each chunk; but for the chunks of one query one in all.

        Examples
        --------
        >>> index = bitsift.Index(8, store=None)
        >>> ids = index.add(numpy.eye(6, 8, dtype="float32"))
        >>> queries = numpy.eye(2, 8, dtype="float32")
        >>> for numbers, found in index.iter_range(queries, 2, scoring="hamming", chunk_size=6):
        ...     print(numbers, found.ids)
        range(0, 1) [0 1 2 3 4 5]
        range(1, 2) [1 0 2 3 4 5]
        """
        most = arguments.integer(chunk_size, "chunk_size", 1, 2**40)
        search = self._range_search(queries, radius, filter, rescore, scoring, threads)
        return search.chunks(most)

    def _range_search(
        self,
        queries: ArrayLike,
        radius: SupportsIndex | float,
        filter: _Filters | None,
        rescore: bool | None,
        scoring: SearchScoring | None,
        threads: SupportsIndex,
    ) -> RangeSearch:
        snapshot = self._table.snapshot
        documents = snapshot.documents
        if scoring is not None:
            arguments.choice(scoring, "scoring", SEARCH_SCORINGS)
        threads = arguments.check_threads(threads)
        parsed = arguments.parse(queries, "queries", documents.encoder.dim)
        options = LadderOptions(None, rescore, scoring, None)
        documents = snapshot.fitting.documents_for(
            documents, options, are_bits=isinstance(parsed, Codes) or parsed.are_bits
        )
        row_sets = RowSets(snapshot.ids, snapshot.live.current(), self._table.identity)
        rows = row_sets.of(filter, len(parsed.rows))
        return RangeSearch.of(documents, parsed, radius, rescore, scoring, rows, threads)
