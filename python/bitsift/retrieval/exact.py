# SPDX-License-Identifier: Apache-2.0
"""The exact neighbours of queries, and how many of them a search finds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core.options import Metric

__all__ = ["MOST_NEIGHBOURS", "count_hits", "exact_neighbours"]

# So many neighbours of each query are to be found.
MOST_NEIGHBOURS = 10


def exact_neighbours(
    rows: NDArray[np.float32],
    queries: NDArray[np.float32],
    k: int,
    metric: Metric,
    isa: str,
    threads: int,
) -> NDArray[np.int64]:
    """Return the `k` nearest rows of each query by the metric, shape (n_queries, k)."""
    everyone = np.broadcast_to(np.arange(len(rows)), (len(queries), len(rows)))
    return native.rescore(
        rows,
        queries,
        np.ascontiguousarray(everyone),
        k=k,
        metric=metric,
        ids=None,
        isa=isa,
        threads=threads,
    )[1]


def count_hits(found: NDArray[np.int64], exact: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many of the exact neighbours of each query are found."""
    is_hit = (found[:, :, np.newaxis] == exact[:, np.newaxis, :]).any(axis=1)
    hits: NDArray[np.int64] = is_hit.sum(axis=1, dtype=np.int64)
    return hits
