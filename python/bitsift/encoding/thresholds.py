# SPDX-License-Identifier: Apache-2.0
"""Thresholds computed from vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core.interruptible import interruptibly
from bitsift.core.options import Threshold

__all__ = ["compute_threshold", "unit_rows"]

_MOST_VALUES_AT_ONCE = 1 << 20


def compute_threshold(rows: NDArray[np.float32], name: Threshold) -> float | NDArray[Any]:
    """Return the threshold of that name: 0.0, or one number for each dimension."""
    if name == "zero":
        return 0.0
    if name == "median":
        return _medians(rows)
    mean: NDArray[Any] = interruptibly(rows.size, rows.mean, axis=0, dtype=np.float64)
    return mean / 2 if name == "half-mean" else mean


def _medians(rows: NDArray[np.float32]) -> NDArray[Any]:
    # A few columns at a time: between calls of NumPy, Python handles signals.
    at_once = max(1, _MOST_VALUES_AT_ONCE // max(1, len(rows)))
    parts = [np.median(rows[:, i : i + at_once], axis=0) for i in range(0, rows.shape[1], at_once)]
    return np.concatenate(parts)


def unit_rows(rows: NDArray[np.float32], threads: int = 0) -> NDArray[np.float32]:
    """Return rows scaled to length 1; rows of zeros as they are."""
    dim = rows.shape[1]
    zeros = np.zeros(dim, np.float32)
    no_flips = np.empty((0, dim), np.float32)
    return native.centre_and_rotate(rows, zeros, no_flips, normalize=True, threads=threads)[0]
