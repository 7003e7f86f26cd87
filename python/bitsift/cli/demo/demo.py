# SPDX-License-Identifier: Apache-2.0
"""The searches of the demo: one query by the default search, by bits alone, and by float cosine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.cli.demo.corpus import DemoCorpus, Paper, load_corpus, load_queries
from bitsift.cli.demo.embedding import DEFAULT_MODEL, embed
from bitsift.cli.failure import InputError

__all__ = ["REPEATS", "Demo", "Hit", "Shares", "compare", "cosine_search", "run_demo"]

REPEATS = 51
_WARM_UPS = 5
_THREADS = 1  # as the search in NumPy
_N_EXAMPLES = 4


@dataclass(frozen=True)
class Hit:
    """A paper in a list of results: its id, and its Hamming distance (int) or cosine (float)."""

    id: int
    paper: Paper
    score: float


@dataclass(frozen=True)
class Shares:
    """The shares of float's first `k` papers that searches find, over all prepared queries."""

    n_queries: int
    default: float
    hamming: float


@dataclass(frozen=True)
class Demo:
    """The results and measurements of the demo; seconds are those of the fastest of several runs.

    Attributes
    ----------
    store : str
        The originals that the index keeps.
    default, hamming, cosine : list of Hit
        What the default search, bits alone, and float search find.
    """

    text: str
    model: str | None
    k: int
    n: int
    dim: int
    isa: str
    store: str
    default: list[Hit]
    hamming: list[Hit]
    cosine: list[Hit]
    shares: Shares
    bits_bytes: int
    originals_bytes: int
    default_s: float
    hamming_s: float
    cosine_s: float

    @property
    def float32_bytes(self) -> int:
        """Bytes of the vectors as float32."""
        return self.n * self.dim * 4

    def shared(self, hits: list[Hit]) -> int:
        """Return how many of `hits` are among the results by float cosine."""
        return len({hit.id for hit in hits} & {hit.id for hit in self.cosine})

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain values."""
        return {
            "query": {"text": self.text, "prepared": self.model is None, "model": self.model},
            "corpus": {"name": "arXiv", "vectors": self.n, "dim": self.dim},
            "k": self.k,
            "results": {
                "default": [
                    {**_hit_dict(rank, hit), "cosine": hit.score}
                    for rank, hit in enumerate(self.default, 1)
                ],
                "hamming": [
                    {
                        **_hit_dict(rank, hit),
                        "distance": int(hit.score),
                        "normalised": round(hit.score / self.dim, 4),
                    }
                    for rank, hit in enumerate(self.hamming, 1)
                ],
                "float_cosine": [
                    {**_hit_dict(rank, hit), "cosine": hit.score}
                    for rank, hit in enumerate(self.cosine, 1)
                ],
            },
            "shared_with_float_cosine": {
                "default": self.shared(self.default),
                "hamming": self.shared(self.hamming),
                "of": self.k,
            },
            "prepared_queries": {
                "queries": self.shares.n_queries,
                "default": self.shares.default,
                "hamming": self.shares.hamming,
            },
            "memory": {
                "bits": _memory_dict(self.bits_bytes, self.n),
                "originals": {"store": self.store, **_memory_dict(self.originals_bytes, self.n)},
                "float32": _memory_dict(self.float32_bytes, self.n),
                "ratio": self.float32_bytes / self.bits_bytes,
            },
            "time": {
                "queries": 1,
                "vectors": self.n,
                "repeats": REPEATS,
                "isa": self.isa,
                "threads": _THREADS,
                "default_s": self.default_s,
                "hamming_s": self.hamming_s,
                "float_cosine_s": self.cosine_s,
            },
        }


def run_demo(text: str, k: int, model: str | None) -> Demo:
    """Search the papers for `text`.

    Parameters
    ----------
    text : str
        A prepared query, in any case and with any blanks around it, or any text to embed.
    k : int
        Results in each list, at least 1; at most as many as there are papers.
    model : str or None
        Embed with this model. None: take the prepared query if `text` is one, else embed with the
        default model.
    """
    if not text.strip():
        raise InputError(
            "TEXT must have at least one word; got none. Without TEXT, the demo takes a prepared "
            "query"
        )
    texts, vectors = load_queries()
    known = {prepared.casefold(): row for row, prepared in enumerate(texts)}
    row = None if model else known.get(text.strip().casefold())
    if row is not None:
        return compare(load_corpus(), texts[row], vectors[row], k, None)
    model = model or DEFAULT_MODEL
    query = embed(text, model, vectors.shape[1], texts[:_N_EXAMPLES])
    return compare(load_corpus(), text, query, k, model)


def compare(
    corpus: DemoCorpus, text: str, query: NDArray[np.float32], k: int, model: str | None
) -> Demo:
    """Search in three ways, and time each."""
    index = corpus.index
    n = len(index)
    k = min(k, n)

    def default(queries: NDArray[np.float32] = query) -> Any:
        return index.search(queries, k, threads=_THREADS)

    def by_hamming(queries: NDArray[np.float32] = query) -> Any:
        return corpus.bits.search(queries, k, scoring="hamming", threads=_THREADS)

    def by_cosine() -> Any:
        return cosine_search(corpus.unit, query, k)

    def hits(result: Any) -> list[Hit]:
        scores, ids = result
        return [
            Hit(row, corpus.papers[row], score)
            for score, row in zip(scores.tolist(), ids.tolist(), strict=True)
        ]

    _, prepared = load_queries()
    best = [cosine_search(corpus.unit, one, k)[1] for one in prepared]
    return Demo(
        text=text,
        model=model,
        k=k,
        n=n,
        dim=index.dim,
        isa=index.isa,
        store=str(index.store),
        default=hits(default()),
        hamming=hits(by_hamming()),
        cosine=hits(by_cosine()),
        shares=Shares(
            n_queries=len(prepared),
            default=_share(default(prepared).ids, best),
            hamming=_share(by_hamming(prepared).ids, best),
        ),
        bits_bytes=index.codes.nbytes,
        originals_bytes=index.nbytes - index.codes.nbytes,
        default_s=fastest_seconds(default),
        hamming_s=fastest_seconds(by_hamming),
        cosine_s=fastest_seconds(by_cosine),
    )


def cosine_search(
    unit: NDArray[np.float32], query: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return cosines and rows of the `k` unit rows nearest to `query`: brute force in NumPy.

    A product for each row: NumPy's product of a matrix shares out its work to threads that wait for
    each other, a thousand times as long as they work where the cores are busy.
    """
    length = np.linalg.norm(query)
    unit_query = query / length if length else query
    scores = np.matmul(unit[:, np.newaxis, :], unit_query[:, np.newaxis])[:, 0, 0]
    top = np.argpartition(-scores, k - 1)[:k]
    top = top[np.lexsort((top, -scores[top]))]
    return scores[top], top


def _share(found: NDArray[np.int64], best: list[NDArray[np.intp]]) -> float:
    """Return the share of the best rows that were found."""
    pairs = zip(found, best, strict=True)
    return float(np.mean([np.isin(wanted, ids).mean() for ids, wanted in pairs]))


def fastest_seconds(search: Callable[[], Any]) -> float:
    """Return the least time of a call: other work on the machine only adds to it."""
    for _ in range(_WARM_UPS):
        search()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        search()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _hit_dict(rank: int, hit: Hit) -> dict[str, Any]:
    return {"rank": rank, "id": hit.id, "arxiv": hit.paper.arxiv, "title": hit.paper.title}


def _memory_dict(n_bytes: int, n: int) -> dict[str, float]:
    return {"bytes": n_bytes, "bytes_per_vector": n_bytes / n}
