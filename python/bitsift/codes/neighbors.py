# SPDX-License-Identifier: Apache-2.0
"""Hamming distances of codes that the caller keeps: no index, no copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.core.isa import resolve_isa
from bitsift.core.public import public
from bitsift.core.results import SearchResult

__all__ = ["hamming", "knn_graph", "search"]


@public
def search(
    codes: ArrayLike,
    queries: ArrayLike,
    k: SupportsIndex,
    *,
    isa: str | None = None,
    threads: SupportsIndex = 0,
) -> SearchResult:
    """Find the `k` rows of `codes` nearest to each query by Hamming distance, exactly.

    Parameters
    ----------
    codes : array_like of uint8, shape (n, n_bytes)
        Packed rows, also a ``numpy.memmap``. Searched where they lie, whatever the distance between
        rows; copied only if the bytes of a row are not contiguous. `n_bytes` is 1 to 8,192.
    queries : array_like of uint8, shape (n_queries, n_bytes) or (n_bytes,)
        Packed the same way.
    k : int
        Results for each query. Where it exceeds `n`, ids are -1 and distances 2**31 - 1.
    isa : str, optional
        Instruction set, one of :func:`available_isas`; the best one by default.
    threads : int
        Number of threads; 0 means all. Work too small to pay for a thread does not wake one.

    Returns
    -------
    SearchResult
        int32 distances, ascending, and the int64 numbers of the rows. Ties go to the smaller row.

    Raises
    ------
    TypeError
        `codes` or `queries` are not uint8.
    ValueError
        Shapes that do not fit, a negative `k`.

    Notes
    -----
    Exact, and the same bytes on every instruction set and number of threads. One query uses every
    thread. Cost: a pass over `codes` for every 256 queries,
    or fewer where `k` is in the thousands. Safe to call from many threads at once;
    the GIL is released.

    Examples
    --------
    >>> codes = numpy.array([[0b1111_0000], [0b1110_0000], [0b0000_1111]], dtype="uint8")
    >>> distances, rows = bitsift.search(codes, codes[1], k=2)
    >>> distances, rows
    (array([0, 1], dtype=int32), array([1, 0]))
    """
    rows = _as_matrix(codes, "codes")
    wanted = arguments.as_codes(queries, "queries")
    _check_same_length("queries", wanted, "codes", rows)
    k = arguments.check_k(k)
    distances, found = native.search(
        rows,
        arguments.as_rows(wanted),
        None,
        k=k,
        ids=None,
        isa=resolve_isa(isa),
        threads=arguments.check_threads(threads),
    )
    result = SearchResult(distances, found)
    return result if wanted.ndim == 2 else SearchResult(distances[0], found[0])


@public
def knn_graph(
    codes: ArrayLike,
    k: SupportsIndex,
    *,
    progress: Callable[[float], object] | None = None,
    isa: str | None = None,
    threads: SupportsIndex = 0,
) -> SearchResult:
    """Find the `k` nearest other rows of every row by Hamming distance, exactly.

    The graph that deduplication and clustering start from.

    Parameters
    ----------
    codes : array_like of uint8, shape (n, n_bytes)
        Packed rows, also a ``numpy.memmap``, as in :func:`search`.
    k : int
        Neighbours of each row. Where it exceeds ``n - 1``, rows are -1 and distances 2**31 - 1.
    progress : callable, optional
        Called now and then, in this thread, with the share of the work that is done, 0 to 1. What
        it raises ends the work.
    isa : str, optional
        Instruction set, one of :func:`available_isas`; the best one by default.
    threads : int
        Number of threads; 0 means all.

    Returns
    -------
    SearchResult
        int32 distances of shape (n, k), ascending, and the int64 numbers of the rows. Ties go to
        the smaller row; a row is not its own neighbour, but an equal one is.

    Raises
    ------
    TypeError
        `codes` are not uint8, `progress` cannot be called.
    ValueError
        Another shape, a negative `k`.

    Notes
    -----
    Exact, and the same bytes on every instruction set and number of threads. Computes each of the
    ``n * (n - 1) / 2`` distances once. Beside the result it takes about ``12 * k`` bytes a row, at
    least 200. The GIL is released; Ctrl-C interrupts it.

    Examples
    --------
    >>> codes = numpy.array([[0b1111_0000], [0b1110_0000], [0b0000_1111]], dtype="uint8")
    >>> bitsift.knn_graph(codes, k=1).ids.ravel()
    array([1, 0, 1])
    """
    rows = _as_matrix(codes, "codes")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be callable or None; got {type(progress).__name__}")
    return SearchResult(
        *native.knn_graph(
            rows,
            k=arguments.check_k(k),
            progress=progress,
            isa=resolve_isa(isa),
            threads=arguments.check_threads(threads),
        )
    )


@public
def hamming(
    a: ArrayLike,
    b: ArrayLike,
    *,
    isa: str | None = None,
    threads: SupportsIndex = 0,
) -> NDArray[np.int32]:
    """Compute the Hamming distances of all pairs.

    Parameters
    ----------
    a : array_like of uint8, shape (na, n_bytes) or (n_bytes,)
        Packed codes.
    b : array_like of uint8, shape (nb, n_bytes) or (n_bytes,)
        Packed codes.
    isa : str, optional
        Instruction set, one of :func:`available_isas`; the best one by default.
    threads : int
        Number of threads; 0 means all.

    Returns
    -------
    ndarray of int32, shape (na, nb)
        The number of bits in which ``a[i]`` and ``b[j]`` differ. A 1-D argument has no axis.

    Raises
    ------
    TypeError
        `a` or `b` is not uint8.
    ValueError
        Shapes that do not fit.

    Notes
    -----
    Exact. Takes ``4 * na * nb`` bytes; :func:`search` finds the nearest without them. Safe to call
    from many threads; the GIL is released.

    Examples
    --------
    >>> a = numpy.array([[0b1111_0000], [0b1110_0000]], dtype="uint8")
    >>> bitsift.hamming(a, a)
    array([[0, 1],
           [1, 0]], dtype=int32)
    """
    left = arguments.as_codes(a, "a")
    right = arguments.as_codes(b, "b")
    _check_same_length("a", left, "b", right)
    distances = native.hamming(
        arguments.as_rows(left),
        arguments.as_rows(right),
        resolve_isa(isa),
        arguments.check_threads(threads),
    )
    return distances.reshape(left.shape[:-1] + right.shape[:-1])


def _as_matrix(codes: ArrayLike, name: str) -> NDArray[np.uint8]:
    array = arguments.as_codes(codes, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must have shape (n, n_bytes); got shape {array.shape}")
    return array


def _check_same_length(name: str, a: NDArray[np.uint8], other: str, b: NDArray[np.uint8]) -> None:
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"{name} must be as long as {other}: got {a.shape[-1]} bytes = {a.shape[-1] * 8} bits "
            f"per row; {other} have {b.shape[-1]} bytes"
        )
