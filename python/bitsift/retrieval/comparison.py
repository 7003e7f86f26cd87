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
    plain : Way or None
        The way without a correction, if the comparison is to say whether one pays. It is compared
        with the first option alone.
    """

    ways: tuple[Way, ...]
    plain: Way | None = None

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
        return "rescored" if self.is_rescored else self.ways[0].scan

    @property
    def is_rescored(self) -> bool:
        """Whether candidates are rescored from originals."""
        return self.ways[0].is_rescored

    @property
    def all_ways(self) -> tuple[Way, ...]:
        """All ways that are compared."""
        return self.ways if self.plain is None else (*self.ways, self.plain)


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
        What each option gains over the first, with that used in its best way.
    contender : int
        The number of the best other option of the part that learns.
    best : int
        The number of the option to take: the first, unless the contender finds more beyond doubt.
    best_way : Way
        How that is used.
    is_certain : bool
        Whether the contender finds more beyond doubt.
    correction : Gain or None
        What a correction with the best option gains over the first option without; None if that was
        not compared.
    """

    ways: list[Way]
    gains: list[Gain]
    contender: int
    best: int
    best_way: Way
    is_certain: bool
    correction: Gain | None


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
    ways = [_best_way(found, use.ways) for found in chooses]
    base = _best_way(chooses[0], use.all_ways)
    totals = [int(found[way].sum()) for found, way in zip(chooses, ways, strict=True)]
    contender = 1 + int(np.argmax(totals[1:]))
    gains = [
        gain_over(found[way], judged[0][base], k) for found, way in zip(judged, ways, strict=True)
    ]
    is_certain = (
        learnt is not None
        and totals[contender] > int(learnt[0][base].sum())
        and gains[contender].is_certain(is_rescored=use.is_rescored)
    )
    best = contender if is_certain else 0
    best_way, correction = ways[best], None
    if use.plain is not None:
        correction = gain_over(judged[best][best_way], judged[0][use.plain], k)
        pays = correction.is_certain(is_rescored=use.is_rescored)
        if not is_certain and (learnt is None or not pays):
            best_way = use.plain
    return Comparison(ways, gains, contender, best, best_way, is_certain, correction)


def _best_way(found: Counts, ways: tuple[Way, ...]) -> Way:
    return max(ways, key=lambda way: found[way].sum())
