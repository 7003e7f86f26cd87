# SPDX-License-Identifier: Apache-2.0
"""`Run`, one run of the report: what was measured so far and how much time is left; `Group`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .ceilings import MeasuredCeiling
from .race import Question, Result, race
from .settings import Settings


@dataclass(frozen=True)
class Group:
    """Questions that belong together; seconds are those of the timed rounds."""

    name: str
    title: str
    measure: Callable[[Run], None]
    seconds: float
    quick_seconds: float

    def wanted(self, *, quick: bool) -> float:
        return self.quick_seconds if quick else self.seconds


@dataclass
class Measurements:
    """What became of a group; `unavailable` and `failed` are sentences."""

    group: Group
    results: list[Result] = field(default_factory=list)
    unavailable: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class Run:
    settings: Settings
    ceilings: list[MeasuredCeiling] = field(default_factory=list)
    groups: list[Measurements] = field(default_factory=list)
    say: Callable[[str], None] = lambda _: None
    _allowance: float = 0.0
    _least_rounds: int = 0
    _begin: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._begin

    def measure(self, groups: Sequence[Group]) -> None:
        """Measure groups; later ones get less time where earlier ones took more than theirs."""
        for i, group in enumerate(groups):
            quick = self.settings.quick
            wanted = group.wanted(quick=quick)
            planned = sum(g.wanted(quick=quick) for g in groups[i:])
            left = max(0.0, self.settings.limit_seconds - self.elapsed)
            self._allowance = wanted * min(1.0, left / planned)
            self.groups.append(Measurements(group))
            # Late: rounds go, groups stay.
            least = self.settings.least_rounds
            self._least_rounds = least if left > planned / 2 else 2
            self.say(group.title)
            begin = self.elapsed
            try:
                group.measure(self)
            except Exception as error:  # the other groups are worth having
                self.groups[-1].failed.append(_one_line(error))
            self.groups[-1].seconds = self.elapsed - begin

    def race(self, questions: Sequence[Question], part: float = 1.0) -> list[Result]:
        """Time questions in the same rounds, within a part of the group's time."""
        results = race(questions, self._allowance * part, self._least_rounds)
        self.groups[-1].results += results
        return results

    def unavailable(self, what: str) -> None:
        self.groups[-1].unavailable.append(f"{what}: not available in this build")


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:400]}"
