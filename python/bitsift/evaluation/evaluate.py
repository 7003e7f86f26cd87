# SPDX-License-Identifier: Apache-2.0
"""The evaluation: every condition on the caller's data, beside float32."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.isa import resolve_isa
from bitsift.core.options import Metric
from bitsift.core.public import public
from bitsift.evaluation.checks import check_all
from bitsift.evaluation.conditions import Condition
from bitsift.evaluation.conditions import conditions as all_conditions
from bitsift.evaluation.corpus import as_corpus
from bitsift.evaluation.judging import Judge, overlaps
from bitsift.evaluation.machine import describe_machine
from bitsift.evaluation.result import PRICE_PER_GB, Evaluation, Row
from bitsift.evaluation.running import Found, Runner

__all__ = ["evaluate"]

_DEEPER = 10


@public
def evaluate(
    documents: ArrayLike,
    queries: ArrayLike | None = None,
    qrels: ArrayLike | None = None,
    *,
    metric: Metric = "cosine",
    k: SupportsIndex = 10,
    conditions: Literal["all", "quick"] = "all",
    price_per_gb: SupportsFloat = PRICE_PER_GB,
    isa: str | None = None,
    progress: Callable[[float], object] | None = None,
    threads: SupportsIndex = 0,
) -> Evaluation:
    """Measure what is lost, and saved, with fewer bits: on your own vectors.

    Parameters
    ----------
    documents : array_like, shape (n, dim)
        float16, float32 or float64, finite, within float16's range; also a ``numpy.memmap``. 20 or
        more, and `k` or more.
    queries : array_like, shape (m, dim), optional
        By default every tenth document, at most 1,000, evenly spaced, asks and is not searched.
        True queries are better judges.
    qrels : array_like of int, shape (n_judgments, 3), optional
        Judgments: query row, document row, grade; 0 is not relevant. Queries without a grade above
        0 do not count for NDCG and recall. Needs the extra ``eval``.
    metric : {"cosine", "dot", "l2"}
        What makes neighbours.
    k : int
        NDCG and overlap are those of the first `k` results, recall and a second overlap those of
        the first ``10 * k``: two searches with the same oversampling.
    conditions : {"all", "quick"}
        ``"quick"`` leaves out most oversamplings and thresholds, and all that scores every vector
        as integers.
    price_per_gb : float
        US dollars for a GB (2**30 bytes) of memory and month. The default, 3.80, is the figure of
        Hugging Face's article [1]_.
    isa : str, optional
        Instruction set, as in :class:`Index`.
    progress : callable, optional
        Called now and then, in this thread, with the share of the work that is done, 0 to 1. What
        it raises ends the work.
    threads : int
        Number of threads; 0 means all.

    Returns
    -------
    Evaluation
        A row for each condition, with the calls that make it; ``to_json()``, ``str()``.

    Raises
    ------
    ImportError
        There are `qrels`, and the extra ``eval`` is not installed.
    TypeError
        Another dtype.
    ValueError
        Shapes that do not fit, too few documents, values that are not finite, rows of `qrels` that
        do not exist, negative grades, no grade above 0.

    Notes
    -----
    float32 is exact search of the floats. Measures are the same for same input, on every
    instruction set and number of threads; NDCG (the gain is the grade, the discount log2) and
    recall are those of trec_eval, through ir-measures. Times are of this machine: of a batch of
    all queries the median of 5 runs, of single queries the median of 25. bitsift has no scan for
    int8, int4 and ternary: rescoring scores all vectors, and no time is given. float32's time is
    that of NumPy's matrix product.

    Ternary codes have rolling bounds only: nothing lies beyond minimum and maximum, so with
    these all codes would be 0. Takes the memory of an index with float32 originals beside
    `documents`, and for `n` documents and `m` queries the time of some ten exact searches.

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
    arguments.choice(metric, "metric", ("cosine", "dot", "l2"))
    arguments.choice(conditions, "conditions", ("all", "quick"))
    k = arguments.integer(k, "k", 1, arguments.MAX_K // _DEEPER)
    price = _as_price(price_per_gb)
    isa = resolve_isa(isa)
    threads = arguments.check_threads(threads)
    corpus = as_corpus(documents, queries, qrels, k)
    depth = min(_DEEPER * k, len(corpus.documents))
    judge = None if corpus.qrels is None else Judge(corpus.qrels, k, depth)
    runner = Runner(corpus, metric, k, depth, isa, threads)
    measured: list[Row] = []
    quality: dict[str, NDArray[np.float64]] = {}
    floats: Found | None = None
    wanted = all_conditions(conditions)
    for i, condition in enumerate(wanted):
        if progress is not None:
            progress(i / len(wanted))
        found = runner.run(condition)
        if floats is None:
            floats = found
        code = condition.code(corpus.dim, metric, k)
        row, of_queries = _row(condition, found, floats, judge, code)
        measured.append(row)
        quality[row.name] = of_queries
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
        rows=tuple(measured),
        checks=tuple(check_all(quality, measured[0].quality)),
        recommendation=runner.advised,
        warnings=tuple(runner.warnings),
        machine=describe_machine(isa, threads),
    )


def _row(
    condition: Condition, found: Found, floats: Found, judge: Judge | None, code: str
) -> tuple[Row, NDArray[np.float64]]:
    """Return the row of a condition, and the quality of each query."""
    overlap = overlaps(found.best, floats.best)
    of_queries = overlap if judge is None else judge.ndcg(found.best)
    n_queries = len(found.best)
    row = Row(
        name=condition.name,
        group=condition.group,
        ndcg=None if judge is None else float(of_queries.mean()),
        recall=None if judge is None else float(judge.recall(found.deep).mean()),
        overlap=float(overlap.mean()),
        deep_overlap=float(overlaps(found.deep, floats.deep).mean()),
        bytes_per_vector=found.bytes_per_vector,
        bytes_scanned=found.bytes_scanned,
        queries_per_second=n_queries / found.batch_s if found.batch_s else None,
        latency_s=found.alone_s,
        code=code,
    )
    return row, of_queries


def _as_price(price_per_gb: SupportsFloat) -> float:
    try:
        price = float(price_per_gb)
    except (TypeError, ValueError):
        raise TypeError(
            f"price_per_gb must be a number; got {type(price_per_gb).__name__}"
        ) from None
    if not (math.isfinite(price) and price >= 0):
        raise ValueError(f"price_per_gb must be finite and not negative; got {price}")
    return price
