# SPDX-License-Identifier: Apache-2.0
"""Exact search of a caller's codes by Hamming distance, without an index and without a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.codes.checks import check_same_width, parse_masks, parse_matrix
from bitsift.core import arguments
from bitsift.core.isa import chosen_isa, resolve_isa
from bitsift.core.public import public
from bitsift.core.results import SearchResult, joined

__all__ = ["hamming", "knn_graph", "search"]


@public
def search(
    codes: ArrayLike,
    queries: ArrayLike,
    k: SupportsIndex,
    *,
    filter: ArrayLike | None = None,
    isa: str | None = None,
    threads: SupportsIndex = 0,
) -> SearchResult:
    """Find the `k` rows of `codes` nearest to each query by Hamming distance, exactly.

    Parameters
    ----------
    codes : array_like of uint8, shape (n, n_bytes)
        Packed codes; `n_bytes` is 1 to 8,192. uint8 is always taken as packed bits, also where it
        holds numbers, one a dimension. A ``numpy.memmap`` works too. They are searched in
        place, with any stride between rows; copied only if the bytes of a row are not contiguous.
    queries : array_like of uint8, shape (n_queries, n_bytes) or (n_bytes,)
        Packed codes.
    k : int
        Results for each query. There are at most `n`.
    filter : array_like of bool, shape (n,) or (n_queries, n), optional
        The rows that may be found, for all queries or for each. Where few may, the cost follows
        their number.
    isa : str, optional
        Instruction set, one of :func:`available_isas`; the best one by default.
    threads : int
        Number of threads; 0 means all. Small jobs stay on the calling thread.

    Returns
    -------
    SearchResult
        int32 distances, ascending, and int64 row numbers as ids; min(k, n) for each query, with
        `n` the number of rows that may be found. With a filter for each query, the largest of these
        numbers; queries that have fewer end with the largest int32 and -1. Ties go to the smaller
        row.

    Raises
    ------
    TypeError
        `codes` or `queries` are not uint8, or `filter` is not bool.
    ValueError
        Shapes do not fit, or `k` is negative.

    Notes
    -----
    The result is exact, and the same bytes on every instruction set and with any number of threads.
    The cost is one pass over `codes` for every 256 queries, or for fewer of them if `k` is in the
    thousands. A single query uses all threads. Many threads may call this at once; the GIL is
    released.

    Examples
    --------
    >>> codes = numpy.array([[0b1111_0000], [0b1110_0000], [0b0000_1111]], dtype="uint8")
    >>> distances, rows = bitsift.search(codes, codes[1], k=2)
    >>> distances, rows
    (array([0, 1], dtype=int32), array([1, 0]))
    """
    if filter is None:
        found = native.search_one(codes, queries, k, chosen_isa(isa), threads, SearchResult)
        if found is not None:
            return found
    documents = parse_matrix(codes, "codes")
    wanted = arguments.parse_codes(queries, "queries")
    check_same_width("queries", wanted.rows, "codes", documents)
    masks = None if filter is None else parse_masks(filter, len(wanted.rows), len(documents))
    k, isa, threads = arguments.check_k(k), resolve_isa(isa), arguments.check_threads(threads)
    if masks is None or masks.ndim == 1 or len(masks) == 0:
        rows_in = None if masks is None or masks.ndim > 1 else native.RowSet.of_values(masks)
        distances, rows = _nearest(documents, wanted.rows, rows_in, k, isa, threads)
    else:
        found_by_each = [
            _nearest(
                documents, wanted.rows[i : i + 1], native.RowSet.of_values(mask), k, isa, threads
            )
            for i, mask in enumerate(masks)
        ]
        distances, rows = joined(found_by_each, np.int32, np.iinfo(np.int32).max)
    if wanted.is_single:
        return SearchResult(distances[0], rows[0])
    return SearchResult(distances, rows)


def _nearest(
    documents: NDArray[np.uint8],
    queries: NDArray[np.uint8],
    rows: native.RowSet | None,
    k: int,
    isa: str,
    threads: int,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return distances and rows of the nearest documents, of these rows or of all."""
    n = len(documents) if rows is None else len(rows)
    return native.search(
        documents, queries, None, k=min(k, n), ids=None, rows=rows, isa=isa, threads=threads
    )


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

    Deduplication and clustering start from this graph.

    Parameters
    ----------
    codes : array_like of uint8, shape (n, n_bytes)
        Packed codes, as in :func:`search`; uint8 is always taken as packed bits, also where
        it holds numbers, one a dimension.
    k : int
        Neighbours of each row. There are at most ``n - 1``.
    progress : callable, optional
        Called from time to time, on the calling thread, with the share of the work that is done, 0
        to 1. An exception that it raises stops the work.
    isa : str, optional
        Instruction set, one of :func:`available_isas`; the best one by default.
    threads : int
        Number of threads; 0 means all.

    Returns
    -------
    SearchResult
        int32 distances, ascending, and int64 row numbers as ids, both of shape
        (n, min(k, n - 1)). Ties go to the smaller row. A row is not its own neighbour; an equal row
        can be.

    Raises
    ------
    TypeError
        `codes` are not uint8, or `progress` is not callable.
    ValueError
        `codes` have another shape, or `k` is negative.

    Notes
    -----
    The result is exact, and the same bytes on every instruction set and with any number of threads.
    Each of the ``n * (n - 1) / 2`` distances is computed once. Besides the result, the search needs
    about ``12 * k`` bytes of memory for each row, and at least 200. The GIL is released; Ctrl-C
    interrupts the search.

    Examples
    --------
    >>> codes = numpy.array([[0b1111_0000], [0b1110_0000], [0b0000_1111]], dtype="uint8")
    >>> bitsift.knn_graph(codes, k=1).ids.ravel()
    array([1, 0, 1])
    """
    rows = parse_matrix(codes, "codes")
    arguments.check_progress(progress)
    return SearchResult(
        *native.knn_graph(
            rows,
            k=min(arguments.check_k(k), max(len(rows) - 1, 0)),
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
        The number of bits in which ``a[i]`` and ``b[j]`` differ. A 1-D argument adds no axis.

    Raises
    ------
    TypeError
        `a` or `b` is not uint8.
    ValueError
        `a` and `b` have different numbers of bytes a row, or another shape.

    Notes
    -----
    The result is exact. It takes ``4 * na * nb`` bytes; :func:`search` finds the nearest rows
    without them. Many threads may call this at once; the GIL is released.

    Examples
    --------
    >>> a = numpy.array([[0b1111_0000], [0b1110_0000]], dtype="uint8")
    >>> bitsift.hamming(a, a)
    array([[0, 1],
           [1, 0]], dtype=int32)
    """
    left = arguments.parse_codes(a, "a")
    right = arguments.parse_codes(b, "b")
    check_same_width("a", left.rows, "b", right.rows)
    distances = native.hamming(
        left.rows, right.rows, resolve_isa(isa), arguments.check_threads(threads)
    )
    single = [axis for axis, codes in enumerate((left, right)) if codes.is_single]
    return distances.squeeze(tuple(single))
