# SPDX-License-Identifier: Apache-2.0
"""The clock of all benches: functions timed in turn, so that a slow machine slows them all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

# OpenMP's threads spin for about 10 ms after FAISS has returned. Without a pause they would
# take a core from whoever comes next.
PAUSE = 0.02
# After the pause a virtual machine takes about a millisecond to wake its other cores. Before calls
# that are short enough for that to matter comes one that is not timed.
LONG_CALL = 0.05
# A round of less than this is mostly the first call's cold caches: fast functions run repeatedly.
SHORTEST_ROUND = 0.001
LEAST_ROUNDS = 5
MOST_ROUNDS = 101


class Interleaved(NamedTuple):
    """What interleaved rounds measured.

    Attributes
    ----------
    ours, peer : float
        Median seconds of a call.
    ratio : float
        Median over the rounds of peer / ours: above 1, ours is faster.
    ratios : list of float
        That of each round.
    """

    ours: float
    peer: float
    ratio: float
    ratios: list[float]


class Pace(NamedTuple):
    """Calls in a round, rounds in a measurement, and whether each begins with an untimed call."""

    calls: int
    rounds: int
    warm_up: bool


def pace(
    seconds: float, *functions: Callable[[], Any], least_rounds: int = LEAST_ROUNDS
) -> list[Pace]:
    """Choose the same number of rounds for functions that together may take `seconds`.

    They should have been called before. Slow ones get `least_rounds`, whatever that takes.
    """
    estimates = [_estimate(function) for function in functions]
    calls = [max(1, round(SHORTEST_ROUND / estimate)) for estimate in estimates]
    warm_up = [estimate < LONG_CALL for estimate in estimates]
    round_seconds = sum(
        PAUSE + (n + extra) * estimate
        for n, extra, estimate in zip(calls, warm_up, estimates, strict=True)
    )
    rounds = min(max(int(seconds / round_seconds), least_rounds), MOST_ROUNDS)
    return [Pace(n, rounds, extra) for n, extra in zip(calls, warm_up, strict=True)]


def take_turns(functions: Sequence[Callable[[], Any]], paces: Sequence[Pace]) -> list[list[float]]:
    """Time each in turn, again and again; return the seconds of a call in each round, by function.

    All paces have the same number of rounds.
    """
    rounds = [
        [_round(function, chosen) for function, chosen in zip(functions, paces, strict=True)]
        for _ in range(paces[0].rounds)
    ]
    return [list(times) for times in zip(*rounds, strict=True)]


def interleave(
    ours: Callable[[], Any], peer: Callable[[], Any], our_pace: Pace, peer_pace: Pace
) -> Interleaved:
    """Time `ours`, `peer`, `ours`, `peer`, ..."""
    our_times, peer_times = take_turns([ours, peer], [our_pace, peer_pace])
    ratios = [b / a for a, b in zip(our_times, peer_times, strict=True)]
    return Interleaved(
        statistics.median(our_times),
        statistics.median(peer_times),
        statistics.median(ratios),
        ratios,
    )


def _round(function: Callable[[], Any], chosen: Pace) -> float:
    time.sleep(PAUSE)
    if chosen.warm_up:
        function()
    return _time(function, chosen.calls)


def _estimate(function: Callable[[], Any]) -> float:
    first = _time(function, 1)
    # A second look at fast ones only: the first call is cold, and slow ones cost time.
    return max(first if first > 0.01 else min(first, _time(function, 3)), 1e-7)


def _time(function: Callable[[], Any], calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - begin) / calls
