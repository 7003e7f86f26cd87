# SPDX-License-Identifier: Apache-2.0
"""Names that a caller chooses from, as types and as tuples, and defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

__all__ = [
    "CANDIDATE_RULES",
    "DEFAULT_K",
    "DEFAULT_OVERSAMPLING",
    "FLOAT_STORES",
    "INTEGER_STORES",
    "METRICS",
    "RULES",
    "SCORINGS",
    "SEARCH_SCORINGS",
    "STORES",
    "THRESHOLDS",
    "CandidateRule",
    "Kind",
    "Ladder",
    "Metric",
    "Rule",
    "Scoring",
    "SearchScoring",
    "Store",
    "Threshold",
]

Metric = Literal["cosine", "dot", "l2"]
METRICS: tuple[Metric, ...] = get_args(Metric)

Store = Literal["float32", "float16", "int8", "uint8", "int4", "ternary"]
FLOAT_STORES: tuple[Store, ...] = ("float32", "float16")
INTEGER_STORES: tuple[Store, ...] = ("int8", "uint8", "int4", "ternary")
STORES: tuple[Store, ...] = get_args(Store)

# A threshold that can be computed from vectors, and a rule that finds the threshold of an index.
Threshold = Literal["zero", "half-mean", "mean", "median"]
THRESHOLDS: tuple[Threshold, ...] = get_args(Threshold)
Rule = Literal["half-mean", "mean", "median", "auto"]
RULES: tuple[Rule, ...] = get_args(Rule)

Scoring = Literal["hamming", "asymmetric"]
SCORINGS: tuple[Scoring, ...] = get_args(Scoring)
# What a caller may say: "auto" is what the index has.
SearchScoring = Literal["auto", "hamming", "asymmetric"]
SEARCH_SCORINGS: tuple[SearchScoring, ...] = get_args(SearchScoring)
# How many candidates are rescored, unless the caller says.
CandidateRule = Literal["by-position", "fixed"]
CANDIDATE_RULES: tuple[CandidateRule, ...] = get_args(CandidateRule)
# What scores are: a distance, or a metric.
Kind = Literal["hamming", "cosine", "dot", "l2"]
# Names, and pairs of a name and a number. A type checker takes a list of both for a list of
# sequences of strings and numbers, so rungs are those.
Ladder = Sequence["str | tuple[str, float] | Sequence[str | float]"]

# Results of a search, and candidates for each result, unless the caller says otherwise.
DEFAULT_K = 10
DEFAULT_OVERSAMPLING = 4.0
