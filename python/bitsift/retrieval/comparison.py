# SPDX-License-Identifier: Apache-2.0
"""The comparison of thresholds and rotations: learnt on one part of a sample, judged on another."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitsift.core.options import THRESHOLDS, Scoring, Threshold
from bitsift.retrieval.evidence import Gain, gain_over

__all__ = ["Comparison", "Counts", "Option", "Scan", "Use", "Way", "choose", "options"]

# How bits are compared: "corrected" is asymmetric scoring with a correction.
Scan = Literal["hamming", "asymmetric", "corrected"]


class Way(NamedTuple):
    """A way to search: by a scan alone, or by rescoring its candidates from the originals."""

    scan: Scan
    is_rescored: bool = False


# How many of its true neighbours each query finds.
Counts = dict[Way, NDArray[np.int64]]


class Use(NamedTuple):
    """What an index is for: options are compared by what its searches find.

    Attributes
    ----------
    ways : tuple of Way
        Ways to search; each option is used in the one that finds more, of equals in the first.
    base : Way or None
        The way in which the first option is used; None if it is among the others.
    """

    ways: tuple[Way, ...]
    base: Way | None = None

    @classmethod
    def of_index(cls, scoring: Scoring | None, *, has_originals: bool, is_corrected: bool) -> Use:
        """Return the use of an index; scoring None scans as the data want it."""
        if scoring == "hamming":
            return cls((Way("hamming", has_originals),))
        way = Way("corrected" if is_corrected else "asymmetric", has_originals)
        if scoring is None and has_originals:
            return cls((way, Way("hamming", True)))
        return cls((way,))

    @property
    def what_for(self) -> str:
        """The measure of the comparison, as :class:`Advice` names it."""
        scan, is_rescored = self.ways[0]
        return "rescored" if is_rescored else scan

    @property
    def all_ways(self) -> tuple[Way, ...]:
        """All ways that are compared."""
        return self.ways if self.base is None else (*self.ways, self.base)


class Option(NamedTuple):
    """One way to make bits."""

    threshold: Threshold
    rotate: bool


def options(*, rotate: bool) -> list[Option]:
    """Return all options, threshold 0 first; with `rotate`, only those with a rotation."""
    return [Option(name, r) for r in (False, True)[rotate:] for name in THRESHOLDS]


class Comparison(NamedTuple):
    """What options find of the part of a sample that judges.

    Attributes
    ----------
    ways : list of Way
        The way in which each option is used.
    gains : list of Gain
        What each option gains over the first.
    contender : int
        The number of the best other option of the part that learns.
    best : int
        The number of the option to take: the first, unless the contender finds more beyond doubt.
    best_way : Way
        How that is used.
    is_certain : bool
        Whether the contender finds more beyond doubt.
    """

    ways: list[Way]
    gains: list[Gain]
    contender: int
    best: int
    best_way: Way
    is_certain: bool


def choose(use: Use, k: int, learnt: list[Counts] | None, judged: list[Counts]) -> Comparison:
    """Choose an option by one part of a sample, and judge it by the other.

    Parameters
    ----------
    use : Use
        What the index is for.
    k : int
        True neighbours of each query of the part that judges.
    learnt, judged : list of Counts
        What each option finds of each part. If None is learnt, the first option is kept.
    """
    chooses = judged if learnt is None else learnt
    ways = [max(use.ways, key=lambda way: found[way].sum()) for found in chooses]
    totals = [int(found[way].sum()) for found, way in zip(chooses, ways, strict=True)]
    base = use.base or ways[0]
    begin = int(base == ways[0])  # in another way, the first option competes with itself
    contender = begin + int(np.argmax(totals[begin:]))
    gains = [
        gain_over(found[way], judged[0][base], k) for found, way in zip(judged, ways, strict=True)
    ]
    is_certain = (
        learnt is not None
        and totals[contender] > learnt[0][base].sum()
        and gains[contender].is_certain
    )
    best, best_way = (contender, ways[contender]) if is_certain else (0, base)
    return Comparison(ways, gains, contender, best, best_way, bool(is_certain))
