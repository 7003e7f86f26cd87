# SPDX-License-Identifier: Apache-2.0
"""An evaluation as text."""

from __future__ import annotations

from itertools import groupby

from rich.console import Console

from bitsift.cli.console import print_block, print_line, table
from bitsift.cli.evaluation.columns import columns, fitting
from bitsift.cli.wording import as_options, as_words
from bitsift.evaluation import Evaluation

__all__ = ["print_evaluation"]

_GAP = 3  # Blanks between two columns of a table.


def print_evaluation(evaluation: Evaluation, title: str, console: Console) -> None:
    """Print the table, the statements that were checked, and the recommendation."""
    print_line(console, title, "bold")
    print_line(console, evaluation.summary())
    print_line(console, "")
    chosen = columns(evaluation)
    if console.is_terminal:
        chosen = fitting(chosen, evaluation.rows, console.width, _GAP)
    shown = table(console, ("", "left"), *((column.header, "right") for column in chosen))
    for _, rows in groupby(evaluation.rows, key=lambda row: row.group):
        for row in rows:
            shown.add_row(row.name, *(column.text(row) for column in chosen))
        shown.add_section()
    print_block(console, shown)
    print_line(console, "")
    for check in evaluation.checks:
        print_line(console, str(check), "" if check.verdict == "held" else "dim")
    for warning in evaluation.warnings:
        print_line(console, f"warning: {as_options(warning)}", "yellow")
    if evaluation.recommendation is not None:
        chosen_options = as_words(evaluation.recommendation)
        print_line(console, f"bitsift build --threshold auto chose: {chosen_options}")
    print_line(
        console,
        f"prices: {evaluation.price_per_gb:.2f} USD per GB (10**9 bytes) of memory per month; "
        "times: measured on this machine",
        "dim",
    )
