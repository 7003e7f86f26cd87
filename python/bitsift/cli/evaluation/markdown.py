# SPDX-License-Identifier: Apache-2.0
"""An evaluation as a section of a page of Markdown."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from bitsift.cli.evaluation.columns import columns
from bitsift.evaluation import Evaluation
from bitsift.evaluation.result import PRICE_PER_GB

__all__ = ["introduction", "section", "table_lines"]

_INTRODUCTION = f"""\
# What fewer bits lose

Made by `bitsift eval --markdown`; each section says by which command, on which machine, with which
versions. Your own vectors: `bitsift eval VECTORS.npy --queries QUERIES.npy`, and `-o FILE.json` for
the calls that make each line.

* **NDCG, recall**: by judgments, as trec_eval computes them. **overlap@n**: the share of the first
  n of exact float32 search that is among the first n. Overlap is the stricter one: a document of
  equal worth in another's place counts as lost. The first 10 and the first 100 are of two searches
  with the same oversampling.
* **x4 -> int8**: the scan passes on 4 candidates for each result, which are put in order by
  originals kept as int8; **-> bits**: by the full-precision query against the same bits.
* **int8, int4, ternary**: min/max bounds are the smallest and largest value of a dimension, rolling
  ones its mean and standard deviations (4, 3 and 0.7 of them). Ternary has no min/max: nothing
  would lie beyond them, and all codes be 0.
* **bytes a vector**, and memory and price by it: what every search reads + what only rescoring
  reads, which may stay on disk. GB are 2**30 bytes. The price is a parameter; {PRICE_PER_GB:.2f}
  USD for a GB and month is that of Hugging Face's article "Binary and Scalar Embedding
  Quantization".
* **queries/s**: a batch of all queries, median of 5; **one query**: asked alone, median of up to
  25; both of that machine. Without a number: bitsift does not scan such vectors, and rescoring
  scored all of them. float32 is NumPy's matrix product.
"""


def introduction() -> str:
    """Return how a new page begins: what the columns mean."""
    return _INTRODUCTION


def table_lines(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table, the first column to the left, the others to the right."""
    rule = ["---", *["--:"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def section(evaluation: Evaluation, title: str, command: str, picture: str | None = None) -> str:
    """Return a section: what was searched, the table, what held.

    `picture` is a path as seen from the page.
    """
    chosen = columns(evaluation)
    rows = []
    for group, members in groupby(evaluation.rows, key=lambda row: row.group):
        if group != "baseline":
            rows.append([f"**{group}**", *[""] * len(chosen)])
        rows += [[row.name, *(column.text(row) for column in chosen)] for row in members]
    lines = [
        f"## {title}",
        "",
        f"{evaluation.summary()}.",
        "",
        f"`{command}`, on {machine_text(evaluation.machine)}. "
        f"Prices: {evaluation.price_per_gb:.2f} USD for a GB of memory and month.",
        "",
        *([] if picture is None else [f"![quality, bytes a vector, oversampling]({picture})", ""]),
        *table_lines(["", *(column.header for column in chosen)], rows),
    ]
    if evaluation.recommendation is not None:
        arguments = ", ".join(f"{name}={v!r}" for name, v in evaluation.recommendation.items())
        lines += ["", f'`threshold="auto"` chose `{arguments}` for an index with originals.']
    if evaluation.checks:
        lines += ["", f"What others report, and what {evaluation.measure} says here:", ""]
        lines += [f"* {check}" for check in evaluation.checks]
    lines += [f"\nWarned of: {warning}" for warning in evaluation.warnings]
    return "\n".join(lines) + "\n"


def machine_text(machine: dict[str, Any]) -> str:
    """Describe a machine in a line."""
    versions = ", ".join(
        f"{name} {number}" for name, number in machine["versions"].items() if number is not None
    )
    return (
        f"{machine['processor']}, {machine['threads']} threads on {machine['cores']} cores, "
        f"{machine['isa']}, {machine['system']}; {versions}"
    )
