# SPDX-License-Identifier: Apache-2.0
"""Warnings of what small types lose of vectors, measured on a sample of rows.

Values lie outside the bounds of integers, or nearly all become the same integer, or are too small
for float16.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bitsift.core.errors import warn
from bitsift.core.samples import Stacked, scattered
from bitsift.quantization.integers import INTEGER_CODECS

__all__ = [
    "MOST_ROWS_SAMPLED",
    "sample_of",
    "warn_of_alike",
    "warn_of_clipped",
    "warn_of_tiny",
]

# A share of 1,024 x dim values is known to a percent or better, and takes milliseconds.
MOST_ROWS_SAMPLED = 1024
# Values outside the bounds beyond those that the bounds' rule clips anyway. On the demo's 4,400
# papers, scored by int8 with narrower bounds, float's top 10 was found to 99 % with 1 % of the
# values outside, to 95 % with 4 %, to 92 % with 10 % and to 84 % with 33 %.
_MOST_CLIPPED = 0.05
# Ternary codes are to leave values out, and keep no more of those within. With 76 % outside in
# place of 48 %, 74 % of the top 10 were found in place of 79 %.
_MOST_BEYOND_TERNARY = 0.3
# Values that become the most frequent integer of their dimension. On the same papers, 70 % of
# float's top 10 were found where 79 % of int4's codes were alike, 62 % with 87 % of ternary's, and
# 23 % with 99 %.
_MOST_ALIKE = 0.8
# A share of fewer values says little.
_LEAST_VALUES = 100
# With fewer rows, the most frequent integer of a dimension is so by chance, and a spread unknown.
_LEAST_ROWS = 8
_STANDARD_ERRORS = 4.0
_SMALLEST_NORMAL = 2.0**-14


class BoundsRule(Protocol):
    """How bounds were found: a calibrator."""

    @property
    def n(self) -> int:
        """Vectors that it has seen."""

    @property
    def _n_std(self) -> float | None:
        """Standard deviations on either side of the mean; None for minimum and maximum."""


def sample_of(rows: NDArray[Any] | Stacked, most: int = MOST_ROWS_SAMPLED) -> NDArray[np.float32]:
    """Return at most `most` rows, spread over all, as float32; they are finite in it."""
    if rows.dtype == np.float32:
        return scattered(rows, most)
    with np.errstate(under="ignore"):
        return scattered(rows, most).astype(np.float32, copy=False)


def warn_of_clipped(
    rows: NDArray[np.float32],
    ranges: NDArray[np.float32],
    precision: str,
    calibrator: BoundsRule | None,
    what: str,
    remedy: str,
) -> bool:
    """Warn if many values lie outside bounds that were not computed from them; say whether.

    `rows` are a sample, `what` begins the message, and `calibrator` is the one that the bounds come
    from, None for bounds of a caller.
    """
    if rows.size < _LEAST_VALUES:
        return False
    share = _share_outside(rows, ranges)
    most = _MOST_BEYOND_TERNARY if precision == "ternary" else _MOST_CLIPPED
    if share <= most:
        return False
    usual = _usual_share(rows, calibrator)
    noise = _STANDARD_ERRORS * math.sqrt(usual * (1 - usual) / rows.size)
    if share <= usual + most + noise:
        return False
    beside = f" ({usual:.0%} would be usual)" if usual >= 0.005 else ""
    warn(
        f"{what} {share:.0%} of the values lie outside the bounds{beside} and are clipped: {remedy}"
    )
    return True


def warn_of_alike(
    rows: NDArray[np.float32],
    ranges: NDArray[np.float32],
    precision: str,
    what: str,
    remedy: str,
) -> bool:
    """Warn if nearly all values of a dimension become the same integer, though they differ.

    Say whether.
    """
    if len(rows) < _LEAST_ROWS:
        return False
    codec, dim = INTEGER_CODECS[precision], rows.shape[1]
    codes = codec.unpack(codec.encode(np.ascontiguousarray(rows), ranges), dim)
    alike = _shares_of_median(codes)
    if alike.mean() < _MOST_ALIKE:
        return False
    # A dimension whose values are themselves alike loses nothing. In few rows of sparse data, some
    # dimensions have values that differ by chance.
    noise = _STANDARD_ERRORS * math.sqrt(_MOST_ALIKE * (1 - _MOST_ALIKE) / len(rows))
    differ = _shares_of_median(rows) < _MOST_ALIKE - noise
    if not differ.any() or (share := float(alike[differ].mean())) < _MOST_ALIKE:
        return False
    number = "0" if precision == "ternary" else "the same integer in their dimension"
    warn(f"{what} {share:.0%} of the values become {number}, so rows hardly differ: {remedy}")
    return True


def warn_of_tiny(rows: NDArray[np.float32], parameter: str) -> bool:
    """Warn if float16 keeps few bits of many rows, because all their values are tiny; say so.

    `parameter` is that by which the caller chose float16.
    """
    largest = np.abs(rows).max(axis=1, initial=0)
    tiny = (largest > 0) & (largest < _SMALLEST_NORMAL)
    share = float(tiny.mean()) if len(rows) else 0.0
    if share <= _MOST_CLIPPED:
        return False
    warn(
        f"{parameter}='float16': {share:.0%} of the rows have no value above "
        f"{_SMALLEST_NORMAL:.1e}, where float16 keeps few bits or none: scale the vectors, or "
        f'use {parameter}="float32"'
    )
    return True


def _share_outside(rows: NDArray[np.float32], ranges: NDArray[np.float32]) -> float:
    lower, upper = ranges
    return np.count_nonzero((rows < lower) | (rows > upper)) / rows.size


def _usual_share(rows: NDArray[np.float32], calibrator: BoundsRule | None) -> float:
    """Return the share that bounds of that rule leave out of such rows."""
    if calibrator is None:
        return 0.0
    n_std = calibrator._n_std
    if n_std is None:  # minimum and maximum of n values; a further one is beyond as often as any
        return 2 / (calibrator.n + 1)
    if len(rows) < _LEAST_ROWS:  # Chebyshev: no distribution has more
        return 1.0 if n_std <= 1 else (1 / n_std) ** 2
    values = rows.astype(np.float64)
    with np.errstate(over="ignore", under="ignore"):
        mean, spread = values.mean(axis=0), n_std * values.std(axis=0)
        outside = (np.abs(values - mean) > spread).mean(axis=0)
    # The same value again and again has no spread. It lies outside as often as others: take normal
    # ones.
    outside[(values == values[0]).all(axis=0)] = math.erfc(n_std / math.sqrt(2))
    return float(outside.mean())


def _shares_of_median(rows: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return for each column the share of its most frequent value, if that has more than half."""
    middle = np.partition(rows, len(rows) // 2, axis=0)[len(rows) // 2]
    shares: NDArray[np.float64] = (rows == middle).mean(axis=0)
    return shares
