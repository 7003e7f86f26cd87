# SPDX-License-Identifier: Apache-2.0
"""``bitsift plan``: memory, price and time of a collection, before it exists."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer

import bitsift
from bitsift.cli.console import print_json, print_line, spinner, stdout_console
from bitsift.cli.failure import reporting
from bitsift.cli.parameters import Json, Threads
from bitsift.core.arguments import check_threads
from bitsift.evaluation import PRICE_PER_GB

__all__ = ["plan"]


def plan(
    *,
    vectors: Annotated[float, typer.Option(metavar="N", help="Number of vectors, such as 250e6.")],
    dim: Annotated[int, typer.Option(metavar="N", help="Dimensions of a vector.")],
    price: Annotated[
        float, typer.Option(metavar="USD", help="US dollars per GB of RAM (10**9 bytes) per month.")
    ] = PRICE_PER_GB,
    bandwidth: Annotated[
        float | None,
        typer.Option(
            metavar="GB",
            help="GB a second that the machine reads from memory. By default measured on this one.",
        ),
    ] = None,
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Compute what a collection takes in RAM and on disk, and what it costs."""
    with reporting(as_json):
        if bandwidth is None:
            check_threads(threads)
            bitsift.plan(vectors, dim, price=price, bandwidth=1)  # refuses before it measures
        with spinner("measuring") if bandwidth is None else nullcontext():
            planned = bitsift.plan(vectors, dim, price=price, bandwidth=bandwidth, threads=threads)
        if as_json:
            print_json(planned.to_dict())
        else:
            print_line(stdout_console(), str(planned))
