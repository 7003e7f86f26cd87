# SPDX-License-Identifier: Apache-2.0
"""Factors of documents that make asymmetric scores estimates of the metric itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.encoding.binarizer import Binarizer, Packed
from bitsift.encoding.rounded_queries import AsymmetricQueries

__all__ = ["n_factors", "query_numbers", "write_factors"]


def n_factors(metric: str, centred: bool) -> int:
    """Return how many numbers of 16 bits a vector gets."""
    return 2 if metric == "l2" or centred else 1


def write_factors(
    binarizer: Binarizer,
    metric: str,
    packed: Packed,
    out: NDArray[np.uint16],
    first_row: int,
    n_columns: int,
) -> None:
    """Write the factors of vectors, the first of which has that number among the caller's."""
    vectors = np.ascontiguousarray(binarizer.relative(packed), np.float32)
    centre = None
    if n_columns == 2:
        centre = np.ascontiguousarray(binarizer.relative_centre(), np.float32)
    factors, finite = native.correction_factors(vectors, centre, metric, 0)
    if not finite:
        row = int(np.argwhere((factors & 0x7F80) == 0x7F80)[0, 0])
        raise ValueError(
            f"vectors must be smaller for a correction within float32; row {first_row + row} is not"
        )
    out[:] = factors


def query_numbers(queries: AsymmetricQueries, metric: str, *, centred: bool) -> NDArray[np.float64]:
    """Return a scale, a sum and a constant for each query: what estimates need besides distances.

    If `centred`, queries are relative to a threshold, and their products are with it.
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
