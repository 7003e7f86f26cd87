# SPDX-License-Identifier: Apache-2.0
"""``bitsift log``: the generations that an index has kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitsift.cli.console import human_bytes, print_block, print_json, stdout_console, table
from bitsift.cli.failure import reporting
from bitsift.cli.parameters import IndexFolder, Json
from bitsift.storage import read_stored

__all__ = ["Generation", "log"]


@dataclass(frozen=True)
class Generation:
    """A generation of an index.

    Attributes
    ----------
    number : int
        0 if it was saved and not committed.
    count : int
        Vectors.
    n_removed : int
        Removed vectors that still take room.
    n_segments : int
    n_bytes : int
        Bytes of all files that it names, also of those that others name, too.
    """

    number: int
    count: int
    n_removed: int
    n_segments: int
    n_bytes: int

    @classmethod
    def of(cls, folder: Path, generation: int | None) -> Generation:
        """Return a generation of the index at `folder`; None for the newest one."""
        stored = read_stored(folder, mmap=True, generation=generation)
        manifest = stored.manifest
        entries = [*manifest.files.values()]
        for segment in manifest.segments or ():
            entries += segment.files.values()
        n_rows = sum(segment.count for segment in manifest.rows)
        return cls(
            stored.generation,
            manifest.n_vectors,
            n_rows - manifest.count,
            len(manifest.rows),
            sum(entry.n_bytes for entry in entries) + len(stored.data),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain values."""
        return {
            "generation": self.number,
            "count": self.count,
            "removed": self.n_removed,
            "segments": self.n_segments,
            "bytes": self.n_bytes,
        }


def log(index: IndexFolder, as_json: Json = False) -> None:
    """List the generations that an index has kept."""
    with reporting(as_json):
        newest = read_stored(index, mmap=True).manifest
        numbers = [newest.generation or 0, *reversed(newest.kept)]
        generations = [Generation.of(index, number) for number in numbers]
        if as_json:
            print_json({"path": str(index), "generations": [one.to_dict() for one in generations]})
            return
        console = stdout_console()
        headers = ("generation", "vectors", "removed", "segments", "files")
        grid = table(console, *((name, "right") for name in headers))
        for one in generations:
            grid.add_row(
                str(one.number),
                f"{one.count:,}",
                f"{one.n_removed:,}",
                str(one.n_segments),
                human_bytes(one.n_bytes),
            )
        print_block(console, grid)
