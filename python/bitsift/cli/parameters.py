# SPDX-License-Identifier: Apache-2.0
"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bitsift.core.errors import warn
from bitsift.core.options import Metric

__all__ = [
    "NO_PAGE",
    "Append",
    "FloatVectors",
    "Force",
    "IndexFolder",
    "Json",
    "KeepGenerations",
    "Markdown",
    "SearchMetric",
    "Threads",
    "warn_unused",
]

IndexFolder = Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of the index.")]
FloatVectors = Annotated[
    Path, typer.Argument(metavar="VECTORS.npy", help="Vectors as floats, shape (n, dim).")
]
SearchMetric = Annotated[Metric, typer.Option(help="Metric of the search.")]
Threads = Annotated[int, typer.Option(min=0, help="Number of threads; 0 means all cores.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace an existing file.")]
FollowLinks = Annotated[
    bool,
    typer.Option(
        "--follow-links",
        help="Read regular files to which symbolic links in the folder lead, as in the cache of a "
        "hub.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
KeepGenerations = Annotated[
    int,
    typer.Option(
        "--keep",
        min=1,
        max=1 << 16,
        metavar="N",
        help="Generations that stay in the folder, the new one included.",
    ),
]
Markdown = Annotated[
    Path | None, typer.Option(metavar="FILE.md", help="Write the result as a page of Markdown.")
]
Append = Annotated[
    bool,
    typer.Option("--append", help="Append a section to the page of --markdown; keep the rest."),
]


NO_PAGE = "--append must come with --markdown, the page to append to; got no --markdown"


def warn_unused(option: str, why: str) -> None:
    """Warn that an option was given and changes nothing."""
    warn(f"{option} does nothing: {why}")
