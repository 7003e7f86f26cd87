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

from bitsift import arguments, storage
from bitsift.advice import Advice
from bitsift.binarizer import Binarizer, random_flips
from bitsift.calibration import Calibrator
from bitsift.filling import Recipe, Room, fill_rows
from bitsift.fitting import Fitting, Rule, as_rule, warn_of_poor_bits
from bitsift.growing import GrowingArray
from bitsift.ids import IdTable, as_ids
from bitsift.ladder import Ladder, Scoring, default_ladder, parse_ladder
from bitsift.scanning import SearchResult
from bitsift.searching import Metric, Plan, Queries, Rows, find_rows
from bitsift.stores import Store, VectorFormat, as_store_names

__all__ = ["Index"]

_OVERSAMPLING = 4.0
_BITS = "the queries are bits"

_living: weakref.WeakSet[Index] = weakref.WeakSet()


def _forget_other_threads() -> None:
    for index in list(_living):
        index._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


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
    threshold : float, array_like of shape (dim,), or {"mean", "median", "auto"}
        A bit is set where the value, as float32, is greater than this, rounded to float32.
        ``"mean"`` and ``"median"`` are those of each dimension in the first vectors added, or in
        the sample given to :meth:`fit`; for the cosine, of vectors brought to length 1, as all
        vectors are then. ``"auto"`` tries these, 0, and rotations, as :func:`advise` does, and
        keeps the best.
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
        self._isa = arguments.resolve_isa(isa)
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
                "threshold other than 0 does not"
            )
        formats = tuple(
            VectorFormat(name, self._dim, _own_calibrator(calibrator, self._dim)) for name in names
        )
        self._fitting = Fitting(rule, bool(rotate))
        self._lock = threading.Lock()
        _living.add(self)
        recipe = Recipe(binarizer, formats, self._metric, bool(correction))
        self._hold(
            recipe,
            codes=np.empty((0, binarizer.n_bytes), np.uint8),
            originals=[kept.empty() for kept in formats],
            factors=np.empty((0, recipe.n_factors), np.uint16) if correction else None,
            ids=IdTable(),
        )

    def _hold(
        self,
        recipe: Recipe,
        codes: NDArray[np.uint8],
        originals: Sequence[NDArray[Any]],
        factors: NDArray[np.uint16] | None,
        ids: IdTable,
    ) -> None:
        self._recipe = recipe
        self._codes = GrowingArray(codes)
        self._originals = [GrowingArray(rows) for rows in originals]
        self._factors = None if factors is None else GrowingArray(factors)
        self._ids = ids
        self._publish()

    def _parts(self) -> list[GrowingArray]:
        parts = [self._codes, *self._originals]
        return parts if self._factors is None else [*parts, self._factors]

    def _publish(self) -> None:
        self._published = self._recipe, self._fitting
        stored = self._ids.stored
        self._rows = Rows(
            binarizer=self._recipe.binarizer,
            codes=self._codes.rows,
            formats=self._recipe.formats,
            originals=tuple(part.rows for part in self._originals),
            factors=None if self._factors is None else self._factors.rows,
            ids=stored,
            tie_ids=None if self._ids.ascending else stored,
        )

    def _after_fork(self) -> None:
        # The thread that held the lock, perhaps in the middle of an add, is not in the child.
        self._lock = threading.Lock()
        self._return_to_published()

    def _return_to_published(self) -> None:
        rows = self._rows
        self._recipe, self._fitting = self._published
        if rows.factors is not None and len(rows.codes) == 0:
            self._factors = GrowingArray(rows.factors)  # there may be more of them a row by now
        for part in self._parts():
            part.truncate(len(rows.codes))
        self._ids = IdTable(len(rows.codes), rows.ids, ascending=rows.tie_ids is None)

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

        Before it is fitted it is ``"mean"``, ``"median"`` or ``"auto"``. After it, for the cosine,
        it is subtracted from vectors of length 1.
        """
        rule = self._fitting.rule
        return self._rows.binarizer.threshold if rule is None or self._fitting.is_done else rule

    @property
    def rotate(self) -> bool:
        """Whether vectors are rotated before their signs are taken."""
        return self._fitting.rotate or self._rows.binarizer.is_rotated

    @property
    def correction(self) -> bool:
        """Whether vectors keep what corrects asymmetric scores."""
        return self._rows.factors is not None

    @property
    def advice(self) -> Advice | None:
        """What ``threshold="auto"`` measured and followed; None if it did not, or after loading."""
        return self._fitting.advice

    @property
    def calibrators(self) -> dict[str, Calibrator]:
        """What found the bounds of each store of integers; copies."""
        return {
            kept.name: copy.deepcopy(kept.calibrator)
            for kept in self._rows.formats
            if kept.calibrator is not None
        }

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        return self._isa

    @property
    def codes(self) -> NDArray[np.uint8]:
        """The packed codes, shape (n, ceil(dim / 8)), in order of addition; a read-only view."""
        return self._rows.codes

    @property
    def ids(self) -> NDArray[np.int64]:
        """The ids, shape (n,), in order of addition; read-only."""
        rows = self._rows
        ids = np.arange(len(rows.codes), dtype=np.int64) if rows.ids is None else rows.ids
        ids.flags.writeable = False
        return ids

    @property
    def nbytes(self) -> int:
        """Bytes of codes, original vectors, corrections and ids, in memory or mapped from files."""
        rows = self._rows
        parts = (rows.codes, *rows.originals, rows.factors, rows.ids)
        return sum(part.nbytes for part in parts if part is not None)

    def __len__(self) -> int:
        return len(self._rows.codes)

    def __contains__(self, id: object) -> bool:
        try:
            wanted = operator.index(id)  # type: ignore[arg-type]
        except TypeError:
            return False
        if not 0 <= wanted < 2**63:
            return False
        with self._lock:
            return bool(self._ids.rows_of(np.array([wanted], np.int64))[0] >= 0)

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
            found = self._ids.rows_of(wanted.reshape(-1))
            rows = self._rows
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
        array = self._recipe.binarizer.check_values(arguments.as_array(sample, "sample"), "sample")
        if array.dtype.kind != "f" or array.ndim != 2 or len(array) == 0:
            raise ValueError(
                f"sample must be floats of shape (n, {self._dim}), n at least 1; got {array.dtype} "
                f"of shape {array.shape}"
            )
        with self._lock:
            if len(self._codes):
                raise ValueError(
                    f"fit comes before the first add; the index holds {len(self._codes)} vectors"
                )
            fitted = self._fitting.fit(self._recipe, array, self._isa)
            self._adopt(*fitted)
            self._publish()
        return self

    def _adopt(self, recipe: Recipe, fitting: Fitting) -> None:
        """Follow another recipe; there are no rows yet."""
        self._recipe, self._fitting = recipe, fitting
        if self._factors is not None:
            self._factors = GrowingArray(np.empty((0, recipe.n_factors), np.uint16))

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
            array = self._recipe.binarizer.check_codes(array)
        else:
            array = self._recipe.binarizer.check_values(array, "vectors")
            if array.dtype.kind == "b":
                self._refuse_bits("bool")
        array = arguments.as_rows(array)
        # Copied before the lock is taken: it may run code of the caller's, here and not below.
        chosen = None if ids is None else as_ids(ids)
        with self._lock:
            new_ids = self._ids.check(chosen, len(array))
            if len(array) == 0:
                return new_ids
            try:
                self._fill(array, packed=packed)
                self._ids.append(new_ids)
                for part in self._parts():
                    part.commit(len(array))
                self._publish()
            except BaseException:  # KeyboardInterrupt may come between any two of these
                self._return_to_published()
                raise
        return new_ids

    def _refuse_bits(self, what: str) -> None:
        needs = None
        if self._store is not None:
            needs = f"store={self._store!r} keeps original vectors"
        elif self.correction:
            needs = "correction=True computes it from original vectors"
        elif self._fitting.is_needed(self._recipe):
            needs = f"threshold={self._fitting.rule!r} has to be fitted to vectors first"
        if needs is not None:
            raise TypeError(
                f"got {what}, but {needs}: add float vectors, or make the index with store=None"
            )

    def _fill(self, array: NDArray[Any], *, packed: bool) -> None:
        """Write new rows behind the others, to be committed, and fit what has to be."""
        is_first = len(self._codes) == 0
        if self._fitting.is_needed(self._recipe):
            self._adopt(*self._fitting.fit(self._recipe, array, self._isa))
        n = len(array)
        room = Room(
            self._codes.room(n),
            [part.room(n) for part in self._originals],
            None if self._factors is None else self._factors.room(n),
        )
        if packed:
            room.codes[:] = array
            return
        fill_rows(self._recipe, array, room)
        if is_first and self._fitting.rule is None and array.dtype.kind == "f":
            warn_of_poor_bits(array, room.codes, self._recipe.binarizer, self._metric, self._isa)

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
            for part in self._parts():
                part.reserve(size)

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
        the query and the original vector; candidates for that, 4 for each that is wanted, are
        found by uncorrected scores (but a ladder says it itself).
        """
        k = arguments.check_k(k)
        oversampling = arguments.check_oversampling(oversampling)
        arguments.choice(scoring, "scoring", ("hamming", "asymmetric"))
        threads = arguments.check_threads(threads)
        rows = self._rows
        array = arguments.as_array(queries, "queries")
        asked = _as_queries(rows, array, threads)
        are_bits = asked.values is None
        if rescore is not None and not isinstance(rescore, (bool, np.bool_)):
            raise TypeError(f"rescore must be True, False or None; got {rescore!r}")
        if ladder is not None:
            if rescore is not None or scoring != "hamming" or oversampling != _OVERSAMPLING:
                raise ValueError(
                    "ladder says it all: rescore, scoring and oversampling cannot be given with it"
                )
            rungs = parse_ladder(ladder, [kept.name for kept in rows.formats])
        else:
            if rescore and (are_bits or not rows.formats):
                what = _BITS if are_bits else "store=None keeps no original vectors"
                raise ValueError(f"rescore=True needs float queries and original vectors; {what}")
            wanted = rows.formats and not are_bits and rescore is not False
            store = rows.formats[-1].name if wanted else None
            rungs = default_ladder(scoring, store, oversampling, corrected=self.correction)
        if are_bits and any(rung.name != "hamming" for rung in rungs):
            asks = f"ladder={ladder!r}" if ladder is not None else 'scoring="asymmetric"'
            raise ValueError(f"{asks} needs float queries; {_BITS}")

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
        storage.write(path, self._contents())

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
        return cls._of(storage.read(path, mmap=mmap), isa)

    def __reduce__(self) -> tuple[Any, ...]:
        # Arrays, also of a mapped index; the level is chosen where they are opened.
        return type(self)._of, (self._contents(), None)

    def _contents(self) -> storage.Contents:
        rows = self._rows
        recipe, fitting = self._published
        binarizer = rows.binarizer
        return storage.Contents(
            dim=self._dim,
            metric=self._metric,
            threshold=None if self._pending(fitting) else binarizer.threshold,
            codes=np.asarray(rows.codes),
            ids=None if rows.ids is None else np.asarray(rows.ids),
            originals={
                kept.name: np.asarray(array)
                for kept, array in zip(rows.formats, rows.originals, strict=True)
            },
            ids_ascending=rows.tie_ids is None,
            rule=fitting.rule,
            rotate=self.rotate,
            flips=binarizer.flips if binarizer.is_rotated else None,
            normalized=binarizer.normalized,
            factors=None if rows.factors is None else np.asarray(rows.factors),
            calibrators={
                kept.name: kept.calibrator for kept in recipe.formats if kept.calibrator is not None
            },
        )

    @staticmethod
    def _pending(fitting: Fitting) -> bool:
        return fitting.rule is not None and not fitting.is_done

    @classmethod
    def _of(cls, contents: storage.Contents, isa: str | None) -> Index:
        names = tuple(contents.originals)
        store: Any = names if len(names) > 1 else names[0] if names else None
        index = cls(contents.dim, metric=contents.metric, store=store, isa=isa)  # type: ignore[arg-type]
        binarizer = Binarizer(
            contents.dim,
            0.0 if contents.threshold is None else contents.threshold,
            index._isa,
            flips=contents.flips,
            normalized=contents.normalized,
        )
        formats = tuple(
            VectorFormat(name, contents.dim, contents.calibrators.get(name)) for name in names
        )
        index._fitting = Fitting(
            contents.rule,  # type: ignore[arg-type]
            contents.rotate,
            is_done=contents.rule is not None and contents.threshold is not None,
        )
        index._hold(
            Recipe(binarizer, formats, contents.metric, contents.factors is not None),
            codes=contents.codes,
            originals=list(contents.originals.values()),
            factors=contents.factors,
            ids=IdTable(len(contents.codes), contents.ids, ascending=contents.ids_ascending),
        )
        return index


def _own_calibrator(calibrator: Calibrator | None, dim: int) -> Calibrator | None:
    """Return a copy, so that the caller may go on with the original."""
    if calibrator is None:
        return None
    if not isinstance(calibrator, Calibrator):
        raise TypeError(f"calibrator must be a Calibrator; got {type(calibrator).__name__}")
    if calibrator.n > 0 and calibrator.dim != dim:
        raise ValueError(
            f"got a calibrator of {calibrator.dim} dimensions; the index has dim {dim}"
        )
    return copy.deepcopy(calibrator)


def _as_queries(rows: Rows, array: NDArray[Any], threads: int) -> Queries:
    """Return what a caller asks as codes and, but for bits, as float32."""
    binarizer = rows.binarizer
    if arguments.is_packed(array):
        return Queries(arguments.as_rows(binarizer.check_codes(array)), None)
    values, codes = binarizer.pack(
        arguments.as_rows(binarizer.check_values(array, "queries")), "queries", 0, threads
    )
    return Queries(codes, None if values.dtype.kind == "b" else values)
