# SPDX-License-Identifier: Apache-2.0
"""The index: codes, and the original vectors if they are kept."""

from __future__ import annotations

import copy
import operator
import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.isa import resolve_isa
from bitsift.core.options import Ladder, Metric, Rule, Scoring, Store
from bitsift.core.public import public
from bitsift.core.results import SearchResult
from bitsift.encoding.binarizer import Binarizer, random_flips
from bitsift.encoding.encoder import Recipe
from bitsift.encoding.originals import VectorFormat, as_store_names
from bitsift.index.fitting import Fitting, as_rule
from bitsift.index.ids import as_ids
from bitsift.index.persistence import contents_of, holdings_of
from bitsift.index.table import Holdings
from bitsift.quantization.calibration import Calibrator, own_calibrator
from bitsift.retrieval.advice import Advice
from bitsift.retrieval.ladder import SearchOptions
from bitsift.retrieval.pipeline import find_rows
from bitsift.retrieval.rows import Plan, as_queries
from bitsift.storage import reader, writer
from bitsift.storage.contents import Contents

__all__ = ["Index"]


_living: weakref.WeakSet[Index] = weakref.WeakSet()


def _forget_other_threads() -> None:
    for index in list(_living):
        index._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


@public
class Index:
    """Vectors as one bit per dimension, searched by Hamming distance and rescored.

    Parameters
    ----------
    dim : int
        Dimensions of the vectors, 1 to 65,536.
    metric : {"cosine", "dot", "l2"}
        What rescoring computes from the original vectors.
    store : {"float32", "float16", "int8", "uint8", "int4", "ternary", None}, or several of them
        How the original vectors are kept for rescoring; every store serves every metric. Bytes of a
        vector: 4, 2, 1, 1, 1/2 and 1/5 of `dim`, rounded up. None keeps only the bits: `dim` / 8
        bytes a vector. Of several, rescoring takes the last, and ``ladder`` any.
    threshold : float, array_like of shape (dim,), or {"half-mean", "mean", "median", "auto"}
        A bit is set where the value, as float32, is greater than this, rounded to float32.
        ``"mean"`` and ``"median"`` are those of each dimension in the first vectors added, or in
        the sample given to :meth:`fit`; for the cosine, of vectors brought to length 1, as all
        vectors are then. ``"half-mean"``, half way from 0 to the mean, finds most on many text
        embeddings. ``"auto"`` tries these, 0, and rotations, as :func:`advise` does, and keeps the
        best.
    rotate : bool
        Whether vectors are rotated at random, the same way in every index, before their signs are
        taken: it spreads what is particular to some dimensions over all. A bit is set where the
        rotated difference of vector and threshold is positive.
    correction : bool
        Whether each vector keeps 2 bytes (4 for l2 or with a threshold) that turn asymmetric scores
        into estimates of the metric itself. It pays with ``threshold="mean"``.
    calibrator : Calibrator, optional
        Finds the bounds of stores of integers. Fitted ones are taken as they are, others are fitted
        as thresholds are. By default minimum and maximum of each dimension for 8 bits, mean and 3
        standard deviations for ``"int4"``, mean and 0.7 for ``"ternary"``.
    isa : str, optional
        Instruction set, one of :func:`available_isas`; the best one by default. It changes the
        speed, never the results.

    Raises
    ------
    ValueError, TypeError
        A parameter is none of these. :class:`UnsupportedIsaError` if this processor lacks `isa`.

    Notes
    -----
    Any number of threads may search at once, also while one adds: a search sees the index as it was
    when it began. The GIL is released while it scans.

    A rotation is three rounds of random signs and Hadamard transforms (doi:10.1137/060673096), in
    O(dim log dim); the correction is that of Gao, Long, "RaBitQ" (doi:10.1145/3654970).

    Examples
    --------
    >>> rng = numpy.random.default_rng(0)
    >>> vectors = rng.standard_normal((1000, 256), dtype="float32")
    >>> index = bitsift.Index(256, store="float16")
    >>> ids = index.add(vectors)
    >>> index
    Index(dim=256, metric='cosine', store='float16', n=1000, nbytes=544000)
    >>> scores, ids = index.search(vectors[7], k=3)
    >>> int(ids[0])
    7
    """

    def __init__(
        self,
        dim: SupportsIndex,
        *,
        metric: Metric = "cosine",
        store: Store | Sequence[Store] | None = "float32",
        threshold: ArrayLike | Rule = 0.0,
        rotate: bool = False,
        correction: bool = False,
        calibrator: Calibrator | None = None,
        isa: str | None = None,
    ) -> None:
        self._dim = arguments.integer(dim, "dim", 1, arguments.MAX_DIM)
        self._metric: Metric = arguments.choice(metric, "metric", ("cosine", "dot", "l2"))
        names = as_store_names(store)
        self._store: Any = None if store is None else store if isinstance(store, str) else names
        self._isa = resolve_isa(isa)
        arguments.check_bool(rotate, "rotate")
        arguments.check_bool(correction, "correction")
        rule: Rule | None = None
        if isinstance(threshold, str):
            rule, threshold = as_rule(threshold), 0.0
        flips = random_flips(self._dim) if rotate and rule is None else None
        binarizer = Binarizer(self._dim, threshold, self._isa, flips=flips)
        if correction and self._metric == "cosine" and binarizer.is_centred:
            raise ValueError(
                'correction=True with metric="cosine" needs vectors of length 1 before the '
                'threshold is subtracted: threshold="mean" or "median" does so, a given '
                "threshold other than the number 0 does not"
            )
        formats = tuple(
            VectorFormat(name, self._dim, own_calibrator(calibrator, self._dim)) for name in names
        )
        recipe = Recipe(binarizer, formats, self._metric, bool(correction))
        self._take(Holdings.empty(recipe, Fitting(rule, bool(rotate))))

    def _take(self, held: Holdings) -> None:
        self._held = held
        self._lock = threading.Lock()
        _living.add(self)

    def _after_fork(self) -> None:
        # The thread that held the lock, perhaps in the middle of an add, is not in the child.
        self._lock = threading.Lock()
        self._held.return_to_published()

    # ---- What it holds -----------------------------------------------------------------------

    @property
    def dim(self) -> int:
        """Dimensions of the vectors."""
        return self._dim

    @property
    def metric(self) -> Metric:
        """What rescoring computes: ``"cosine"``, ``"dot"`` or ``"l2"``."""
        return self._metric

    @property
    def store(self) -> Store | tuple[Store, ...] | None:
        """How the original vectors are kept: a store's name, several, or None."""
        store: Store | tuple[Store, ...] | None = self._store
        return store

    @property
    def threshold(self) -> float | NDArray[np.float32] | Rule:
        """The threshold of the bits: a number, or an array of shape (dim,).

        Before it is fitted it is the name of the rule. After it, for the cosine,
        it is subtracted from vectors of length 1.
        """
        fitting = self._held.published.fitting
        if fitting.is_pending and fitting.rule is not None:
            return fitting.rule
        return self._held.rows.binarizer.threshold

    @property
    def rotate(self) -> bool:
        """Whether vectors are rotated before their signs are taken."""
        return self._held.published.fitting.rotate or self._held.rows.binarizer.is_rotated

    @property
    def correction(self) -> bool:
        """Whether vectors keep what corrects asymmetric scores."""
        return self._held.rows.factors is not None

    @property
    def advice(self) -> Advice | None:
        """What ``threshold="auto"`` measured and followed; None if it did not, or after loading."""
        return self._held.published.fitting.advice

    @property
    def calibrators(self) -> dict[str, Calibrator]:
        """What found the bounds of each store of integers; copies."""
        return {
            kept.name: copy.deepcopy(kept.calibrator)
            for kept in self._held.rows.formats
            if kept.calibrator is not None
        }

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        return self._isa

    @property
    def codes(self) -> NDArray[np.uint8]:
        """The packed codes, shape (n, ceil(dim / 8)), in order of addition; a read-only view."""
        return self._held.rows.codes

    @property
    def ids(self) -> NDArray[np.int64]:
        """The ids, shape (n,), in order of addition; read-only."""
        rows = self._held.rows
        ids = np.arange(len(rows.codes), dtype=np.int64) if rows.ids is None else rows.ids
        ids.flags.writeable = False
        return ids

    @property
    def nbytes(self) -> int:
        """Bytes of codes, original vectors, corrections and ids, in memory or mapped from files."""
        rows = self._held.rows
        parts = (rows.codes, *rows.originals, rows.factors, rows.ids)
        return sum(part.nbytes for part in parts if part is not None)

    def __len__(self) -> int:
        return len(self._held.rows.codes)

    def __contains__(self, id: object) -> bool:
        try:
            wanted = operator.index(id)  # type: ignore[arg-type]
        except TypeError:
            return False
        if not 0 <= wanted < 2**63:
            return False
        with self._lock:
            return bool(self._held.ids.rows_of(np.array([wanted], np.int64))[0] >= 0)

    def __repr__(self) -> str:
        return (
            f"Index(dim={self._dim}, metric={self._metric!r}, store={self._store!r}, "
            f"n={len(self)}, nbytes={self.nbytes})"
        )

    def get(self, ids: ArrayLike) -> NDArray[Any]:
        """Return the vectors of these ids.

        Parameters
        ----------
        ids : int or array_like of int, shape (m,)
            Ids in the index, in any order, also repeated.

        Returns
        -------
        ndarray, shape (m, dim), or (dim,) for one id
            The vectors as they are kept, of the last store if there are several: float16, or
            float32, also what integers stand for. With ``store=None`` the codes, uint8 of shape
            (m, ceil(dim / 8)). A copy.

        Raises
        ------
        KeyError
            An id is not in the index.
        """
        wanted = as_ids(ids)
        if wanted.ndim > 1:
            raise ValueError(f"ids must be one id or have shape (m,); got shape {wanted.shape}")
        with self._lock:
            found = self._held.ids.rows_of(wanted.reshape(-1))
            rows = self._held.rows
        if len(found) and found.min() < 0:
            missing = wanted.reshape(-1)[found < 0]
            raise KeyError(f"id {missing[0]} is not in the index")
        vectors: NDArray[Any]
        if rows.formats:
            vectors = rows.formats[-1].read(np.asarray(rows.originals[-1])[found])
        else:
            vectors = np.asarray(rows.codes)[found]
        return vectors if wanted.ndim == 1 else vectors[0]

    # ---- Adding ------------------------------------------------------------------------------

    def fit(self, sample: ArrayLike) -> Index:
        """Learn thresholds and bounds from a sample, if the index has to, before vectors are added.

        Otherwise the first vectors added are the sample.

        Parameters
        ----------
        sample : array_like, shape (n, dim)
            Vectors such as will be added: float16, float32 or float64, finite; 100 or more.
            Thresholds are fitted to at most 65,536 of them, evenly spaced.

        Returns
        -------
        Index
            Itself.

        Raises
        ------
        TypeError
            Another dtype.
        ValueError
            Shapes that do not fit, no vectors, values that are not finite, or the index holds
            vectors.

        Warns
        -----
        BitsiftWarning
            The sample has fewer than 100 vectors.
        """
        array = self._held.recipe.binarizer.check_values(
            arguments.as_array(sample, "sample"), "sample"
        )
        arguments.refuse_bool(array, "sample")
        if array.ndim != 2 or len(array) == 0:
            raise ValueError(
                f"sample must have shape (n, {self._dim}), n at least 1; got shape {array.shape}"
            )
        with self._lock:
            if len(self._held):
                raise ValueError(
                    f"fit comes before the first add; the index holds {len(self._held)} vectors"
                )
            try:
                self._held.fit(array, self._isa)
                self._held.publish()
            except BaseException:
                self._held.return_to_published()
                raise
        return self

    def add(self, vectors: ArrayLike, ids: ArrayLike | None = None) -> NDArray[np.int64]:
        """Add vectors.

        Parameters
        ----------
        vectors : array_like, shape (n, dim) or (dim,)
            float16, float32 or float64, finite. With ``store=None`` also bool of that shape, or
            packed codes: uint8 of shape (n, ceil(dim / 8)), pad bits zero. Converted and packed in
            blocks; a ``numpy.memmap`` is never wholly in memory twice.
        ids : array_like of int, shape (n,), optional
            Unique, 0 to 2**63 - 1. By default they go on after the largest id; the first is 0.

        Returns
        -------
        ndarray of int64, shape (n,)
            The ids, also for a 1-D vector.

        Raises
        ------
        TypeError
            Another dtype.
        ValueError
            Shapes that do not fit, a value that is NaN, infinite or beyond the range of the store,
            an id that came twice or is in the index. The index is unchanged by any error.

        Notes
        -----
        Takes amortised constant time a vector. One thread adds at a time; others wait.
        """
        array = arguments.as_array(vectors, "vectors")
        packed = arguments.is_packed(array)
        if packed:
            self._refuse_bits("packed codes (uint8)")
            array = self._held.recipe.binarizer.check_codes(array)
        else:
            array = self._held.recipe.binarizer.check_values(array, "vectors")
            if array.dtype.kind == "b":
                self._refuse_bits("bool")
        array = arguments.as_rows(array)
        # Copied before the lock is taken: it may run code of the caller's, here and not below.
        chosen = None if ids is None else as_ids(ids)
        with self._lock:
            new_ids = self._held.ids.check(chosen, len(array))
            if len(array):
                self._held.append(array, new_ids, self._isa, packed=packed)
        return new_ids

    def _refuse_bits(self, what: str) -> None:
        if self._store is not None:
            needs = f"store={self._store!r} keeps original vectors"
            remedy = "make the index with store=None"
        elif self.correction:
            needs = "correction=True computes it from original vectors"
            remedy = "make the index without"
        elif self._held.fitting.is_pending:
            needs = f"threshold={self._held.fitting.rule!r} has to be fitted to vectors first"
            remedy = "fit the index to a sample of them"
        else:
            return
        raise TypeError(f"got {what}, but {needs}: add float vectors, or {remedy}")

    def reserve(self, n: SupportsIndex) -> None:
        """Make room for `n` vectors in all, so that adding up to there moves none.

        Parameters
        ----------
        n : int
            Vectors, those in the index included. Memory that is never written is not taken from
            the machine.
        """
        size = arguments.integer(n, "n", 0, 2**40 - 1)
        with self._lock:
            self._held.reserve(size)

    # ---- Searching ---------------------------------------------------------------------------

    def search(
        self,
        queries: ArrayLike,
        k: SupportsIndex = 10,
        *,
        oversampling: float = 4.0,
        rescore: bool | None = None,
        scoring: Scoring = "hamming",
        threads: SupportsIndex = 0,
        ladder: Ladder | None = None,
    ) -> SearchResult:
        """Find the best `k` vectors for each query.

        Scans the codes of all vectors, exactly; if rescoring, for the ``ceil(k * oversampling)``
        best ones, and orders those by the metric between the query and the original vectors.

        Parameters
        ----------
        queries : array_like, shape (n_queries, dim) or (dim,)
            float16, float32 or float64, finite; or bits: packed uint8 of shape
            (n_queries, ceil(dim / 8)), or bool.
        k : int
            Results for each query. Where it exceeds the vectors, ids are -1 and scores the worst.
        oversampling : float
            Candidates per result that are rescored, at least 1.
        rescore : bool, optional
            By default yes, if there are original vectors and the queries are not bits.
        scoring : {"hamming", "asymmetric"}
            What the scan compares: bits with bits, or float queries, rounded to 8 bits a dimension,
            with bits. On centred data, as most text embeddings are, or with a `threshold` that
            centres them, asymmetric scoring finds better candidates, and without original vectors
            gives better results; it takes longer. On data that are not centred it may be far worse.
        threads : int
            Number of threads; 0 means all.
        ladder : list, optional
            The rungs of the search, in place of `oversampling`, `rescore` and `scoring`:
            ``("hamming" or "asymmetric", oversampling)`` scans all vectors; each rung after it, a
            store's name or ``"asymmetric"`` (from the bits alone), rescores the candidates that the
            one before passes on, ``ceil(k * oversampling)`` of them. The last one is a name.
            ``[("hamming", 40), ("asymmetric", 10), ("int8", 4), "float32"]``, say.

        Returns
        -------
        SearchResult
            ``scores, ids``. Rescored or asymmetric: float32; cosine and dot descending, l2
            (Euclidean distance) ascending. Otherwise int32 Hamming distances, ascending. Ties go to
            the smaller id.

        Raises
        ------
        TypeError
            Another dtype.
        ValueError
            Shapes that do not fit, NaN or infinity, a negative `k`, `oversampling` below 1,
            ``rescore=True`` without original vectors or with bits, an unknown `scoring`,
            asymmetric scoring with bits, a `ladder` that the index cannot climb.

        Notes
        -----
        The same bytes on every instruction set and number of threads. Rescored scores are summed in
        float64 and rounded once to float32; the cosine with a zero vector is 0. Safe to call from
        many threads. Oversampling and rescoring: Yamada, Asai, Hajishirzi, "Efficient Passage
        Retrieval with Hashing for Open-domain Question Answering" (arXiv:2106.00882).

        Asymmetric scores are the metric between the query, rounded, and the vector of a document's
        signs, +1 or -1, both relative to the threshold (but for dot). A query's value q becomes
        ``rint(127 * abs(q) / max(abs(q)))`` with its sign; what follows is exact. So the product
        with a document is off by at most ``dim * max(abs(q)) / 254``, and typically by
        ``sqrt(dim) * max(abs(q)) / 440``. With ``correction=True`` they estimate the metric between
        the query and the original vector; candidates for that, 8 for each that is wanted, are
        found by uncorrected scores (but a ladder says it itself).
        """
        k = arguments.check_k(k)
        oversampling = arguments.check_oversampling(oversampling)
        arguments.choice(scoring, "scoring", ("hamming", "asymmetric"))
        threads = arguments.check_threads(threads)
        rows = self._held.rows
        array = arguments.as_array(queries, "queries")
        asked = as_queries(rows, array, threads)
        options = SearchOptions(oversampling, rescore, scoring, ladder)
        stores = [kept.name for kept in rows.formats]
        rungs = options.rungs(stores, are_bits=asked.packed is None, corrected=self.correction)
        plan = Plan(k=k, rungs=rungs, metric=self._metric, isa=self._isa, threads=threads)
        scores, found = find_rows(rows, asked, plan)
        if rows.ids is not None and len(rows.ids):
            found = np.where(found >= 0, rows.ids[found], -1)
        if array.ndim == 1:
            return SearchResult(scores[0], found[0])
        return SearchResult(scores, found)

    # ---- Files -------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to a folder of ``.npy`` files and a manifest.

        Parameters
        ----------
        path : path-like
            A folder: new, empty, or an index to be replaced. Parent folders are made.

        Raises
        ------
        IndexWriteError
            The path cannot be written, or holds something else. What was there is unchanged.

        Notes
        -----
        Atomic: a crash at any point leaves the old index or the new one.
        """
        writer.write(path, contents_of(self._held))

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], mmap: bool = False, *, isa: str | None = None
    ) -> Index:
        """Open an index that :meth:`save` wrote.

        Parameters
        ----------
        path : path-like
            The folder.
        mmap : bool
            True maps the files instead of reading them: opens in milliseconds whatever the size,
            and original vectors stay on disk until rescoring touches them. Checks structure and
            sizes; :func:`verify` checks the contents. False reads and checks everything.
        isa : str, optional
            Instruction set, as in :class:`Index`.

        Returns
        -------
        Index
            It can be added to; mapped parts are then copied into memory.

        Raises
        ------
        IndexFileError
            One of its kinds: :class:`IndexNotFoundError`, :class:`NotAnIndexError`,
            :class:`UnsupportedVersionError`, :class:`CorruptIndexError`; names the file and what is
            wrong with it.

        Notes
        -----
        Safe on folders from strangers: no pickle, no path outside the folder. While an index is
        mapped, its files must not be written or truncated in place (:meth:`save` never does).
        """
        return cls._of(reader.read(path, mmap=mmap), isa)

    def __reduce__(self) -> tuple[Any, ...]:
        # Arrays, also of a mapped index; the level is chosen where they are opened. No class of
        # ours but this one is named, so that all others may move.
        return type(self)._from_state, (dict(vars(contents_of(self._held))),)

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Index:
        return cls._of(Contents(**state), None)

    # The name is in pickles of release 0.1.0.
    @classmethod
    def _of(cls, contents: Contents, isa: str | None) -> Index:
        names = tuple(contents.originals)
        store: Any = names if len(names) > 1 else names[0] if names else None
        index = cls(contents.dim, metric=contents.metric, store=store, isa=isa)  # type: ignore[arg-type]
        index._take(holdings_of(contents, index._isa))
        return index
