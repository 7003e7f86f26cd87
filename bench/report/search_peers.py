# SPDX-License-Identifier: Apache-2.0
"""The peers of a search by Hamming distance, those that are installed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..peers.libraries import faiss, has_sentence_transformers, numkong, semantic_search, usearch
from ..peers.search import faiss_flat, numpy_search
from . import faiss_levels
from .race import Peer

Codes = NDArray[np.uint8]
_NUMKONG_BLOCK = 8192  # distances of 256 queries: 8 MB


def same_distances(get: Callable[[Any], Any]) -> Callable[[Any, Any], None]:
    """Compare distances alone, of as many queries as the peer had."""

    def check(ours: Any, peer: Any) -> None:
        distances = np.asarray(get(peer))
        np.testing.assert_array_equal(ours[0][: len(distances)], distances)

    return check


def by_faiss(flat: Any, queries: Codes, k: int, threads: int, isa: str) -> list[Peer]:
    """`flat` is an IndexBinaryFlat, or None without FAISS."""
    if flat is None or not faiss_levels.has_level(isa):
        return []

    def call() -> Any:
        # It spreads queries over threads: more threads than queries only wait, spinning.
        faiss_levels.use(min(threads, len(queries)), isa)
        return flat.search(queries, k)

    return [Peer("faiss", call, same_distances(lambda found: found[0]))]


def by_sentence_transformers(flat: Any, queries: Codes, k: int, threads: int) -> list[Peer]:
    if flat is None or not has_sentence_transformers:
        return []
    search = semantic_search()

    def call() -> Any:
        faiss_levels.use(min(threads, len(queries)), "")
        return search(queries, both_index=flat, both_precision="ubinary", top_k=k, rescore=False)

    def distances(found: Any) -> list[list[float]]:
        return [[hit["score"] for hit in hits] for hits in found[0]]

    return [Peer("sentence-transformers", call, same_distances(distances))]


def by_usearch(codes: Codes, queries: Codes, k: int, threads: int, *, most: int) -> list[Peer]:
    """Exact search, without an index; of at most so many queries."""
    if usearch is None:
        return []
    some = queries[:most]
    metric = usearch.MetricKind.Hamming

    def call() -> Any:
        return usearch.search(codes, some, k, metric, exact=True, threads=threads)

    return [_fewer("usearch", call, lambda found: np.atleast_2d(found.distances), some, queries)]


def by_numpy(codes: Codes, queries: Codes, k: int) -> list[Peer]:
    if not hasattr(np, "bitwise_count") or codes.shape[1] % 8:
        return []
    return [
        Peer(
            "numpy",
            lambda: numpy_search(codes, queries, k),
            same_distances(lambda found: found[0]),
            note="one thread",
        )
    ]


def by_numkong(codes: Codes, queries: Codes, threads: int, *, most: int) -> list[Peer]:
    """Every distance, into a buffer that is written over: it has no top-k.

    The check compares the least distance of each query.
    """
    if numkong is None:
        return []
    some = queries[:most]
    blocks = [
        numkong.hammings_pack(codes[begin : begin + _NUMKONG_BLOCK])
        for begin in range(0, len(codes), _NUMKONG_BLOCK)
    ]
    pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def some_blocks(worker: int) -> NDArray[np.uint32]:
        out = outs[worker]
        nearest = np.full(len(some), 2**32 - 1, np.uint32)
        for packed in blocks[worker::threads]:
            whole = packed.width == _NUMKONG_BLOCK
            found = numkong.hammings_packed(some, packed, out=out if whole else None)
            if checking:
                nearest = np.minimum(nearest, np.asarray(found).min(axis=1))
        return nearest

    def call() -> Any:
        run = map if pool is None else pool.map
        return list(run(some_blocks, range(threads)))

    def check(ours: Any, _: Any) -> None:
        checking.append(True)
        nearest = np.min(call(), axis=0)
        checking.clear()
        np.testing.assert_array_equal(ours[0][: len(some), 0], nearest)

    checking: list[bool] = []
    outs = [numkong.zeros((len(some), _NUMKONG_BLOCK), dtype="uint32") for _ in range(threads)]
    peer = _fewer("numkong", call, lambda found: found, some, queries)
    note = ", ".join(filter(None, ["distances only, no top-k", peer.note]))
    return [Peer(peer.name, call, check, peer.scale, note)]


def _fewer(
    name: str, call: Callable[[], Any], distances: Callable[[Any], Any], some: Codes, all_: Codes
) -> Peer:
    """Scale the time of some queries to that of all."""
    check = same_distances(distances)
    if len(some) == len(all_):
        return Peer(name, call, check)
    note = f"time of {len(some)} queries, scaled"
    return Peer(name, call, check, len(all_) / len(some), note)


def faiss_index(codes: Codes) -> Any:
    """Give an IndexBinaryFlat, or None without FAISS."""
    return None if faiss is None else faiss_flat(codes)
