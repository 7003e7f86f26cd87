# SPDX-License-Identifier: Apache-2.0
"""How long does one query take: over all rows, and over so few that the call itself counts?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift

from ..checks import same_distances
from ..conftest import Contest
from ..data import DIM, make_index
from ..peers.libraries import faiss
from ..peers.search import K, faiss_flat, numpy_search


@pytest.fixture(params=[None, 10_000], ids=["all-rows", "10000-rows"])
def some_codes(request: pytest.FixtureRequest, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return codes[: request.param]


@pytest.fixture
def query(query_codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return query_codes[:1]


@pytest.fixture
def ours(
    some_codes: NDArray[np.uint8], query: NDArray[np.uint8], threads: int, isa: str
) -> Callable[[], bitsift.SearchResult]:
    index = make_index(some_codes, isa)
    return lambda: index.search(query, K, threads=threads)


@pytest.fixture
def question(some_codes: NDArray[np.uint8]) -> str:
    return f"1 query, {len(some_codes):,} x {DIM} bits, k={K}"


def test_bitsift(contest: Contest, question: str, ours: Callable[[], bitsift.SearchResult]) -> None:
    contest.alone(question, ours)


def test_faiss(
    contest: Contest,
    question: str,
    ours: Callable[[], bitsift.SearchResult],
    some_codes: NDArray[np.uint8],
    query: NDArray[np.uint8],
) -> None:
    if faiss is None:
        contest.missing(question)
    flat = faiss_flat(some_codes)
    contest.against("faiss", question, ours, lambda: flat.search(query, K), same_distances)


def test_numpy(
    contest: Contest,
    question: str,
    ours: Callable[[], bitsift.SearchResult],
    some_codes: NDArray[np.uint8],
    query: NDArray[np.uint8],
) -> None:
    contest.against(
        "numpy (1 thread)",
        question,
        ours,
        lambda: numpy_search(some_codes, query, K),
        same_distances,
    )
