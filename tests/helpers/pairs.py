# SPDX-License-Identifier: Apache-2.0
"""Which parameters of a test the quick run takes.

Faults seldom need three parameters at once. So the quick run takes a few sets of parameters, in
which each two values of two parameters meet that meet in any set, and the slow run takes the rest.
See D. R. Kuhn, D. R. Wallace, A. M. Gallo, "Software fault interactions and implications for
software testing" (DOI 10.1109/TSE.2004.24).
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence

import pytest

Pair = tuple[Hashable, Hashable]


def mark_others_slow(items: Sequence[pytest.Item]) -> None:
    """Mark as slow what the quick run need not take of each test with several parameters."""
    tests: dict[str, list[pytest.Function]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and len(_parameters(item)) > 1:
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for runs in tests.values():
        quick = [run for run in runs if not run.get_closest_marker("slow")]
        chosen = covering([_pairs(run) for run in quick])
        for i, run in enumerate(quick):
            if i not in chosen:
                run.add_marker("slow")


def covering(sets: Sequence[frozenset[Pair]]) -> set[int]:
    """Return the places of few sets that together have every pair.

    Sets with the most new pairs are taken first. Not the fewest: to find these would take too long.
    """
    chosen: set[int] = set()
    seen: set[Pair] = set()
    for least in range(max(map(len, sets), default=0), 0, -1):
        for i, pairs in enumerate(sets):
            if len(pairs - seen) >= least:
                chosen.add(i)
                seen |= pairs
    return chosen


def _parameters(run: pytest.Function) -> dict[str, object]:
    return run.callspec.params if hasattr(run, "callspec") else {}


def _pairs(run: pytest.Function) -> frozenset[Pair]:
    values = [(name, repr(value)) for name, value in sorted(_parameters(run).items())]
    return frozenset(itertools.combinations(values, 2))
