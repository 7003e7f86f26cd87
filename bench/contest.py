# SPDX-License-Identifier: Apache-2.0
"""`Contest`, the fixture of ``pytest bench``: check that results are the same, then time them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from .interleave import LEAST_ROUNDS, Pace, interleave, pace
from .ratio_table import Comparison

FAISS_MISSING = "faiss-cpu missing"


class Contest:
    """Times contestants: each by pytest-benchmark, a peer also interleaved with bitsift."""

    def __init__(
        self, benchmark: BenchmarkFixture, rows: list[Comparison], seconds: float, threads: int
    ) -> None:
        self._benchmark = benchmark
        self._rows = rows
        self._seconds = seconds
        self._threads = threads

    def alone(self, question: str, ours: Callable[[], Any]) -> None:
        """Time bitsift."""
        self._benchmark.group = f"{question}, threads: {self._threads}"
        self._benchmark.name = "bitsift"
        ours()
        self._pedantic(ours, *pace(self._seconds, ours))

    def against(
        self,
        name: str,
        question: str,
        ours: Callable[[], Any],
        peer: Callable[[], Any],
        check: Callable[[Any, Any], None],
    ) -> None:
        """Check that `peer` returns what bitsift returns, and time it."""
        self._benchmark.group = f"{question}, threads: {self._threads}"
        self._benchmark.name = name
        check(ours(), peer())
        paces = pace(self._seconds, ours, peer)
        self._pedantic(peer, paces[1])
        if self._benchmark.disabled:
            return
        result = interleave(ours, peer, *paces)
        self._benchmark.extra_info.update(threads=self._threads, **result._asdict())
        self._rows.append(
            Comparison(question, self._threads, name, result[:3], rounds=len(result.ratios))
        )

    def _pedantic(self, function: Callable[[], Any], chosen: Pace) -> None:
        # A few rounds: what the table states is what interleave() measures.
        rounds = max(LEAST_ROUNDS // 2, chosen.rounds // 4)
        self._benchmark.pedantic(function, rounds=rounds, iterations=chosen.calls)

    def missing(self, question: str) -> None:
        """Say in the table that FAISS was not compared with."""
        self._rows.append(Comparison(question, self._threads, FAISS_MISSING, None))
        pytest.skip(FAISS_MISSING)
