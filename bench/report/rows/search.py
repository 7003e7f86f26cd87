# SPDX-License-Identifier: Apache-2.0
"""One query, a batch, and a batch at every level, beside the ceilings."""

from __future__ import annotations

from ...data import K, random_query_codes
from ...peers.libraries import faiss
from .. import faiss_levels, search_peers
from ..both_indexes import BothIndexes
from ..ceilings import kernel_ceilings, reading
from ..session import Run
from ..settings import other_levels

_FEW_QUERIES = 8  # for a peer that takes each query through all rows
_TENS_OF_MILLIONS = 10_000_000


def one_query(run: Run) -> None:
    settings = run.settings
    sizes = [settings.n_rows] if settings.quick else [settings.n_rows, _TENS_OF_MILLIONS]
    query = random_query_codes(1)
    for n in sizes:
        both = BothIndexes(n, isa=settings.isa)
        others = [
            *search_peers.by_usearch(both.codes, query, K, settings.threads, most=1),
            *search_peers.by_numpy(both.codes, query, K),
            *search_peers.by_sentence_transformers(both.flat, query, K, settings.threads),
        ]
        ceilings = reading(both.codes, settings.isa, settings.threads)
        question = both.question(query, threads=settings.threads, others=others, ceilings=ceilings)
        (result,) = run.race([question], 1 / len(sizes))
        result.remark = f"{both.codes.size / result.seconds / 1e9:.1f} GB/s"


def batch(run: Run) -> None:
    settings = run.settings
    both = BothIndexes(settings.n_rows, isa=settings.isa)
    batches = (256,) if settings.quick else (256, 1024)
    for n_queries in batches:
        queries = random_query_codes(n_queries)
        others = [
            *search_peers.by_numkong(both.codes, queries, settings.threads, most=256),
            *search_peers.by_usearch(both.codes, queries, K, settings.threads, most=_FEW_QUERIES),
            *search_peers.by_sentence_transformers(both.flat, queries, K, settings.threads),
        ]
        ceilings = kernel_ceilings(settings.isa, settings.threads)
        question = both.question(
            queries, threads=settings.threads, others=others, ceilings=ceilings
        )
        (result,) = run.race([question], 1 / len(batches))
        per_pair = result.seconds / (n_queries * len(both))
        result.remark = f"{per_pair * 1e9:.3f} ns a pair of codes"


def levels(run: Run) -> None:
    settings = run.settings
    queries = random_query_codes()
    chosen = other_levels(settings.isa)
    for level in chosen:
        n = settings.n_rows // 10 if level == "scalar" else settings.n_rows
        both = BothIndexes(n, isa=settings.isa)
        ceilings = kernel_ceilings(level, settings.threads)
        question = both.question(queries, threads=settings.threads, ceilings=ceilings, isa=level)
        (result,) = run.race([question], 1 / len(chosen))
        if faiss is not None:
            name = faiss_levels.name_at(level)
            set_ = "FAISS at" if question.peers else "this FAISS cannot be set to"
            result.remark = f"{set_} {name}"
