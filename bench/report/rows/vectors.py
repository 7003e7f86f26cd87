# SPDX-License-Identifier: Apache-2.0
"""What works on vectors of floats: packing, rescoring, asymmetric scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift
import bitsift.core.native as native
from bitsift.quantization.integers import INTEGER_CODECS

from ...checks import close_scores, same_array
from ...data import DIM, N_QUERIES, K, in_float16, random_queries, random_vectors
from ...peers.libraries import faiss
from ...peers.packing import numpy_pack
from ...peers.rescoring import N_CANDIDATES, Rescore, candidate_sets, in_turn, numpy_rescore
from .. import faiss_levels
from ..both_indexes import BothIndexes, in_words
from ..ceilings import reading, reading_rows
from ..race import Call, Peer, Question
from ..session import Run
from ..settings import has_asymmetric

_BATCHES = (1, N_QUERIES)
_RABITQ_QUERIES = 32
_RABITQ_CHUNK = 20_000


def packing(run: Run) -> None:
    settings = run.settings
    values = random_vectors(settings.n_vectors)
    question = Question(
        f"pack {len(values):,} x {DIM} float32",
        settings.isa,
        settings.threads,
        lambda: bitsift.pack(values, isa=settings.isa, threads=settings.threads),
        [Peer("numpy", lambda: numpy_pack(values), same_array, note="one thread")],
        reading(values, settings.isa, settings.threads),
        values.nbytes,
        {"n_rows": len(values), "n_bits": DIM},
    )
    (result,) = run.race([question])
    result.remark = f"{values.nbytes / result.seconds / 1e9:.1f} GB/s"


def rescoring(run: Run) -> None:
    settings = run.settings
    vectors = random_vectors(settings.n_vectors)
    candidates = candidate_sets(len(vectors))
    for threads in sorted({1, settings.threads}):
        for originals in (vectors, in_float16(vectors)):
            run.race([_floats_question(originals, candidates, settings.isa, threads)], 1 / 5)
        run.race([_int8_question(vectors, candidates, settings.isa, threads)], 1 / 5)


def _floats_question(
    originals: NDArray[Any], candidates: NDArray[np.int64], isa: str, threads: int
) -> Question:
    queries = random_queries()

    def ours(rows: NDArray[np.int64]) -> Any:
        return native.rescore(
            originals, queries, rows, k=K, metric="cosine", ids=None, isa=isa, threads=threads
        )

    def numpy(rows: NDArray[np.int64]) -> Any:
        return numpy_rescore(originals[rows], queries, rows, "cosine")

    return _rescoring_question(originals, ours, numpy, candidates, isa, threads)


def _int8_question(
    vectors: NDArray[np.float32], candidates: NDArray[np.int64], isa: str, threads: int
) -> Question:
    queries = random_queries()
    codec = INTEGER_CODECS["int8"]
    ranges = np.stack([vectors.min(axis=0), vectors.max(axis=0)])
    originals = codec.encode(vectors, ranges)
    base, step = codec.affine(ranges)

    def ours(rows: NDArray[np.int64]) -> Any:
        return native.rescore_integers(
            originals.view(np.uint8),
            queries,
            rows,
            base,
            step,
            integer_type="int8",
            k=K,
            metric="cosine",
            ids=None,
            isa=isa,
            threads=threads,
        )

    def numpy(rows: NDArray[np.int64]) -> Any:
        gathered = originals[rows] * step.astype(np.float32) + base.astype(np.float32)
        return numpy_rescore(gathered, queries, rows, "cosine")

    return _rescoring_question(originals, ours, numpy, candidates, isa, threads)


def _rescoring_question(
    originals: NDArray[Any],
    ours: Rescore,
    numpy: Rescore,
    candidates: NDArray[np.int64],
    isa: str,
    threads: int,
) -> Question:
    n_bytes = candidates[0].size * originals[0].nbytes
    return Question(
        f"rescore {N_QUERIES} x {N_CANDIDATES}, {len(originals):,} {originals.dtype}",
        isa,
        threads,
        in_turn(ours, candidates),
        [Peer("numpy", in_turn(numpy, candidates), close_scores, note="one thread")],
        reading_rows(originals, candidates.reshape(len(candidates), -1), isa, threads),
        n_bytes,
        {"n_queries": N_QUERIES, "n_rows": len(originals), "n_bits": DIM, "k": K},
    )


def asymmetric(run: Run) -> None:
    settings = run.settings
    if not has_asymmetric():
        run.unavailable('Index.search(scoring="asymmetric")')
        return
    both = BothIndexes(settings.n_rows, isa=settings.isa)
    queries = random_queries()
    rabitq = _rabitq(both.codes)
    questions = []
    for n_queries in _BATCHES:
        some = queries[:n_queries]
        for scoring in ("hamming", "asymmetric"):
            peers = _by_rabitq(rabitq, some, settings.threads) if scoring == "asymmetric" else []
            questions.append(_scoring_question(both, some, scoring, settings.threads, peers))
    results = run.race(questions)
    for hamming, other in (results[:2], results[2:]):
        other.remark = f"{other.relative_to(hamming):.2f} x Hamming"


def _scoring_question(
    both: BothIndexes, queries: NDArray[np.float32], scoring: str, threads: int, peers: list[Peer]
) -> Question:
    return Question(
        f"{scoring}: {in_words(len(queries), len(both), both.bits, K)}",
        both.isa,
        threads,
        _scoring_call(both, queries, scoring, threads),
        peers,
        facts={"n_queries": len(queries), "n_rows": len(both), "n_bits": both.bits, "k": K},
    )


def _scoring_call(
    both: BothIndexes, queries: NDArray[np.float32], scoring: str, threads: int
) -> Call:
    index: Any = both.index
    return lambda: index.search(queries, K, rescore=False, threads=threads, scoring=scoring)


def _rabitq(codes: NDArray[np.uint8]) -> Any:
    """Give FAISS's one-bit index with queries of 8 bits, or None if this FAISS has none."""
    if faiss is None or not hasattr(faiss, "IndexRaBitQFastScan"):
        return None
    index = faiss.IndexRaBitQFastScan(DIM, faiss.METRIC_INNER_PRODUCT)
    index.qb = 8
    for begin in range(0, len(codes), _RABITQ_CHUNK):
        vectors = bitsift.unpack(codes[begin : begin + _RABITQ_CHUNK], DIM).astype(np.float32)
        vectors = vectors * 2 - 1
        if begin == 0:
            index.train(vectors)
        index.add(vectors)
    return index


def _by_rabitq(index: Any, queries: NDArray[np.float32], threads: int) -> list[Peer]:
    if index is None:
        return []
    some = queries[:_RABITQ_QUERIES]

    def call() -> Any:
        faiss_levels.use(threads, "")
        return index.search(some, K)

    note = "IndexRaBitQFastScan: estimates, other scores"
    if len(some) < len(queries):
        note += f"; time of {len(some)} queries, scaled"
    return [Peer("faiss RaBitQ", call, None, len(queries) / len(some), note)]
