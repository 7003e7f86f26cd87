# SPDX-License-Identifier: Apache-2.0
"""How long does a range search take, beside a search for as many and beside FAISS?

``python -m bench.ranges`` prints tables in Markdown: of one query and of a batch, over codes of 768
bits, for radii within which there are a few results, a thousand, and tens of thousands. All are
called in turn.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift

from .formats import duration, machine
from .interleave import pace, take_turns
from .peers.libraries import faiss
from .peers.search import faiss_flat

DIM = 768
# Of random codes, so many of each million are within such a distance of a query.
WANTED = (10, 1_000, 30_000)


def table(n: int, n_queries: int, seconds: float, threads: int) -> None:
    """Print the times of one number of queries, and the number of results that they are for."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (n, DIM // 8), dtype=np.uint8)
    queries = rng.integers(0, 256, (n_queries, DIM // 8), dtype=np.uint8)
    flat = None if faiss is None else faiss_flat(codes)
    some = np.sort(bitsift.hamming(codes[: min(n, 100_000)], queries[:4]).ravel())
    print(f"\n{n_queries} queries, {n:,} x {DIM} bits\n")
    print("| results a query | range_search | count_only | search of as many | 0 results | FAISS |")
    print("|---:|---:|---:|---:|---:|---:|")
    for wanted in WANTED:
        radius = int(some[min(len(some) - 1, len(some) * wanted // 1_000_000)])
        found = bitsift.range_search(codes, queries, radius, threads=threads)
        k = max(1, len(found.ids) // n_queries)
        functions = _functions(codes, queries, radius, k, threads)
        if flat is not None:
            _check_same(found, flat.range_search(queries, radius + 1))
            functions.append(lambda radius=radius: flat.range_search(queries, radius + 1))
        for function in functions:
            function()
        times = take_turns(functions, pace(seconds, *functions))
        medians = [statistics.median(one) for one in times]
        first = medians[0]
        cells = [f"{duration(one)} ({one / first:.2f})" for one in medians]
        print(f"| {k:,} | {' | '.join(cells)} |" + ("" if flat is not None else " not installed |"))


def _functions(
    codes: NDArray[np.uint8], queries: NDArray[np.uint8], radius: int, k: int, threads: int
) -> list[Callable[[], Any]]:
    return [
        lambda: bitsift.range_search(codes, queries, radius, threads=threads),
        lambda: bitsift.range_search(codes, queries, radius, count_only=True, threads=threads),
        lambda: bitsift.search(codes, queries, k, threads=threads),
        lambda: bitsift.range_search(codes, queries, 0, threads=threads),
    ]


def _check_same(found: bitsift.RangeResult, theirs: tuple[NDArray[Any], ...]) -> None:
    """Raise unless FAISS, whose radius is exclusive, finds the same rows, in any order."""
    lims, distances, ids = theirs
    np.testing.assert_array_equal(found.lims, lims.astype(np.int64))
    for i in range(len(lims) - 1):
        part = slice(int(lims[i]), int(lims[i + 1]))
        order = np.lexsort((ids[part], distances[part]))
        np.testing.assert_array_equal(found.of(i).ids, ids[part][order])


def main() -> None:
    """Read the options and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each row of a table")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if faiss is not None and options.threads:
        faiss.omp_set_num_threads(options.threads)
    print(machine())
    for n_queries in (1, 256):
        table(options.rows, n_queries, options.seconds, options.threads)


if __name__ == "__main__":
    main()
