# SPDX-License-Identifier: Apache-2.0
"""What a search returns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitsift.core.public import public

__all__ = ["SearchResult"]


@public
class SearchResult(NamedTuple):
    """What a search found, best first; one row a query, or 1-D for a 1-D query.

    Attributes
    ----------
    scores : ndarray, shape (n_queries, k) or (k,)
        int32 Hamming distances, ascending; or float32, rescored or asymmetric: cosine and dot
        descending, l2 (Euclidean distance) ascending. Where there is no result: the largest int32,
        or the infinity that is worst.
    ids : ndarray of int64, the same shape
        Ids of the documents, -1 where there is no result.
    """

    scores: NDArray[Any]
    ids: NDArray[np.int64]
