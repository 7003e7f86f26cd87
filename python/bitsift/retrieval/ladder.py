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
from bitsift.core.options import DEFAULT_OVERSAMPLING, SCORINGS, Ladder, Scoring
from bitsift.core.unreadable import shown

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
        Candidates for each result that it passes on; 1 for the last rung.
    """

    name: str
    oversampling: float

    def n_out(self, k: int, n_rows: int) -> int:
        """Return how many candidates it passes on for `k` results among `n_rows` documents."""
        if self.oversampling == 1 or k == 0:
            return k
        if self.oversampling.is_integer():  # the product is exact wherever it is below `n_rows`
            wanted = k * self.oversampling
        else:
            with DefaultFloats():
                wanted = k * self.oversampling
        return n_rows if wanted >= n_rows else math.ceil(wanted)


class Plan(NamedTuple):
    """How to search, every choice made: results for each query, rungs and threads."""

    k: int
    rungs: list[Rung]
    threads: int


class LadderOptions(NamedTuple):
    """What a caller says of the rungs of a search, None where nothing; see `Index.search`."""

    oversampling: float | None
    rescore: bool | None
    scoring: Scoring | None
    ladder: Ladder | None

    def rungs(self, stores: Sequence[str], *, are_bits: bool, corrected: bool) -> list[Rung]:
        """Return the rungs, or raise if they do not fit the index or the queries.

        Warns of what the caller has given, or has paid for, and this search does not use.

        `stores` are those of the index, and `corrected` says whether it has a correction.
        `are_bits` says that the queries have no float values.
        """
        rescore, ladder = self.rescore, self.ladder
        if rescore is not None and not isinstance(rescore, (bool, np.bool_)):
            raise TypeError(f"rescore must be True, False or None; got {shown(rescore)}")
        if ladder is not None:
            for name in ("oversampling", "rescore", "scoring"):
                if (given := getattr(self, name)) is not None:
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
            passed_on = DEFAULT_OVERSAMPLING if self.oversampling is None else self.oversampling
            rungs = default_ladder(self.scoring or "hamming", store, passed_on, corrected=corrected)
        if are_bits and any(rung.name != "hamming" for rung in rungs):
            asks = 'scoring="asymmetric"' if ladder is None else f"ladder={shown(ladder)}"
            raise ValueError(f"{asks} needs float queries; {_BITS}")
        if corrected and ladder is None and self.scoring is None:
            queries = "float queries" if are_bits else "this search"
            warn(
                "correction=True is of no use to this search, which compares bits by Hamming "
                f'distance. With scoring="asymmetric", {queries} would use it. With '
                'scoring="hamming", this search does not warn'
            )
        return rungs

    def _warn_of_oversampling(self, stores: Sequence[str], *, are_bits: bool) -> None:
        """Warn that nothing is rescored, so that there are no candidates to pass on."""
        if self.rescore is not None:
            why = f"rescore={self.rescore}"
        else:
            why = "the queries are bits" if are_bits and stores else "the index has no originals"
        warn(f"oversampling={self.oversampling:g} does nothing, because nothing is rescored: {why}")


def default_ladder(
    scoring: str, store: str | None, oversampling: float, *, corrected: bool
) -> list[Rung]:
    """Return the rungs of a scan and, if a store is given, of rescoring from it."""
    rungs = []
    passed_on = 1.0 if store is None else oversampling
    if scoring == "asymmetric" and corrected:
        rungs.append(Rung("asymmetric", BEFORE_CORRECTION * passed_on))
    rungs.append(Rung(scoring, passed_on))
    if store is not None:
        rungs.append(Rung(store, 1.0))
    return rungs


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
