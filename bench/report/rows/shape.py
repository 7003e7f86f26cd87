# SPDX-License-Identifier: Apache-2.0
"""How the time of a search changes with queries, k, bits, rows and threads."""

from __future__ import annotations

from ...data import N_QUERIES, random_query_codes
from ...formats import duration
from ..both_indexes import BothIndexes
from ..ceilings import reading
from ..race import Result
from ..session import Run

_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_KS = (10, 1, 100, 1000)  # what the others are compared with first
_FEW_QUERIES = 64
_BITS = (64, 128, 256, 1024, 1536, 3072)
_QUICK_BITS = (64, 256, 1024, 3072)
_WIDTHS = (64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
_QUICK_WIDTHS = (64, 384, 768, 1536)
_SIZES = (1_000, 10_000, 100_000, 1_000_000)
# Medians that differ by less are called equal.
_TOLERANCE = 1.02


def batches(run: Run) -> None:
    settings = run.settings
    both = BothIndexes(settings.n_rows, isa=settings.isa)
    queries = random_query_codes()
    questions = [both.question(queries[:n], threads=settings.threads) for n in _BATCHES]
    results = run.race(questions)
    least = float("inf")
    for n, result in zip(_BATCHES, results, strict=True):
        each = result.seconds / n
        result.remark = f"{duration(each)} a query"
        if each > least * _TOLERANCE:
            result.remark += f": {each / least - 1:.0%} more than in a smaller batch"
        least = min(least, each)


def ks(run: Run) -> None:
    settings = run.settings
    both = BothIndexes(settings.n_rows, isa=settings.isa)
    queries = random_query_codes()
    questions = [both.question(queries, threads=settings.threads, k=k) for k in _KS]
    few = both.question(queries[:_FEW_QUERIES], threads=settings.threads, k=100)
    results = run.race([*questions, few])
    for result in results[1:-1]:
        result.remark = _relative(result, results[0], f"k={_KS[0]}")


def bits(run: Run) -> None:
    settings = run.settings
    chosen = _QUICK_BITS if settings.quick else _BITS
    for n_bits in chosen:
        n = min(settings.n_rows, settings.n_codes_bytes // (n_bits // 8))
        both = BothIndexes(n, isa=settings.isa, bits=n_bits)
        queries = random_query_codes(bits=n_bits)
        questions = [
            both.question(some, threads=settings.threads) for some in (queries[:1], queries)
        ]
        for result in run.race(questions, 1 / len(chosen)):
            pairs = result.question.facts["n_queries"] * n * n_bits
            result.remark = f"{pairs / result.seconds / 1e9:,.0f} G bit pairs/s"


def widths(run: Run) -> None:
    settings = run.settings
    chosen = _QUICK_WIDTHS if settings.quick else _WIDTHS
    for n_bits in chosen:
        both = BothIndexes(settings.n_codes_bytes // (n_bits // 8), isa=settings.isa, bits=n_bits)
        query = random_query_codes(1, bits=n_bits)
        questions = [
            both.question(query, threads=n, ceilings=reading(both.codes, settings.isa, n))
            for n in sorted({1, settings.threads})
        ]
        for result in run.race(questions, 1 / len(chosen)):
            result.remark = f"{both.codes.size / result.seconds / 1e9:.1f} GB/s"


def sizes(run: Run) -> None:
    settings = run.settings
    chosen = [n for n in _SIZES if n <= settings.n_rows]
    queries = random_query_codes()
    pairs_of_indexes = [BothIndexes(n, isa=settings.isa) for n in chosen]
    questions = [
        both.question(some, threads=settings.threads)
        for some in (queries[:1], queries)
        for both in pairs_of_indexes
    ]
    for result in run.race(questions):
        n = result.question.facts["n_rows"]
        result.remark = (
            f"{result.seconds / n / result.question.facts['n_queries'] * 1e9:.3f} ns a pair"
        )


def threads(run: Run) -> None:
    settings = run.settings
    both = BothIndexes(settings.n_rows, isa=settings.isa)
    counts = settings.thread_counts()
    for n_queries in (1, N_QUERIES):
        queries = random_query_codes(n_queries)
        questions = [
            both.question(
                queries,
                threads=n,
                ceilings=reading(both.codes, settings.isa, n) if n_queries == 1 else [],
            )
            for n in counts
        ]
        results = run.race(questions, 1 / 2)
        for n, result in zip(counts[1:], results[1:], strict=True):
            speed_up = 1 / result.relative_to(results[0])
            result.remark = f"{speed_up:.2f} x one thread ({speed_up / n:.0%} of ideal)"


def _relative(result: Result, base: Result, name: str) -> str:
    remark = f"{result.relative_to(base):.2f} x {name}"
    if "faiss" in result.peers:
        remark += f" (faiss: {result.peer_relative_to(base, 'faiss'):.2f} x)"
    return remark
