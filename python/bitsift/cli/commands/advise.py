# SPDX-License-Identifier: Apache-2.0
"""``bitsift advise``, and what ``bitsift build --threshold auto`` was told."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console

import bitsift
from bitsift.cli.console import print_line, show, spinner, table
from bitsift.cli.failure import InputError
from bitsift.cli.files.arrays import Rows, check_finite, evenly_spaced, native_copy, open_rows

__all__ = [
    "AdviseOptions",
    "Advised",
    "advice_json",
    "advise_file",
    "print_advice",
    "print_advised",
]

# What a column holds, as its header.
_COLUMNS = {
    "hamming": "hamming",
    "rescored": "rescored x4",
    "asymmetric": "asymmetric",
    "corrected": "corrected",
}


@dataclass(frozen=True)
class AdviseOptions:
    """What the command was told about the advice."""

    metric: Literal["cosine", "dot", "l2"]
    queries: Path | None
    bits_alone: bool
    sample: int
    threads: int


@dataclass(frozen=True)
class Advised:
    """Advice on the vectors of a file.

    Attributes
    ----------
    store : str
        What ``--store`` says of an index as it is meant: ``"none"`` for bits alone.
    """

    path: Path
    dim: int
    store: Literal["float32", "none"]
    advice: bitsift.Advice

    @property
    def command(self) -> str:
        """The line that builds such an index."""
        best, chosen = self.advice.best, self.advice.recommendation
        words = ["bitsift", "build", str(self.path), "-o", str(self.path.with_suffix(".index"))]
        if self.advice.metric != "cosine":
            words += ["--metric", self.advice.metric]
        if self.store == "none":
            words += ["--store", "none"]
        if best.threshold != "zero":
            words += ["--threshold", best.threshold]
        words += [f"--{name}" for name in ("rotate", "correction") if chosen.get(name)]
        return shlex.join(words)

    @property
    def python(self) -> str:
        """The same in Python."""
        chosen = self.advice.recommendation | ({"store": None} if self.store == "none" else {})
        arguments = (f"{name}={value!r}" for name, value in chosen.items())
        return f"bitsift.Index({', '.join([str(self.dim), *arguments])})"

    def to_json(self) -> dict[str, Any]:
        """Give the same as plain values."""
        return {
            "path": str(self.path),
            "dim": self.dim,
            **advice_json(self.advice),
            "command": self.command,
            "python": self.python,
        }


def advise_file(path: Path, options: AdviseOptions) -> Advised:
    """Try thresholds and rotation on a sample of the vectors in a file.

    Parameters
    ----------
    path : Path
        ``.npy`` file of float rows.
    options : AdviseOptions

    Raises
    ------
    InputError
        A file does not fit.
    """
    rows, numbers = _sample(path, options.sample)
    queries, query_numbers = None, np.empty(0, np.int64)
    if options.queries is not None:
        queries, query_numbers = _sample(options.queries, options.sample)
        if queries.shape[1] != rows.shape[1]:
            raise InputError(
                f"{options.queries}: has {queries.shape[1]} columns; {path} has {rows.shape[1]}"
            )
    with spinner("trying"):
        try:
            advice = bitsift.advise(
                rows,
                metric=options.metric,
                queries=queries,
                bits_alone=options.bits_alone,
                threads=options.threads,
            )
        except ValueError:
            check_finite(path, numbers, rows)
            if options.queries is not None and queries is not None:
                check_finite(options.queries, query_numbers, queries)
            raise
    return Advised(path, rows.shape[1], "none" if options.bits_alone else "float32", advice)


def _sample(path: Path, most: int) -> tuple[Rows, Any]:
    """Read at most so many rows, evenly spaced, and say which they are."""
    rows = open_rows(path)
    if rows.dtype == np.uint8:
        raise InputError(f"{path}: holds uint8, which is packed bits; advice needs float vectors")
    if len(rows) == 0:
        raise InputError(f"{path}: has shape {rows.shape}; wanted at least one row")
    numbers = evenly_spaced(len(rows), most)
    return native_copy(rows[numbers]), numbers


def advice_json(advice: bitsift.Advice) -> dict[str, Any]:
    """Give advice as plain values."""
    return {
        "metric": advice.metric,
        "vectors": advice.n_rows,
        "queries": advice.n_queries,
        "trials": [dataclasses.asdict(trial) for trial in advice.trials],
        "by": advice.what_for,
        "best": dataclasses.asdict(advice.best),
        "recommendation": advice.recommendation,
    }


def print_advice(advice: bitsift.Advice, console: Console, verb: str = "recommended") -> None:
    """Print what was measured, the best marked."""
    print_line(
        console,
        f"share of float search's top 10 ({advice.metric}) that is found by {advice.n_queries:,} "
        f"queries among {advice.n_rows:,} vectors:",
    )
    shown = table(
        console,
        ("", "left"),
        ("threshold", "left"),
        ("rotate", "left"),
        *((header, "right") for header in _COLUMNS.values()),
    )
    for trial in advice.trials:
        is_best = trial is advice.best
        shown.add_row(
            "*" if is_best else "",
            trial.threshold,
            "yes" if trial.rotate else "no",
            *(f"{getattr(trial, column):.3f}" for column in _COLUMNS),
            style="bold" if is_best else None,
        )
    show(console, shown)
    print_line(
        console,
        f"* {verb} by {_COLUMNS[advice.what_for]!r}: zero, not rotated, unless another finds more "
        "beyond doubt",
    )


def print_advised(advised: Advised, console: Console) -> None:
    """Print what was measured, and the best as a command and as Python."""
    print_advice(advised.advice, console)
    print_line(console, "")
    print_line(console, advised.command, "bold")
    print_line(console, advised.python)
