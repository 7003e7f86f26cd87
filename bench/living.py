# SPDX-License-Identifier: Apache-2.0
"""An index that changes: removals, replacements and look-ups a second, and searches after them.

``python -m bench.living [--n 1000000] [--dim 768]`` prints the fastest of some runs of each. Each
search is timed in turn with that of an index of the live vectors alone, and their results must be
the same.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift

from .interleave import interleave, pace

_RUNS = 3
_SHARES = (0.0, 0.01, 0.5, 0.95)
_ONE_AT_A_TIME = 1_000


def ids_of(n: int) -> dict[str, NDArray[np.int64] | None]:
    """Give ids of each kind."""
    arbitrary = np.random.default_rng(0).permutation(3 * n)[:n]
    return {"automatic": None, "ascending": np.arange(n) * 3, "arbitrary": arbitrary}


def small_index(ids: NDArray[np.int64] | None, n: int) -> bitsift.Index:
    """Return an index of `n` vectors of 8 bits, so that ids take the time."""
    index = bitsift.Index(8, store=None)
    index.add(np.zeros((n, 1), np.uint8), ids)
    return index


def fastest(prepare: Callable[[], Any], act: Callable[[Any], object]) -> float:
    """Return the seconds of the fastest of some runs."""
    seconds = []
    for _ in range(_RUNS):
        prepared = prepare()
        begin = time.perf_counter()
        act(prepared)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def remove_singly(index: bitsift.Index, ids: list[int]) -> None:
    """Remove in a Python loop."""
    for id in ids:
        index.remove(id)


def upsert_singly(index: bitsift.Index, ids: NDArray[np.int64]) -> None:
    """Replace vectors one by one."""
    code = np.zeros((1, 1), np.uint8)
    for id in ids:
        index.upsert(code, [id])


def print_ids(n: int) -> None:
    """Measure what goes by ids."""
    for kind, ids in ids_of(n).items():
        index = small_index(ids, n)
        order = np.random.default_rng(1).permutation(index.ids)
        half, few = order[: n // 2], order[:_ONE_AT_A_TIME]
        codes = np.zeros((n // 2, 1), np.uint8)

        def fresh(ids: NDArray[np.int64] | None = ids) -> bitsift.Index:
            made = small_index(ids, n)
            made.contains(0)  # makes the table
            return made

        begin = time.perf_counter()
        index.contains(0)
        first = time.perf_counter() - begin
        rows = {
            "look up": (n, lambda: index, lambda one: one.contains(order)),  # noqa: B023
            "remove one by one": (n, fresh, lambda one: remove_singly(one, order.tolist())),  # noqa: B023
            "remove together": (n, fresh, lambda one: one.remove(order)),  # noqa: B023
            "replace one by one": (len(few), fresh, lambda one: upsert_singly(one, few)),  # noqa: B023
            "replace together": (n // 2, fresh, lambda one: one.upsert(codes, half)),  # noqa: B023
        }
        print(f"{n:,} {kind} ids; the first look-up: {1e3 * first:.1f} ms")
        for name, (count, prepare, act) in rows.items():
            seconds = fastest(prepare, act)
            print(f"  {name:20} {seconds:8.3f} s  {1e6 * seconds / count:7.2f} us each")


def print_bytes(n: int) -> None:
    """Measure the memory of ids and of what finds them."""
    from bitsift.core import native  # noqa: PLC0415

    ids = ids_of(n)["arbitrary"]
    assert ids is not None
    table = native.IdIndex(ids, n + n // 2, 0)
    slots = table.capacity // 4 * 5 + 5  # as in cpp/base/id_index.cpp
    print(f"bytes a vector: ids 8, their table at most {8 * slots / n:.1f}, live rows 0.125")


def print_searches(n: int, dim: int) -> None:
    """Measure searches of an index with removed rows and of one of the live vectors alone."""
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 256, (n, dim // 8), dtype=np.uint8)
    for share in _SHARES:
        gone = rng.random(n) < share
        index, alone = bitsift.Index(dim, store=None), bitsift.Index(dim, store=None)
        index.add(codes)
        index.remove(np.flatnonzero(gone))
        alone.add(codes[~gone], np.flatnonzero(~gone))
        for n_queries in (1, 256):
            queries = rng.integers(0, 256, (n_queries, dim // 8), dtype=np.uint8)
            searches = [lambda one=one, q=queries: one.search(q, 10) for one in (index, alone)]
            found, wanted = (search() for search in searches)
            assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
            seconds = interleave(*searches, *pace(2.0, *searches))
            print(
                f"{share:4.0%} of {n:,} removed, {n_queries:3} queries: "
                f"{1e3 * seconds.ours:8.2f} ms, {1 / seconds.ratio:.2f} of the live vectors alone"
            )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=768)
    options = parser.parse_args()
    print_ids(options.n)
    print_bytes(options.n)
    print_searches(options.n, options.dim)


if __name__ == "__main__":
    main()
