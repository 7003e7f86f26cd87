# SPDX-License-Identifier: Apache-2.0
"""``bitsift add``: the vectors of a file become part of an index, in one commit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import bitsift
from bitsift.cli.console import (
    human_count,
    human_seconds,
    print_json,
    print_line,
    spinner,
    stdout_console,
)
from bitsift.cli.failure import InputError, reporting
from bitsift.cli.files.added import add_file, read_ids
from bitsift.cli.files.arrays import open_rows
from bitsift.cli.files.outfile import refuse_inside_index
from bitsift.cli.parameters import IndexFolder, Json, KeepGenerations

__all__ = ["add"]


def add(
    index: IndexFolder,
    vectors: Annotated[
        Path,
        typer.Argument(
            metavar="VECTORS.npy",
            help="Vectors as floats, shape (n, dim), or, for bits alone, packed codes as uint8.",
        ),
    ],
    *,
    ids: Annotated[
        Path | None,
        typer.Option(
            metavar="IDS.npy",
            help="Integer ids, one per vector. By default those after the largest one.",
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Vectors take the place of those that have their ids."),
    ] = False,
    keep: KeepGenerations = 1,
    as_json: Json = False,
) -> None:
    """Add the vectors of a file to an index, in one commit."""
    with reporting(as_json):
        start = time.perf_counter()
        if replace and ids is None:
            raise InputError("--replace goes by --ids; got none")
        refuse_inside_index(index)
        rows = open_rows(vectors)
        n = len(rows)
        new_ids = None if ids is None else read_ids(ids, n)
        if new_ids is not None and len(np.unique(new_ids)) < n:
            raise InputError(f"{ids}: ids must be unique")
        with bitsift.Index.open(index, "a", keep_generations=keep) as opened:
            add_file(opened, rows, new_ids, (vectors, ids), replaces=replace)
            with spinner("committing"):
                generation = opened.commit()
            count = len(opened)
        seconds = time.perf_counter() - start
        if as_json:
            print_json(
                {
                    "path": str(index),
                    "generation": generation,
                    "added": n,
                    "count": count,
                    "seconds": seconds,
                }
            )
            return
        print_line(
            stdout_console(),
            f"{index}: generation {generation}, {human_count(n)} vectors added, {count:,} in all, "
            f"in {human_seconds(seconds)}",
        )
