# SPDX-License-Identifier: Apache-2.0
"""An evaluation as a section of a Markdown page."""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import Any

from bitsift.cli.evaluation.columns import check_text, columns
from bitsift.cli.evaluation.explanations import EXPLANATIONS
from bitsift.cli.evaluation.verdict import best_of_groups, verdict
from bitsift.cli.text import code_span, markdown_text
from bitsift.cli.wording import as_options, as_words
from bitsift.evaluation import Evaluation

__all__ = ["introduction", "section", "table_lines"]

_OPENING = """\
`bitsift eval --markdown` made this page; each section names its command, machine and versions. To
measure your own vectors, run `bitsift eval VECTORS.npy --queries QUERIES.npy`; with `-o FILE.json`
it also writes the Python calls that repeat each line, with `--html FILE.html` a page with plots.
"""


def introduction() -> str:
    """Return the introduction of a new page, which explains the columns."""
    bullets = [
        textwrap.fill(
            f"* **{term}**: {markdown_text(text)}",
            width=100,
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
        for term, text in EXPLANATIONS
    ]
    return "\n".join(["# What fewer bits lose", "", _OPENING, *bullets]) + "\n"


def table_lines(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table of cells in Markdown: the first column aligned left, the others right."""
    rule = ["---", *["--:"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def section(evaluation: Evaluation, title: str, command: str, picture: str | None = None) -> str:
    """Return a section: data, command, table, and the statements that were checked.

    `picture` is a path relative to the page.
    """
    chosen = columns(evaluation)
    best = best_of_groups(evaluation)
    rows = []
    for group, members in groupby(evaluation.rows, key=lambda row: row.group):
        if group != "baseline":
            rows.append([f"**{group}**", *[""] * len(chosen)])
        rows += [
            [f"{row.name} \\*" if row.name in best else row.name]
            + [column.text(row) for column in chosen]
            for row in members
        ]
    line = verdict(evaluation)
    lines = [
        f"## {markdown_text(title)}",
        "",
        f"{evaluation.summary()}.",
        "",
        *([] if line is None else [f"**{markdown_text(line)}**", ""]),
        f"{code_span(command)}, on {machine_text(evaluation.machine)}. "
        f"Prices: {evaluation.price_per_gb:.2f} USD per GB of memory per month.",
        "",
        *(
            []
            if picture is None
            else [f"![quality, RAM, disk, time of one query, oversampling]({picture})", ""]
        ),
        *table_lines(["", *(column.title for column in chosen)], rows),
    ]
    if evaluation.recommendation is not None:
        options = as_words(evaluation.recommendation)
        auto = "bitsift build --threshold auto"
        lines += ["", f"`{auto}` chose `{options}` for an index with originals."]
    if evaluation.checks:
        lines += ["", f"Statements that others report, checked by {evaluation.measure} here:", ""]
        lines += [f"* {check_text(check, evaluation)}" for check in evaluation.checks]
    lines += [f"\nWarning: {as_options(warning)}" for warning in evaluation.warnings]
    return "\n".join(lines) + "\n"


def machine_text(machine: dict[str, Any]) -> str:
    """Return a line that describes a machine."""
    versions = ", ".join(
        f"{name} {number}" for name, number in machine["versions"].items() if number is not None
    )
    return (
        f"{machine['processor']}, {machine['threads']} threads on {machine['cores']} cores, "
        f"{machine['isa']}, {machine['system']}; {versions}"
    )
