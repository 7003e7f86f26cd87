# SPDX-License-Identifier: Apache-2.0
"""How long does a batch of queries take?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift

from ..checks import same_distances
from ..conftest import Contest
from ..data import DIM, N_QUERIES, make_index
from ..peers.libraries import faiss
from ..peers.search import K, faiss_flat, numpy_search

FEW = 10_000


@pytest.fixture(params=[None, FEW], ids=["all-rows", f"{FEW}-rows"])
def some_codes(request: pytest.FixtureRequest, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return codes[: request.param]


@pytest.fixture
def ours(
    some_codes: NDArray[np.uint8], query_codes: NDArray[np.uint8], threads: int, isa: str
) -> Callable[[], bitsift.SearchResult]:
    index = make_index(some_codes, isa)
    return lambda: index.search(query_codes, K, threads=threads)


@pytest.fixture
def question(some_codes: NDArray[np.uint8]) -> str:
    return f"{N_QUERIES} queries, {len(some_codes):,} x {DIM} bits, k={K}"


def test_bitsift(contest: Contest, question: str, ours: Callable[[], bitsift.SearchResult]) -> None:
    contest.alone(question, ours)


def test_faiss(
    contest: Contest,
    question: str,
    ours: Callable[[], bitsift.SearchResult],
    some_codes: NDArray[np.uint8],
    query_codes: NDArray[np.uint8],
) -> None:
    if faiss is None:
        contest.missing(question)
    flat = faiss_flat(some_codes)
    contest.against("faiss", question, ours, lambda: flat.search(query_codes, K), same_distances)


# For few rows only: numpy's time grows with the rows, to 10 s a call for a million.
@pytest.mark.parametrize("some_codes", [FEW], indirect=True)
def test_numpy(
    contest: Contest,
    question: str,
    ours: Callable[[], bitsift.SearchResult],
    some_codes: NDArray[np.uint8],
    query_codes: NDArray[np.uint8],
) -> None:
    contest.against(
        "numpy (1 thread)",
        question,
        ours,
        lambda: numpy_search(some_codes, query_codes, K),
        same_distances,
    )
