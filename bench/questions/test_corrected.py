# SPDX-License-Identifier: Apache-2.0
"""How long does a search of bits by corrected scores take, and how much does it find?

FAISS's `RaBitQ` and `RaBitQfs` (its fast scan) have the same codes and factors. Results are
estimates and not the same: before anything is timed, ours must have found as much of the exact top
10 as the peer has, to 2 %.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift

from ..contest import Contest
from ..data import K
from ..peers.libraries import faiss

DIM = 384
N_ROWS = 20_000
N_QUERIES = 1_000
# What scans, and how many candidates of it are rescored by the corrected scores of their codes.
LADDERS: dict[str, list[str | tuple[str, float]]] = {
    "asymmetric x8": [("asymmetric", 8), "asymmetric"],
    "Hamming x40": [("hamming", 40), "asymmetric"],
}


def near_documents() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Make unit vectors that lie to one side of 0, as text embeddings do, in clusters."""
    rng = np.random.default_rng(6)
    centres = 0.6 + rng.standard_normal((500, DIM))
    rows = centres[rng.integers(0, 500, N_ROWS + N_QUERIES)]
    rows += rng.standard_normal(rows.shape)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows[:N_ROWS].astype(np.float32), rows[N_ROWS:].astype(np.float32)


class Data:
    """Vectors, queries and the exact answer."""

    def __init__(self) -> None:
        self.documents, self.queries = near_documents()
        products = self.queries @ self.documents.T
        self.best = np.argsort(-products, axis=1)[:, :K]

    def found(self, ids: NDArray[np.int64]) -> float:
        """Return the share of the exact top 10 that was found."""
        return float(np.mean(ids[:, :, np.newaxis] == self.best[:, np.newaxis, :]) * K)

    def finds_as_much(self, ours: tuple[Any, ...], peer: tuple[Any, ...]) -> None:
        assert self.found(ours[1]) >= 0.98 * self.found(peer[1])


@pytest.fixture(scope="module")
def data() -> Data:
    return Data()


@pytest.fixture(params=LADDERS)
def scan(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def ours(data: Data, scan: str, threads: int, isa: str) -> Callable[[], bitsift.SearchResult]:
    index = bitsift.Index(DIM, store=None, threshold="mean", rotate=True, correction=True, isa=isa)
    index.add(data.documents)
    return lambda: index.search(data.queries, K, ladder=LADDERS[scan], threads=threads)


@pytest.fixture
def question(scan: str) -> str:
    return f"{N_QUERIES:,} queries, {N_ROWS:,} x {DIM} bits, corrected, by {scan}"


def test_bitsift(contest: Contest, question: str, ours: Callable[[], bitsift.SearchResult]) -> None:
    contest.alone(question, ours)


@pytest.mark.parametrize("factory", ["RaBitQ", "RaBitQfs"])
def test_faiss(
    contest: Contest,
    question: str,
    ours: Callable[[], bitsift.SearchResult],
    data: Data,
    factory: str,
) -> None:
    if faiss is None:
        contest.missing(question)
    index = faiss.index_factory(DIM, factory, faiss.METRIC_INNER_PRODUCT)
    index.train(data.documents)
    index.add(data.documents)
    index.qb = 8
    contest.against(
        f"faiss {factory}",
        question,
        ours,
        lambda: index.search(data.queries, K),
        data.finds_as_much,
    )
