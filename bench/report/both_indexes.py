# SPDX-License-Identifier: Apache-2.0
"""The questions of a search by Hamming distance, of which most groups are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift

from ..data import DIM, K, make_index
from . import search_peers
from .race import Ceiling, Peer, Question

_CHUNK = 1_000_000


class BothIndexes:
    """Codes in bitsift's index and in FAISS's, not a third time."""

    def __init__(self, n: int, *, isa: str, bits: int = DIM) -> None:
        self.isa = isa
        self.bits = bits
        self.index = make_index(np.empty((0, bits // 8), np.uint8), isa)
        self.index.reserve(n)
        self.flat: Any = None
        rng = np.random.default_rng(1)
        for begin in range(0, n, _CHUNK):
            shape = (min(_CHUNK, n - begin), bits // 8)
            self.add(rng.integers(0, 256, shape, dtype=np.uint8))

    def add(self, codes: NDArray[np.uint8]) -> None:
        self.index.add(codes)
        if self.flat is None:
            self.flat = search_peers.faiss_index(codes)
        else:
            self.flat.add(codes)

    @property
    def codes(self) -> NDArray[np.uint8]:
        return self.index.codes

    def __len__(self) -> int:
        return len(self.index)

    def question(
        self,
        queries: NDArray[np.uint8],
        *,
        threads: int,
        k: int = K,
        others: Sequence[Peer] = (),
        ceilings: Sequence[Ceiling] = (),
        isa: str | None = None,
    ) -> Question:
        """Search; FAISS is always a peer. At another level than the index's: `bitsift.search`."""
        level = isa or self.isa
        codes = self.codes

        def ours() -> bitsift.SearchResult:
            if level == self.isa:
                return self.index.search(queries, k, threads=threads)
            return bitsift.search(codes, queries, k, isa=level, threads=threads)

        pairs = len(queries) * codes.size * 8
        return Question(
            in_words(len(queries), len(codes), self.bits, k),
            level,
            threads,
            ours,
            [*search_peers.by_faiss(self.flat, queries, k, threads, level), *others],
            ceilings,
            codes.size if ceilings and ceilings[0].unit == "B/s" else pairs,
            {"n_queries": len(queries), "n_rows": len(codes), "n_bits": self.bits, "k": k},
        )


def in_words(n_queries: int, n_rows: int, bits: int, k: int) -> str:
    plural = "query" if n_queries == 1 else "queries"
    return f"{n_queries:,} {plural}, {n_rows:,} x {bits} bits, k={k}"
