# SPDX-License-Identifier: Apache-2.0
"""The table of ratios at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .formats import duration, three_digits


class Comparison(NamedTuple):
    """bitsift beside a peer. `result` is None where the peer is missing; then `peer` says so."""

    question: str
    threads: int
    peer: str
    result: tuple[float, float, float] | None  # seconds, seconds, peer / bitsift
    rounds: int = 0


_HEADER = ("question", "threads", "peer", "bitsift", "peer", "peer / bitsift", "rounds")


def by_question(rows: Sequence[Comparison]) -> list[Comparison]:
    """Bring rows of a question together, in the order in which the questions came."""
    questions = [row.question for row in rows]
    return sorted(rows, key=lambda row: questions.index(row.question))


def lines(rows: Sequence[Comparison]) -> list[str]:
    """Format as a Markdown table."""
    cells = [_HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(_HEADER))]
    text = ["| " + " | ".join(map(_pad, row, widths, range(len(row)))) + " |" for row in cells]
    rule = ["-" * (width + 1) + (":" if _is_number(i) else "-") for i, width in enumerate(widths)]
    return [text[0], "|" + "|".join(rule) + "|", *text[1:]]


def _cells(row: Comparison) -> tuple[str, ...]:
    if row.result is None:
        return (row.question, str(row.threads), row.peer, "", "", "", "")
    ours, peer, ratio = row.result
    return (
        row.question,
        str(row.threads),
        row.peer,
        duration(ours),
        duration(peer),
        f"{'slower: ' if ratio < 0.995 else ''}{three_digits(ratio)}",
        str(row.rounds),
    )


def _is_number(column: int) -> bool:
    return _HEADER[column] != "question" and column != 2


def _pad(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if _is_number(column) else cell.ljust(width)
