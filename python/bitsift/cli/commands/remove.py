# SPDX-License-Identifier: Apache-2.0
"""``bitsift remove``: vectors leave an index, in one commit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import bitsift
from bitsift.cli.console import print_json, print_line, stdout_console
from bitsift.cli.failure import InputError, reporting
from bitsift.cli.files.added import read_ids
from bitsift.cli.parameters import IndexFolder, Json, KeepGenerations

__all__ = ["remove"]


def remove(
    index: IndexFolder,
    ids: Annotated[
        Path | None,
        typer.Argument(metavar="IDS.npy", help="Integer ids of the vectors to be removed."),
    ] = None,
    *,
    id: Annotated[
        list[int] | None,
        typer.Option(
            "--id", min=0, max=2**63 - 1, metavar="ID", help="An id; may be given several times."
        ),
    ] = None,
    ignore_missing: Annotated[
        bool,
        typer.Option("--ignore-missing", help="Pass over ids that the index does not have."),
    ] = False,
    keep: KeepGenerations = 1,
    as_json: Json = False,
) -> None:
    """Remove vectors from an index, in one commit."""
    with reporting(as_json):
        if ids is None and not id:
            raise InputError("give IDS.npy, or --id; got neither")
        given = [np.array(id or [], np.int64)]
        if ids is not None:
            given.append(read_ids(ids, None))
        wanted = np.concatenate(given)
        with bitsift.Index.open(index, "a", keep_generations=keep) as opened:
            if not ignore_missing:
                missing = wanted[~opened.contains(wanted)]
                if len(missing):
                    raise InputError(
                        f"{index}: id {missing[0]} is not in the index; --ignore-missing passes "
                        "over such ids"
                    )
            n = opened.remove(wanted, missing="ignore")
            generation, count = opened.commit(), len(opened)
        if as_json:
            print_json(
                {
                    "path": str(index),
                    "generation": generation,
                    "removed": n,
                    "count": count,
                }
            )
            return
        print_line(
            stdout_console(),
            f"{index}: generation {generation}, {n:,} vectors removed, {count:,} left",
        )
