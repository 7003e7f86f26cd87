# SPDX-License-Identifier: Apache-2.0
"""What a plain ``Index(dim)``, ``add``, ``search`` finds and costs, beside the defaults of 0.1.0.

``python -m bench.defaults`` prints tables in Markdown. The environment variable BITSIFT_DATA names
the folder of collections, which are no part of the repository: in a folder for each, ``docs.npy``
and ``queries.npy``. Without it, only the times on random vectors are measured.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift
from bitsift.core.options import Metric
from bitsift.evaluation.float_search import FloatSearch
from bitsift.index.persistence import from_contents, to_contents
from bitsift.index.table import Snapshot

from .formats import duration, machine
from .interleave import pace, take_turns
from .peers.libraries import faiss
from .peers.search import faiss_flat

KS = (1, 5, 10, 100)
# What the new defaults are to find on arXiv, and in what part of FAISS's time.
ASKED = {1: 0.99, 5: 0.99, 10: 0.975, 100: 0.975}
ASKED_TIME = {1: 1 / 3, 5: 1 / 3, 10: 1 / 3, 100: 1 / 2}
MOST_LOST = 0.003
# Collections that are parts of arXiv, and candidates for each result; None: by position.
SIZES = (2_500, 5_000, 10_000, 20_000)
OVERSAMPLINGS = (None, 20, 40)
# The time of a default search, in times of that of 0.1.0.
ASKED_SLOWER = {1: 1.8, 256: 2.5}
DIM = 768


@dataclass(frozen=True)
class Collection:
    """Vectors to search, of float32, and the metric that says what is near."""

    name: str
    documents: NDArray[np.float32]
    queries: NDArray[np.float32]
    metric: Metric


def collections(folder: Path) -> Iterator[Collection]:
    """Give every collection that is there."""
    texts = ("arxiv", "nfcorpus", "cranfield", "npl")
    for name in (*texts, "fashion-mnist", "orb"):
        paths = [folder / name / f"{part}.npy" for part in ("docs", "queries")]
        if not all(path.exists() for path in paths):
            print(f"NOT MEASURED on {name}: {folder} lacks it\n")
            continue
        documents, queries = (np.load(path) for path in paths)
        if name == "arxiv":
            queries = queries[40:]  # titles of papers; the first 40 are topics
        if name == "orb":
            bits = [
                np.unpackbits(array, axis=1).astype(np.float32) for array in (documents, queries)
            ]
            yield Collection("orb, 256 bits", *bits, "l2")
        metrics: tuple[Metric, ...] = ("cosine",)
        if name not in texts:
            metrics = ("l2",) if name == "orb" else ("l2", "cosine")
        for metric in metrics:
            yield Collection(name, documents.astype(np.float32), queries.astype(np.float32), metric)


def nearest(collection: Collection, k: int) -> NDArray[np.int64]:
    """Return the best k documents of each query by float search, ties by the smaller number."""
    documents = collection.documents.astype(np.float64)
    squares = (documents * documents).sum(axis=1)
    found = []
    for begin in range(0, len(collection.queries), 256):
        queries = collection.queries[begin : begin + 256].astype(np.float64)
        products = queries @ documents.T
        if collection.metric == "cosine":
            norms = np.sqrt(squares)
            scores = -np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)
        else:
            scores = squares - 2 * products
        found.append(np.argsort(scores, axis=1, kind="stable")[:, :k])
    return np.concatenate(found)


def as_before(index: bitsift.Index) -> bitsift.Index:
    """Return the index as 0.1.0 searched it: as from a folder that it wrote."""
    contents = to_contents(*index._table.snapshot[:2])
    contents = replace(contents, scoring="hamming", candidates="fixed", vectors=None)
    return bitsift.Index._loaded(Snapshot.of(*from_contents(contents, index.isa)), index.isa)


def both_indexes(
    documents: NDArray[np.floating[Any]], metric: Metric
) -> tuple[bitsift.Index, bitsift.Index]:
    """Return an index with the defaults of 0.1.0, and one with those of now."""
    old = bitsift.Index(documents.shape[1], metric=metric, store="float32", scoring="hamming")
    new = bitsift.Index(documents.shape[1], metric=metric)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bitsift.BitsiftWarning)  # bits that say little
        old.add(documents)
        new.add(documents)
    return as_before(old), new


def overlap(found: NDArray[np.int64], best: NDArray[np.int64], k: int) -> float:
    hits = (found[:, :k, np.newaxis] == best[:, np.newaxis, :k]).any(axis=1)
    return float(hits.mean())


def faiss_search(collection: Collection, threads: int) -> Callable[[int], Any] | None:
    """Return FAISS's search with as many threads, or None where it is missing."""
    if faiss is None or not hasattr(faiss, "IndexRaBitQFastScan"):
        return None
    faiss.omp_set_num_threads(threads)
    dim = collection.documents.shape[1]
    index = faiss.index_factory(dim, "RaBitQfs,Refine(SQfp16)", faiss.METRIC_INNER_PRODUCT)
    index.train(collection.documents)
    index.add(collection.documents)
    index.k_factor = 4
    return lambda k: index.search(collection.queries, k)


def times(calls: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """Return the median seconds of each call, which take turns."""
    for call in calls.values():
        call()
    found = take_turns(list(calls.values()), pace(seconds, *calls.values()))
    return {name: statistics.median(rounds) for name, rounds in zip(calls, found, strict=True)}


def verdict(holds: bool) -> str:
    return "" if holds else " (!)"


def print_arxiv(collection: Collection, threads: int, seconds: float) -> None:
    """Print what is found of float's list, and in what time, beside FAISS."""
    best = nearest(collection, max(KS))
    old, new = both_indexes(collection.documents, collection.metric)
    searches: dict[str, Callable[[int], Any]] = {
        "0.1.0": lambda k: old.search(collection.queries, k, threads=threads),
        "now": lambda k: new.search(collection.queries, k, threads=threads),
    }
    peer = faiss_search(collection, threads)
    if peer is None:
        print("NOT COMPARED with FAISS: faiss-cpu, of a version with RaBitQ, is missing\n")
    else:
        searches["FAISS"] = peer
    n, n_queries = len(collection.documents), len(collection.queries)
    print(
        f"{n_queries:,} queries among {n:,} documents, {threads} threads. Overlap with float's "
        "list, and the time of the batch; FAISS is `RaBitQfs,Refine(SQfp16)`, k_factor 4.\n"
    )
    print("| k | 0.1.0 | now | asked | FAISS | 0.1.0 | now | FAISS | FAISS / now | asked |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for k in KS:
        calls = {name: (lambda s=search, k=k: s(k)) for name, search in searches.items()}
        shares = {name: overlap(call()[1], best, k) for name, call in calls.items()}
        taken = times(calls, seconds)
        cells = [str(k)]
        cells += [f"{shares['0.1.0']:.1%}"]
        cells += [f"{shares['now']:.1%}{verdict(shares['now'] >= ASKED[k])}", f"{ASKED[k]:.1%}"]
        cells += [f"{shares['FAISS']:.1%}" if peer else "-"]
        cells += [duration(taken["0.1.0"]), duration(taken["now"])]
        if peer:
            ratio = taken["FAISS"] / taken["now"]
            fast = verdict(ratio >= 1 / ASKED_TIME[k])
            cells += [duration(taken["FAISS"]), f"{ratio:.1f}{fast}", f"{1 / ASKED_TIME[k]:.0f}"]
        else:
            cells += ["-"] * 3
        print(f"| {' | '.join(cells)} |")
    print()


def print_sizes(collection: Collection, threads: int, seconds: float) -> None:
    """Print what is found among parts of the collection, by numbers of candidates."""
    order = np.random.default_rng(0).permutation(len(collection.documents))
    shares: dict[float | None, list[str]] = {oversampling: [] for oversampling in OVERSAMPLINGS}
    taken: dict[str, float] = {}
    k = 10
    for size in SIZES:
        part = replace(collection, documents=collection.documents[np.sort(order[:size])])
        best = nearest(part, k)
        index = bitsift.Index(part.documents.shape[1], metric=part.metric)
        index.add(part.documents)
        search = partial(index.search, part.queries, k, threads=threads)
        calls = {str(o): partial(search, oversampling=o) for o in OVERSAMPLINGS}
        for o in OVERSAMPLINGS:
            shares[o].append(f"{overlap(calls[str(o)]().ids, best, k):.2%}")
        taken = times(calls, seconds)
    print(f"Overlap with float's top {k} among parts of it, and the time among {SIZES[-1]:,}.\n")
    print(f"| oversampling | {' | '.join(f'{size:,}' for size in SIZES)} | time |")
    print("|---" * (len(SIZES) + 2) + "|")
    for o in OVERSAMPLINGS:
        ratio = taken[str(o)] / taken[str(None)]
        print(f"| {o or 'by position'} | {' | '.join(shares[o])} | {ratio:.1f} |")
    print()


def print_collections(folder: Path) -> None:
    """Print what the defaults find on each collection, those of 0.1.0 and those of now."""
    print(
        f"Overlap with float's list: 0.1.0 > now; (!) where it is worse by more than {MOST_LOST}.\n"
    )
    print("| collection | metric | scoring | k = 1 | k = 5 | k = 10 | k = 100 |")
    print("|---|---|---|---|---|---|---|")
    for collection in collections(folder):
        best = nearest(collection, max(KS))
        old, new = both_indexes(collection.documents, collection.metric)
        cells = [collection.name, collection.metric, str(new.scoring)]
        for k in KS:
            before, now = (
                overlap(it.search(collection.queries, k).ids, best, k) for it in (old, new)
            )
            cells.append(f"{before:.3f} > {now:.3f}{verdict(now >= before - MOST_LOST)}")
        print(f"| {' | '.join(cells)} |", flush=True)
    print()


def print_times(n: int, threads: int, seconds: float) -> None:
    """Print the times of searches of random vectors, by the defaults and by what they stand for."""
    block = np.random.default_rng(3).standard_normal((max(1, n // 10), DIM), dtype=np.float32)
    queries = np.random.default_rng(4).standard_normal((256, DIM), dtype=np.float32)
    documents = np.tile(block, (10, 1))
    old, new = both_indexes(documents, "cosine")
    floats = FloatSearch(documents, "cosine")
    del documents
    searches: dict[str, Callable[[NDArray[np.float32]], Any]] = {
        "float32 (NumPy)": lambda some: floats.search(np.atleast_2d(some), 10),
        "bits alone (bitsift)": lambda some: new.search(
            some, scoring="hamming", rescore=False, threads=threads
        ),
        "the defaults of 0.1.0": lambda some: old.search(some, threads=threads),
        "the defaults now": lambda some: new.search(some, threads=threads),
    }
    if faiss is not None:
        faiss.omp_set_num_threads(threads)
        flat = faiss_flat(new.codes)
        searches["bits alone (FAISS)"] = lambda some: flat.search(
            np.atleast_2d(bitsift.pack(some)), 10
        )
    taken = {}
    for n_queries in ASKED_SLOWER:
        some = queries if n_queries > 1 else queries[0]
        calls = {name: lambda s=search, some=some: s(some) for name, search in searches.items()}
        taken[n_queries] = times(calls, seconds)
    print(f"{len(new):,} x {DIM}, {threads} threads, k = 10.\n")
    titles = ("1 query" if n_queries == 1 else f"{n_queries} queries" for n_queries in taken)
    print(f"| search | {' | '.join(titles)} |")
    print("|---|---|---|")
    for name in searches:
        print(f"| {name} | {' | '.join(duration(each[name]) for each in taken.values())} |")
    ratios = {
        n_queries: each["the defaults now"] / each["the defaults of 0.1.0"]
        for n_queries, each in taken.items()
    }
    cells = [
        f"{ratio:.2f}{verdict(ratio <= ASKED_SLOWER[n_queries])}"
        for n_queries, ratio in ratios.items()
    ]
    print(f"| now / 0.1.0 | {' | '.join(cells)} |")
    print(f"| asked | {' | '.join(map(str, ASKED_SLOWER.values()))} |\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="random vectors to time")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--seconds", type=float, default=5.0, help="for each row that is timed")
    chosen = parser.parse_args()
    print(f"{machine()}, bitsift {bitsift.__version__} at {bitsift.available_isas()[-1]}\n")
    folder = os.environ.get("BITSIFT_DATA")
    if folder is None:
        print("NOT MEASURED on collections: set BITSIFT_DATA to the folder that holds them\n")
    else:
        arxiv = next(collections(Path(folder)), None)
        if arxiv is not None and arxiv.name == "arxiv":
            print_arxiv(arxiv, chosen.threads, chosen.seconds)
            print_sizes(arxiv, chosen.threads, chosen.seconds)
        print_collections(Path(folder))
    print_times(chosen.rows, chosen.threads, chosen.seconds)


if __name__ == "__main__":
    sys.exit(main())
