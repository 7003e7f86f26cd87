# SPDX-License-Identifier: Apache-2.0
"""Axes of the plots of a page: ends, ticks, and where a value lies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

__all__ = ["Axis", "bytes_axis", "linear_axis", "logarithmic_axis", "places_axis"]

_MOST_TICKS = 7
# Shares of the length of an axis: a character of a text, and the least gap between two texts.
_CHARACTER, _GAP = 0.021, 0.02


@dataclass(frozen=True)
class Axis:
    """An axis between two values.

    Attributes
    ----------
    low, high : float
        Its ends, after `shape`.
    ticks : list of (float, str)
        Values and their texts.
    shape : callable
        What is linear along the axis, such as a logarithm.
    """

    low: float
    high: float
    ticks: list[tuple[float, str]]
    shape: Callable[[float], float]

    def scaled(self, begin: float, end: float) -> Callable[[float], float]:
        """Return the function from a value to its place between two places."""

        def place(value: float) -> float:
            share = (self.shape(value) - self.low) / (self.high - self.low)
            return begin + share * (end - begin)

        return place


def linear_axis(values: Sequence[float], *, percent: bool = False) -> Axis:
    """Return an axis around values, from tick to tick, in percent or as they are."""
    low, high = min(values), max(values)
    if high - low <= 1e-9 * abs(high):
        low, high = low - 0.1 * (abs(low) or 1.0), high + 0.1 * (abs(high) or 1.0)
    step = _step((high - low) / (_MOST_TICKS - 2))
    first, last = math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6)
    scale, unit = (100.0, " %") if percent else (1.0, "")
    digits = max(0, -math.floor(math.log10(scale * step) + 1e-9))
    ticks = [(i * step, f"{scale * i * step:,.{digits}f}{unit}") for i in range(first, last + 1)]
    return Axis(first * step, last * step, ticks, float)


def logarithmic_axis(values: Sequence[float]) -> Axis:
    """Return a logarithmic axis around values above 0, with ticks at 1, 2 and 5 where they fit."""
    low, high = math.log10(min(values)), math.log10(max(values))
    # 0.8 decades have two of the ticks or more.
    low, high = _apart(low, high, max(0.15, (0.8 - (high - low)) / 2))
    for digits in ((1, 2, 5), (1, 3), (1,)):
        ticks = [
            digit * 10.0**power
            for power in range(math.floor(low), math.ceil(high) + 1)
            for digit in digits
        ]
        inside = [(tick, f"{tick:,.10g}") for tick in ticks if low <= math.log10(tick) <= high]
        axis = Axis(low, high, inside, math.log10)
        if _fit(axis):
            return axis
    return _thinned(axis)


def bytes_axis(values: Sequence[float]) -> Axis:
    """Return a logarithmic axis with ticks at powers of 2; 0 lies left of all others."""
    above = [value for value in values if value > 0] or [1.0]
    low, high = _apart(math.floor(math.log2(min(above))), math.ceil(math.log2(max(above))), 0.0)
    powers = range(math.ceil(low), math.floor(high) + 1)
    ticks = [(2.0**power, f"{2**power:,}") for power in powers]
    zero = low - 1.0
    if min(values) > 0:
        return _thinned(Axis(low, high, ticks, math.log2))
    return _thinned(
        Axis(
            zero,
            high,
            [(0.0, "none"), *ticks],
            lambda value: math.log2(value) if value > 0 else zero,
        )
    )


def places_axis(values: Sequence[float]) -> Axis:
    """Return a logarithmic axis with a tick at each value."""
    places = sorted(set(values)) or [1.0]
    low, high = _apart(math.log2(places[0]), math.log2(places[-1]), 0.0)
    return Axis(low, high, [(place, f"{place:g}") for place in places], math.log2)


def _fit(axis: Axis) -> bool:
    """Say whether the texts of neighbouring ticks lie apart."""
    place = axis.scaled(0.0, 1.0)
    return all(
        place(right) - place(left) >= _GAP + _CHARACTER * (len(before) + len(after)) / 2
        for (left, before), (right, after) in itertools.pairwise(axis.ticks)
    )


def _thinned(axis: Axis) -> Axis:
    """Return the axis with the first of its ticks and every second, third, ... that fits."""
    thinned = axis
    for stride in range(2, len(axis.ticks) + 1):
        if _fit(thinned):
            break
        thinned = replace(axis, ticks=axis.ticks[::stride])
    return thinned


def _apart(low: float, high: float, margin: float) -> tuple[float, float]:
    """Return two ends with a margin, which are not the same."""
    low, high = low - margin, high + margin
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _step(least: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of 10 that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(
        digit * power for digit in (1.0, 2.0, 5.0, 10.0) if digit * power >= least * (1 - 1e-9)
    )
