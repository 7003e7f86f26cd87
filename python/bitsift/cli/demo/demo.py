# SPDX-License-Identifier: Apache-2.0
"""The searches of the demo: one query by Hamming distance, by float cosine, and rescored."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.cli.demo.corpus import DemoCorpus, Paper, load_corpus, load_queries
from bitsift.cli.demo.embedding import DEFAULT_MODEL, embed
from bitsift.cli.failure import InputError
from bitsift.core.options import DEFAULT_OVERSAMPLING

__all__ = ["REPEATS", "Demo", "Hit", "compare", "cosine_search", "run_demo"]

REPEATS = 51
_WARM_UPS = 5
_N_EXAMPLES = 4


@dataclass(frozen=True)
class Hit:
    """A paper in a list of results: its id, and its Hamming distance (int) or cosine (float)."""

    id: int
    paper: Paper
    score: float


@dataclass(frozen=True)
class Demo:
    """The results and measurements of the demo; seconds are medians for one query."""

    text: str
    model: str | None
    k: int
    n: int
    dim: int
    isa: str
    hamming: list[Hit]
    cosine: list[Hit]
    rescored: list[Hit]
    bits_bytes: int
    originals_bytes: int
    hamming_s: float
    cosine_s: float
    rescored_s: float

    @property
    def float32_bytes(self) -> int:
        """Bytes of the vectors as float32."""
        return self.n * self.dim * 4

    @property
    def candidates(self) -> int:
        """Papers that are rescored."""
        return min(math.ceil(self.k * DEFAULT_OVERSAMPLING), self.n)

    def shared(self, hits: list[Hit]) -> int:
        """Return how many of `hits` are among the results by float cosine."""
        return len({hit.id for hit in hits} & {hit.id for hit in self.cosine})

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain values."""
        return {
            "query": {"text": self.text, "prepared": self.model is None, "model": self.model},
            "corpus": {"name": "arXiv", "vectors": self.n, "dim": self.dim},
            "k": self.k,
            "oversampling": DEFAULT_OVERSAMPLING,
            "candidates": self.candidates,
            "results": {
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
                "rescored": [
                    {**_hit_dict(rank, hit), "cosine": hit.score}
                    for rank, hit in enumerate(self.rescored, 1)
                ],
            },
            "shared_with_float_cosine": {
                "hamming": self.shared(self.hamming),
                "rescored": self.shared(self.rescored),
                "of": self.k,
            },
            "memory": {
                "bits": _memory_dict(self.bits_bytes, self.n),
                "float32": _memory_dict(self.float32_bytes, self.n),
                "float16_originals": _memory_dict(self.originals_bytes, self.n),
                "ratio": self.float32_bytes / self.bits_bytes,
            },
            "time": {
                "queries": 1,
                "vectors": self.n,
                "repeats": REPEATS,
                "isa": self.isa,
                "cpus": os.cpu_count(),
                "hamming_s": self.hamming_s,
                "float_cosine_s": self.cosine_s,
                "rescored_s": self.rescored_s,
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

    def by_hamming() -> Any:
        return index.search(query, k, rescore=False, scoring="hamming")

    def by_cosine() -> Any:
        return cosine_search(corpus.unit, query, k)

    def rescored() -> Any:
        return index.search(query, k, oversampling=DEFAULT_OVERSAMPLING, scoring="hamming")

    def hits(result: Any) -> list[Hit]:
        scores, ids = result
        return [
            Hit(row, corpus.papers[row], score)
            for score, row in zip(scores.tolist(), ids.tolist(), strict=True)
        ]

    return Demo(
        text=text,
        model=model,
        k=k,
        n=n,
        dim=index.dim,
        isa=index.isa,
        hamming=hits(by_hamming()),
        cosine=hits(by_cosine()),
        rescored=hits(rescored()),
        bits_bytes=index.codes.nbytes,
        originals_bytes=n * index.dim * 2,
        hamming_s=median_seconds(by_hamming),
        cosine_s=median_seconds(by_cosine),
        rescored_s=median_seconds(rescored),
    )


def cosine_search(
    unit: NDArray[np.float32], query: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return cosines and rows of the `k` unit rows nearest to `query`: brute force in NumPy."""
    length = np.linalg.norm(query)
    scores = unit @ (query / length if length else query)
    top = np.argpartition(-scores, k - 1)[:k]
    top = top[np.lexsort((top, -scores[top]))]
    return scores[top], top


def median_seconds(search: Callable[[], Any]) -> float:
    """Return the median time of one call, after calls that warm caches and threads."""
    for _ in range(_WARM_UPS):
        search()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        search()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _hit_dict(rank: int, hit: Hit) -> dict[str, Any]:
    return {"rank": rank, "id": hit.id, "arxiv": hit.paper.arxiv, "title": hit.paper.title}


def _memory_dict(n_bytes: int, n: int) -> dict[str, float]:
    return {"bytes": n_bytes, "bytes_per_vector": n_bytes / n}
