# SPDX-License-Identifier: Apache-2.0
"""How often `bitsift.advise` leaves threshold 0 on random samples, and what following it gains.

``python -m bench.advised_thresholds DATA [NAME:METRIC ...]``, where DATA has a folder for each
collection with ``docs.npy`` and ``queries.npy``; ``demo`` is the data that come with bitsift. Each
sample is advised; then an index of all documents follows the advice, and queries that are no
documents count the share of float's top 10 it finds.
"""

from __future__ import annotations

import argparse
import warnings
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import bitsift

# Vectors of a sample, and how many samples; the last is nine tenths of all.
_SAMPLES = [
    (20, 25),
    (48, 25),
    (100, 25),
    (240, 25),
    (400, 30),
    (1_000, 20),
    (2_000, 10),
    (None, 2),
]
_MOST_QUERIES = 300
_MOST_FOLLOWED = 20
_K = 10
_OVERSAMPLING = 10


class Collection(NamedTuple):
    """Documents, queries and what float search finds for them."""

    documents: NDArray[np.float32]
    queries: NDArray[np.float32]
    metric: Any
    best: NDArray[np.int64]

    @classmethod
    def load(cls, folder: Path, metric: Any) -> Collection:
        if folder.name == "demo":
            folder = Path(str(files("bitsift") / "data" / "arxiv"))
            papers = bitsift.Index.load(folder / "index")
            documents = papers.get(papers.ids)
        else:
            documents = np.load(folder / "docs.npy")
        documents = documents.astype(np.float32)
        queries = np.load(folder / "queries.npy")[-_MOST_QUERIES:].astype(np.float32)
        floats = bitsift.Index(documents.shape[1], metric=metric, store="float32")
        floats.add(documents)
        best = floats.search(queries, _K, oversampling=len(documents) / _K).ids
        return cls(documents, queries, metric, best)

    def found(self, sample: NDArray[np.float32], *, bits_alone: bool, **options: Any) -> float:
        """Return the share of float's results that an index with these options finds."""
        store: Any = None if bits_alone else "float32"
        options["metric"] = self.metric
        index = bitsift.Index(self.documents.shape[1], store=store, **options)
        if options["threshold"] != 0:
            index.fit(sample)
        index.add(self.documents)
        scans: list[dict[str, Any]] = [{"scoring": "asymmetric"}]
        if not bits_alone:  # the better of both scans
            scans = [
                {"scoring": scoring, "oversampling": _OVERSAMPLING}
                for scoring in ("asymmetric", "hamming")
            ]
        return max(self._overlap(index.search(self.queries, _K, **scan).ids) for scan in scans)

    def _overlap(self, found: NDArray[np.int64]) -> float:
        is_hit = (found[:, :, np.newaxis] == self.best[:, np.newaxis, :]).any(axis=1)
        return float(is_hit.mean())


def report(name: str, collection: Collection, *, bits_alone: bool) -> None:
    """Print a line for each size of samples."""
    n_all = len(collection.documents)
    before = collection.found(collection.documents, bits_alone=bits_alone, threshold=0.0)
    print(f"{name}, {collection.metric}{', bits alone' * bits_alone}: {before:.3f} with 0")
    for size, n_samples in _SAMPLES:
        n = size or n_all * 9 // 10
        if n > n_all * 9 // 10:
            continue
        n_left = 0
        gains: list[float] = []
        for seed in range(n_samples):
            order = np.random.default_rng([n, seed]).permutation(n_all)
            sample = collection.documents[order[:n]]
            advice = bitsift.advise(sample, metric=collection.metric, bits_alone=bits_alone)
            changes = advice.best is not advice.trials[0] or bool(advice.correction)
            n_left += changes
            if changes and len(gains) < _MOST_FOLLOWED:
                options = advice.recommendation
                gains.append(collection.found(sample, bits_alone=bits_alone, **options) - before)
        line = f"  {n:6,} vectors: {n_left} of {n_samples} leave 0"
        if gains:
            line += f"; gain {np.mean(gains):+.3f} on average, {min(gains):+.3f} at least"
        print(line, flush=True)


def main() -> None:
    """Report on the collections that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME:METRIC")
    arguments = parser.parse_args()
    names = arguments.names or sorted(
        f"{path.parent.name}:cosine" for path in arguments.data.glob("*/docs.npy")
    )
    warnings.simplefilter("ignore", bitsift.BitsiftWarning)
    for name in names:
        folder, metric = name.rsplit(":", 1)
        collection = Collection.load(arguments.data / folder, metric)
        for bits_alone in (False, True):
            report(folder, collection, bits_alone=bits_alone)


if __name__ == "__main__":
    main()
