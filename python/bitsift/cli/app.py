# SPDX-License-Identifier: Apache-2.0
"""The commands, in the order in which ``bitsift --help`` lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

import bitsift
from bitsift.cli.command import Command, Commands
from bitsift.cli.commands.add import add
from bitsift.cli.commands.advise import advise
from bitsift.cli.commands.build import build
from bitsift.cli.commands.compact import compact
from bitsift.cli.commands.compare import compare
from bitsift.cli.commands.demo import demo
from bitsift.cli.commands.evaluate import evaluate
from bitsift.cli.commands.graph import graph
from bitsift.cli.commands.info import info
from bitsift.cli.commands.log import log
from bitsift.cli.commands.plan import plan
from bitsift.cli.commands.remove import remove
from bitsift.cli.commands.search import search
from bitsift.cli.commands.verify import verify

__all__ = ["app"]

_HELP = "Search embeddings by one bit of each dimension, and order what is found by the vectors."

app = typer.Typer(
    cls=Commands,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=_HELP,
)
# Typer would take the help of a command from its docstring, which `python -OO` strips.
_COMMANDS: tuple[tuple[str, Callable[..., None], str], ...] = (
    (
        "demo",
        demo,
        "Search arXiv papers by default, by bits alone and by floats, and compare what is found.",
    ),
    ("build", build, "Build an index from a file of vectors."),
    (
        "advise",
        advise,
        "Measure which threshold suits the vectors, and whether a rotation helps.",
    ),
    ("search", search, "Search an index for every query in a file."),
    (
        "graph",
        graph,
        "Find the nearest neighbours of every vector of an index, by Hamming distance.",
    ),
    (
        "eval",
        evaluate,
        "Measure how much search quality fewer bits cost on your vectors, and what they save.",
    ),
    ("plan", plan, "Compute what a collection takes in RAM and on disk, and what it costs."),
    ("compare", compare, "Compare evaluations of several collections side by side."),
    ("info", info, "Describe an index: dimensions, metric, stores, threshold, and bytes."),
    ("add", add, "Add the vectors of a file to an index, in one commit."),
    ("remove", remove, "Remove vectors from an index, in one commit."),
    ("compact", compact, "Merge the segments of an index, and drop removed vectors."),
    ("log", log, "List the generations that an index has kept."),
    ("verify", verify, "Check every byte of an index against its checksums."),
)
for _name, _run, _summary in _COMMANDS:
    app.command(name=_name, help=_summary, cls=Command)(_run)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"bitsift {bitsift.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Declare the options that stand before a command."""
