# SPDX-License-Identifier: Apache-2.0
"""The index: vectors as bits, and as originals if they are kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import SupportsIndex

from numpy.typing import ArrayLike

from bitsift.core import arguments
from bitsift.core.arguments import Codes
from bitsift.core.floats import in_default_floats
from bitsift.core.isa import resolve_isa
from bitsift.core.options import (
    DEFAULT_K,
    SEARCH_SCORINGS,
    Ladder,
    Metric,
    Rule,
    SearchScoring,
    Store,
)
from bitsift.core.public import public
from bitsift.core.results import SearchResult
from bitsift.index.archived import Archived
from bitsift.index.changeable import Changeable
from bitsift.index.construction import make_encoder
from bitsift.index.described import Described
from bitsift.index.filters import Filter, RowSets
from bitsift.index.holding import Holding
from bitsift.index.ids import IdTable
from bitsift.index.opened import Openable
from bitsift.index.opened_tables import MappedTable
from bitsift.index.persistence import from_stored, to_contents
from bitsift.index.pickling import Remakable
from bitsift.index.range_queries import RangeQueries
from bitsift.index.table import Snapshot, Table
from bitsift.quantization.calibration import Calibrator
from bitsift.retrieval.ladder import LadderOptions
from bitsift.retrieval.pipeline import search
from bitsift.storage import reader, writer
from bitsift.storage.folder import as_path

__all__ = ["Index"]


@public
class Index(Openable, Archived, Described, Holding, Changeable, RangeQueries, Remakable):
    """Vectors as one bit per dimension, scanned by their bits and rescored.

    Parameters
    ----------
    dim : int
        Dimensions of the vectors, 1 to 65,536.
    metric : {"cosine", "dot", "l2"}
        The metric of scores that are computed from float queries.
    store : {"float32", "float16", "int8", "uint8", "int4", "ternary", None}, or several of them
        How the original vectors are kept for rescoring. Every store serves every metric. In this
        order, a vector takes 4, 2, 1, 1, 1/2 and 1/5 of `dim` bytes, rounded up. The default,
        ``"float16"``, has 11 significant bits and numbers up to 65,504. None keeps the bits alone:
        `dim` / 8 bytes a vector. With several stores, rescoring uses the last one; a ``ladder`` may
        use any.
    threshold : float, array_like of shape (dim,), or {"half-mean", "mean", "median", "auto"}
        A bit is set where the value, as float32, is greater than the threshold, rounded to float32.
        A name, a rule, has the index compute the threshold from the sample given to :meth:`fit`, or
        else from the first thousand vectors added or more, see the notes. ``"mean"`` and
        ``"median"`` are those of each dimension, ``"half-mean"`` is half way from 0 to the mean.
        With a rule and the cosine, vectors are scaled to length 1, both for the threshold and for
        the bits. ``"auto"`` compares all of these and rotations with 0, as :func:`advise` does,
        with documents of the sample as queries. It uses 0 unless another finds more beyond doubt,
        and with fewer than 240 vectors.
    rotate : bool
        Whether vectors are rotated before they become bits. The rotation is random, but the same in
        every index. It spreads the information of few dimensions over all. A bit is then set where
        the rotated difference of vector and threshold is positive.
    correction : bool
        Whether each vector keeps 2 bytes (4 for l2, or with a threshold) that turn asymmetric
        scores into estimates of the metric. It helps most with ``threshold="mean"``.
    calibrator : Calibrator, optional
        Finds the bounds of integer stores; without such a store, a warning says that it does
        nothing. A fitted calibrator is used as it is; another one is fitted when thresholds are. By
        default, the bounds of each dimension are its minimum and maximum for 8 bits, its mean -+ 3
        standard deviations for ``"int4"``, and -+ 0.7 for ``"ternary"``.
    scoring : {"auto", "hamming", "asymmetric"}
        What a search scans with unless it says so: what it compares with the codes, the codes of
        queries, or float queries rounded to 6 bits a dimension. ``"auto"`` tries both on the sample
        given to :meth:`fit`, of at least 64 vectors, or else on the first thousand added or more:
        on at most 512, an eighth of which serve as queries. Asymmetric scores are chosen where they
        find more of the exact neighbours by over two standard errors of the difference, as they do
        where the bits are those of centred data. The choice is made once, and kept for ever. Bits
        that are added make it Hamming distance.
    isa : str, optional
        Instruction set, one of :func:`available_isas`; the best one by default. It changes the
        speed, never the results.

    Raises
    ------
    TypeError, ValueError
        A parameter is none of these.
    UnsupportedIsaError
        This processor or build does not have `isa`.

    Notes
    -----
    Any number of threads may search at once, also while one adds: a search reads the index as it
    was when the search began. All that reads it does so without a lock, and may be called in a
    signal handler. Searches and adds release the GIL while compiled code runs.

    What an index computes from vectors (a threshold by a rule, the bounds of integer stores, the
    scoring if it is ``"auto"``) it computes once, from the first 1,000 vectors or more, or from the
    sample of :meth:`fit`. Until then its vectors wait as float32: they take 4 * `dim` bytes each
    and the bits, :attr:`scoring` is None, and all of them are candidates of a search, which gives
    the exact results of a float search, also with ``store=None``. The add that brings the number to
    1,000 computes everything and encodes them all, so that an index filled in small steps is the
    same as one filled at once. A search that asks for bits before that (``rescore=False``, a
    `scoring`, a `ladder`, queries that are bits; Hamming distance if that is the index's own
    `scoring` and it has no originals), or :attr:`codes`, gets those of a threshold computed from
    the vectors that are there, 0 in the case of ``"auto"``, and a warning, once.

    Copies and pickles keep the attributes that a caller has set. ``copy.copy`` shares the rows, and
    what is added later belongs to one of both. A pickle is checked like a folder when it is opened.

    A rotation is three rounds of random sign flips and Hadamard transforms
    (doi:10.1137/060673096), in O(dim log dim). The correction is that of Gao, Long, "RaBitQ"
    (doi:10.1145/3654970).

    Examples
    --------
    >>> rng = numpy.random.default_rng(0)
    >>> vectors = rng.standard_normal((1000, 256), dtype="float32")
    >>> index = bitsift.Index(256)
    >>> ids = index.add(vectors)
    >>> index.store, index.scoring, index.nbytes
    ('float16', 'asymmetric', 544000)
    >>> scores, ids = index.search(vectors[7], k=3)
    >>> int(ids[0])
    7
    """

    @in_default_floats
    def __init__(
        self,
        dim: SupportsIndex,
        *,
        metric: Metric = "cosine",
        store: Store | Sequence[Store] | None = "float16",
        threshold: ArrayLike | Rule = 0.0,
        rotate: bool = False,
        correction: bool = False,
        calibrator: Calibrator | None = None,
        scoring: SearchScoring = "auto",
        isa: str | None = None,
    ) -> None:
        encoder, fitting = make_encoder(
            dim, metric, store, threshold, rotate, correction, calibrator, scoring, isa
        )
        self._table = Table(Snapshot.of(encoder, fitting, encoder.empty_columns(), IdTable()))
        self._store_is_name = isinstance(store, str)  # `("int8",)` stays a tuple

    # ---- Searching ---------------------------------------------------------------------------

    def search(
        self,
        queries: ArrayLike,
        k: SupportsIndex = DEFAULT_K,
        *,
        offset: SupportsIndex = 0,
        oversampling: float | None = None,
        rescore: bool | None = None,
        scoring: SearchScoring | None = "auto",
        filter: Filter | ArrayLike | Sequence[Filter | ArrayLike] | None = None,
        threads: SupportsIndex = 0,
        ladder: Ladder | None = None,
    ) -> SearchResult:
        """Find the best `k` vectors for each query.

        Scans the codes of all vectors, exactly. With rescoring, the scan finds candidates, and the
        metric between the query and the originals decides among them.

        Parameters
        ----------
        queries : array_like, shape (n_queries, dim) or (dim,)
            float16, float32 or float64, finite; or bits: bool, or codes, uint8 of shape
            (n_queries, ceil(dim / 8)).
        k : int
            Results for each query. There are at most ``len(index) - offset``.
        offset : int
            Results of each query that are left out, the best ones first: page `p` of `k` results
            has ``offset=p * k``.
        oversampling : float, optional
            Candidates for each result that are rescored, exactly
            ``ceil((offset + k) * oversampling)``; at least 1. By default they go by the position of
            a result: the best 100 candidates for results 1 to 16, 600 for results up to 100, 1,200
            up to 200, 2,400 up to 400 and so on. See the notes about pages. An index that version
            0.1.0 saved keeps its rule: 4 for each result.
        rescore : bool, optional
            Whether to rescore. By default yes, if there are originals and the queries are not bits.
        scoring : {"auto", "hamming", "asymmetric"}
            What the scan compares with the codes: the codes of queries, or float queries rounded to
            6 bits a dimension. ``"auto"`` is what the index scans with, its property `scoring`, and
            None the same; codes of queries are always compared with codes. On centred data, as most
            text embeddings are, or with a threshold that centres them, asymmetric scoring finds
            better candidates, and better results without originals; it takes longer. On data that
            are not centred it may be far worse.
        threads : int
            Number of threads; 0 means all.
        ladder : list, optional
            The rungs of the search, in place of `oversampling`, `rescore` and `scoring`. The first,
            ``("hamming" or "asymmetric", oversampling)``, scans all vectors. Each further rung, a
            store's name or ``"asymmetric"`` (from the codes alone), rescores the
            ``ceil((offset + k) * oversampling)`` candidates that the rung before it passes on. The
            last rung is a name alone. For example ``[("hamming", 40), ("asymmetric", 10),
            ("int8", 4), "float32"]``.

        Returns
        -------
        SearchResult
            ``scores, ids``, of ``min(k, max(0, n - offset))`` columns, where `n` is the number of
            vectors that may be found; with a filter for each query, the largest of these numbers,
            and queries that have fewer results end with ids of -1 and the worst score. `kind` says
            what the scores are. Rescored or asymmetric scores are float32: cosine and dot
            descending, l2 (Euclidean distance) ascending. Otherwise int32 Hamming distances,
            ascending. Ties go to the smaller id.

        Raises
        ------
        TypeError
            Another dtype; a message about int8 tells numbers, one a dimension, from packed bits.
        ValueError
            Shapes that do not fit, NaN or infinity, a negative `k` or `offset`, `oversampling`
            below 1, ``rescore=True`` without originals or with bits, an unknown `scoring`,
            asymmetric scoring with bits, or a `ladder` that does not fit the index, or comes with
            arguments that it replaces.

        Warns
        -----
        BitsiftWarning
            `oversampling` is given and nothing is rescored; or the index has a correction and scans
            by Hamming distance, and neither `scoring` nor `ladder` says that it should; or the
            search asks for bits, and the threshold is still to be computed from more vectors.

        Notes
        -----
        The results are the same bytes on every instruction set and number of threads. A filter acts
        inside the scan: the candidates are the best of the vectors that may be found, and where
        these are few, the cost follows their number. Rescored scores are summed in float64 and
        rounded once to float32; the cosine with a zero vector is 0. Safe to call from many threads,
        also while one adds. Oversampling and rescoring: Yamada, Asai, Hajishirzi, "Efficient
        Passage Retrieval with Hashing for Open-domain Question Answering" (arXiv:2106.00882).

        Pages: with the default candidates, a search for any `k` and `offset` gives a slice of one
        long list, whatever the page. The list begins with the best 16 of the first 100 candidates;
        the best of the first 600 without these follow, and so on. So no page repeats a result, and
        a score may be better than one on the page before. Where the candidates are all vectors,
        what is left comes in the order of its scores. Without rescoring the list is that of the
        scan. An explicit `oversampling` or `ladder` makes candidates of `offset` and `k`: then
        pages may repeat results or leave some out, unless each search has the same
        ``offset + k``, or as many candidates.

        An asymmetric score is the metric between the rounded query and the signs of a document, +1
        where a bit is set, else -1. The query is centred first, except for dot. A query's value q
        becomes ``rint(31 * abs(q) / max(abs(q)))`` with its sign. So the product with a document is
        off by at most ``dim * max(abs(q)) / 62``, and typically by
        ``sqrt(dim) * max(abs(q)) / 107``. Without a correction, results are ordered by exact
        integers. Then scores are rounded to float32: below 2**-126 that may add more than this, and
        beyond its largest number they are infinite. With ``correction=True``, asymmetric scores
        estimate the metric between the query and the original vector. The scan before them uses
        uncorrected scores. It finds 8 candidates for each one that is corrected, or, where the
        corrected scores are the results, by default the candidates of a position. A ladder sets its
        own number.

        Examples
        --------
        >>> index = bitsift.Index(8)
        >>> ids = index.add(numpy.eye(3, 8, dtype="float32"))
        >>> scores, ids = index.search(numpy.ones(8, dtype="float32"), k=5)
        >>> ids
        array([0, 1, 2])
        >>> index.search(numpy.ones(8, dtype="float32"), k=2, offset=2).ids
        array([2])
        """
        snapshot = self._table.snapshot
        documents = snapshot.documents
        if (
            (scoring is None or (isinstance(scoring, str) and scoring == "auto"))
            and oversampling is None
            and rescore is None
            and ladder is None
            and filter is None
            and type(offset) is int
            and offset == 0
        ):
            # Without this, checks in Python take longer than a scan of a few thousand codes.
            search_one = None
            if snapshot.fitting.has_final_codes:
                search_one = documents.search_one or documents.prepare_search_one(snapshot.live)
            if search_one is not None and (found := search_one(queries, k, threads)) is not None:
                return found
        k = arguments.check_k(k)
        offset = arguments.check_offset(offset)
        if oversampling is not None:
            oversampling = arguments.check_oversampling(oversampling)
        if scoring is not None:
            arguments.choice(scoring, "scoring", SEARCH_SCORINGS)
        threads = arguments.check_threads(threads)
        parsed = arguments.parse(queries, "queries", documents.encoder.dim)
        options = LadderOptions(oversampling, rescore, scoring, ladder)
        documents = snapshot.fitting.documents_for(
            documents, options, are_bits=isinstance(parsed, Codes) or parsed.are_bits
        )
        row_sets = RowSets(snapshot.ids, snapshot.live.current(), self._table.identity)
        rows = row_sets.of(filter, len(parsed.rows))
        return search(documents, parsed, k, offset, options, threads, rows)

    def filter(self, allowed: ArrayLike) -> Filter:
        """Prepare a filter for many searches.

        Parameters
        ----------
        allowed : array_like
            Ids of vectors, integers of shape (m,) or a set, of which those that are not in the
            index count for nothing; or a mask over ``index.ids``, bool of shape (n,).

        Returns
        -------
        Filter
            To be given to :meth:`search`. It takes a bit for each vector of the index.

        Raises
        ------
        TypeError, ValueError
            Something else, or another shape.

        Examples
        --------
        >>> index = bitsift.Index(8)
        >>> ids = index.add(numpy.eye(8, dtype="float32"))
        >>> even = index.filter(index.ids % 2 == 0)
        >>> len(even)
        4
        >>> index.search(numpy.ones(8, dtype="float32"), k=3, filter=even).ids
        array([0, 2, 4])
        """
        snapshot = self._table.snapshot
        return RowSets(snapshot.ids, snapshot.live.current(), self._table.identity).prepared(
            allowed
        )

    # ---- Files -------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, timeout: float | None = 60.0) -> None:
        """Write the index to a folder of ``.npy`` files and a manifest.

        Parameters
        ----------
        path : path-like
            A folder: new, empty, or an index, which is replaced. Parent folders are created.
        timeout : float, optional
            Seconds to wait while another process or thread saves to the folder; None waits without
            limit.

        Raises
        ------
        IndexLockedError
            Another save to the folder did not end in time; the error names its process. Or this
            thread is saving to it already, and is interrupted by the signal handler that calls.
        IndexWriteError
            The path cannot be written, or holds something else. What was there is unchanged.

        Warns
        -----
        BitsiftWarning
            The new index is in place, but something failed after that: the system could not make
            it durable, so that a power cut may bring back the old one, or could not remove the old
            one's files; or the folder was renamed or removed meanwhile.

        Notes
        -----
        Atomic: a crash at any point leaves the old index or the new one. Safe to call from many
        threads, also while one adds: what is written is the index as it was when the call began.
        Saves that wait for one folder go on in no fixed order. One that ends lets those that wait
        go first, but a program that locks the folder by other means may keep them waiting.
        """
        writer.write(path, to_contents(*self._table.snapshot.compact()[:3]), timeout=timeout)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        mmap: bool = False,
        *,
        isa: str | None = None,
        follow_links: bool = False,
    ) -> Index:
        """Open an index that :meth:`save` wrote.

        Parameters
        ----------
        path : path-like
            The folder.
        mmap : bool
            False reads everything into memory and checks it. True maps the files: the index opens
            in milliseconds whatever its size, and originals stay on disk until rescoring reads
            them. Mapping checks structure and sizes; :func:`verify` checks the contents.
        isa : str, optional
            Instruction set, as in :class:`Index`.
        follow_links : bool
            True reads a folder whose files are symbolic links, such as a snapshot in the cache of
            a hub. Links in the folder are followed to regular files, wherever they are, and
            nothing else is. False refuses links.

        Returns
        -------
        Index
            Vectors can be added to it; mapped vectors stay where they are. A subclass gives
            an object of its own. Its constructor is called if it takes ``(dim, *, metric, store,
            isa)``; else the object is made without it, as pickle does.

        Raises
        ------
        IndexFileError
            One of its kinds: :class:`IndexNotFoundError`, :class:`NotAnIndexError`,
            :class:`UnsupportedVersionError`, :class:`CorruptIndexError`. It names the file and what
            is wrong with it.

        Notes
        -----
        Safe on folders from strangers: nothing is unpickled, and no path leads out of the folder,
        but for links that `follow_links` allows.
        While an index is mapped, its files must not be written or truncated in place;
        :meth:`save` never does so. Until it changes, a mapped index pickles as its path, so that
        processes share the files, and opens from the pickle only while the folder is as it was.
        """
        mmap = arguments.check_bool(mmap, "mmap")
        follow_links = arguments.check_bool(follow_links, "follow_links")
        stored = reader.read_stored(path, mmap=mmap, follow_links=follow_links)
        if mmap:
            where = os.path.abspath(as_path(path))  # noqa: PTH100 (pathlib makes "." of "")
            table = MappedTable(where, stored, resolve_isa(isa), follow_links=follow_links)
            return cls._around(table, isa)
        parts = from_stored(stored, resolve_isa(isa), os.fspath(path), are_mapped=False)
        encoder, fitting, memory, ids, live = parts
        return cls._loaded(Snapshot.of_memory(encoder, fitting, memory, ids, live=live), isa)
