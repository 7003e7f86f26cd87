# SPDX-License-Identifier: Apache-2.0
"""``bitsift demo``: a search of arXiv papers in three ways."""

from __future__ import annotations

from typing import Annotated

import typer

from bitsift.cli.console import print_json, stdout_console
from bitsift.cli.demo.corpus import load_queries
from bitsift.cli.demo.demo import run_demo
from bitsift.cli.demo.embedding import DEFAULT_MODEL
from bitsift.cli.demo.view import print_demo
from bitsift.cli.failure import reporting
from bitsift.cli.parameters import Json, warn_unused
from bitsift.core.limits import MAX_K

__all__ = ["demo"]

_TEXT = "3D segmentation"
_K = 5


def demo(
    text: Annotated[
        str,
        typer.Argument(
            help="A prepared query (see --list), or any other text, which needs the package "
            "sentence-transformers."
        ),
    ] = _TEXT,
    k: Annotated[int, typer.Option("-k", min=1, max=MAX_K, help="Results in each list.")] = _K,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_PATH",
            help="Embed TEXT with this sentence-transformers model, even if TEXT is a prepared "
            f"query. The default for other text is {DEFAULT_MODEL}.",
        ),
    ] = None,
    list_queries: Annotated[
        bool, typer.Option("--list", help="List the prepared queries and exit.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search arXiv papers by default, by bits alone and by floats, and compare what is found."""
    with reporting(as_json):
        if list_queries:
            given = {"TEXT": text != _TEXT, "-k": k != _K, "--model": model is not None}
            for name in (name for name, is_given in given.items() if is_given):
                warn_unused(name, "--list runs no search")
            texts, _ = load_queries()
            if as_json:
                print_json({"queries": texts})
            else:
                typer.echo("\n".join(texts))
            return
        result = run_demo(text, k, model)
        if as_json:
            print_json(result.to_dict())
        else:
            print_demo(result, stdout_console())
