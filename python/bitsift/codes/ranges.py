# SPDX-License-Identifier: Apache-2.0
"""All rows of a caller's codes within a Hamming distance."""

from __future__ import annotations

from typing import Literal, SupportsIndex, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.codes.checks import check_same_width, parse_masks, parse_matrix
from bitsift.core import arguments
from bitsift.core.isa import resolve_isa
from bitsift.core.public import public
from bitsift.core.range_results import RangeResult, joined_ranges

__all__ = ["range_search"]


@overload
def range_search(
    codes: ArrayLike,
    queries: ArrayLike,
    radius: SupportsIndex,
    *,
    filter: ArrayLike | None = None,
    count_only: Literal[False] = False,
    isa: str | None = None,
    threads: SupportsIndex = 0,
) -> RangeResult: ...


@overload
def range_search(
    codes: ArrayLike,
    queries: ArrayLike,
    radius: SupportsIndex,
    *,
    filter: ArrayLike | None = None,
    count_only: Literal[True],
    isa: str | None = None,
    threads: SupportsIndex = 0,
) -> NDArray[np.int64]: ...


@public
def range_search(
    codes: ArrayLike,
    queries: ArrayLike,
    radius: SupportsIndex,
    *,
    filter: ArrayLike | None = None,
    count_only: bool = False,
    isa: str | None = None,
    threads: SupportsIndex = 0,
) -> RangeResult | NDArray[np.int64]:
    """Find all rows of `codes` within a Hamming distance of each query, exactly.

    Parameters
    ----------
    codes : array_like of uint8, shape (n, n_bytes)
        Packed codes, as in :func:`search`.
    queries : array_like of uint8, shape (n_queries, n_bytes) or (n_bytes,)
        Packed codes.
    radius : int
        The largest distance, in bits, that is found; a negative one finds nothing.
    filter : array_like of bool, shape (n,) or (n_queries, n), optional
        The rows that may be found, for all queries or for each. Where few may, the cost follows
        their number.
    count_only : bool
        Whether to return the numbers of rows alone. They are counted as they are found, so that
        nothing is kept.
    isa : str, optional
        Instruction set, one of :func:`available_isas`; the best one by default.
    threads : int
        Number of threads; 0 means all. Small jobs stay on the calling thread.

    Returns
    -------
    RangeResult
        ``lims, distances, ids``: int32 distances, ascending for each query, and int64 row numbers
        as ids. All rows at the radius are among them; ties go to the smaller row. With
        `count_only`, an array of int64 of shape (n_queries,), or () for a 1-D query.

    Raises
    ------
    TypeError
        `codes` or `queries` are not uint8, `filter` is not bool, or `radius` is no integer.
    ValueError
        Shapes do not fit.

    Notes
    -----
    The result is exact, and the same bytes on every instruction set and with any number of threads.
    The cost is one pass over `codes` for every 256 queries, and some nanoseconds for each row that
    is found. A result takes 12 bytes, and up to 30 until the call ends. Many threads may call this
    at once; the GIL is released; Ctrl-C interrupts it.

    Examples
    --------
    >>> codes = numpy.array([[0b1111_0000], [0b1110_0000], [0b0000_1111]], dtype="uint8")
    >>> lims, distances, rows = bitsift.range_search(codes, codes[:2], radius=1)
    >>> lims, distances, rows
    (array([0, 2, 4]), array([0, 1, 0, 1], dtype=int32), array([0, 1, 1, 0]))
    >>> bitsift.range_search(codes, codes[:2], radius=8, count_only=True)
    array([3, 3])
    """
    documents = parse_matrix(codes, "codes")
    wanted = arguments.parse_codes(queries, "queries")
    check_same_width("queries", wanted.rows, "codes", documents)
    n_queries = len(wanted.rows)
    masks = None if filter is None else parse_masks(filter, n_queries, len(documents))
    limit = arguments.check_bits(radius, "radius")
    count_only = arguments.check_bool(count_only, "count_only")
    isa, threads = resolve_isa(isa), arguments.check_threads(threads)
    parts: list[tuple[slice, native.RowSet | None]] = [(slice(None), None)]
    if masks is not None and masks.ndim == 1:
        parts = [(slice(None), native.RowSet.of_values(masks))]
    elif masks is not None and n_queries > 0:
        parts = [(slice(i, i + 1), native.RowSet.of_values(mask)) for i, mask in enumerate(masks)]
    limits = np.full(n_queries, limit, np.int64)
    if count_only:
        counts = [
            native.count_in_range(
                documents, wanted.rows[part], None, limits[part], rows=rows, isa=isa,
                threads=threads,
            )
            for part, rows in parts
        ]  # fmt: skip
        all_counts = np.concatenate(counts)
        return all_counts.reshape(()) if wanted.is_single else all_counts
    found = [
        native.range_search(
            documents, wanted.rows[part], None, limits[part], ids=None, rows=rows, isa=isa,
            threads=threads,
        )[:3]
        for part, rows in parts
    ]  # fmt: skip
    return RangeResult(*joined_ranges(found, np.int32))
