# SPDX-License-Identifier: Apache-2.0
"""An evaluation as a section of a Markdown page."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from bitsift.cli.evaluation.columns import columns
from bitsift.cli.text import code_span, markdown_text
from bitsift.cli.wording import as_options, as_words
from bitsift.evaluation import PRICE_PER_GB, ROLLING_STDS, Evaluation

__all__ = ["introduction", "section", "table_lines"]

_STDS = ", ".join(f"{std:g} for {store}" for store, std in ROLLING_STDS.items())
_INTRODUCTION = f"""\
# What fewer bits lose

`bitsift eval --markdown` made this page; each section names its command, machine and versions. To
measure your own vectors, run `bitsift eval VECTORS.npy --queries QUERIES.npy`; with `-o FILE.json`
it also writes the Python calls that repeat each line.

* **NDCG, recall**: by judgments, as trec_eval computes them. **overlap@n**: the share of the first
  n results of exact float32 search that are among the first n here. Overlap is stricter: a document
  that is as good as the one it replaces counts as lost. The first 10 and the first 100 results come
  from two searches with the same oversampling.
* **x4 -> int8**: the scan passes on 4 candidates for each result, which are rescored from originals
  kept as int8. **-> bits**: they are rescored by asymmetric scoring of the same codes.
* **int8, int4, ternary**: min/max bounds are the smallest and largest value of a dimension. Rolling
  bounds are its mean, plus and minus some standard deviations:
  {_STDS}. Ternary has no min/max bounds: no value lies beyond
  them, so every code would be 0.
* **bytes a vector**, and memory and price computed from it: bytes that every search reads + bytes
  that only rescoring reads, which may stay on disk. A GB has 10**9 bytes. The price is a parameter;
  {PRICE_PER_GB:.2f} USD per GB per month is the figure of Hugging Face's article "Binary and Scalar
  Embedding Quantization".
* **queries/s**: one batch of all queries, the median of 5 runs. **one query**: the median of up to
  25 queries. Both belong to the machine named. A line without them has no scan in bitsift: there,
  rescoring scored all vectors. float32 is timed as NumPy's matrix product.
"""


def introduction() -> str:
    """Return the introduction of a new page, which explains the columns."""
    return _INTRODUCTION


def table_lines(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table of cells in Markdown: the first column aligned left, the others right."""
    rule = ["---", *["--:"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def section(evaluation: Evaluation, title: str, command: str, picture: str | None = None) -> str:
    """Return a section: data, command, table, and the statements that were checked.

    `picture` is a path relative to the page.
    """
    chosen = columns(evaluation)
    rows = []
    for group, members in groupby(evaluation.rows, key=lambda row: row.group):
        if group != "baseline":
            rows.append([f"**{group}**", *[""] * len(chosen)])
        rows += [[row.name, *(column.text(row) for column in chosen)] for row in members]
    lines = [
        f"## {markdown_text(title)}",
        "",
        f"{evaluation.summary()}.",
        "",
        f"{code_span(command)}, on {machine_text(evaluation.machine)}. "
        f"Prices: {evaluation.price_per_gb:.2f} USD per GB of memory per month.",
        "",
        *([] if picture is None else [f"![quality, bytes a vector, oversampling]({picture})", ""]),
        *table_lines(["", *(column.header for column in chosen)], rows),
    ]
    if evaluation.recommendation is not None:
        options = as_words(evaluation.recommendation)
        auto = "bitsift build --threshold auto"
        lines += ["", f"`{auto}` chose `{options}` for an index with originals."]
    if evaluation.checks:
        lines += ["", f"Statements that others report, checked by {evaluation.measure} here:", ""]
        lines += [f"* {check}" for check in evaluation.checks]
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
