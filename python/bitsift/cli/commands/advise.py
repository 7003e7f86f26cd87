# SPDX-License-Identifier: Apache-2.0
"""``bitsift advise``, and how ``bitsift build --threshold auto`` shows its choice."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

import bitsift
from bitsift.cli.console import (
    print_block,
    print_json,
    print_line,
    spinner,
    stdout_console,
    table,
)
from bitsift.cli.failure import InputError, one_line, reporting
from bitsift.cli.files.arrays import FileRows, check_finite, open_rows, sample_rows
from bitsift.cli.parameters import FloatVectors, Json, SearchMetric, Threads
from bitsift.cli.wording import typed
from bitsift.core.arguments import check_threads
from bitsift.core.limits import LEAST_ROWS_ADVISED, MOST_ROWS_ADVISED, MOST_ROWS_FITTED
from bitsift.core.options import DEFAULT_K, Metric, Scoring

__all__ = [
    "AdviseArguments",
    "Advised",
    "advice_dict",
    "advise",
    "advise_file",
    "print_advice",
    "print_advised",
]

# The fields of a trial that are measured, which are also the headers of their columns.
_COLUMNS = ("hamming", "rescored", "asymmetric", "corrected")


def advise(
    vectors: FloatVectors,
    *,
    metric: SearchMetric = "cosine",
    queries: Annotated[
        Path | None,
        typer.Option(
            metavar="QUERIES.npy",
            help="Real queries as floats, shape (m, dim), 60 or more. By default some of the "
            "vectors serve as queries.",
        ),
    ] = None,
    bits_alone: Annotated[
        bool,
        typer.Option("--bits-alone", help="Advise for an index without originals (--store none)."),
    ] = False,
    sample: Annotated[
        int,
        typer.Option(
            min=LEAST_ROWS_ADVISED,
            metavar="N",
            help="Number of vectors, evenly spaced, to read. Some serve as queries; of the others, "
            f"at most {MOST_ROWS_ADVISED:,} are compared: half of them to choose, half to judge.",
        ),
    ] = MOST_ROWS_FITTED,
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Measure which threshold suits the vectors, and whether a rotation helps."""
    with reporting(as_json):
        arguments = AdviseArguments(metric, queries, bits_alone, sample, threads)
        advised = advise_file(vectors, arguments)
        if as_json:
            print_json(advised.to_dict())
        else:
            print_advised(advised, stdout_console())


@dataclass(frozen=True)
class AdviseArguments:
    """The options of the command."""

    metric: Metric
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
        The ``--store`` of the index that the advice is for: ``"none"`` for one without originals.
    """

    path: Path
    dim: int
    store: Literal["float16", "none"]
    advice: bitsift.Advice

    @property
    def command(self) -> str:
        """The command that builds the recommended index."""
        best, chosen = self.advice.best, self.advice.recommendation
        out = self.path.with_suffix(".index")
        words = ["bitsift", "build", typed(self.path), "-o", typed(out)]
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
        """The Python call that makes the recommended index."""
        chosen = self.advice.recommendation | ({"store": None} if self.store == "none" else {})
        arguments = (f"{name}={value!r}" for name, value in chosen.items())
        return f"bitsift.Index({', '.join([str(self.dim), *arguments])})"

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain values."""
        return {
            "path": str(self.path),
            "dim": self.dim,
            **advice_dict(self.advice),
            "command": self.command,
            "python": self.python,
        }


def advise_file(path: Path, arguments: AdviseArguments) -> Advised:
    """Try thresholds and rotation on a sample of the vectors in a file.

    Parameters
    ----------
    path : Path
        ``.npy`` file of float rows.
    arguments : AdviseArguments

    Raises
    ------
    InputError
        A file does not fit.
    """
    rows, numbers = _float_sample(path, arguments.sample)
    queries, query_numbers = None, np.empty(0, np.int64)
    if arguments.queries is not None:
        queries, query_numbers = _float_sample(arguments.queries, arguments.sample)
        if queries.shape[1] != rows.shape[1]:
            raise InputError(
                f"{arguments.queries}: rows must have {rows.shape[1]} values, as those of {path} "
                f"have; got {queries.shape[1]}"
            )
    check_threads(arguments.threads)  # before the spinner turns
    with spinner("trying"):
        try:
            advice = bitsift.advise(
                rows,
                metric=arguments.metric,
                queries=queries,
                bits_alone=arguments.bits_alone,
                threads=arguments.threads,
            )
        except ValueError as error:
            check_finite(path, numbers, rows)
            if arguments.queries is not None and queries is not None:
                check_finite(arguments.queries, query_numbers, queries)
            files = {"sample": path, "queries": arguments.queries}
            source = files.get(str(error).partition(" ")[0])
            if source is None:
                raise
            raise InputError(f"{source}: {one_line(error)}") from error
    return Advised(path, rows.shape[1], "none" if arguments.bits_alone else "float16", advice)


def _float_sample(path: Path, most: int) -> tuple[FileRows, NDArray[np.int64]]:
    """Read at most `most` float rows, evenly spaced; return them and their numbers."""
    rows = open_rows(path)
    if rows.dtype == np.uint8:
        raise InputError(f"{path}: advice needs float vectors; got packed codes (uint8)")
    if len(rows) == 0:
        raise InputError(f"{path}: the array must have at least one row; got shape {rows.shape}")
    return sample_rows(rows, most)


def advice_dict(advice: bitsift.Advice) -> dict[str, Any]:
    """Return advice as plain values."""
    return {
        "metric": advice.metric,
        "vectors": advice.n_rows,
        "queries": advice.n_queries,
        "candidates": advice.n_candidates,
        "trials": [dataclasses.asdict(trial) for trial in advice.trials],
        "by": advice.what_for,
        "best": dataclasses.asdict(advice.best),
        "contender": None if advice.contender is None else dataclasses.asdict(advice.contender),
        "gain": advice.gain,
        "error": advice.error,
        "is_certain": advice.is_certain,
        "has_few_queries": advice.has_few_queries,
        "correction_gain": advice.correction_gain,
        "correction_error": advice.correction_error,
        "verdict": advice.verdict,
        "recommendation": advice.recommendation,
        "scoring": _scoring(advice),
    }


def _scoring(advice: bitsift.Advice) -> Scoring:
    """Return the scoring of the search that the advice is for."""
    return "asymmetric" if advice.what_for == "corrected" else "hamming"


def print_advice(advice: bitsift.Advice, console: Console, verb: str = "recommended") -> None:
    """Print the measurements and what follows from them; a star marks the best."""
    print_line(
        console,
        f"overlap with the top {DEFAULT_K} of exact float search ({advice.metric}), "
        f"{advice.n_queries:,} queries among {advice.n_rows:,} vectors; rescored: "
        f"{advice.n_candidates} candidates for each query; gain +- its standard error, by the "
        f"column {advice.what_for!r}:",
    )
    shown = table(
        console,
        ("", "left"),
        ("threshold", "left"),
        ("rotate", "left"),
        *((header, "right") for header in (*_COLUMNS, "gain")),
    )
    for trial in advice.trials:
        is_best = trial is advice.best
        shown.add_row(
            "*" if is_best else "",
            trial.threshold,
            "yes" if trial.rotate else "no",
            *(f"{getattr(trial, column):.3f}" for column in _COLUMNS),
            trial.gain_text,
            style="bold" if is_best else None,
        )
    print_block(console, shown)
    words = [advice.best.threshold, "rotated" if advice.best.rotate else "not rotated"]
    if "correction" in advice.recommendation:
        words.append("with a correction")
    print_line(console, f"{advice.verdict}.")
    print_line(console, f"* {verb}: {', '.join(words)}", "bold")
    if _scoring(advice) == "asymmetric":
        print_line(console, "  search the index with: bitsift search --scoring asymmetric")


def print_advised(advised: Advised, console: Console) -> None:
    """Print the measurements, and the recommended index as a command and as Python."""
    print_advice(advised.advice, console)
    print_line(console, "")
    print_line(console, advised.command, "bold")
    print_line(console, advised.python)
