# SPDX-License-Identifier: Apache-2.0
"""``bitsift eval``: how much search quality fewer bits cost, and what they save."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bitsift.cli.console import print_json, stdout_console
from bitsift.cli.evaluation.run import EvalArguments, evaluate_files, save_evaluation
from bitsift.cli.evaluation.view import print_evaluation
from bitsift.cli.failure import reporting
from bitsift.cli.parameters import Append, Force, Json, Markdown, SearchMetric, Threads
from bitsift.evaluation import PRICE_PER_GB, Selection

__all__ = ["evaluate"]


def evaluate(
    vectors: Annotated[
        Path | None,
        typer.Argument(
            metavar="VECTORS.npy", help="Vectors as floats, shape (n, dim).", show_default=False
        ),
    ] = None,
    *,
    demo: Annotated[
        bool,
        typer.Option("--demo", help="Evaluate the arXiv papers that come with bitsift instead."),
    ] = False,
    queries: Annotated[
        Path | None,
        typer.Option(
            metavar="QUERIES.npy",
            help="Queries as floats, shape (m, dim). By default every tenth vector, at most 1,000, "
            "serves as a query and is not searched.",
        ),
    ] = None,
    qrels: Annotated[
        Path | None,
        typer.Option(
            metavar="QRELS.npy",
            help="Judgments, integers of shape (n, 3): row of a query, row of a vector, grade.",
        ),
    ] = None,
    metric: SearchMetric = "cosine",
    conditions: Annotated[
        Selection, typer.Option(help="Measure all conditions, or only the quick ones.")
    ] = "all",
    price_per_gb: Annotated[
        float, typer.Option(help="US dollars per GB (10**9 bytes) of memory per month.")
    ] = PRICE_PER_GB,
    n_vectors: Annotated[
        float | None,
        typer.Option(
            "--vectors",
            metavar="N",
            help="Give memory and price for so many vectors, such as 250e6. By default for 1 "
            "million and 250 million.",
        ),
    ] = None,
    threads: Threads = 0,
    title: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Name of the data; by default the name of the file."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.json",
            help="Write all numbers, and the Python calls that repeat them, to this file.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw quality, RAM, disk and time to this file: .png, .svg or .pdf.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Write the result as a page with plots and a table that sorts, which needs no "
            "network.",
        ),
    ] = None,
    markdown: Markdown = None,
    append: Append = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Measure how much search quality fewer bits cost on your vectors, and what they save."""
    with reporting(as_json):
        arguments = EvalArguments(
            vectors=vectors,
            demo=demo,
            queries=queries,
            qrels=qrels,
            metric=metric,
            conditions=conditions,
            price_per_gb=price_per_gb,
            n_vectors=n_vectors,
            threads=threads,
            title=title,
            out=out,
            picture=picture,
            markdown=markdown,
            html=html,
            append=append,
            force=force,
        )
        evaluation = evaluate_files(arguments)
        plain = save_evaluation(evaluation, arguments)
        if as_json:
            print_json(plain)
        else:
            print_evaluation(evaluation, arguments.shown_title, stdout_console())
