# SPDX-License-Identifier: Apache-2.0
"""The conditions: each a way to keep vectors and to search them, in bitsift's own calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from bitsift.quantization import Calibrator, MinMaxCalibrator, RollingCalibrator

__all__ = ["BASELINE", "OVERSAMPLINGS", "SOURCES", "Condition", "conditions", "rescored_name"]

Group = Literal["baseline", "both sides", "documents only", "bits, rescored", "thresholds"]

BASELINE = "float32"
OVERSAMPLINGS = (1, 2, 4, 8, 10, 16)
SOURCES = ("float32", "float16", "int8", "int4", "bits")

_QUICK_OVERSAMPLINGS = (1, 4, 10)
_INT8_STD = 4.0  # 256 levels are enough for nearly all values
_INT4_STD = 3.0
_TERNARY_STD = 0.7


@dataclass(frozen=True)
class Condition:
    """One line of the table.

    Attributes
    ----------
    name : str
        Unique.
    group : str
        What it belongs to.
    index : dict
        Arguments of :class:`bitsift.Index` but for dim, metric and isa.
    search : dict
        Arguments of its search but for queries, k and threads.
    scores_all : bool
        Whether the store's own rescoring scores all vectors: ``oversampling=len(index) / k``. The
        bits of the index decide nothing then, and are not counted.
    quantize_queries : bool
        Whether queries are rounded as documents are, with the same bounds.
    quick : bool
        Whether it is among the few that are measured in a hurry.
    """

    name: str
    group: Group
    index: dict[str, Any]
    search: dict[str, Any] = field(default_factory=dict)
    scores_all: bool = False
    quantize_queries: bool = False
    quick: bool = False

    def index_code(self, dim: int, metric: str) -> str:
        """Write the call that makes the index."""
        parts = [f"{dim}", f"metric={_quoted(metric)}"]
        parts += [f"{name}={_quoted(value)}" for name, value in self.index.items()]
        return f"bitsift.Index({', '.join(parts)})"

    def code(self, dim: int, metric: str, k: int) -> str:
        """Write what makes this line: Python from `documents` and `queries` to `found`."""
        lines = [f"index = {self.index_code(dim, metric)}", "index.add(documents)"]
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


def conditions(which: Literal["all", "quick"]) -> list[Condition]:
    """Return the conditions, the baseline first; those with the same index side by side."""
    return [
        condition
        for of_group in (_baseline, _both_sides, _documents_only, _rescored, _thresholds)
        for condition in of_group()
        if which == "all" or condition.quick
    ]


def rescored_name(oversampling: int, source: str, scan: str = "Hamming") -> str:
    """Name a scan with rescoring."""
    return f"{scan} x{oversampling} -> {source}"


def _quoted(value: Any) -> str:
    """Write a value of an argument as Python with double quotes."""
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


def _both_sides() -> Iterator[Condition]:
    for store in ("int8", "int4", "ternary"):
        yield Condition(
            f"{store} x {store}",
            "both sides",
            {"store": store},
            scores_all=True,
            quantize_queries=True,
        )
    yield Condition("binary x binary (Hamming)", "both sides", {"store": None}, quick=True)


def _documents_only() -> Iterator[Condition]:
    kept: list[tuple[str, str, Calibrator]] = [
        ("int8", "min/max", MinMaxCalibrator()),
        ("int8", "rolling", RollingCalibrator(_INT8_STD)),
        ("int4", "min/max", MinMaxCalibrator()),
        ("int4", "rolling", RollingCalibrator(_INT4_STD)),
        # Nothing is beyond minimum and maximum: with these every ternary code would be 0.
        ("ternary", "rolling", RollingCalibrator(_TERNARY_STD)),
    ]
    for store, bounds, calibrator in kept:
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
            search: dict[str, Any] = {"oversampling": float(oversampling)}
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
        rescored_name(4, "int8", "asymmetric"),
        "bits, rescored",
        {"store": "int8"},
        {"scoring": "asymmetric", "oversampling": 4.0},
        quick=True,
    )


def _thresholds() -> Iterator[Condition]:
    rules: list[tuple[str, Any, bool]] = [
        (f"{name}, rotated" if rotate else name, rule, rotate)
        for rotate in (False, True)
        for name, rule in (
            ("zero", 0.0),
            ("half-mean", "half-mean"),
            ("mean", "mean"),
            ("median", "median"),
        )
    ]
    for name, rule, rotate in [*rules, ("auto", "auto", False)]:
        bits = {"threshold": rule, "rotate": rotate}
        quick = name == "auto"
        yield Condition(f"{name}: Hamming", "thresholds", {"store": None, **bits}, quick=quick)
        yield Condition(
            f"{name}: {rescored_name(4, 'float32')}",
            "thresholds",
            {"store": "float32", **bits},
            {"oversampling": 4.0},
            quick=quick,
        )
