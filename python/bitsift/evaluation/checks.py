# SPDX-License-Identifier: Apache-2.0
"""What others report of fewer bits, held against what was measured here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Check", "check_all"]

Verdict = Literal["held", "did not hold", "too close to tell"]

_STANDARD_ERRORS = 2.0
_LEVEL = 0.01  # of float32's quality


@dataclass(frozen=True)
class Check:
    """A statement about two conditions.

    Attributes
    ----------
    statement : str
        ``"... beats ..."`` or ``"... is level with ..."``.
    verdict : {"held", "did not hold", "too close to tell"}
        Of better: whether the mean of the queries' differences is more than two of its standard
        errors from 0, and on which side. Of level: whether the difference is at most 1 % of
        float32's quality; where it is more, whether two standard errors reach down to that.
    first, second : float
        What was measured: NDCG, or overlap where there are no judgments.
    standard_error : float
        Of their difference.
    """

    statement: str
    verdict: Verdict
    first: float
    second: float
    standard_error: float

    def to_json(self) -> dict[str, Any]:
        """Give the same as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.statement}: {self.verdict} here, {self.first:.4f} and {self.second:.4f} "
            f"(difference {self.first - self.second:+.4f} +- {self.standard_error:.4f})"
        )


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
_SAME = (
    ("8 and 4 bits are level", "int8, min/max", "int4, rolling"),
    ("8 and 4 bits are level, both sides", "int8 x int8", "int4 x int4"),
)


def check_all(quality: Mapping[str, NDArray[np.float64]], of_floats: float) -> list[Check]:
    """Return the checks of which both conditions were measured.

    Parameters
    ----------
    quality : mapping of str to ndarray, shape (n_queries,)
        By the name of the condition, of the same queries.
    of_floats : float
        The mean of float32.
    """
    checks = []
    for pairs, is_level in ((_BETTER, False), (_SAME, True)):
        for what, first, second in pairs:
            if first in quality and second in quality:
                statement = f"{what} ({first} / {second})"
                checks.append(
                    _check(statement, quality[first], quality[second], is_level, of_floats)
                )
    return checks


def _check(
    statement: str,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    is_level: bool,
    of_floats: float,
) -> Check:
    gains = first - second
    error = float(gains.std(ddof=1) / math.sqrt(len(gains))) if len(gains) > 1 else 0.0
    gain, reach = float(gains.mean()), _STANDARD_ERRORS * error
    verdict: Verdict = "too close to tell"
    if is_level:
        if abs(gain) <= _LEVEL * of_floats:
            verdict = "held"
        elif abs(gain) - reach > _LEVEL * of_floats:
            verdict = "did not hold"
    elif abs(gain) > reach:
        verdict = "held" if gain > 0 else "did not hold"
    return Check(statement, verdict, float(first.mean()), float(second.mean()), error)
