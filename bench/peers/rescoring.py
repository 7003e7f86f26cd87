# SPDX-License-Identifier: Apache-2.0
"""Candidates to rescore, and the peer."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import N_QUERIES, K

N_CANDIDATES = 40
Rescore = Callable[[NDArray[np.int64]], tuple[NDArray[Any], NDArray[Any]]]


def candidate_sets(n_rows: int) -> NDArray[np.int64]:
    """Draw many sets: the vectors of one would be in a cache from the call before."""
    per_set = N_QUERIES * N_CANDIDATES
    n_sets = min(n_rows // per_set, 64)
    rows = np.random.default_rng(5).permutation(n_rows)[: n_sets * per_set]
    return rows.reshape(n_sets, N_QUERIES, N_CANDIDATES)


def in_turn(function: Rescore, sets: NDArray[np.int64]) -> Callable[[], Any]:
    """Return a function that takes the next set of candidates at each call, the first one first."""
    turn = itertools.cycle(sets)
    return lambda: function(next(turn))


def numpy_rescore(
    gathered: NDArray[Any], queries: NDArray[np.float32], rows: NDArray[np.int64], metric: str
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Order gathered candidates by einsum: faster here than matmul or a loop over queries."""
    gathered = gathered.astype(np.float32, copy=False)
    scores = np.einsum("qd,qcd->qc", queries, gathered)
    if metric == "cosine":
        norms = np.sqrt(np.einsum("qcd,qcd->qc", gathered, gathered))
        scores /= norms * np.linalg.norm(queries, axis=1)[:, np.newaxis]
    order = np.argsort(-scores, axis=1)[:, :K]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
