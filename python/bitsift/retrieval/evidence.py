# SPDX-License-Identifier: Apache-2.0
"""Evidence that one way to search finds more than another: paired differences of queries."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_QUERIES", "Gain", "gain_over", "least_gain"]

# With fewer queries, a standard error is itself too uncertain.
LEAST_QUERIES = 30
# A gain is beyond doubt if it stays above this when so many standard errors are taken from it. A
# smaller gain may be one of the sample alone, where documents serve as queries.
_LEAST_GAIN = 0.02
# The same with rescoring. Of a sample few candidates are rescored, of a collection more, so that
# gains shrink: on text "half-mean" gained up to .06 in samples, and at most .002 in the index.
_LEAST_GAIN_RESCORED = 0.04
_STANDARD_ERRORS = 3.0


class Gain(NamedTuple):
    """How much more one way finds than another, for the same queries.

    Attributes
    ----------
    mean : float
        The mean difference of the shares found: -1 to 1.
    error : float or None
        Its standard error; None for one query.
    n_queries : int
        How many queries were compared.
    """

    mean: float
    error: float | None
    n_queries: int

    def is_certain(self, *, is_rescored: bool) -> bool:
        """Say whether the way finds more beyond doubt; whether by rescoring, the caller says."""
        least = least_gain(self.error, is_rescored=is_rescored)
        return self.n_queries >= LEAST_QUERIES and self.mean > least


def least_gain(error: float | None, *, is_rescored: bool) -> float:
    """Return how large a gain must be with such a standard error, to be beyond doubt."""
    if error is None:
        return math.inf
    least = _LEAST_GAIN_RESCORED if is_rescored else _LEAST_GAIN
    return least + _STANDARD_ERRORS * error


def gain_over(hits: NDArray[np.int64], base: NDArray[np.int64], k: int) -> Gain:
    """Return what a way gains over a base.

    `hits` and `base` count, for each query, how many of its true `k` neighbours are found. Sums of
    integers are exact, so the same counts give the same gain on every machine.
    """
    differences = hits - base
    n, total = len(differences), int(differences.sum())
    if n == 1:
        return Gain(total / k, None, n)
    squares = int((differences * differences).sum())
    error = math.sqrt((n * squares - total * total) / (n * n * (n - 1))) / k
    return Gain(total / (n * k), error, n)
