# SPDX-License-Identifier: Apache-2.0
"""An evaluation as text."""

from __future__ import annotations

from itertools import groupby

from rich.console import Console
from rich.text import Text

from bitsift.cli.console import COLUMN_GAP, print_block, print_line, table
from bitsift.cli.evaluation.columns import Column, blocks, check_text, columns
from bitsift.cli.evaluation.verdict import best_of_groups, verdict
from bitsift.cli.wording import as_options, as_words
from bitsift.evaluation import Evaluation

__all__ = ["print_evaluation"]

_MARK, _NO_MARK = "* ", "  "  # Before the name of a condition.


def print_evaluation(evaluation: Evaluation, title: str, console: Console) -> None:
    """Print the verdict, the table, the statements that were checked, and the recommendation.

    On a terminal, columns that do not fit follow in further tables.
    """
    print_line(console, title, "bold")
    print_line(console, evaluation.summary())
    if (line := verdict(evaluation)) is not None:
        print_line(console, line, "bold")
    parts = [columns(evaluation)]
    if console.is_terminal:
        names = len(_MARK) + max(len(row.name) for row in evaluation.rows)
        parts = blocks(parts[0], evaluation.rows, console.width - names, COLUMN_GAP)
    for number, part in enumerate(parts, 1):
        print_line(console, "")
        if len(parts) > 1:
            print_line(console, f"columns, part {number} of {len(parts)}", "dim")
        _print_columns(evaluation, part, console)
    print_line(console, "")
    for check in evaluation.checks:
        style = "" if check.verdict == "held" else "dim"
        print_line(console, check_text(check, evaluation), style)
    for warning in evaluation.warnings:
        print_line(console, f"warning: {as_options(warning)}", "yellow")
    if evaluation.recommendation is not None:
        chosen_options = as_words(evaluation.recommendation)
        print_line(console, f"bitsift build --threshold auto chose: {chosen_options}")
    for line in legend(evaluation):
        print_line(console, line, "dim")


def legend(evaluation: Evaluation) -> list[str]:
    """Return the lines that explain marks and units."""
    return [
        f"* the best of its group: the highest {evaluation.measure}, of equals the one with the "
        "fewest bytes",
        "percentages compare with float32 search: its "
        + ("" if evaluation.n_judged is None else "NDCG, its ")
        + "first results (overlap)"
        + ("" if evaluation.n_judged is None else "; decimals are by the judgments alone"),
        "RAM: bytes that every search reads; disk: bytes that only rescoring reads, which may stay "
        "there",
        f"prices: {evaluation.price_per_gb:.2f} USD per GB (10**9 bytes) of memory per month; "
        "times: measured on this machine",
    ]


def _print_columns(evaluation: Evaluation, chosen: list[Column], console: Console) -> None:
    best = best_of_groups(evaluation)
    headers = [(f"{column.header}\n{column.unit}".rstrip(), "right") for column in chosen]
    if not console.is_terminal:  # There, a line is a row.
        headers = [(column.title, "right") for column in chosen]
    shown = table(console, ("", "left"), *headers)
    for group, rows in groupby(evaluation.rows, key=lambda row: row.group):
        if group != "baseline":
            shown.add_row(Text(group, style="bold"))
        for row in rows:
            name = f"{_MARK if row.name in best else _NO_MARK}{row.name}"
            cells = [name, *(column.text(row) for column in chosen)]
            shown.add_row(*cells, style="bold green" if row.name in best else "")
        shown.add_section()
    print_block(console, shown)
