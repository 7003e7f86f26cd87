# SPDX-License-Identifier: Apache-2.0
"""Statements that others report about fewer bits, checked against the measurements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bitsift.core.floats import in_default_floats
from bitsift.core.public import public

__all__ = ["EvaluationCheck", "check_all"]

Verdict = Literal["held", "did not hold", "too close to tell"]

_STANDARD_ERRORS = 2.0
_EQUAL_SHARE = 0.01  # Conditions are level within this share of float32's quality.


@public
@dataclass(frozen=True)
class EvaluationCheck:
    """A statement that compares two conditions, and its verdict.

    Attributes
    ----------
    statement : str
        The first condition beats the second, or the two are level.
    verdict : {"held", "did not hold", "too close to tell"}
        "Beats" is decided by the mean difference over the queries: beyond two standard errors its
        sign decides, within them it is too close to tell. "Level" holds if the difference is at
        most 1 % of float32's quality, and does not hold if it exceeds that by more than two
        standard errors.
    first, second : float
        The quality of both: NDCG, or overlap where there are no judgments.
    standard_error : float
        The standard error of their difference.
    """

    statement: str
    verdict: Verdict
    first: float
    second: float
    standard_error: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)

    def to_json(self) -> dict[str, Any]:
        """Return :meth:`to_dict`; the older name."""
        return self.to_dict()

    @in_default_floats
    def __str__(self) -> str:
        return (
            f"{self.statement}: {self.verdict} here, {self.first:.4f} and {self.second:.4f} "
            f"(difference {self.first - self.second:+.4f} +- {self.standard_error:.4f})"
        )


Check = EvaluationCheck  # The name that older pickles carry.

# The statement, the condition that is better, and the one that is worse.
_BETTER = (
    ("documents only beats both sides", "int8, min/max", "int8 x int8"),
    ("documents only beats both sides", "int4, rolling", "int4 x int4"),
    ("documents only beats both sides", "ternary, rolling", "ternary x ternary"),
    ("documents only beats both sides", "binary (asymmetric)", "binary x binary (Hamming)"),
    ("4 bits beat ternary", "int4, rolling", "ternary, rolling"),
    ("4 bits beat ternary, both sides", "int4 x int4", "ternary x ternary"),
    ("ternary beats binary", "ternary, rolling", "binary (asymmetric)"),
    ("ternary beats binary, both sides", "ternary x ternary", "binary x binary (Hamming)"),
    ("rolling bounds beat min/max", "int8, rolling", "int8, min/max"),
    ("rolling bounds beat min/max", "int4, rolling", "int4, min/max"),
)
# The statement, and two conditions of equal quality.
_EQUAL = (
    ("8 and 4 bits are level", "int8, min/max", "int4, rolling"),
    ("8 and 4 bits are level, both sides", "int8 x int8", "int4 x int4"),
)


def check_all(
    quality: Mapping[str, NDArray[np.float64]], float_quality: float
) -> list[EvaluationCheck]:
    """Return the checks whose conditions were both measured.

    Parameters
    ----------
    quality : mapping of str to ndarray, shape (n_queries,)
        The quality of each query, by name of the condition; all of the same queries.
    float_quality : float
        The mean quality of float32.
    """
    checks = []
    for statements, are_equal in ((_BETTER, False), (_EQUAL, True)):
        for claim, first, second in statements:
            if first in quality and second in quality:
                statement = f"{claim} ({first} / {second})"
                checks.append(
                    _check(statement, quality[first], quality[second], are_equal, float_quality)
                )
    return checks


def _check(
    statement: str,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    are_equal: bool,
    float_quality: float,
) -> EvaluationCheck:
    gains = first - second
    error = float(gains.std(ddof=1) / math.sqrt(len(gains))) if len(gains) > 1 else 0.0
    gain, margin = float(gains.mean()), _STANDARD_ERRORS * error
    verdict: Verdict = "too close to tell"
    if are_equal:
        if abs(gain) <= _EQUAL_SHARE * float_quality:
            verdict = "held"
        elif abs(gain) - margin > _EQUAL_SHARE * float_quality:
            verdict = "did not hold"
    elif abs(gain) > margin:
        verdict = "held" if gain > 0 else "did not hold"
    return EvaluationCheck(statement, verdict, float(first.mean()), float(second.mean()), error)
