# SPDX-License-Identifier: Apache-2.0
"""The columns of an evaluation, for the terminal and for a page of Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bitsift.evaluation import Evaluation, EvaluationRow, gigabytes, short_count

__all__ = ["Column", "columns", "fitting", "percent"]

# So few vectors take fractions of a GB.
_FEW = 10_000_000


@dataclass(frozen=True)
class Column:
    """A header, the text of a row below it, and its rank: where space is short, low ranks stay."""

    header: str
    text: Callable[[EvaluationRow], str]
    rank: int


def percent(share: float | None) -> str:
    """Format a share as a percentage with one decimal."""
    return "-" if share is None else f"{100 * share:.1f} %"


def columns(evaluation: Evaluation) -> list[Column]:
    """Return the columns after the first, which holds the names."""
    k, depth = evaluation.k, evaluation.depth
    judged = [
        Column(f"NDCG@{k}", lambda row: f"{row.ndcg:.4f}", 0),
        Column(f"recall@{depth}", lambda row: f"{row.recall:.4f}", 7),
        Column("of float32", lambda row: percent(evaluation.share(row)), 1),
    ]
    return [
        *([] if evaluation.n_judged is None else judged),
        Column(f"overlap@{k}", lambda row: percent(row.overlap), 4),
        Column(f"overlap@{depth}", lambda row: percent(row.deep_overlap), 8),
        Column("bytes a vector", _bytes, 2),
        *(_gb(n, rank) for rank, n in enumerate(evaluation.sizes, 9)),
        Column(
            f"USD a month, {short_count(evaluation.sizes[-1])}",
            lambda row: _usd(evaluation, row),
            5,
        ),
        Column("queries/s", _per_second, 3),
        Column("ms, one query", _latency, 6),
    ]


def fitting(
    chosen: list[Column], rows: Sequence[EvaluationRow], width: int, gap: int
) -> list[Column]:
    """Return the columns that fit beside the names, those of the lowest ranks; at least two."""
    left = width - max(len(row.name) for row in rows)
    kept: list[Column] = []
    for column in sorted(chosen, key=lambda column: column.rank):
        left -= gap + max(len(column.header), *(len(column.text(row)) for row in rows))
        if left < 0 and len(kept) >= 2:
            break
        kept.append(column)
    return [column for column in chosen if column in kept]


def _bytes(row: EvaluationRow) -> str:
    rest = row.bytes_per_vector - row.bytes_scanned
    return f"{row.bytes_scanned} + {rest}" if rest else f"{row.bytes_scanned}"


def _gb(n: int, rank: int) -> Column:
    digits = 2 if n <= _FEW else 1

    def text(row: EvaluationRow) -> str:
        rest = row.bytes_per_vector - row.bytes_scanned
        scanned = f"{gigabytes(row.bytes_scanned, n):,.{digits}f}"
        return f"{scanned} + {gigabytes(rest, n):,.{digits}f}" if rest else scanned

    return Column(f"GB, {short_count(n)}", text, rank)


def _usd(evaluation: Evaluation, row: EvaluationRow) -> str:
    rest = row.bytes_per_vector - row.bytes_scanned
    n = evaluation.sizes[-1]
    scanned = f"{evaluation.price(row.bytes_scanned, n):,.0f}"
    return f"{scanned} + {evaluation.price(rest, n):,.0f}" if rest else scanned


def _per_second(row: EvaluationRow) -> str:
    return "-" if row.queries_per_second is None else f"{row.queries_per_second:,.0f}"


def _latency(row: EvaluationRow) -> str:
    return "-" if row.latency_s is None else f"{1000 * row.latency_s:.3g}"
