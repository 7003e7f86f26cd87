# SPDX-License-Identifier: Apache-2.0
"""How long does a search take: of one query, and of a batch?

Over all rows, and over so few that the call itself counts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift

from ..checks import same_distances
from ..contest import Contest
from ..data import DIM, N_QUERIES, K, make_index
from ..peers.libraries import faiss
from ..peers.search import faiss_flat, numpy_search

FEW = 10_000


@pytest.fixture(params=[None, FEW], ids=["all-rows", f"{FEW}-rows"])
def some_codes(request: pytest.FixtureRequest, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return codes[: request.param]


@pytest.fixture(params=[1, N_QUERIES], ids=["one_query", "batch"])
def queries(request: pytest.FixtureRequest, query_codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return query_codes[: request.param]


@pytest.fixture
def ours(
    some_codes: NDArray[np.uint8], queries: NDArray[np.uint8], threads: int, isa: str
) -> Callable[[], bitsift.SearchResult]:
    index = make_index(some_codes, isa)
    return lambda: index.search(queries, K, threads=threads)


@pytest.fixture
def question(some_codes: NDArray[np.uint8], queries: NDArray[np.uint8]) -> str:
    plural = "query" if len(queries) == 1 else "queries"
    return f"{len(queries)} {plural}, {len(some_codes):,} x {DIM} bits, k={K}"


def test_bitsift(contest: Contest, question: str, ours: Callable[[], bitsift.SearchResult]) -> None:
    contest.alone(question, ours)


def test_faiss(
    contest: Contest,
    question: str,
    ours: Callable[[], bitsift.SearchResult],
    some_codes: NDArray[np.uint8],
    queries: NDArray[np.uint8],
) -> None:
    if faiss is None:
        contest.missing(question)
    flat = faiss_flat(some_codes)
    contest.against("faiss", question, ours, lambda: flat.search(queries, K), same_distances)


# A batch over few rows only: numpy takes 10 s a call over a million.
@pytest.mark.parametrize(
    ("queries", "some_codes"),
    [
        pytest.param(1, None, id="one_query-all-rows"),
        pytest.param(1, FEW, id=f"one_query-{FEW}-rows"),
        pytest.param(N_QUERIES, FEW, id=f"batch-{FEW}-rows"),
    ],
    indirect=True,
)
def test_numpy(
    contest: Contest,
    question: str,
    ours: Callable[[], bitsift.SearchResult],
    some_codes: NDArray[np.uint8],
    queries: NDArray[np.uint8],
) -> None:
    contest.against(
        "numpy (1 thread)",
        question,
        ours,
        lambda: numpy_search(some_codes, queries, K),
        same_distances,
    )
