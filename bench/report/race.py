# SPDX-License-Identifier: Apache-2.0
"""`Question` and `Result`: bitsift, peers and ceilings, checked and then timed in turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..interleave import pace, take_turns

Call = Callable[[], Any]


@dataclass(frozen=True, eq=False)
class Peer:
    """Another library at the same task.

    Attributes
    ----------
    check : callable
        Raises AssertionError if bitsift's result, the first argument, and the peer's differ.
    scale : float
        The time of a call is taken times this: where the peer gets fewer queries.
    note : str
        What a reader must know about the comparison.
    """

    name: str
    call: Call
    check: Callable[[Any, Any], None] | None = None
    scale: float = 1.0
    note: str = ""


@dataclass(frozen=True, eq=False)
class Ceiling:
    """What the machine can do at most: `work`, in `unit`, a call."""

    name: str
    call: Call
    work: float
    unit: str


@dataclass(frozen=True, eq=False)
class Question:
    """One question, in words and as calls.

    `work` is what the answer takes, in the unit of the ceilings. `facts` are the numbers behind the
    question: rows, bits, queries, k.
    """

    text: str
    level: str
    threads: int
    ours: Call
    peers: Sequence[Peer] = ()
    ceilings: Sequence[Ceiling] = ()
    work: float = 0.0
    facts: dict[str, int] = field(default_factory=dict)


@dataclass
class Result:
    """Seconds of a call in each round; those of peers scaled. Ceilings: work a second."""

    question: Question
    ours: list[float]
    peers: dict[str, list[float]]
    ceilings: dict[str, list[float]]
    remark: str = ""

    @property
    def seconds(self) -> float:
        return statistics.median(self.ours)

    def peer_seconds(self, name: str) -> float:
        return statistics.median(self.peers[name])

    def ratios(self, name: str) -> list[float]:
        """Peer / bitsift, of each round: above 1, bitsift is faster."""
        return [b / a for a, b in zip(self.ours, self.peers[name], strict=True)]

    def ratio(self, name: str) -> float:
        return statistics.median(self.ratios(name))

    def shares(self, ceiling: str, peer: str | None = None) -> list[float]:
        """Give the share of the ceiling that bitsift, or a peer, reached in each round."""
        times = self.ours if peer is None else self.peers[peer]
        rates = self.ceilings[ceiling]
        return [self.question.work / t / rate for t, rate in zip(times, rates, strict=True)]

    def share(self, ceiling: str, peer: str | None = None) -> float:
        return statistics.median(self.shares(ceiling, peer))

    @property
    def highest_ceiling(self) -> str:
        """Name the highest of the ceilings."""
        return min(self.ceilings, key=self.share)

    def relative_to(self, other: Result) -> float:
        """Our time over that of `other`, which was timed in the same rounds."""
        return statistics.median(a / b for a, b in zip(self.ours, other.ours, strict=True))

    def peer_relative_to(self, other: Result, name: str) -> float:
        pairs = zip(self.peers[name], other.peers[name], strict=True)
        return statistics.median(a / b for a, b in pairs)


def race(questions: Sequence[Question], seconds: float, least_rounds: int) -> list[Result]:
    """Check every peer's result, then time all contestants of all questions in turn.

    Raises
    ------
    AssertionError
        A peer returned something else.
    """
    for question in questions:
        _check(question)
    # A ceiling that questions have in common runs once a round.
    calls = list(dict.fromkeys(call for question in questions for call in _calls(question)))
    paces = pace(seconds, *calls, least_rounds=least_rounds)
    times = dict(zip(calls, take_turns(calls, paces), strict=True))
    return [
        Result(
            question,
            times[question.ours],
            {peer.name: [t * peer.scale for t in times[peer.call]] for peer in question.peers},
            {c.name: [c.work / t for t in times[c.call]] for c in question.ceilings},
        )
        for question in questions
    ]


def _calls(question: Question) -> list[Call]:
    return [
        *(c.call for c in question.ceilings),
        question.ours,
        *(peer.call for peer in question.peers),
    ]


def _check(question: Question) -> None:
    ours = question.ours()
    for peer in question.peers:
        if peer.check is not None:
            try:
                peer.check(ours, peer.call())
            except AssertionError as error:
                raise AssertionError(f"{question.text}: {peer.name} differs: {error}") from None
