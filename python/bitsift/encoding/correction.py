# SPDX-License-Identifier: Apache-2.0
"""The correction: factors of documents that turn asymmetric scores into estimates of the metric."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.encoding.rounded_queries import RoundedQueries

__all__ = ["compute_factors", "n_factors", "query_constants"]


def n_factors(metric: str, centred: bool) -> int:
    """Return how many factors of 16 bits each vector has."""
    # Correction::n_columns() in cpp/encoding/correction.hpp has the same rule.
    return 2 if metric == "l2" or centred else 1


def compute_factors(
    vectors: NDArray[np.float32],
    threshold: NDArray[np.float32] | None,
    metric: str,
    first_row: int,
    threads: int = 0,
) -> NDArray[np.uint16]:
    """Return the factors of centred and rotated vectors, shape (n, 1), or (n, 2) with a threshold.

    `threshold` is rotated too; None if vectors have one factor each. `first_row` is the number of
    the first vector in the caller's array, for errors.
    """
    factors, finite = native.correction_factors(vectors, threshold, metric, threads)
    if not finite:
        row = int(np.argwhere((factors & 0x7F80) == 0x7F80)[0, 0])
        raise ValueError(
            f"vectors must be smaller for a correction within float32; row {first_row + row} is not"
        )
    return factors


def query_constants(queries: RoundedQueries, metric: str, *, centred: bool) -> NDArray[np.float64]:
    """Return what an estimate needs of each query, shape (3, n): a scale, a sum and a constant.

    `centred` says that the queries are centred, and that their products are with the threshold.
    """
    scales: NDArray[Any] = queries.scales[:, 0]
    constants = np.zeros(len(scales))
    if metric == "l2":
        constants = np.square(queries.norms[:, 0])
    elif centred:
        constants = queries.products[:, 0]
    elif metric == "cosine":
        norms = queries.norms[:, 0]
        scales = np.divide(scales, norms, out=np.zeros_like(scales), where=norms > 0)
    return np.stack((scales, queries.sums[:, 0], constants))
