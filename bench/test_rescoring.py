# SPDX-License-Identifier: Apache-2.0
"""How long does it take to order candidates by their original vectors?

The search that finds candidates is not timed, so this calls the core that `Index.search` calls.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bitsift import _core

from .checks import close_scores
from .conftest import DIM, N_QUERIES, Contest

K = 10
N_CANDIDATES = 40
Rescore = Callable[[NDArray[np.int64]], tuple[NDArray[Any], NDArray[Any]]]


@pytest.fixture(params=["float32", "float16"])
def originals(request: pytest.FixtureRequest) -> NDArray[Any]:
    return request.getfixturevalue({"float32": "vectors", "float16": "vectors16"}[request.param])


@pytest.fixture(scope="module")
def queries() -> NDArray[np.float32]:
    return np.random.default_rng(4).standard_normal((N_QUERIES, DIM), dtype=np.float32)


@pytest.fixture(scope="module")
def candidates(n_rows: int) -> NDArray[np.int64]:
    """Give many sets: the vectors of one would be in a cache from the call before."""
    per_set = N_QUERIES * N_CANDIDATES
    n_sets = min(n_rows // per_set, 64)
    rows = np.random.default_rng(5).permutation(n_rows)[: n_sets * per_set]
    return rows.reshape(n_sets, N_QUERIES, N_CANDIDATES)


@pytest.fixture(params=["cosine", "dot"])
def metric(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def question(originals: NDArray[Any], metric: str) -> str:
    return f"rescore {N_QUERIES} x {N_CANDIDATES}, {metric}, {len(originals):,} {originals.dtype}"


@pytest.fixture
def ours(
    originals: NDArray[Any], queries: NDArray[np.float32], metric: str, isa: str, threads: int
) -> Rescore:
    return lambda rows: _core.rescore(originals, queries, rows, K, metric, None, isa, threads)


def test_bitsift(
    contest: Contest, question: str, ours: Rescore, candidates: NDArray[np.int64]
) -> None:
    contest.alone(question, in_turn(ours, candidates))


def test_numpy(
    contest: Contest,
    question: str,
    ours: Rescore,
    candidates: NDArray[np.int64],
    originals: NDArray[Any],
    queries: NDArray[np.float32],
    metric: str,
) -> None:
    contest.against(
        "numpy (1 thread)",
        question,
        in_turn(ours, candidates),
        in_turn(lambda rows: numpy_rescore(originals, queries, rows, metric), candidates),
        close_scores,
    )


def in_turn(function: Rescore, sets: NDArray[np.int64]) -> Callable[[], Any]:
    """Return a function that takes the next set of candidates at each call, the first one first."""
    turn = itertools.cycle(sets)
    return lambda: function(next(turn))


def numpy_rescore(
    originals: NDArray[Any], queries: NDArray[np.float32], rows: NDArray[np.int64], metric: str
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Gather and einsum: faster here than matmul or a loop over queries."""
    gathered = originals[rows].astype(np.float32, copy=False)
    scores = np.einsum("qd,qcd->qc", queries, gathered)
    if metric == "cosine":
        norms = np.sqrt(np.einsum("qcd,qcd->qc", gathered, gathered))
        scores /= norms * np.linalg.norm(queries, axis=1)[:, np.newaxis]
    order = np.argsort(-scores, axis=1)[:, :K]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
