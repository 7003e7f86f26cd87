# SPDX-License-Identifier: Apache-2.0
"""The columns of an evaluation, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bitsift.evaluation import Evaluation
from bitsift.evaluation.result import N_VECTORS, Row, gigabytes

__all__ = ["Column", "columns", "percent"]

_MILLION, _MANY = N_VECTORS


@dataclass(frozen=True)
class Column:
    """A header, what is below it, and whether a narrow table needs it."""

    header: str
    text: Callable[[Row], str]
    is_essential: bool = False


def percent(share: float | None) -> str:
    """Write a share with one decimal."""
    return "-" if share is None else f"{100 * share:.1f} %"


def columns(evaluation: Evaluation) -> list[Column]:
    """Return the columns, but for the names."""
    k, depth = evaluation.k, evaluation.depth
    judged = [
        Column(f"NDCG@{k}", lambda row: f"{row.ndcg:.4f}", is_essential=True),
        Column(f"recall@{depth}", lambda row: f"{row.recall:.4f}"),
        Column("of float32", lambda row: percent(evaluation.share(row)), is_essential=True),
    ]
    return [
        *([] if evaluation.n_judged is None else judged),
        Column(f"overlap@{k}", lambda row: percent(row.overlap), is_essential=True),
        Column(f"overlap@{depth}", lambda row: percent(row.deep_overlap)),
        Column("bytes a vector", _bytes, is_essential=True),
        Column("GB, 1 M", lambda row: _gb(row, _MILLION)),
        Column("GB, 250 M", lambda row: _gb(row, _MANY)),
        Column("USD a month, 250 M", lambda row: _usd(evaluation, row), is_essential=True),
        Column("queries/s", _per_second, is_essential=True),
        Column("ms, one query", _latency),
    ]


def _bytes(row: Row) -> str:
    rest = row.bytes_per_vector - row.bytes_scanned
    return f"{row.bytes_scanned} + {rest}" if rest else f"{row.bytes_scanned}"


def _gb(row: Row, n: int) -> str:
    rest = row.bytes_per_vector - row.bytes_scanned
    digits = 2 if n == _MILLION else 1
    scanned = f"{gigabytes(row.bytes_scanned, n):,.{digits}f}"
    return f"{scanned} + {gigabytes(rest, n):,.{digits}f}" if rest else scanned


def _usd(evaluation: Evaluation, row: Row) -> str:
    rest = row.bytes_per_vector - row.bytes_scanned
    scanned = f"{evaluation.price(row.bytes_scanned, _MANY):,.0f}"
    return f"{scanned} + {evaluation.price(rest, _MANY):,.0f}" if rest else scanned


def _per_second(row: Row) -> str:
    return "-" if row.queries_per_second is None else f"{row.queries_per_second:,.0f}"


def _latency(row: Row) -> str:
    return "-" if row.latency_s is None else f"{1000 * row.latency_s:.3g}"
