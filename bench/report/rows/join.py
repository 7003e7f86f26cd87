# SPDX-License-Identifier: Apache-2.0
"""The nearest of every row among the others."""

from __future__ import annotations

from typing import Any

import numpy as np

import bitsift

from ...data import K
from .. import search_peers
from ..both_indexes import BothIndexes
from ..race import Peer, Question
from ..session import Run
from ..settings import has_knn_graph

_PEER_PART = 50  # FAISS searches one row of so many


def self_join(run: Run) -> None:
    settings = run.settings
    if not has_knn_graph():
        run.unavailable("bitsift.knn_graph")
        return
    both = BothIndexes(20_000 if settings.quick else 100_000, isa=settings.isa)
    codes = both.codes
    knn_graph: Any = bitsift.knn_graph
    question = Question(
        f"{K} nearest of each of {len(codes):,} x {both.bits} bits",
        settings.isa,
        settings.threads,
        lambda: knn_graph(codes, K, isa=settings.isa, threads=settings.threads),
        _by_faiss(both, settings.threads),
        facts={"n_queries": len(codes), "n_rows": len(codes), "n_bits": both.bits, "k": K},
    )
    (result,) = run.race([question])
    pairs = len(codes) * (len(codes) - 1)
    result.remark = f"{result.seconds / pairs * 1e9:.3f} ns a pair"


def _by_faiss(both: BothIndexes, threads: int) -> list[Peer]:
    """Search one more than wanted: the nearest of a row is the row."""
    some = both.codes[: len(both) // _PEER_PART]
    note = f"time of {len(some):,} queries, scaled; each finds itself too"

    def check(ours: Any, peer: Any) -> None:
        np.testing.assert_array_equal(ours[0][: len(some)], peer[0][:, 1:])

    return [
        Peer(peer.name, peer.call, check, len(both) / len(some), note)
        for peer in search_peers.by_faiss(both.flat, some, K + 1, threads, both.isa)
    ]
