# SPDX-License-Identifier: Apache-2.0
"""The index: codes, and the original vectors if they are kept."""

from __future__ import annotations

import operator
import os
import threading
import weakref
from typing import Any, Literal, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift import arguments, storage
from bitsift.binarizer import Binarizer
from bitsift.filling import fill_rows
from bitsift.growing import GrowingArray
from bitsift.ids import IdTable, as_ids
from bitsift.scanning import SearchResult
from bitsift.searching import Metric, Plan, Rows, Scoring, find_rows

__all__ = ["Index"]

Store = Literal["float32", "float16"] | None
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
    store : {"float32", "float16", None}
        How the original vectors are kept. None keeps only the bits: `dim` / 8 bytes a vector, and
        no rescoring.
    threshold : float or array_like, shape (dim,)
        A bit is set where the value, as float32, is greater than this, rounded to float32.
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
        store: Store = "float32",
        threshold: ArrayLike = 0.0,
        isa: str | None = None,
    ) -> None:
        self._dim = arguments.integer(dim, "dim", 1, arguments.MAX_DIM)
        self._metric: Metric = arguments.choice(metric, "metric", ("cosine", "dot", "l2"))
        self._store: Store = arguments.choice(store, "store", (None, "float32", "float16"))
        self._isa = arguments.resolve_isa(isa)
        self._binarizer = Binarizer(self._dim, threshold, self._isa)
        self._lock = threading.Lock()
        _living.add(self)
        self._hold(
            codes=np.empty((0, self._binarizer.n_bytes), np.uint8),
            originals=None if store is None else np.empty((0, self._dim), store),
            ids=IdTable(),
        )

    def _hold(self, codes: NDArray[np.uint8], originals: NDArray[Any] | None, ids: IdTable) -> None:
        self._codes = GrowingArray(codes)
        self._originals = None if originals is None else GrowingArray(originals)
        self._ids = ids
        self._publish()

    def _publish(self) -> None:
        stored = self._ids.stored
        self._rows = Rows(
            codes=self._codes.rows,
            originals=None if self._originals is None else self._originals.rows,
            ids=stored,
            tie_ids=None if self._ids.ascending else stored,
        )

    def _after_fork(self) -> None:
        # The thread that held the lock, perhaps in the middle of an add, is not in the child.
        self._lock = threading.Lock()
        self._return_to_published()

    def _return_to_published(self) -> None:
        rows = self._rows
        self._codes.truncate(len(rows.codes))
        if self._originals is not None:
            self._originals.truncate(len(rows.codes))
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
    def store(self) -> Store:
        """How the original vectors are kept: ``"float32"``, ``"float16"`` or None."""
        return self._store

    @property
    def threshold(self) -> float | NDArray[np.float32]:
        """The threshold of the bits: a number, or an array of shape (dim,)."""
        return self._binarizer.threshold

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
        """Bytes of codes, original vectors and ids, in memory or mapped from files."""
        rows = self._rows
        return sum(
            part.nbytes for part in (rows.codes, rows.originals, rows.ids) if part is not None
        )

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
            The vectors as they are kept, float32 or float16; with ``store=None`` the codes, uint8
            of shape (m, ceil(dim / 8)). A copy.

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
        kept = rows.codes if rows.originals is None else rows.originals
        vectors: NDArray[Any] = np.asarray(kept)[found]
        return vectors if wanted.ndim == 1 else vectors[0]

    # ---- Adding ------------------------------------------------------------------------------

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
            if self._store is not None:
                raise TypeError(
                    f"got packed codes (uint8), but store={self._store!r} keeps original vectors: "
                    "add float vectors, or make the index with store=None"
                )
            array = self._binarizer.check_codes(array)
        else:
            array = self._binarizer.check_values(array, "vectors")
            if array.dtype.kind == "b" and self._store is not None:
                raise TypeError(
                    f"got bool, but store={self._store!r} keeps original vectors: add float "
                    "vectors, or make the index with store=None"
                )
        array = arguments.as_rows(array)
        # Copied before the lock is taken: it may run code of the caller's, here and not below.
        chosen = None if ids is None else as_ids(ids)
        with self._lock:
            new_ids = self._ids.check(chosen, len(array))
            if len(array) == 0:
                return new_ids
            codes = self._codes.room(len(array))
            originals = None if self._originals is None else self._originals.room(len(array))
            if packed:
                codes[:] = array
            else:
                fill_rows(self._binarizer, array, codes, originals)
            try:
                self._ids.append(new_ids)
                self._codes.commit(len(array))
                if self._originals is not None:
                    self._originals.commit(len(array))
                self._publish()
            except BaseException:  # KeyboardInterrupt may come between any two of these
                self._return_to_published()
                raise
        return new_ids

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
            self._codes.reserve(size)
            if self._originals is not None:
                self._originals.reserve(size)

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
            asymmetric scoring with bits.

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
        ``sqrt(dim) * max(abs(q)) / 440``.
        """
        k = arguments.check_k(k)
        oversampling = arguments.check_oversampling(oversampling)
        arguments.choice(scoring, "scoring", ("hamming", "asymmetric"))
        threads = arguments.check_threads(threads)
        rows = self._rows
        array = arguments.as_array(queries, "queries")
        values: NDArray[Any] | None = None
        if arguments.is_packed(array):
            codes = arguments.as_rows(self._binarizer.check_codes(array))
        else:
            values, codes = self._binarizer.pack(
                arguments.as_rows(self._binarizer.check_values(array, "queries")),
                "queries",
                0,
                threads,
            )
            if values.dtype.kind == "b":
                values = None
        if rescore is not None and not isinstance(rescore, (bool, np.bool_)):
            raise TypeError(f"rescore must be True, False or None; got {rescore!r}")
        if rescore is None:
            rescore = rows.originals is not None and values is not None
        elif rescore and (rows.originals is None or values is None):
            what = "store=None keeps no original vectors" if values is not None else _BITS
            raise ValueError(f"rescore=True needs float queries and original vectors; {what}")
        if scoring == "asymmetric" and values is None:
            raise ValueError(f'scoring="asymmetric" needs float queries; {_BITS}')

        plan = Plan(
            k=k,
            metric=self._metric,
            scoring=scoring,
            rescore=bool(rescore),
            oversampling=oversampling,
            threshold=self._binarizer.threshold,
            isa=self._isa,
            threads=threads,
        )
        scores, found = find_rows(rows, codes, values, plan)
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
        return storage.Contents(
            dim=self._dim,
            metric=self._metric,
            store=self._store,
            threshold=self._binarizer.threshold,
            codes=np.asarray(rows.codes),
            ids=None if rows.ids is None else np.asarray(rows.ids),
            originals=None if rows.originals is None else np.asarray(rows.originals),
            ids_ascending=rows.tie_ids is None,
        )

    @classmethod
    def _of(cls, contents: storage.Contents, isa: str | None) -> Index:
        index = cls(
            contents.dim,
            metric=contents.metric,  # type: ignore[arg-type]
            store=contents.store,  # type: ignore[arg-type]
            threshold=contents.threshold,
            isa=isa,
        )
        index._hold(
            codes=contents.codes,
            originals=contents.originals,
            ids=IdTable(len(contents.codes), contents.ids, ascending=contents.ids_ascending),
        )
        return index
