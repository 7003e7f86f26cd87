# SPDX-License-Identifier: Apache-2.0
"""Ladders: which rung scans, which rescore, and how many candidates each passes on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bitsift.core import arguments
from bitsift.core.errors import warn
from bitsift.core.floats import DefaultFloats
from bitsift.core.options import DEFAULT_OVERSAMPLING, SCORINGS, Ladder, SearchScoring
from bitsift.core.unreadable import shown
from bitsift.retrieval.defaults import SearchDefaults, Step, steps_by_position

__all__ = ["BEFORE_CORRECTION", "LadderOptions", "Plan", "Rung"]

# The scan before a correction uses uncorrected scores, so it passes on more candidates.
BEFORE_CORRECTION = 8.0
_BITS = (
    "the queries are bits: give the float vectors; where bits are all there is, "
    'bitsift.from_codes(queries, "signs", dim=index.dim).astype("float32") stands for them, and '
    "for bool numpy.where(queries, 1.0, -1.0)"
)
_NO_ORIGINALS = (
    'store=None keeps no original vectors: make the index with a store, such as store="float16", '
    'or search by scoring="asymmetric"'
)


class Rung(NamedTuple):
    """One step of a search.

    Attributes
    ----------
    name : str
        ``"hamming"``, ``"asymmetric"`` or a store.
    oversampling : float
        What the number of candidates of a step is multiplied by, for those that the rung passes on;
        1 for the last rung.
    """

    name: str
    oversampling: float

    def n_out(self, k: int, n_rows: int) -> int:
        """Return how many of `n_rows` documents it passes on, where a step has `k` candidates."""
        if self.oversampling == 1 or k == 0:
            return k
        if self.oversampling.is_integer():  # the product is exact wherever it is below `n_rows`
            wanted = k * self.oversampling
        else:
            with DefaultFloats():
                wanted = k * self.oversampling
        return n_rows if wanted >= n_rows else math.ceil(wanted)


class Plan(NamedTuple):
    """How to search, every choice made.

    Attributes
    ----------
    steps : tuple of Step
        Results for each query, and how many candidates there are for them.
    rungs : list of Rung
        What scans, and what rescores.
    threads : int
        Number of threads; 0 means all.
    """

    steps: tuple[Step, ...]
    rungs: list[Rung]
    threads: int

    @property
    def k(self) -> int:
        """Results for each query."""
        return self.steps[-1].n_results

    def ends(self, number: int, n_rows: int) -> list[int]:
        """Return how many documents a rung passes on by the end of each step."""
        if number == len(self.rungs) - 1:
            return [step.n_results for step in self.steps]
        rung = self.rungs[number]
        return [rung.n_out(step.n_candidates, n_rows) for step in self.steps]


class LadderOptions(NamedTuple):
    """What a caller says of the rungs of a search, None where nothing; see `Index.search`."""

    oversampling: float | None
    rescore: bool | None
    scoring: SearchScoring | None
    ladder: Ladder | None

    @property
    def says_scoring(self) -> bool:
        """Whether the caller has chosen what scans."""
        return self.scoring not in (None, "auto")

    def steps(self, n_results: int, n_rows: int, defaults: SearchDefaults) -> tuple[Step, ...]:
        """Return the steps to `n_results` results, at most `n_rows`."""
        if defaults.candidates == "all":
            return (Step(n_results, n_rows if n_results else 0),)
        by_position = defaults.candidates == "by-position"
        if by_position and self.oversampling is None and self.ladder is None:
            return steps_by_position(n_results, n_rows)
        return (Step(n_results, n_results),)

    def rungs(
        self,
        stores: Sequence[str],
        defaults: SearchDefaults,
        *,
        are_bits: bool,
        corrected: bool,
    ) -> list[Rung]:
        """Return the rungs, or raise if they do not fit the index or the queries.

        Warns of what the caller has given, or has paid for, and this search does not use.

        `stores` and `defaults` are those of the index, and `corrected` says whether it has a
        correction. `are_bits` says that the queries have no float values.
        """
        rescore, ladder = self.rescore, self.ladder
        if rescore is not None and not isinstance(rescore, (bool, np.bool_)):
            raise TypeError(f"rescore must be True, False or None; got {shown(rescore)}")
        if ladder is not None:
            for name in ("oversampling", "rescore", "scoring"):
                given = getattr(self, name)
                if given is not None and (name != "scoring" or self.says_scoring):
                    raise ValueError(
                        "ladder must come without rescore, scoring and oversampling, which it "
                        f"replaces; got {name}={shown(given)}"
                    )
            rungs = parse_ladder(ladder, stores)
        else:
            if rescore and (are_bits or not stores):
                what = _BITS if are_bits else _NO_ORIGINALS
                raise ValueError(f"rescore=True needs float queries and original vectors; {what}")
            store = stores[-1] if stores and not are_bits and rescore in (None, True) else None
            if self.oversampling is not None and store is None:
                self._warn_of_oversampling(stores, are_bits=are_bits)
            rungs = self._usual_rungs(defaults, store, are_bits=are_bits, corrected=corrected)
        if are_bits and any(rung.name != "hamming" for rung in rungs):
            asks = 'scoring="asymmetric"' if ladder is None else f"ladder={shown(ladder)}"
            raise ValueError(f"{asks} needs float queries; {_BITS}")
        if corrected and ladder is None and not self.says_scoring and defaults.scan == "hamming":
            queries = "float queries" if are_bits else "this search"
            warn(
                "correction=True is of no use to this search, which compares bits by Hamming "
                f'distance. With scoring="asymmetric", {queries} would use it. With '
                'scoring="hamming", this search does not warn'
            )
        return rungs

    def _usual_rungs(
        self, defaults: SearchDefaults, store: str | None, *, are_bits: bool, corrected: bool
    ) -> list[Rung]:
        """Return the rungs of a scan and, if a store is given, of rescoring from it."""
        scan = self.scoring if self.says_scoring else "hamming" if are_bits else defaults.scan
        by_position = self.oversampling is None and defaults.candidates == "by-position"
        if by_position:
            # Steps have the candidates; those of corrected scores come from the same scan.
            passed_on = 1.0
            before_correction = 1.0 if store is None else BEFORE_CORRECTION
        else:
            given = DEFAULT_OVERSAMPLING if self.oversampling is None else self.oversampling
            passed_on = 1.0 if store is None else given
            before_correction = BEFORE_CORRECTION * passed_on
        rungs = []
        if scan == "asymmetric" and corrected:
            rungs.append(Rung(scan, before_correction))
        rungs.append(Rung(str(scan), passed_on))
        if store is not None:
            rungs.append(Rung(store, 1.0))
        return rungs

    def _warn_of_oversampling(self, stores: Sequence[str], *, are_bits: bool) -> None:
        """Warn that nothing is rescored, so that there are no candidates to pass on."""
        if self.rescore is not None:
            why = f"rescore={self.rescore}"
        else:
            why = "the queries are bits" if are_bits and stores else "the index has no originals"
        warn(f"oversampling={self.oversampling:g} does nothing, because nothing is rescored: {why}")


def parse_ladder(ladder: Ladder, stores: Sequence[str]) -> list[Rung]:
    """Return the rungs of a caller's ladder, checked."""
    if isinstance(ladder, str) or not isinstance(ladder, Sequence) or not ladder:
        raise TypeError(
            'ladder must be a list such as [("hamming", 40), ("asymmetric", 4), "float32"]; '
            f"got {shown(ladder)}"
        )
    rungs = [_parse_rung(entry, last=i == len(ladder) - 1) for i, entry in enumerate(ladder)]
    _check_names([rung.name for rung in rungs], stores)
    for before, after in itertools.pairwise(rungs):
        if after.oversampling > before.oversampling:
            raise ValueError(
                f"a rung of ladder passes on no more than the one before it; got {before.name} "
                f"{before.oversampling:g}, then {after.name} {after.oversampling:g}"
            )
    return rungs


def _parse_rung(entry: object, *, last: bool) -> Rung:
    if isinstance(entry, str) and last:
        return Rung(entry, 1.0)
    if not isinstance(entry, (tuple, list)) or len(entry) != 2 or not isinstance(entry[0], str):
        wanted = "a name, or (name, 1)" if last else "(name, oversampling)"
        raise TypeError(f"this rung of ladder must be {wanted}; got {shown(entry)}")
    name = entry[0]
    oversampling = arguments.check_oversampling(
        entry[1], f"rung {shown(name)} of ladder: oversampling"
    )
    if last and oversampling != 1:
        raise ValueError(
            f"the last rung of ladder gives the results: its oversampling is 1; got {shown(entry)}"
        )
    return Rung(name, oversampling)


def _check_names(names: list[str], stores: Sequence[str]) -> None:
    if names[0] not in SCORINGS:
        raise ValueError(
            f"the first rung of ladder must be one of {SCORINGS}; got {shown(names[0])}"
        )
    known = ("asymmetric", *stores)
    for name in names[1:]:
        if name not in known:
            raise ValueError(
                f"rungs of ladder after the first must be among {known}, what this index has; "
                f"got {name!r}"
            )
    rescoring = names[1:]
    if len(set(rescoring)) < len(rescoring):
        raise ValueError(f"ladder must rescore from each source once; got {names}")
