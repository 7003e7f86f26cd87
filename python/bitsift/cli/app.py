# SPDX-License-Identifier: Apache-2.0
"""The commands, in the order in which ``bitsift --help`` lists them."""

from __future__ import annotations

from typing import Annotated

import typer

import bitsift
from bitsift.cli.commands.advise import advise
from bitsift.cli.commands.build import build
from bitsift.cli.commands.compare import compare
from bitsift.cli.commands.demo import demo
from bitsift.cli.commands.evaluate import evaluate
from bitsift.cli.commands.graph import graph
from bitsift.cli.commands.info import info
from bitsift.cli.commands.search import search
from bitsift.cli.commands.verify import verify

__all__ = ["app"]

_HELP = "Search binary embeddings exactly: one bit per dimension, Hamming distance, rescoring."

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=_HELP,
)
app.command()(demo)
app.command()(build)
app.command()(advise)
app.command()(search)
app.command()(graph)
app.command(name="eval")(evaluate)
app.command()(compare)
app.command()(info)
app.command()(verify)


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
