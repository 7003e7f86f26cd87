# SPDX-License-Identifier: Apache-2.0
"""How long does it take to order candidates by their original vectors?

The search that finds candidates is not timed, so this calls the core that `Index.search` calls.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift.core.native as native

from ..checks import close_scores
from ..contest import Contest
from ..data import N_QUERIES, K, random_queries
from ..peers.rescoring import N_CANDIDATES, Rescore, candidate_sets, in_turn, numpy_rescore


@pytest.fixture(params=["float32", "float16"])
def originals(request: pytest.FixtureRequest) -> NDArray[Any]:
    return request.getfixturevalue({"float32": "vectors", "float16": "vectors16"}[request.param])


@pytest.fixture(scope="module")
def queries() -> NDArray[np.float32]:
    return random_queries()


@pytest.fixture(scope="module")
def candidates(n_rows: int) -> NDArray[np.int64]:
    return candidate_sets(n_rows)


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
    return lambda rows: native.rescore(
        originals, queries, rows, k=K, metric=metric, ids=None, isa=isa, threads=threads
    )


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
        in_turn(lambda rows: numpy_rescore(originals[rows], queries, rows, metric), candidates),
        close_scores,
    )
