# SPDX-License-Identifier: Apache-2.0
"""What changes the vectors of an index."""

from __future__ import annotations

from typing import Any, Literal, Self, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.floats import in_default_floats
from bitsift.index.ids import as_ids, one_axis
from bitsift.index.table import Table

__all__ = ["Changeable"]

Missing = Literal["raise", "ignore"]


class Changeable:
    """The base of `Index` that publishes new states of it."""

    _table: Table

    @in_default_floats
    def fit(self, sample: ArrayLike, *, threads: SupportsIndex = 0) -> Self:
        """Compute the threshold and the bounds of integer stores from a sample; decide the scoring.

        Computes what is not known yet. Without this call, the first 1,000 vectors added or more are
        the sample. Vectors that wait for that are encoded by what is computed here.

        Parameters
        ----------
        sample : array_like, shape (n, dim)
            Vectors like those that will be added: float16, float32 or float64, finite; better 100
            or more. The threshold is computed from at most 65,536 of them, evenly spaced, and the
            scoring is decided by at most 512; below 64 it stays open.
        threads : int
            Number of threads; 0 means all. The result is the same for every number.

        Returns
        -------
        Index
            Itself.

        Raises
        ------
        TypeError
            Another dtype.
        ValueError
            Shapes that do not fit, no vectors, values that are not finite, or vectors of the index
            have been encoded already. The index is unchanged by any error.

        Warns
        -----
        BitsiftWarning
            The sample has fewer than 100 vectors; or all that a sample could fit is known already.
        """
        threads = arguments.check_threads(threads)
        self._table.fit(arguments.parse_values(sample, "sample", floats=True), threads)
        return self

    @in_default_floats
    def add(
        self, vectors: ArrayLike, ids: ArrayLike | None = None, *, threads: SupportsIndex = 0
    ) -> NDArray[np.int64]:
        """Add vectors.

        Parameters
        ----------
        vectors : array_like, shape (n, dim) or (dim,)
            float16, float32 or float64, finite. With ``store=None``, no correction and a threshold
            that is known, also bits: bool of the same shape, or codes, uint8 of shape
            (n, ceil(dim / 8)) with pad bits zero. Bits are kept as they are: neither threshold nor
            rotation changes them. Vectors are encoded in blocks, so that a ``numpy.memmap`` is
            never copied whole.
        ids : array_like of int, shape (n,), optional
            Unique, 0 to 2**63 - 1. By default, ids continue after the largest one that there ever
            was; the first is 0. The id of a vector that was removed may be given again.
        threads : int
            Number of threads; 0 means all.

        Returns
        -------
        ndarray of int64, shape (n,)
            The ids, also for a 1-D vector.

        Raises
        ------
        TypeError
            Another dtype, or bits that the index cannot take.
        ValueError
            Shapes that do not fit, a value that is NaN, infinite or beyond the range of the store,
            an id that came twice or is in the index. The index is unchanged by any error.
        RuntimeError
            The same thread is inside of a call that changes the index: this one comes from a signal
            handler, a finalizer or another callback.

        Warns
        -----
        BitsiftWarning
            The bits of the first vectors that are encoded carry little information, and another
            threshold or a rotation would help; or more than 5 % of the values lie outside bounds
            that were fitted before, beyond those that such bounds usually clip; or nearly all
            values become the same integer of an integer store; or the values are too small for
            float16; or bits are added to an index that rotates. Values are counted in a sample of
            at most 1,024 rows.

        Notes
        -----
        Takes amortised constant time a vector. The add that fits the index, see :class:`Index`,
        takes some milliseconds longer; ``"auto"`` seconds. One thread changes the index at a time;
        others wait. An interrupt leaves the index unchanged. Where memory has to grow and more than
        a quarter of the vectors in it have been removed, their room is used first, as
        :meth:`compact` does it.
        """
        threads = arguments.check_threads(threads)
        parsed = self._parsed(vectors)
        # Copied here, before the table takes its lock: this may run code of the caller's.
        given_ids = None if ids is None else as_ids(ids)
        return self._table.append(parsed, given_ids, threads)

    @in_default_floats
    def upsert(
        self, vectors: ArrayLike, ids: ArrayLike, *, threads: SupportsIndex = 0
    ) -> NDArray[np.int64]:
        """Add vectors; those whose ids are in the index take the place of what is there.

        Parameters
        ----------
        vectors : array_like, shape (n, dim) or (dim,)
            As in :meth:`add`.
        ids : array_like of int, shape (n,)
            Unique, 0 to 2**63 - 1, new or in the index.
        threads : int
            Number of threads; 0 means all.

        Returns
        -------
        ndarray of int64, shape (n,)
            The ids, also for a 1-D vector.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            As :meth:`add` does, also where an id came twice. The index is unchanged by any error.

        Warns
        -----
        BitsiftWarning
            As :meth:`add` does.

        Notes
        -----
        Atomic: a search in another thread, or in a signal handler, finds all the old vectors or all
        the new ones, and never misses one. In :attr:`ids`, the new vectors come last. Filters that
        :meth:`filter` has prepared let through the new vector of an id where they let through the
        old one. Costs what :meth:`add` does, and a look-up for each id.

        Examples
        --------
        >>> index = bitsift.Index(8)
        >>> ids = index.add(numpy.eye(3, 8, dtype="float32"), ids=[10, 20, 30])
        >>> ids = index.upsert(numpy.ones((2, 8), dtype="float32"), ids=[20, 40])
        >>> index.ids
        array([10, 30, 20, 40])
        """
        threads = arguments.check_threads(threads)
        parsed = self._parsed(vectors)
        return self._table.replace(parsed, as_ids(ids), threads)

    @in_default_floats
    def extend(self, other: Changeable) -> NDArray[np.int64]:
        """Add the vectors of another index, with their ids; what is stored of them stays as it is.

        Parameters
        ----------
        other : Index
            An index of the same schema: dimensions, metric, stores and correction, and the same
            threshold, rotation and bounds of integers. Parts of one index may be made by
            ``copy.copy`` of an index that is fitted and holds no vectors.

        Returns
        -------
        ndarray of int64, shape (n,)
            The ids of its vectors, in order of addition.

        Raises
        ------
        TypeError
            It is no index.
        ValueError
            The schema is another, or an id is in both. The index is unchanged by any error.
        RuntimeError
            As in :meth:`add`.

        Notes
        -----
        Takes about as long as copying its memory. What scans by default stays as it is; an index
        that waits for nothing else takes over what `other` has decided. Vectors of `other` that
        wait are added as floats; there, what is not computed yet need not be the same.

        Examples
        --------
        >>> index, part = bitsift.Index(8), bitsift.Index(8)
        >>> ids = index.add(numpy.eye(2, 8, dtype="float32"))
        >>> ids = part.add(numpy.eye(2, 8, dtype="float32"), ids=[70, 60])
        >>> index.extend(part)
        array([70, 60])
        >>> index.ids
        array([ 0,  1, 70, 60])
        """
        if not isinstance(other, Changeable):
            raise TypeError(f"other must be an Index; got {type(other).__name__}")
        return self._table.extend(other._table.snapshot)

    def remove(self, ids: ArrayLike, *, missing: Missing = "raise") -> int:
        """Remove the vectors with these ids.

        Parameters
        ----------
        ids : int or array_like of int, shape (m,)
            Ids in any order; those that repeat count once.
        missing : {"raise", "ignore"}
            What to do about an id that is not in the index.

        Returns
        -------
        int
            How many vectors were removed.

        Raises
        ------
        KeyError
            An id is not in the index, and `missing` is ``"raise"``.
        TypeError, ValueError
            Ids are not integers, or have more than one axis; another `missing`. The index is
            unchanged by any error.
        RuntimeError
            As in :meth:`add`.

        Notes
        -----
        Atomic: all or none, also for searches in other threads. Searches give what an index of the
        other vectors would give, byte for byte. Takes constant time a vector, a few microseconds.
        The memory is kept, and used by later adds or given back by :meth:`compact`. The id may be
        added again. Automatic ids do not return.

        Examples
        --------
        >>> index = bitsift.Index(8)
        >>> ids = index.add(numpy.eye(4, 8, dtype="float32"))
        >>> index.remove([0, 2])
        2
        >>> index.remove(2, missing="ignore")
        0
        >>> index.ids
        array([1, 3])
        """
        ignores = arguments.choice(missing, "missing", ("raise", "ignore")) == "ignore"
        if type(ids) is int or isinstance(ids, np.integer):  # a loop over ids: without arrays
            return self._table.remove(int(ids), ignores_missing=ignores)
        wanted = one_axis(as_ids(ids))
        return self._table.remove(wanted.reshape(-1), ignores_missing=ignores)

    def compact(self) -> None:
        """Give back the memory of removed vectors, and memory reserved.

        Raises
        ------
        RuntimeError
            As in :meth:`add`.
        MemoryError
            The system refuses. The index is unchanged.

        Notes
        -----
        Changes no answer. Copies the vectors that are left: meanwhile both are in memory, and
        searches go on. Nothing happens if no vectors were removed. Searches never do this; an
        :meth:`add` or :meth:`upsert` does where memory would have to grow and more than a quarter
        of the vectors in it have been removed.
        """
        self._table.compact()

    def reserve(self, n: SupportsIndex) -> None:
        """Allocate memory for `n` vectors in all, so that adds up to there move none.

        Parameters
        ----------
        n : int
            Vectors, including those in the index. Memory that is never written is never taken from
            the machine.

        Raises
        ------
        TypeError, ValueError
            Not an integer, or not 0 to 2**40 - 1.
        MemoryError
            The system refuses.
        """
        self._table.reserve(arguments.integer(n, "n", 0, 2**40 - 1))

    def _parsed(self, vectors: ArrayLike) -> Any:
        """Return vectors that can be added."""
        table = self._table
        parsed = arguments.parse(vectors, "vectors", table.snapshot.documents.encoder.dim)
        table.check(parsed)
        return parsed
