# SPDX-License-Identifier: Apache-2.0
"""The result of a search."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitsift.core.public import public

__all__ = ["SearchResult"]


@public
class SearchResult(NamedTuple):
    """Scores and ids that a search found, best first; one row for each query.

    A 1-D query gives 1-D arrays.

    Attributes
    ----------
    scores : ndarray, shape (n_queries, k) or (k,)
        int32 Hamming distances, ascending; or, after rescoring or asymmetric scoring, float32:
        cosine and dot descending, l2 (Euclidean distance) ascending. A missing result has the
        largest int32, or the infinity that is the worst score.
    ids : ndarray of int64, same shape
        Ids of the documents; -1 for a missing result. ``ids[ids >= 0]`` drops these; as a position,
        -1 would be the last document.
    """

    scores: NDArray[Any]
    ids: NDArray[np.int64]
