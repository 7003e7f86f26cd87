# SPDX-License-Identifier: Apache-2.0
"""``bitsift compare``: evaluations of several collections, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bitsift.cli.console import print_json, stdout_console
from bitsift.cli.evaluation.compare import compare_files, print_comparison, save_comparison
from bitsift.cli.failure import InputError, reporting
from bitsift.cli.files.outfile import check_outfile
from bitsift.cli.parameters import NO_PAGE, Append, Force, Json, Markdown, warn_unused

__all__ = ["compare"]

_TITLE = "Side by side"


def compare(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE.json...", help="Files that bitsift eval -o wrote.")
    ],
    *,
    title: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help=f"Title of the section in the page. By default {_TITLE!r}."
        ),
    ] = None,
    markdown: Markdown = None,
    append: Append = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Compare evaluations of several collections side by side."""
    with reporting(as_json):
        if append and markdown is None:
            raise InputError(NO_PAGE)
        if title is not None and markdown is None:
            warn_unused("--title", "there is no --markdown, whose section it names")
        if markdown is not None:
            check_outfile(markdown, force=force or append, inputs=files)
        comparison = compare_files(files)
        if markdown is not None:
            title = _TITLE if title is None else title
            save_comparison(comparison, title, markdown, append=append, force=force)
        if as_json:
            print_json(comparison.to_dict())
        else:
            print_comparison(comparison, stdout_console())
