# SPDX-License-Identifier: Apache-2.0
"""The evaluation: every condition on the caller's data, compared with float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.floats import in_default_floats
from bitsift.core.isa import resolve_isa
from bitsift.core.options import DEFAULT_K, METRICS, Metric
from bitsift.core.public import public
from bitsift.evaluation.checks import check_all
from bitsift.evaluation.conditions import (
    DEFAULT,
    KEPT,
    MORE_OVERSAMPLINGS,
    SELECTIONS,
    Condition,
    Selection,
    advised,
    with_more_candidates,
)
from bitsift.evaluation.conditions import conditions as selected_conditions
from bitsift.evaluation.corpus import as_corpus
from bitsift.evaluation.judging import Judge, overlaps
from bitsift.evaluation.machine import describe_machine
from bitsift.evaluation.prices import PRICE_PER_GB, as_count, as_price
from bitsift.evaluation.result import N_VECTORS, Evaluation, EvaluationRow
from bitsift.evaluation.running import Measurement, Runner

__all__ = ["evaluate"]

_DEPTH_PER_K = 10


@public
@in_default_floats
def evaluate(
    documents: ArrayLike,
    queries: ArrayLike | None = None,
    qrels: ArrayLike | None = None,
    *,
    metric: Metric = "cosine",
    k: SupportsIndex = DEFAULT_K,
    conditions: Selection = "all",
    price_per_gb: SupportsFloat = PRICE_PER_GB,
    n_vectors: SupportsIndex | float | None = None,
    isa: str | None = None,
    progress: Callable[[float], object] | None = None,
    threads: SupportsIndex = 0,
) -> Evaluation:
    """Measure how much search quality fewer bits cost on your own vectors, and what they save.

    Parameters
    ----------
    documents : array_like, shape (n, dim)
        float16, float32 or float64, finite, within float16's range; also a ``numpy.memmap``. At
        least 20 rows, and at least `k`.
    queries : array_like, shape (m, dim), optional
        float16, float32 or float64, finite. By default every tenth document, at most 1,000, evenly
        spaced, serves as a query and is not searched. Real queries give the better measurement.
    qrels : array_like of int, shape (n_judgments, 3), optional
        Judgments: query row, document row, grade; grade 0 means not relevant. Queries without a
        grade above 0 do not count for NDCG and recall. Needs the extra ``eval``.
    metric : {"cosine", "dot", "l2"}
        The metric.
    k : int
        NDCG and overlap are computed on the first `k` results. Recall and a second overlap are
        computed on the first ``10 * k``, of another search with the same oversampling.
    conditions : {"all", "quick"}
        ``"quick"`` leaves out most oversamplings and thresholds, and all conditions that score
        every vector as integers. Both add the default search with ``threshold="auto"``, if that
        chooses another threshold than 0 or rotates; and, if the default search keeps less than 99 %
        of float32's quality, the same with 20 and 40 candidates for each result.
    price_per_gb : float
        US dollars per GB (10**9 bytes) of memory per month, 0 to 1,000,000. The default, 3.80, is
        the figure of Hugging Face's article [1]_, whose GB has 2**30 bytes.
    n_vectors : int, optional
        Size of the collection for which memory and price are given, as in :func:`plan`. By default
        1 million and 250 million.
    isa : str, optional
        Instruction set, as in :class:`Index`.
    progress : callable, optional
        Called in this thread, now and then, with the share of the work that is done, 0 to 1. An
        exception that it raises ends the work.
    threads : int
        Number of threads; 0 means all.

    Returns
    -------
    Evaluation
        A row for each condition, with the calls that repeat it. ``print(evaluation)`` shows a
        table, ``evaluation.to_dict()`` gives plain values.

    Raises
    ------
    ImportError
        `qrels` are given, and the extra ``eval`` is not installed or fails to import.
    TypeError
        An array has another dtype.
    ValueError
        Shapes do not fit; there are too few documents; values are not finite or out of range;
        `qrels` name rows that do not exist, have negative grades, or have no grade above 0.

    Notes
    -----
    The baseline float32 is exact search of the floats. The same input gives the same measures on
    every instruction set and number of threads. NDCG (the gain is the grade, the discount log2)
    and recall are those of trec_eval, through ir-measures.

    Times belong to this machine: for a batch of all queries the fastest of 5 runs; for one query
    the median of up to 25, each the fastest of 5 runs. Other work on the machine changes these
    least. float32 is timed in NumPy, as a matrix product on the threads that NumPy takes; for one
    query also as a product for each vector on one core, and the faster counts. bitsift has no scan
    of int8, int4 and ternary: there, rescoring scores all vectors, and no time is given.

    Ternary codes have rolling bounds only: no value lies beyond minimum and maximum, so with
    these bounds every code would be 0.

    Cost: the memory of an index with float32 originals beside `documents`, and the time of about
    ten exact searches of all queries. Do not share the arrays with a thread that writes to them.

    References
    ----------
    .. [1] A. Shakir, T. Aarsen, S. Lee, "Binary and Scalar Embedding Quantization for
       Significantly Faster & Cheaper Retrieval", 2024,
       https://huggingface.co/blog/embedding-quantization

    Examples
    --------
    >>> rng = numpy.random.default_rng(0)
    >>> documents = rng.standard_normal((500, 64), dtype="float32")
    >>> evaluation = bitsift.evaluate(documents, conditions="quick")
    >>> evaluation["float32"].bytes_per_vector, evaluation["binary (asymmetric)"].bytes_per_vector
    (256, 8)
    """
    arguments.choice(metric, "metric", METRICS)
    arguments.choice(conditions, "conditions", SELECTIONS)
    k = arguments.integer(k, "k", 1, arguments.MAX_K // _DEPTH_PER_K)
    price = as_price(price_per_gb, "price_per_gb")
    sizes = N_VECTORS if n_vectors is None else (as_count(n_vectors, "n_vectors"),)
    arguments.check_progress(progress)
    isa = resolve_isa(isa)
    threads = arguments.check_threads(threads)
    corpus = as_corpus(documents, queries, qrels, k)
    depth = min(_DEPTH_PER_K * k, len(corpus.documents))
    judge = None if corpus.qrels is None else Judge(corpus.qrels, k, depth)
    runner = Runner(corpus, metric, k, depth, isa, threads)
    rows: list[EvaluationRow] = []
    quality: dict[str, NDArray[np.float64]] = {}
    baseline: Measurement | None = None
    selected = selected_conditions(conditions)
    most = len(selected) + 1 + len(MORE_OVERSAMPLINGS)
    for i, condition in enumerate(_and_more(selected, runner, rows)):
        if progress is not None:
            progress(i / most)
        measured = runner.run(condition)
        if baseline is None:
            baseline = measured
        code = condition.code(corpus.dim, metric, k, len(corpus.documents))
        row, quality[condition.name] = _row(condition, measured, baseline, judge, code)
        rows.append(row)
    if progress is not None:
        progress(1.0)
    return Evaluation(
        metric=metric,
        k=k,
        depth=depth,
        n_documents=len(corpus.documents),
        n_queries=len(corpus.queries),
        dim=corpus.dim,
        n_judged=None if judge is None else judge.n_judged,
        held_out=corpus.held_out,
        price_per_gb=price,
        rows=tuple(rows),
        checks=tuple(check_all(quality, rows[0].quality)),
        recommendation=runner.recommendation,
        warnings=tuple(runner.warnings),
        machine=describe_machine(isa, threads),
        sizes=sizes,
    )


def _and_more(
    selected: list[Condition], runner: Runner, rows: list[EvaluationRow]
) -> Iterator[Condition]:
    """Give the conditions, and last those that follow from what they found.

    These are the default search with the threshold that one of them chose, if that is not 0, for
    which it has been measured; and that search with more candidates, if it finds too little. Each
    condition is in `rows` when the next one is asked for.
    """
    yield from selected
    (usual,) = (condition for condition in selected if condition.name == DEFAULT)
    chosen = runner.recommendation
    if chosen is not None and (chosen["threshold"], chosen["rotate"]) != (0.0, False):
        usual = advised()
        yield usual
    (found,) = (row for row in rows if row.name == usual.name)
    if found.quality < KEPT * rows[0].quality:
        yield from with_more_candidates(usual)


def _row(
    condition: Condition,
    measured: Measurement,
    baseline: Measurement,
    judge: Judge | None,
    code: str,
) -> tuple[EvaluationRow, NDArray[np.float64]]:
    """Return the row of a condition, and the quality of each query."""
    overlap = overlaps(measured.best, baseline.best)
    quality = overlap if judge is None else judge.ndcg(measured.best)
    n_queries = len(measured.best)
    row = EvaluationRow(
        name=condition.name,
        group=condition.group,
        ndcg=None if judge is None else float(quality.mean()),
        recall=None if judge is None else float(judge.recall(measured.deep).mean()),
        overlap=float(overlap.mean()),
        deep_overlap=float(overlaps(measured.deep, baseline.deep).mean()),
        bytes_per_vector=measured.bytes_per_vector,
        bytes_scanned=measured.bytes_scanned,
        queries_per_second=n_queries / measured.batch_s if measured.batch_s else None,
        latency_s=measured.alone_s,
        code=code,
    )
    return row, quality
