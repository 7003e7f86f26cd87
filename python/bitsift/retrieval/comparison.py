# SPDX-License-Identifier: Apache-2.0
"""The comparison of thresholds and rotations: learnt on one part of a sample, judged on another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitsift.core.options import THRESHOLDS, Metric, Scoring, Threshold
from bitsift.encoding.binarizer import Binarizer
from bitsift.encoding.rotation import random_flips
from bitsift.encoding.thresholds import compute_threshold
from bitsift.retrieval.evidence import Gain, gain_over
from bitsift.retrieval.parts import split
from bitsift.retrieval.trials import ALL_WAYS, Counts, Scan, Trials, Way

__all__ = ["Comparison", "Option", "Use", "compare"]


class Use(NamedTuple):
    """What an index is for: options are compared by what its searches find.

    Attributes
    ----------
    scans : tuple of Scan
        The scans; each option is used with the one that finds more, of equals with the first.
    is_rescored : bool
        Whether their candidates are rescored from originals.
    base : Scan or None
        The scan with the first option, if it is another.
    """

    scans: tuple[Scan, ...]
    is_rescored: bool
    base: Scan | None = None

    @classmethod
    def of_index(cls, scoring: Scoring | None, *, has_originals: bool, is_corrected: bool) -> Use:
        """Return the use of an index; scoring None scans as the data want it."""
        if scoring == "hamming":
            return cls(("hamming",), has_originals)
        scan: Scan = "corrected" if is_corrected else "asymmetric"
        if scoring is None and has_originals:
            return cls((scan, "hamming"), True)
        return cls((scan,), has_originals)

    @property
    def what_for(self) -> str:
        """The measure of the comparison."""
        return "rescored" if self.is_rescored else self.scans[0]


class Option(NamedTuple):
    """One way to make bits."""

    threshold: Threshold
    rotate: bool


class Comparison(NamedTuple):
    """What the options find in the part of a sample that judges.

    Attributes
    ----------
    options : list of Option
        The options; the first is threshold 0.
    trials : Trials
        The searches of that part.
    counts : list of Counts
        What each option finds.
    ways : list of Way
        The way in which each option is used.
    gains : list of Gain
        What each option gains over the first.
    contender : int
        The number of the best other option in the part that learns.
    is_certain : bool
        Whether it finds more than the first beyond doubt.
    has_few_queries : bool
        Whether there were too few queries for two parts.
    """

    options: list[Option]
    trials: Trials
    counts: list[Counts]
    ways: list[Way]
    gains: list[Gain]
    contender: int
    is_certain: bool
    has_few_queries: bool

    @property
    def best(self) -> int:
        """The number of the option to take."""
        return self.contender if self.is_certain else 0


def compare(
    rows: NDArray[np.float32],
    queries: NDArray[np.float32] | None,
    metric: Metric,
    isa: str,
    *,
    use: Use,
    rotate: bool = False,
    threads: int = 0,
    counts_all: bool = False,
) -> Comparison:
    """Compare options on a sample of at least 20 rows.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, dim)
        Documents.
    queries : ndarray of float32, shape (m, dim), or None
        Queries; None takes some of the rows.
    metric, isa, threads
        As of the index.
    use : Use
        What the index is for.
    rotate : bool
        Whether only options with a rotation are compared.
    counts_all : bool
        Whether to count what is found in all ways.
    """
    learnt, judged = split(rows, queries, metric)
    options = [Option(name, r) for r in (False, True)[rotate:] for name in THRESHOLDS]
    binarizers = _binarizers(learnt.rows, options, isa)
    ways = [Way(scan, use.is_rescored) for scan in use.scans]
    first = None if use.base is None else Way(use.base, use.is_rescored)
    needed = ways if first is None else [*ways, first]
    trials = Trials(judged, metric, isa, threads)
    counts = [
        trials.count(binarizer, ALL_WAYS if counts_all else needed) for binarizer in binarizers
    ]
    has_few = len(learnt.queries) == 0
    learning = counts  # few queries choose nothing, so any order will do
    if not has_few:
        trials_to_learn = Trials(learnt, metric, isa, threads)
        learning = [trials_to_learn.count(binarizer, needed) for binarizer in binarizers]
    used = [max(ways, key=lambda way: found[way].sum()) for found in learning]
    first = first or used[0]
    totals = [found[way].sum() for found, way in zip(learning, used, strict=True)]
    begin = int(first == used[0])  # the first option may compete with itself in another way
    contender = begin + int(np.argmax(totals[begin:]))
    base = counts[0][first]
    gains = [gain_over(found[way], base, trials.k) for found, way in zip(counts, used, strict=True)]
    is_certain = (
        not has_few
        and bool(totals[contender] > learning[0][first].sum())
        and gains[contender].is_certain
    )
    return Comparison(options, trials, counts, used, gains, contender, is_certain, has_few)


def _binarizers(rows: NDArray[np.float32], options: list[Option], isa: str) -> list[Binarizer]:
    dim = rows.shape[1]
    thresholds = {name: compute_threshold(rows, name) for name in THRESHOLDS}
    flips = random_flips(dim)
    return [
        Binarizer(dim, thresholds[option.threshold], isa, flips=flips if option.rotate else None)
        for option in options
    ]
