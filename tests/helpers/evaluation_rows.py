# SPDX-License-Identifier: Apache-2.0
"""Evaluations made of a few numbers, without searches."""

from __future__ import annotations

from bitsift.evaluation import Evaluation, EvaluationCheck, EvaluationRow

__all__ = ["evaluation", "row"]


def row(name: str, ndcg: float, ram: int, disk: int = 0, *, group: str = "") -> EvaluationRow:
    """A condition with its NDCG and its bytes a vector; the group of "float32" is the baseline."""
    return EvaluationRow(
        name=name,
        group=group or ("baseline" if name == "float32" else "bits, rescored"),
        ndcg=ndcg,
        recall=0.5 * ndcg,
        overlap=2 * ndcg if ndcg <= 0.5 else 1.0,
        deep_overlap=ndcg,
        bytes_per_vector=ram + disk,
        bytes_scanned=ram,
        queries_per_second=1234.5,
        latency_s=0.002,
        code=f"found = search({name!r})",
    )


def evaluation(*rows: EvaluationRow) -> Evaluation:
    """An evaluation by judgments that has these conditions, and one check."""
    return Evaluation(
        metric="cosine",
        k=10,
        depth=100,
        n_documents=1000,
        n_queries=20,
        dim=384,
        n_judged=20,
        held_out=0,
        price_per_gb=3.8,
        rows=rows,
        checks=(EvaluationCheck("a beats b", "held", 0.5, 0.44, 0.01),),
        recommendation={"metric": "cosine", "threshold": "mean"},
        warnings=("a warning",),
        machine={
            "processor": "a processor",
            "threads": 2,
            "cores": 2,
            "isa": "scalar",
            "system": "Linux",
            "versions": {"numpy": "2.0"},
        },
    )
