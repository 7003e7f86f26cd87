# SPDX-License-Identifier: Apache-2.0
"""``bitsift compact``: one segment of all, without removed vectors."""

from __future__ import annotations

import bitsift
from bitsift.cli.commands.log import Generation
from bitsift.cli.console import human_bytes, print_json, print_line, spinner, stdout_console
from bitsift.cli.failure import reporting
from bitsift.cli.parameters import IndexFolder, Json, KeepGenerations

__all__ = ["compact"]


def compact(index: IndexFolder, keep: KeepGenerations = 1, as_json: Json = False) -> None:
    """Merge the segments of an index, and drop removed vectors."""
    with reporting(as_json):
        with bitsift.Index.open(index, "a", keep_generations=keep) as opened:
            before = Generation.of(index, opened.generation)
            with spinner("compacting"):
                opened.compact()
            after = Generation.of(index, opened.generation)
        if as_json:
            print_json({"path": str(index), "before": before.to_dict(), **after.to_dict()})
            return
        print_line(
            stdout_console(),
            f"{index}: generation {after.number}, {human_bytes(before.n_bytes)} in "
            f"{before.n_segments} segments became {human_bytes(after.n_bytes)} in "
            f"{after.n_segments}",
        )
