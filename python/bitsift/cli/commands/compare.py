# SPDX-License-Identifier: Apache-2.0
"""``bitsift compare``: evaluations of several collections, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bitsift.cli.console import print_json, stdout_console
from bitsift.cli.evaluation.compare import compare_files, print_comparison, save_comparison
from bitsift.cli.failure import reporting
from bitsift.cli.files.outfile import check_outfile
from bitsift.cli.parameters import Append, Force, Json, Markdown

__all__ = ["compare"]


def compare(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE.json...", help="Files that bitsift eval -o wrote.")
    ],
    *,
    title: Annotated[
        str, typer.Option(metavar="TEXT", help="Title of the section in the page.")
    ] = "Side by side",
    markdown: Markdown = None,
    append: Append = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Compare evaluations of several collections side by side."""
    with reporting(as_json):
        if markdown is not None:
            check_outfile(markdown, force=force or append, inputs=files)
        comparison = compare_files(files)
        if markdown is not None:
            save_comparison(comparison, title, markdown, append=append, force=force)
        if as_json:
            print_json(comparison.to_dict())
        else:
            print_comparison(comparison, stdout_console())
