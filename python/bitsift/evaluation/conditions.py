# SPDX-License-Identifier: Apache-2.0
"""The conditions: each is a way to keep vectors and to search them, in bitsift's own calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from bitsift.core.limits import LEAST_ROWS_FITTED
from bitsift.core.options import DEFAULT_OVERSAMPLING, THRESHOLDS
from bitsift.quantization import Calibrator, MinMaxCalibrator, RollingCalibrator
from bitsift.quantization.integers import DEFAULT_N_STD

__all__ = [
    "ADVISED",
    "BASELINE",
    "DEFAULT",
    "KEPT",
    "MORE_OVERSAMPLINGS",
    "OVERSAMPLINGS",
    "ROLLING_STDS",
    "SELECTIONS",
    "SOURCES",
    "Condition",
    "Selection",
    "advised",
    "conditions",
    "rescored_name",
    "with_more_candidates",
]

Group = Literal[
    "baseline",
    "default",
    "both sides",
    "documents only",
    "bits, rescored",
    "thresholds",
    "more candidates",
]
Selection = Literal["all", "quick"]
SELECTIONS: tuple[Selection, ...] = get_args(Selection)

BASELINE = "float32"
DEFAULT = "default search -> float16"  # after the arrow, the store of a plain Index
ADVISED = f"auto: {DEFAULT}"
KEPT = 0.99  # The share of float32's quality that is asked of a search.
MORE_OVERSAMPLINGS = (20, 40)
OVERSAMPLINGS = (1, 2, 4, 8, 10, 16)
SOURCES = ("float32", "float16", "int8", "int4", "bits")

_QUICK_OVERSAMPLINGS = (1, 4, 10)
_HAMMING = {"scoring": "hamming"}
_USUAL_OVERSAMPLING = int(DEFAULT_OVERSAMPLING)


# Standard deviations of the rolling bounds. int8 has 256 steps, which are enough for nearly all
# values; with fewer steps it pays to clip more.
ROLLING_STDS = {"int8": 4.0, **DEFAULT_N_STD}


@dataclass(frozen=True)
class Condition:
    """One line of the table.

    Attributes
    ----------
    name : str
        Unique.
    group : str
        The group of conditions that it belongs to.
    index : dict
        Arguments of :class:`bitsift.Index`, without dim, metric and isa.
    search : dict
        Arguments of its search, without queries, k and threads.
    scores_all : bool
        Whether rescoring scores all vectors: ``oversampling=len(index) / k``. The codes decide
        nothing then, and their bytes are not counted.
    quantize_queries : bool
        Whether queries are rounded as documents are, with the same bounds.
    quick : bool
        Whether ``conditions="quick"`` includes it.
    """

    name: str
    group: Group
    index: dict[str, Any]
    search: dict[str, Any] = field(default_factory=dict)
    scores_all: bool = False
    quantize_queries: bool = False
    quick: bool = False

    def index_code(self, dim: int, metric: str) -> str:
        """Return the call that makes the index."""
        parts = [f"{dim}", f"metric={_quoted(metric)}"]
        parts += [f"{name}={_quoted(value)}" for name, value in self.index.items()]
        return f"bitsift.Index({', '.join(parts)})"

    def code(self, dim: int, metric: str, k: int, n: int) -> str:
        """Return Python that repeats the search, from `documents` and `queries` to `found`.

        There are `n` documents.
        """
        lines = [f"index = {self.index_code(dim, metric)}", "index.add(documents)"]
        if n < LEAST_ROWS_FITTED:  # it would wait for more
            lines.insert(1, "index.fit(documents)")
        if self.quantize_queries:
            store = _quoted(self.index["store"])
            lines += [
                f"rounded = bitsift.Index({dim}, store={store}, "
                f"calibrator=index.calibrators[{store}])",
                "queries = rounded.get(rounded.add(queries))",
            ]
        options = [f"{name}={_quoted(value)}" for name, value in self.search.items()]
        if self.scores_all:
            options.append(f"oversampling=len(index) / {k}")
        lines.append(f"found = index.search({', '.join(['queries', f'{k}', *options])})")
        return "\n".join(lines)


def conditions(selection: Selection) -> list[Condition]:
    """Return the conditions, the baseline first; those that share an index are neighbours."""
    return [
        condition
        for group in (_baseline, _default, _both_sides, _documents_only, _rescored, _thresholds)
        for condition in group()
        if selection == "all" or condition.quick
    ]


def advised() -> Condition:
    """Return the default search of an index that chose its threshold itself.

    It is a condition of its own only where that is another one than `DEFAULT` has.
    """
    return Condition(ADVISED, "thresholds", {"threshold": "auto"}, quick=True)


def with_more_candidates(usual: Condition) -> list[Condition]:
    """Return a default search with more candidates: conditions where it keeps less than `KEPT`."""
    return [
        Condition(
            usual.name.replace(" ->", f", x{oversampling} ->"),
            "more candidates",
            usual.index,
            {"oversampling": float(oversampling)},
            quick=True,
        )
        for oversampling in MORE_OVERSAMPLINGS
    ]


def rescored_name(oversampling: int, source: str, scan: str = "Hamming") -> str:
    """Return the name of the condition that scans, then rescores from `source`."""
    return f"{scan} x{oversampling} -> {source}"


def _quoted(value: Any) -> str:
    """Return the value of an argument as Python, with double quotes."""
    if isinstance(value, RollingCalibrator):
        return f"bitsift.RollingCalibrator({value.n_std})"
    if isinstance(value, MinMaxCalibrator):
        return "bitsift.MinMaxCalibrator()"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (list, tuple)):
        inside = ", ".join(_quoted(one) for one in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    return repr(value)


def _baseline() -> Iterator[Condition]:
    yield Condition(BASELINE, "baseline", {"store": "float32"}, scores_all=True, quick=True)


def _default() -> Iterator[Condition]:
    yield Condition(DEFAULT, "default", {}, quick=True)


def _both_sides() -> Iterator[Condition]:
    for store in ("int8", "int4", "ternary"):
        yield Condition(
            f"{store} x {store}",
            "both sides",
            {"store": store},
            scores_all=True,
            quantize_queries=True,
        )
    yield Condition(
        "binary x binary (Hamming)", "both sides", {"store": None}, _HAMMING, quick=True
    )


def _documents_only() -> Iterator[Condition]:
    calibrated: list[tuple[str, str, Calibrator]] = [
        ("int8", "min/max", MinMaxCalibrator()),
        ("int8", "rolling", RollingCalibrator(ROLLING_STDS["int8"])),
        ("int4", "min/max", MinMaxCalibrator()),
        ("int4", "rolling", RollingCalibrator(ROLLING_STDS["int4"])),
        # Ternary has no min/max bounds: no value lies beyond them, so every code would be 0.
        ("ternary", "rolling", RollingCalibrator(ROLLING_STDS["ternary"])),
    ]
    for store, bounds, calibrator in calibrated:
        index = {"store": store, "calibrator": calibrator}
        yield Condition(f"{store}, {bounds}", "documents only", index, scores_all=True)
    asymmetric = {"scoring": "asymmetric"}
    yield Condition(
        "binary (asymmetric)", "documents only", {"store": None}, asymmetric, quick=True
    )
    for rotate, name in ((False, "binary, corrected"), (True, "binary, corrected, rotated")):
        index = {"store": None, "threshold": "mean", "rotate": rotate, "correction": True}
        yield Condition(name, "documents only", index, asymmetric, quick=True)


def _rescored() -> Iterator[Condition]:
    for source in SOURCES:
        for oversampling in OVERSAMPLINGS:
            search: dict[str, Any] = {**_HAMMING, "oversampling": float(oversampling)}
            if source == "bits":
                search = {"ladder": [("hamming", oversampling), "asymmetric"]}
            yield Condition(
                rescored_name(oversampling, source),
                "bits, rescored",
                {"store": None if source == "bits" else source},
                search,
                quick=oversampling in _QUICK_OVERSAMPLINGS,
            )
    yield Condition(
        rescored_name(_USUAL_OVERSAMPLING, "int8", "asymmetric"),
        "bits, rescored",
        {"store": "int8"},
        {"scoring": "asymmetric", "oversampling": DEFAULT_OVERSAMPLING},
        quick=True,
    )


def _thresholds() -> Iterator[Condition]:
    rules: list[tuple[str, Any, bool]] = [
        (f"{name}, rotated" if rotate else name, 0.0 if name == "zero" else name, rotate)
        for rotate in (False, True)
        for name in THRESHOLDS
    ]
    for name, rule, rotate in [*rules, ("auto", "auto", False)]:
        bits = {"threshold": rule, "rotate": rotate}
        quick = name == "auto"
        yield Condition(
            f"{name}: Hamming", "thresholds", {"store": None, **bits}, _HAMMING, quick=quick
        )
        yield Condition(
            f"{name}: {rescored_name(_USUAL_OVERSAMPLING, 'float32')}",
            "thresholds",
            {"store": "float32", **bits},
            {**_HAMMING, "oversampling": DEFAULT_OVERSAMPLING},
            quick=quick,
        )
