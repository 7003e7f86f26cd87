# SPDX-License-Identifier: Apache-2.0
"""Evaluations made of a few numbers, without searches."""

from __future__ import annotations

from dataclasses import replace

from bitsift.evaluation import Evaluation, EvaluationCheck, EvaluationRow

__all__ = ["evaluation", "hostile_evaluation", "row"]


def row(
    name: str, ndcg: float, ram: int, disk: int = 0, *, group: str = "", timed: bool = True
) -> EvaluationRow:
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
        queries_per_second=1234.4 if timed else None,
        latency_s=0.002 if timed else None,
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


def hostile_evaluation(address: str = "http://127.0.0.1:9") -> tuple[Evaluation, str]:
    """An evaluation whose every text would break a page that does not escape it, and that text."""
    text = (
        f"</title></script><script>window.hit=1</script><img src='{address}' onerror=\"hit=1\">"
        "{{style}}&amp;\u202eabc\u200f`$"
    )
    made = evaluation(
        row("float32", 0.5, 1536),
        row(f"{text} 1", 0.3, 48, group=text),
        row(f"{text} 2", 0.498, 48, 384, group=text),
    )
    rows = tuple(replace(one, code=f"found = {text}") for one in made.rows)
    machine = {**made.machine, "processor": text, "system": text, "versions": {text: text}}
    (check,) = made.checks
    return (
        replace(
            made,
            rows=rows,
            machine=machine,
            metric=text,
            warnings=(text,),
            checks=(replace(check, statement=text),),
            recommendation={"threshold": text},
        ),
        text,
    )
