# SPDX-License-Identifier: Apache-2.0
"""The trial that decides what an index scans with: Hamming distance or asymmetric scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bitsift.core.options import Scoring
from bitsift.core.samples import shuffled
from bitsift.encoding.encoder import Encoder, Queries
from bitsift.encoding.thresholds import unit_rows
from bitsift.retrieval.defaults import Step
from bitsift.retrieval.evidence import gain_over
from bitsift.retrieval.exact import MOST_NEIGHBOURS, count_hits, exact_neighbours
from bitsift.retrieval.ladder import BEFORE_CORRECTION, Plan, Rung
from bitsift.retrieval.pipeline import Documents, find_rows

__all__ = ["LEAST_VECTORS", "decide_scoring", "hits_of", "n_tried"]

# Fewer vectors decide by chance. Samples of 64 of texts, pixels and descriptors decided as those of
# 512 did, but for one in ten where asymmetric scores find hardly more.
LEAST_VECTORS = 64
_MOST_VECTORS = 512
_MOST_VALUES = 1 << 21  # so that long vectors take no longer than others
_MOST_QUERIES = 64
# One vector of so many is a query, and is not among those that are searched. With fewer than 512
# vectors there are several rounds, each with other queries.
_VECTORS_FOR_A_QUERY = 8
_STANDARD_ERRORS = 2.0


def n_tried(dim: int) -> int:
    """Return how many vectors of a dimension the trial uses at most."""
    return min(_MOST_VECTORS, max(LEAST_VECTORS, _MOST_VALUES // dim))


def decide_scoring(encoder: Encoder, vectors: NDArray[np.float32], threads: int = 0) -> Scoring:
    """Return the scoring that finds more of the exact neighbours among some vectors.

    Asymmetric scores take longer, so they win only if they find more by over two standard errors of
    the difference, paired by queries.

    Parameters
    ----------
    encoder : Encoder
        The index's own, fitted. Its stores do not count.
    vectors : ndarray, shape (n, dim)
        Finite; n is at least `LEAST_VECTORS` and at most ``n_tried(dim)``.
    threads : int
        Number of threads; 0 means all.

    Notes
    -----
    Depends on the vectors alone: what is found is the same on every instruction set and number of
    threads, and the sums are of integers.
    """
    asymmetric, hamming = hits_of(encoder, vectors, threads)
    gain = gain_over(asymmetric, hamming, MOST_NEIGHBOURS)
    assert gain.error is not None
    return "asymmetric" if gain.mean > _STANDARD_ERRORS * gain.error else "hamming"


def hits_of(
    encoder: Encoder, vectors: NDArray[np.float32], threads: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many of its exact neighbours each query finds: asymmetrically, by Hamming."""
    order = shuffled(len(vectors))
    n_rounds = min(_VECTORS_FOR_A_QUERY, -(-_VECTORS_FOR_A_QUERY * _MOST_QUERIES // len(vectors)))
    hits = []
    for i in range(n_rounds):
        is_query = np.zeros(len(vectors), np.bool_)
        is_query[order[i::_VECTORS_FOR_A_QUERY]] = True
        hits.append(_hits_of_round(encoder, vectors[~is_query], vectors[is_query], threads))
    asymmetric, hamming = np.concatenate(hits, axis=1)
    return asymmetric, hamming


def _hits_of_round(
    encoder: Encoder, rows: NDArray[np.float32], asked: NDArray[np.float32], threads: int
) -> NDArray[np.int64]:
    alone = Encoder(encoder.binarizer, (), encoder.metric, encoder.corrected)
    columns = alone.empty_columns(len(rows))
    alone.encode_into(columns, rows, threads)
    documents = Documents(alone, columns)
    block = alone.binarizer.encode(asked, "vectors", 0, threads)
    queries = Queries(block.codes, block)
    exact = _exact_neighbours(rows, asked, alone, threads)
    asymmetric = [Rung("asymmetric", 1.0)]
    if alone.corrected:
        asymmetric.insert(0, Rung("asymmetric", BEFORE_CORRECTION))
    steps = (Step(MOST_NEIGHBOURS, MOST_NEIGHBOURS),)
    hits = [
        count_hits(find_rows(documents, queries, Plan(steps, rungs, threads))[1], exact)
        for rungs in (asymmetric, [Rung("hamming", 1.0)])
    ]
    return np.stack(hits)


def _exact_neighbours(
    rows: NDArray[np.float32], asked: NDArray[np.float32], encoder: Encoder, threads: int
) -> NDArray[np.int64]:
    """Return the nearest rows of each query by the metric."""
    if encoder.metric == "cosine":
        rows, asked = unit_rows(rows, threads), unit_rows(asked, threads)
    else:  # both times one power of two: the order of scores stays, and none overflows
        exponent = np.frexp(max(np.abs(rows).max(), np.abs(asked).max()))[1]
        rows, asked = np.ldexp(rows, -exponent), np.ldexp(asked, -exponent)
    return exact_neighbours(rows, asked, MOST_NEIGHBOURS, encoder.metric, encoder.isa, threads)
