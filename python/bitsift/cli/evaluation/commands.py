# SPDX-License-Identifier: Apache-2.0
"""The commands ``eval`` and ``compare`` and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bitsift.cli.console import print_json, stdout_console
from bitsift.cli.evaluation.compare import compare_files, print_comparison, save_comparison
from bitsift.cli.evaluation.run import EvalOptions, evaluate_files, save_evaluation
from bitsift.cli.evaluation.view import print_evaluation
from bitsift.cli.failure import reporting
from bitsift.cli.parameters import Json, Threads
from bitsift.evaluation.result import PRICE_PER_GB

__all__ = ["compare", "evaluate"]


def evaluate(
    vectors: Annotated[
        Path | None,
        typer.Argument(metavar="VECTORS.npy", help="Float rows (n, dim).", show_default=False),
    ] = None,
    *,
    demo: Annotated[
        bool, typer.Option("--demo", help="Take the package's arXiv papers and their queries.")
    ] = False,
    queries: Annotated[
        Path | None,
        typer.Option(
            metavar="QUERIES.npy",
            help="Float rows. By default every tenth vector asks, at most 1,000 of them.",
        ),
    ] = None,
    qrels: Annotated[
        Path | None,
        typer.Option(
            metavar="QRELS.npy", help="Integers (n, 3): row of a query, row of a vector, grade."
        ),
    ] = None,
    metric: Annotated[
        Literal["cosine", "dot", "l2"], typer.Option(help="What makes neighbours.")
    ] = "cosine",
    conditions: Annotated[
        Literal["all", "quick"], typer.Option(help="All, or the few that take no time.")
    ] = "all",
    price_per_gb: Annotated[
        float, typer.Option(help="US dollars for a GB (2**30 bytes) of memory and month.")
    ] = PRICE_PER_GB,
    threads: Threads = 0,
    title: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Name of the data, for files.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE.json", help="Write everything, and the calls, there."
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw it; also .svg and .pdf.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="Write it as a page.")
    ] = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add to the page as another section.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure what fewer bits lose on your vectors, and what they save."""
    with reporting(as_json):
        asked = EvalOptions(
            vectors=vectors,
            demo=demo,
            queries=queries,
            qrels=qrels,
            metric=metric,
            conditions=conditions,
            price_per_gb=price_per_gb,
            threads=threads,
            title=title,
            out=out,
            picture=picture,
            markdown=markdown,
            append=append,
        )
        evaluation = evaluate_files(asked)
        plain = save_evaluation(evaluation, asked)
        if as_json:
            print_json(plain)
        else:
            print_evaluation(evaluation, asked.shown_title, stdout_console())


def compare(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE.json...", help="What eval -o wrote.")
    ],
    *,
    title: Annotated[
        str, typer.Option(metavar="TEXT", help="Name of the section.")
    ] = "Side by side",
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="Write it as a page.")
    ] = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add to the page as another section.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put evaluations of several collections side by side."""
    with reporting(as_json):
        compared = compare_files(files)
        if markdown is not None:
            save_comparison(compared, title, markdown, append=append)
        if as_json:
            print_json(compared.to_json())
        else:
            print_comparison(compared, stdout_console())
