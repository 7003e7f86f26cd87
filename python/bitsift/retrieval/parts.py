# SPDX-License-Identifier: Apache-2.0
"""The two parts of a sample: one to learn from, and one to judge what was learnt."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitsift.core import arguments
from bitsift.core.interruptible import interruptibly
from bitsift.core.limits import MOST_ROWS_ADVISED
from bitsift.core.options import Metric
from bitsift.core.samples import Stacked, evenly, evenly_spaced, shuffled
from bitsift.encoding.thresholds import unit_rows
from bitsift.retrieval.evidence import LEAST_QUERIES

__all__ = ["LEAST_ROWS_TO_CHOOSE", "MOST_ROWS_COMPARED", "Part", "some_rows", "split"]

_MOST_QUERIES = 512  # of both parts
# Of a sample without queries, more rows are not looked at.
MOST_ROWS_COMPARED = MOST_ROWS_ADVISED + _MOST_QUERIES
# Of so many vectors one serves as a query, if no queries are given.
_VECTORS_FOR_A_QUERY = 4
# So many vectors give enough queries for two parts.
LEAST_ROWS_TO_CHOOSE = 2 * LEAST_QUERIES * _VECTORS_FOR_A_QUERY


class Part(NamedTuple):
    """Some documents and some queries.

    Attributes
    ----------
    rows, queries : ndarray of float32, shape (n, dim) and (m, dim)
        The vectors: for the cosine scaled to length 1, else by a power of two, the same for all.
    given_rows, given_queries : ndarray of float32
        The same vectors as they came.
    """

    rows: NDArray[np.float32]
    queries: NDArray[np.float32]
    given_rows: NDArray[np.float32]
    given_queries: NDArray[np.float32]


def split(
    rows: NDArray[np.float32],
    queries: NDArray[np.float32] | None,
    metric: Metric,
    threads: int = 0,
) -> tuple[Part, Part]:
    """Return the part of a sample to learn from, and the part to judge by.

    Without queries, a quarter of the rows serve as such, and are not among the documents. Which
    vectors go where is irregular, and depends on their number alone. Too few queries for two parts
    are all in the second.
    """
    if queries is None:
        rows = queries = evenly(rows, MOST_ROWS_COMPARED)
        order = shuffled(len(rows))
        n_queries = min(_MOST_QUERIES, len(rows) // _VECTORS_FOR_A_QUERY)
        asked, searched = order[:n_queries], order[n_queries:]
    else:
        rows, queries = evenly(rows, MOST_ROWS_ADVISED), evenly(queries, _MOST_QUERIES)
        asked, searched = shuffled(len(queries)), shuffled(len(rows))
    exponent = None  # of a power of two by which all are divided, so that no score overflows
    if metric != "cosine":
        exponent = np.frexp(max(np.abs(rows).max(), np.abs(queries).max()))[1]
    half, n_learnt = len(searched) // 2, 0
    if len(asked) >= 2 * LEAST_QUERIES:
        n_learnt = len(asked) // 2
    return (
        _part(
            rows[np.sort(searched[:half])], queries[np.sort(asked[:n_learnt])], exponent, threads
        ),
        _part(
            rows[np.sort(searched[half:])], queries[np.sort(asked[n_learnt:])], exponent, threads
        ),
    )


def _part(
    rows: NDArray[np.float32], queries: NDArray[np.float32], exponent: int | None, threads: int
) -> Part:
    if exponent is None:
        return Part(unit_rows(rows, threads), unit_rows(queries, threads), rows, queries)
    return Part(np.ldexp(rows, -exponent), np.ldexp(queries, -exponent), rows, queries)


def some_rows(sample: NDArray[Any] | Stacked, n: int, name: str) -> NDArray[np.float32]:
    """Return at most `n` rows, evenly spaced, as finite float32; `name` is for errors."""
    numbers = evenly_spaced(len(sample), n)
    some = evenly(sample, n)
    narrowed: NDArray[np.float32] = interruptibly(
        some.size, arguments.narrow, some, np.float32, name, numbers=numbers
    )
    return np.ascontiguousarray(narrowed)
