# SPDX-License-Identifier: Apache-2.0
"""Bounds rounded to float32 with lower < upper, for calibrators and for callers' own bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.limits import LARGEST_FLOAT32

__all__ = ["as_ranges"]


def as_ranges(bounds: NDArray[Any]) -> NDArray[np.float32]:
    """Return bounds, shape (2, dim), as float32 with lower < upper.

    `Calibrator.ranges` tells what becomes of bounds that are equal.
    """
    ranges = _to_float32(bounds.astype(np.float64))
    lower, upper = ranges.astype(np.float64)
    constant = lower == upper
    if constant.any():
        value = lower[constant]
        half = np.full(value.shape, 0.5 * (upper - lower).max())
        apart = (_to_float32(value - half) < value) & (value < _to_float32(value + half))
        half = np.where(apart, half, np.abs(value))
        half[half == 0] = 1
        ranges[:, constant] = _to_float32(np.stack((value - half, value + half)))
    return ranges


def _to_float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return values as float32, clipped to its range."""
    return np.clip(values, -LARGEST_FLOAT32, LARGEST_FLOAT32).astype(np.float32)
