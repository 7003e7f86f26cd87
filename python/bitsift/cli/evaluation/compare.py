# SPDX-License-Identifier: Apache-2.0
"""Evaluations of several collections, side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bitsift.cli.console import print_block, print_line, table
from bitsift.cli.evaluation.columns import percent
from bitsift.cli.evaluation.markdown import table_lines
from bitsift.cli.failure import InputError
from bitsift.cli.files.infile import read_bytes, read_text
from bitsift.cli.files.outfile import save_text
from bitsift.cli.text import code_span, markdown_text, visible
from bitsift.core.handlers import call_raised

__all__ = ["Comparison", "compare_files", "print_comparison", "save_comparison"]


@dataclass(frozen=True)
class Comparison:
    """Quality as a share of float32's quality: a row per condition, a column per evaluation.

    Attributes
    ----------
    titles, measures, commands : list of str
        One of each evaluation.
    float_quality : list of float
        The quality of float32 in each evaluation.
    names : list of str
        The conditions that all evaluations have, in the order of the first.
    shares : list of list of float or None
        For each condition, one share of each evaluation.
    """

    titles: list[str]
    measures: list[str]
    commands: list[str]
    float_quality: list[float]
    names: list[str]
    shares: list[list[float | None]]

    def cells(self) -> list[list[str]]:
        """Return the rows of the table, the header first."""
        header = [f"{title}, {measure}" for title, measure in self.columns()]
        first = ["float32"]
        for measure, quality in zip(self.measures, self.float_quality, strict=True):
            first.append(percent(quality) if measure.startswith("overlap") else f"{quality:.4f}")
        rows = [
            [name, *(percent(share) for share in shares)]
            for name, shares in zip(self.names, self.shares, strict=True)
        ]
        return [["", *header], first, *rows]

    def columns(self) -> list[tuple[str, str]]:
        """Return the title and the measure of each evaluation."""
        return list(zip(self.titles, self.measures, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain values."""
        return {
            "evaluations": [
                {"title": title, "measure": measure, "float32": quality}
                for (title, measure), quality in zip(
                    self.columns(), self.float_quality, strict=True
                )
            ],
            "shares_of_float32": dict(zip(self.names, self.shares, strict=True)),
        }


def compare_files(paths: list[Path]) -> Comparison:
    """Read files that ``bitsift eval -o`` wrote."""
    read = [_read(path) for path in paths]
    shares: list[dict[str, float | None]] = [
        {row["name"]: row["share_of_float32"] for row in plain["rows"][1:]} for plain in read
    ]
    names = [name for name in shares[0] if all(name in one for one in shares)]
    return Comparison(
        [plain["title"] for plain in read],
        [plain["measure"] for plain in read],
        [plain["command"] for plain in read],
        [_quality(plain["rows"][0]) for plain in read],
        names,
        [[one[name] for one in shares] for name in names],
    )


def _quality(row: dict[str, Any]) -> float:
    return float(row["overlap"] if row["ndcg"] is None else row["ndcg"])


def _read(path: Path) -> dict[str, Any]:
    wrong = InputError(f"{path}: the input must be a file that bitsift eval -o wrote")
    data = read_bytes(path, ".json")
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError) as error:
        if not call_raised(error, "json", "encodings", "codecs"):
            raise
        raise wrong from error
    if not _is_evaluation(plain):
        raise wrong
    return dict(plain)


def _is_evaluation(plain: Any) -> bool:
    if not isinstance(plain, dict) or not isinstance(plain.get("rows"), list):
        return False
    texts = [plain.get(name) for name in ("title", "measure", "command")]
    if not plain["rows"] or not all(isinstance(text, str) for text in texts):
        return False
    return all(
        isinstance(row, dict)
        and isinstance(row.get("name"), str)
        and _is_finite(row.get("overlap"))
        and all(
            name in row and (row[name] is None or _is_finite(row[name]))
            for name in ("ndcg", "share_of_float32")
        )
        for row in plain["rows"]
    )


def _is_finite(value: object) -> bool:
    # Python reads NaN and Infinity, which are no JSON.
    return isinstance(value, float) and math.isfinite(value)


def _cells(comparison: Comparison, shown: Callable[[str], str]) -> list[list[str]]:
    return [[shown(text) for text in row] for row in comparison.cells()]


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the comparison as a table."""
    header, *rows = _cells(comparison, visible)
    shown = table(console, (header[0], "left"), *((text, "right") for text in header[1:]))
    for row in rows:
        shown.add_row(*row)
    print_block(console, shown)
    print_line(console, "shares of the quality of float32, which the first line gives", "dim")


def save_comparison(
    comparison: Comparison, title: str, path: Path, *, append: bool, force: bool
) -> None:
    """Write the table as a section of Markdown, to a new file or to the end of one."""
    before = ""
    if append:
        if not path.exists():
            raise InputError(f"{path}: no such file to append to")
        before = read_text(path, ".md").rstrip() + "\n\n"
    header, *rows = _cells(comparison, markdown_text)
    lines = [
        f"## {markdown_text(title)}",
        "",
        "Shares of the quality of float32, which the first line gives. `bitsift compare` made this "
        "table from the files that these commands wrote with `-o`:",
        "",
        *(
            f"* {markdown_text(name)}: {code_span(command)}"
            for name, command in zip(comparison.titles, comparison.commands, strict=True)
        ),
        "",
        *table_lines(header, rows),
    ]
    save_text(path, before + "\n".join(lines) + "\n", force=force or append)
