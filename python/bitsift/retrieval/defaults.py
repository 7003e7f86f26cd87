# SPDX-License-Identifier: Apache-2.0
"""What a search does where its caller does not say."""

from __future__ import annotations

from typing import NamedTuple

from bitsift.core.options import CandidateRule, Scoring

__all__ = ["SearchDefaults"]


class SearchDefaults(NamedTuple):
    """What a search of an index does unless its arguments say otherwise.

    Attributes
    ----------
    scan : {"hamming", "asymmetric"}
        What float queries are compared with codes by.
    candidates : {"by-position", "fixed"}
        How many candidates are rescored: by the position of results, or four for each.
    """

    scan: Scoring
    candidates: CandidateRule
