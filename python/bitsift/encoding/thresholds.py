# SPDX-License-Identifier: Apache-2.0
"""Thresholds computed from vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core.options import Threshold

__all__ = ["centre_of", "unit_rows"]


def centre_of(rows: NDArray[np.float32], threshold: Threshold) -> float | NDArray[Any]:
    """Return the threshold of that name: a number or one for each dimension."""
    if threshold == "zero":
        return 0.0
    if threshold == "median":
        median: NDArray[Any] = np.median(rows, axis=0)
        return median
    mean: NDArray[Any] = rows.mean(axis=0, dtype=np.float64)
    return mean / 2 if threshold == "half-mean" else mean


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows of length 1; zeros as they are."""
    dim = rows.shape[1]
    nothing = np.zeros(dim, np.float32)
    no_flips = np.empty((0, dim), np.float32)
    return native.centre_and_rotate(rows, nothing, no_flips, normalize=True, threads=0)[0]
