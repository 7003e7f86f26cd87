# SPDX-License-Identifier: Apache-2.0
"""What the picture and the plots of a page show: which conditions, and in which colours."""

from __future__ import annotations

from bitsift.core.options import DEFAULT_OVERSAMPLING
from bitsift.evaluation import (
    ADVISED,
    DEFAULT,
    OVERSAMPLINGS,
    SOURCES,
    Evaluation,
    EvaluationRow,
    rescored_name,
)

__all__ = ["COLOURS", "by_oversampling", "compared", "source_of"]

# Of each source of rescoring, from the palette of Okabe and Ito.
COLOURS = {
    "float32": "#333333",
    "float16": "#0072b2",
    "int8": "#e69f00",
    "int4": "#009e73",
    "bits": "#cc79a7",
}
_USUAL = int(DEFAULT_OVERSAMPLING)
_COMPARED = (
    *("float32", DEFAULT, ADVISED, "int8, min/max", "int4, rolling", "ternary, rolling"),
    *("binary x binary (Hamming)", "binary (asymmetric)", "binary, corrected, rotated"),
    *(rescored_name(_USUAL, source) for source in SOURCES),
    *(rescored_name(10, source) for source in ("int8", "int4")),
    rescored_name(_USUAL, "int8", "asymmetric"),
)


def compared(evaluation: Evaluation) -> list[EvaluationRow]:
    """Return the conditions that stand for all, float32 first, then the best first."""
    first, *rows = evaluation.rows
    chosen = [row for row in rows if row.name in _COMPARED or row.group == "more candidates"]
    return [first, *sorted(chosen, key=lambda row: -row.quality)]


def by_oversampling(evaluation: Evaluation) -> dict[str, list[tuple[int, EvaluationRow]]]:
    """Return, for each source of rescoring, oversamplings and conditions."""
    rows = {row.name: row for row in evaluation.rows}
    return {
        source: [
            (oversampling, rows[rescored_name(oversampling, source)])
            for oversampling in OVERSAMPLINGS
            if rescored_name(oversampling, source) in rows
        ]
        for source in SOURCES
    }


def source_of(row: EvaluationRow) -> str | None:
    """Return what candidates are rescored from; None without rescoring."""
    _, arrow, source = row.name.rpartition(" -> ")
    return source if arrow and source in SOURCES else None
