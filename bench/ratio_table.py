# SPDX-License-Identifier: Apache-2.0
"""The table of ratios at the end of a run."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """One comparison. `result` is None where the peer is missing; then `peer` says so."""

    question: str
    threads: int
    peer: str
    result: tuple[float, float, float] | None  # seconds, seconds, peer / bitsift
    rounds: int = 0


_HEADER = ("question", "threads", "peer", "bitsift", "peer", "peer / bitsift", "rounds")


def by_question(rows: Sequence[Row]) -> list[Row]:
    """Bring rows of a question together, in the order in which the questions came."""
    questions = [row.question for row in rows]
    return sorted(rows, key=lambda row: questions.index(row.question))


def lines(rows: Sequence[Row]) -> list[str]:
    """Format as a Markdown table."""
    cells = [_HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(_HEADER))]
    text = ["| " + " | ".join(map(_pad, row, widths, range(len(row)))) + " |" for row in cells]
    rule = ["-" * (width + 1) + (":" if _is_number(i) else "-") for i, width in enumerate(widths)]
    return [text[0], "|" + "|".join(rule) + "|", *text[1:]]


def duration(seconds: float) -> str:
    """Format three digits of a time with the unit that fits.

    >>> duration(0.0123456)
    '12.3 ms'
    """
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{three_digits(seconds * scale)} {unit}"
    return f"{three_digits(seconds * 1e6)} µs"


def three_digits(x: float) -> str:
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def machine() -> str:
    """Describe the processor, without the name of the machine."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _cells(row: Row) -> tuple[str, ...]:
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
