# SPDX-License-Identifier: Apache-2.0
"""The nearest of every row among the others."""

from __future__ import annotations

from typing import Any

import numpy as np

import bitsift

from .. import peers
from ..contest import Peer, Row
from ..searches import Corpus
from ..session import Run
from ..settings import K, has_knn_graph

_PEER_PART = 50  # FAISS searches one row of so many


def self_join(run: Run) -> None:
    settings = run.settings
    if not has_knn_graph():
        run.unavailable("bitsift.knn_graph")
        return
    corpus = Corpus(20_000 if settings.quick else 100_000, isa=settings.isa)
    codes = corpus.codes
    knn_graph: Any = bitsift.knn_graph
    row = Row(
        f"{K} nearest of each of {len(codes):,} x {corpus.bits} bits",
        settings.isa,
        settings.threads,
        lambda: knn_graph(codes, K, isa=settings.isa, threads=settings.threads),
        _by_faiss(corpus, settings.threads),
        facts={"n_queries": len(codes), "n_rows": len(codes), "n_bits": corpus.bits, "k": K},
    )
    (result,) = run.race([row])
    pairs = len(codes) * (len(codes) - 1)
    result.remark = f"{result.seconds / pairs * 1e9:.3f} ns a pair"


def _by_faiss(corpus: Corpus, threads: int) -> list[Peer]:
    """Search one more than wanted: the nearest of a row is the row."""
    some = corpus.codes[: len(corpus) // _PEER_PART]
    note = f"time of {len(some):,} queries, scaled; each finds itself too"

    def check(ours: Any, peer: Any) -> None:
        np.testing.assert_array_equal(ours[0][: len(some)], peer[0][:, 1:])

    return [
        Peer(peer.name, peer.call, check, len(corpus) / len(some), note)
        for peer in peers.by_faiss(corpus.flat, some, K + 1, threads, corpus.isa)
    ]
