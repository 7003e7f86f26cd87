# SPDX-License-Identifier: Apache-2.0
"""What an evaluation comes to: one line, and the best condition of each group."""

from __future__ import annotations

from itertools import groupby

from bitsift.cli.evaluation.columns import percent
from bitsift.evaluation import KEPT, Evaluation, EvaluationRow

__all__ = ["best_of_groups", "keeping", "verdict"]

# What a recommended condition keeps.
_KEPT_TEXT = f"{KEPT:.0%}".replace("%", " %")


def best_of_groups(evaluation: Evaluation) -> frozenset[str]:
    """Return the best condition of each group of several.

    The best has the highest quality, by the digits shown; of equals, the one with the fewest bytes
    in memory, then on disk, then the first.
    """
    groups = groupby(evaluation.rows, key=lambda row: row.group)
    members = [list(rows) for _, rows in groups]
    return frozenset(min(rows, key=_loss_then_bytes).name for rows in members if len(rows) > 1)


def keeping(evaluation: Evaluation) -> EvaluationRow | None:
    """Return the condition with the fewest bytes in memory that keeps 99 % of float32's quality.

    Of equals, the one with the fewest bytes on disk, then the first. None if there is none with
    less memory than float32.
    """
    kept = [row for row in _smaller(evaluation) if (evaluation.share(row) or 0.0) >= KEPT]
    return min(kept, key=lambda row: (row.bytes_scanned, row.bytes_per_vector), default=None)


def verdict(evaluation: Evaluation) -> str | None:
    """Return the verdict in one line; None where float32 itself finds nothing."""
    smaller = _smaller(evaluation)
    if not smaller or not evaluation.rows[0].quality:
        return None
    row = keeping(evaluation)
    if row is not None:
        kept = f"{percent(evaluation.share(row))} of {_goal(evaluation)}"
        return f"{_described(row)}: {kept} at {_ratio(row, evaluation)}"
    nearest = min(smaller, key=_loss_then_bytes)
    share = percent(evaluation.share(nearest))
    return (
        f"nothing measured here keeps {_KEPT_TEXT} of {_goal(evaluation)} with less RAM; "
        f"nearest is {_described(nearest)}: {share} at {_ratio(nearest, evaluation)}"
    )


def _smaller(evaluation: Evaluation) -> list[EvaluationRow]:
    return [row for row in evaluation.rows if row.bytes_scanned < evaluation.rows[0].bytes_scanned]


def _loss_then_bytes(row: EvaluationRow) -> tuple[float, int, int]:
    return -round(row.quality, 4), row.bytes_scanned, row.bytes_per_vector


def _described(row: EvaluationRow) -> str:
    source = row.name.rpartition(" -> ")[2]
    if row.bytes_per_vector == row.bytes_scanned:
        return row.name
    return f"bits + {source} on disk ({row.name})"


def _goal(evaluation: Evaluation) -> str:
    if evaluation.n_judged is None:
        return f"float32's first {evaluation.k} results"
    return f"float32's {evaluation.measure}"


def _ratio(row: EvaluationRow, evaluation: Evaluation) -> str:
    return f"1/{evaluation.rows[0].bytes_scanned / row.bytes_scanned:.3g} of the RAM"
