# SPDX-License-Identifier: Apache-2.0
"""The columns of an evaluation, for the terminal, for Markdown and for a page.

One convention for all of them: a percentage compares with float32 search (its quality, its list of
results); a decimal is a measure by the judgments alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bitsift.evaluation import (
    Evaluation,
    EvaluationCheck,
    EvaluationRow,
    gigabytes,
    short_count,
)

__all__ = ["Column", "blocks", "check_text", "columns", "percent", "quality_text"]


@dataclass(frozen=True)
class Column:
    """What a column shows of a row.

    Attributes
    ----------
    header : str
        What it measures.
    unit : str
        In which unit, or compared with what; may be empty.
    value : callable
        The number of a row; None if it has none.
    form : callable
        The text of a number.
    rank : int
        Where space is short, columns of low ranks come first.
    less_is_better : bool
        Whether the smallest number is the best.
    """

    header: str
    unit: str
    value: Callable[[EvaluationRow], float | None]
    form: Callable[[float], str]
    rank: int
    less_is_better: bool = False

    @property
    def title(self) -> str:
        """Header and unit in one line."""
        return f"{self.header}, {self.unit}" if self.unit else self.header

    @property
    def width(self) -> int:
        """Characters of the header in two lines."""
        return max(len(self.header), len(self.unit))

    def text(self, row: EvaluationRow) -> str:
        """Return the text of a row; a dash if it has no number."""
        value = self.value(row)
        return "-" if value is None else self.form(value)


def percent(share: float | None) -> str:
    """Format a share of what float32 gives, with one decimal."""
    return "-" if share is None else f"{100 * share:.1f} %"


def quality_text(evaluation: Evaluation, quality: float) -> str:
    """Format a value of the measure by which conditions are compared."""
    return percent(quality) if evaluation.n_judged is None else f"{quality:.4f}"


def check_text(check: EvaluationCheck, evaluation: Evaluation) -> str:
    """Return a statement, its verdict, and the numbers as the columns have them."""
    if evaluation.n_judged is not None:
        return str(check)
    gain, error = 100 * (check.first - check.second), 100 * check.standard_error
    return (
        f"{check.statement}: {check.verdict} here, {percent(check.first)} and "
        f"{percent(check.second)} (difference {gain:+.1f} +- {error:.1f} points)"
    )


def columns(evaluation: Evaluation) -> list[Column]:
    """Return the columns after the first, which holds the names."""
    k, depth, is_judged = evaluation.k, evaluation.depth, evaluation.n_judged is not None
    most = evaluation.sizes[-1]
    judged = [
        Column(f"NDCG@{k}", "", lambda row: row.ndcg, "{:.4f}".format, 0),
        Column(f"NDCG@{k}", "of float32", evaluation.share, percent, 1),
        Column(f"recall@{depth}", "", lambda row: row.recall, "{:.4f}".format, 8),
    ]
    return [
        *(judged if is_judged else []),
        Column(f"overlap@{k}", "", lambda row: row.overlap, percent, 5 if is_judged else 0),
        Column(f"overlap@{depth}", "", lambda row: row.deep_overlap, percent, 9),
        Column("RAM", "bytes a vector", lambda row: row.bytes_scanned, "{:,}".format, 2, True),
        Column("disk", "bytes a vector", _on_disk, "{:,}".format, 3, True),
        *(column for n in evaluation.sizes for column in _sizes(evaluation, n)),
        Column(
            "RAM", f"USD a month, {short_count(most)}", _usd(evaluation, most), _dollars, 6, True
        ),
        Column("queries", "a second", lambda row: row.queries_per_second, "{:,.0f}".format, 7),
        Column("one query", "ms", _milliseconds, "{:#.3g}".format, 4, True),
    ]


def blocks(
    chosen: list[Column], rows: Sequence[EvaluationRow], width: int, gap: int
) -> list[list[Column]]:
    """Divide columns among tables of a width; no column is left out.

    The first table has the columns of the lowest ranks, the next ones the rest in their order.

    Parameters
    ----------
    chosen : list of Column
    rows : sequence of EvaluationRow
        All rows of the tables.
    width : int
        Characters beside the names.
    gap : int
        Blanks before each column.
    """
    widths = [
        gap + max(column.width, *(len(column.text(row)) for row in rows)) for column in chosen
    ]
    ranked = sorted(range(len(chosen)), key=lambda i: chosen[i].rank)
    first = set(_that_fit(ranked, widths, width))
    made = [[i for i in range(len(chosen)) if i in first]]
    rest = [i for i in range(len(chosen)) if i not in first]
    while rest:
        made.append(_that_fit(rest, widths, width))
        rest = rest[len(made[-1]) :]
    return [[chosen[i] for i in block] for block in made]


def _that_fit(places: list[int], widths: list[int], width: int) -> list[int]:
    """Return the first places, as many as fit; at least one."""
    n = 1
    while n < len(places) and sum(widths[i] for i in places[: n + 1]) <= width:
        n += 1
    return places[:n]


def _sizes(evaluation: Evaluation, n: int) -> list[Column]:
    """Return the columns of the memory of `n` vectors; the smallest has two digits or more."""
    least = gigabytes(min(row.bytes_scanned for row in evaluation.rows), n)
    decimals = min(max(1 - math.floor(math.log10(least)), 1), 9)
    form = f"{{:,.{decimals}f}}".format
    unit = f"GB, {short_count(n)}"
    return [
        Column("RAM", unit, lambda row: gigabytes(row.bytes_scanned, n), form, 10, True),
        Column("disk", unit, lambda row: _gigabytes_on_disk(row, n), form, 11, True),
    ]


def _on_disk(row: EvaluationRow) -> int | None:
    """Return the bytes that only rescoring reads; None if there are none."""
    return row.bytes_per_vector - row.bytes_scanned or None


def _gigabytes_on_disk(row: EvaluationRow, n: int) -> float | None:
    n_bytes = _on_disk(row)
    return None if n_bytes is None else gigabytes(n_bytes, n)


def _usd(evaluation: Evaluation, n: int) -> Callable[[EvaluationRow], float]:
    return lambda row: evaluation.price(row.bytes_scanned, n)


def _dollars(usd: float) -> str:
    return f"{usd:,.0f}"


def _milliseconds(row: EvaluationRow) -> float | None:
    return None if row.latency_s is None else 1000 * row.latency_s
