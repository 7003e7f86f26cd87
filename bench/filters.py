# SPDX-License-Identifier: Apache-2.0
"""What a filter costs, by the share of the vectors that it lets through, and what segments cost.

``python -m bench.filters`` prints tables in Markdown. A search with a mask, with a prepared filter
and with a list of ids takes turns with the same search of all vectors, by Hamming distance over
codes of 768 bits: one query, and a batch. So do searches of an index in many segments.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift
import bitsift.core.native as native

from .formats import duration, machine
from .interleave import pace, take_turns

DIM = 768
SHARES = (0.0001, 0.01, 0.1, 0.5, 0.9, 1.0)
SEGMENTS = (10, 100, 1_000)
# What was aimed at, as a share of the time without a filter.
ASKED = {0.01: 0.12, 0.5: 1.15}


def made_index(codes: NDArray[np.uint8]) -> bitsift.Index:
    """Return an index of these codes alone."""
    index = bitsift.Index(DIM, store=None, scoring="hamming")
    index.add(codes)
    return index


def medians_of(functions: list[Callable[[], Any]], seconds: float) -> list[tuple[float, float]]:
    """Return the median time of each, and the median ratio to the first in the same turns."""
    for function in functions:
        function()
    times = take_turns(functions, pace(seconds, *functions))
    return [(statistics.median(one), statistics.median(np.divide(one, times[0]))) for one in times]


def print_shares(index: bitsift.Index, queries: NDArray[np.uint8], options: Any) -> None:
    """Print what filters cost."""
    rng = np.random.default_rng(1)
    n = len(index)
    print(f"\n{len(queries)} queries, {n:,} x {DIM} bits, time of a search with / without\n")
    print("| let through | mask | prepared | list of ids | one for each query | asked |")
    print("|---:|---:|---:|---:|---:|---:|")
    for share in SHARES:
        mask = rng.random(n) < share
        ids = np.flatnonzero(mask)
        prepared = index.filter(mask)
        filters: list[Any] = [None, mask, prepared, ids, [prepared] * len(queries)]

        def search(one: Any) -> bitsift.SearchResult:
            return index.search(queries, 10, filter=one, threads=options.threads)

        found = [search(one) for one in filters[1:]]
        assert all((one.ids == found[0].ids).all() for one in found)
        assert mask[found[0].ids[found[0].ids >= 0]].all()
        functions = [lambda one=one: search(one) for one in filters]
        measured = medians_of(functions, options.seconds)
        cells = [f"{ratio:.2f} ({duration(seconds)})" for seconds, ratio in measured[1:]]
        asked = ASKED.get(share, "")
        print(f"| {100 * share:g} % | {' | '.join(cells)} | {asked} |")


def print_segments(codes: NDArray[np.uint8], queries: NDArray[np.uint8], options: Any) -> None:
    """Print what many segments cost, by the function that every search calls."""
    print(f"\n{len(queries)} queries, {len(codes):,} x {DIM} bits in segments, time / in one\n")
    print("| segments | time | asked |")
    print("|---:|---:|---:|")
    isa = bitsift.available_isas()[-1]
    matrices: list[Any] = [codes]
    for n in SEGMENTS:
        matrices.append(native.Segments([part.copy() for part in np.array_split(codes, n)]))

    def search(one: Any) -> Any:
        return native.search(one, queries, None, k=10, ids=None, isa=isa, threads=options.threads)

    found = [search(one) for one in matrices]
    assert all((one[1] == found[0][1]).all() for one in found)
    measured = medians_of([lambda one=one: search(one) for one in matrices], options.seconds)
    for n, (seconds, ratio) in zip(SEGMENTS, measured[1:], strict=True):
        print(f"| {n:,} | {ratio:.2f} ({duration(seconds)}) | {1.3 if n == SEGMENTS[-1] else ''} |")


def main() -> None:
    """Read the options and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each row of a table")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    print(machine())
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (options.rows, DIM // 8), dtype=np.uint8)
    index = made_index(codes)
    for n_queries in (1, 256):
        queries = rng.integers(0, 256, (n_queries, DIM // 8), dtype=np.uint8)
        print_shares(index, queries, options)
        print_segments(codes, queries, options)


if __name__ == "__main__":
    main()
