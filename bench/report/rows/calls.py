# SPDX-License-Identifier: Apache-2.0
"""What a call itself costs, and what happens when many callers call at once."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift
from bitsift.core.options import Store

from ...checks import close_scores
from ...data import DIM, K, random_queries, random_query_codes, random_vectors
from ...formats import duration
from ...peers.libraries import faiss
from ...peers.packing import numpy_pack
from ...peers.rescoring import N_CANDIDATES, numpy_rescore
from .. import search_peers
from ..both_indexes import BothIndexes, in_words
from ..race import Call, Peer, Question, Result
from ..session import Run
from ..settings import Settings

_FEW = 10_000
_FEWEST = 1_000
_CALLERS = 8
_TURNS = 5


def small(run: Run) -> None:
    settings = run.settings
    query = random_query_codes(1)
    pairs_of_indexes = [BothIndexes(n, isa=settings.isa) for n in (_FEW, 2 * _FEW, _FEWEST)]
    questions = [both.question(query, threads=settings.threads) for both in pairs_of_indexes]
    questions = [replace(question, text=f"Index.search: {question.text}") for question in questions]
    for both, question in zip(pairs_of_indexes, tuple(questions), strict=True):
        text = question.text.replace("Index.", "bitsift.")
        call = _function_search(both, query, settings.threads)
        questions.append(replace(question, text=text, ours=call))
    questions += [_rescored_question(store, settings) for store in ("float32", "float16")]
    results = run.race(questions)
    for one, two in (results[0:2], results[3:5]):
        one.remark = _beyond_the_scan(one, two)


def _rescored_question(store: Store, settings: Settings) -> Question:
    """Ask for the best by the cosine; the peer is FAISS, for candidates, and NumPy."""
    vectors = random_vectors(_FEWEST)
    index = bitsift.Index(DIM, store=store, isa=settings.isa)
    index.add(vectors)
    query = random_queries()[:1]
    originals = index.get(index.ids)
    flat = search_peers.faiss_index(index.codes)

    def by_faiss_and_numpy() -> Any:
        _, rows = flat.search(numpy_pack(query), N_CANDIDATES)
        return numpy_rescore(originals[rows], query, rows, "cosine")

    return Question(
        f"Index.search, rescored from {store}: {in_words(1, _FEWEST, DIM, K)}",
        settings.isa,
        settings.threads,
        lambda: index.search(query, K, scoring="hamming", threads=settings.threads),
        [] if flat is None else [Peer("faiss and numpy", by_faiss_and_numpy, close_scores)],
        facts={"n_queries": 1, "n_rows": _FEWEST, "n_bits": DIM, "k": K},
    )


def callers(run: Run) -> None:
    settings = run.settings
    both = BothIndexes(settings.n_rows, isa=settings.isa)
    queries = random_query_codes(_CALLERS)
    batch = both.question(queries, threads=settings.threads)

    def search(query: NDArray[np.uint8]) -> Any:
        return both.index.search(query, K, threads=settings.threads)

    def search_again_and_again(query: NDArray[np.uint8]) -> Any:
        return [search(query) for _ in range(_TURNS)][-1]

    with ThreadPoolExecutor(_CALLERS, initializer=_one_thread_for_faiss) as pool:
        at_once = _at_once(pool, queries, search)

        def alone_then_at_once() -> None:
            search(queries[:1])
            at_once()

        one = replace(batch, text=f"one caller of {_CALLERS} queries")
        alone = both.question(queries[:1], threads=settings.threads)
        alone = replace(alone, text="one caller of one query")
        burst = replace(
            batch,
            text=f"{_CALLERS} callers of one query each",
            ours=at_once,
            peers=[
                replace(peer, call=_at_once(pool, queries, lambda q: both.flat.search(q, K)))
                for peer in batch.peers
            ],
        )
        first = replace(burst, text=f"{alone.text}, then {burst.text}", peers=())
        first = replace(first, ours=alone_then_at_once)
        loop = replace(
            burst, text=f"{_CALLERS} callers of {_TURNS} queries each, in turn", peers=()
        )
        loop = replace(loop, ours=_at_once(pool, queries, search_again_and_again))
        results = run.race([one, alone, burst, first, loop])
    reference, lone, *by_callers = results
    for result in (reference, by_callers[0]):
        result.remark = f"{_CALLERS / result.seconds:,.0f} queries/s"
        for name in result.peers:
            result.remark += f" ({name}: {_CALLERS / result.peer_seconds(name):,.0f})"
    bursts, firsts, loops = (result.ours for result in by_callers)
    firsts = [two - one for two, one in zip(firsts, lone.ours, strict=True)]
    loops = [seconds / _TURNS for seconds in loops]
    for result, rounds in zip(by_callers, (bursts, firsts, loops), strict=True):
        share = statistics.median(a / b for a, b in zip(reference.ours, rounds, strict=True))
        separator = ", " if result.remark else ""
        result.remark += f"{separator}{share:.0%} of one caller's rate"


def _one_thread_for_faiss() -> None:
    """Of each caller: it is a setting of the thread, and more than one cannot help one query."""
    if faiss is not None:
        faiss.omp_set_num_threads(1)


def _function_search(both: BothIndexes, query: NDArray[np.uint8], threads: int) -> Call:
    codes = both.codes
    return lambda: bitsift.search(codes, query, K, isa=both.isa, threads=threads)


def _at_once(
    pool: ThreadPoolExecutor, queries: NDArray[np.uint8], search: Callable[[Any], Any]
) -> Call:
    """Search one query in each thread; the first of a result are distances, stacked."""

    def call() -> tuple[NDArray[Any]]:
        found = list(pool.map(search, queries[:, np.newaxis]))
        return (np.concatenate([result[0] for result in found]),)

    return call


def _beyond_the_scan(one: Result, two: Result) -> str:
    """Take the rows that `two` has more for the cost of a scan; the rest is the call's own."""
    remark = _overhead(one.ours, two.ours)
    for name in one.peers:
        remark += f" ({name}: {_overhead(one.peers[name], two.peers[name])})"
    return remark


def _overhead(one: list[float], two: list[float]) -> str:
    scan = statistics.median(b - a for a, b in zip(one, two, strict=True))
    beyond = statistics.median(2 * a - b for a, b in zip(one, two, strict=True))
    return f"scan {duration(max(scan, 0))}, beyond it {duration(max(beyond, 0))}"
