# SPDX-License-Identifier: Apache-2.0
"""What a search does where its caller says nothing: what scans, and how many candidates."""

from __future__ import annotations

from typing import Literal, NamedTuple

from bitsift.core.options import CandidateRule, Scoring

__all__ = ["DEFAULTS", "EXACT_DEFAULTS", "SearchDefaults", "Step", "steps_by_position"]

# Results up to a number come from so many candidates; beyond the last, both double.
_FIRST_STEPS = (16, 100), (100, 600)


class SearchDefaults(NamedTuple):
    """The defaults of an index.

    Attributes
    ----------
    scan : {"hamming", "asymmetric"}
        What scans for float queries. Bits are always compared by Hamming distance.
    candidates : {"by-position", "fixed", "all"}
        How many candidates are rescored: by the position of a result, so that any two pages are
        slices of one list (`steps_by_position`); 4 for each result, the rule of version 0.1.0; or
        all vectors, whatever a caller says, of an index that waits for more of them.
    """

    scan: Scoring
    candidates: CandidateRule | Literal["all"]


# Of vectors that wait: all are candidates, so a search is exact whatever scans.
EXACT_DEFAULTS = SearchDefaults("hamming", "all")
# Of new indexes, until their vectors decide what scans.
DEFAULTS = SearchDefaults("asymmetric", "by-position")


class Step(NamedTuple):
    """A run of results that come from the same candidates.

    Attributes
    ----------
    n_results : int
        The last result of the step, counted from 1 over all steps.
    n_candidates : int
        Its results are the best of so many candidates, without the results of earlier steps.
    """

    n_results: int
    n_candidates: int


def steps_by_position(n_results: int, n_rows: int) -> tuple[Step, ...]:
    """Return the steps to `n_results` results, at most `n_rows`.

    Results 1 to 16 come from the best 100 candidates, 17 to 100 from 600, up to 200 from 1,200, up
    to 400 from 2,400 and so on. A step depends on nothing but these numbers, so a longer list of
    results begins with the shorter ones. Where the candidates are all rows, the results that are
    left come in the order of their scores.
    """
    steps: list[Step] = []
    ends, n_candidates = 0, 0
    while ends < n_results and n_candidates < n_rows:
        if len(steps) < len(_FIRST_STEPS):
            ends, n_candidates = _FIRST_STEPS[len(steps)]
        else:
            ends, n_candidates = 2 * ends, 2 * n_candidates
        n_candidates = min(n_candidates, n_rows)
        steps.append(Step(ends, n_candidates))
    if not steps:
        return (Step(0, 0),)
    return (*steps[:-1], Step(n_results, n_candidates))
