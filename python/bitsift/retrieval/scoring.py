# SPDX-License-Identifier: Apache-2.0
"""The trial that decides what an index scans with: Hamming distance or asymmetric scores."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core.options import Scoring
from bitsift.core.samples import shuffled
from bitsift.encoding.encoder import Encoder, Queries
from bitsift.encoding.thresholds import unit_rows
from bitsift.retrieval.defaults import Step
from bitsift.retrieval.ladder import BEFORE_CORRECTION, Plan, Rung
from bitsift.retrieval.pipeline import Documents, find_rows

__all__ = ["LEAST_VECTORS", "decide_scoring", "gains_of", "n_tried"]

# Fewer vectors decide by chance. Samples of 64 of texts, pixels and descriptors decided as those of
# 512 did, but for one in ten where asymmetric scores find hardly more.
LEAST_VECTORS = 64
_MOST_VECTORS = 512
_MOST_VALUES = 1 << 21  # so that long vectors take no longer than others
_K = 10
_MOST_QUERIES = 64
# One vector of so many is a query, and is not among those that are searched. With fewer than 512
# vectors there are several rounds, each with other queries.
_VECTORS_FOR_A_QUERY = 8
_STANDARD_ERRORS = 2.0


def n_tried(dim: int) -> int:
    """Return how many vectors of a dimension the trial uses at most."""
    return min(_MOST_VECTORS, max(LEAST_VECTORS, _MOST_VALUES // dim))


def decide_scoring(encoder: Encoder, vectors: NDArray[np.float32]) -> Scoring:
    """Return the scoring that finds more of the exact neighbours among some vectors.

    Asymmetric scores take longer, so they win only if they find more by over two standard errors of
    the difference, paired by queries.

    Parameters
    ----------
    encoder : Encoder
        The index's own, fitted. Its stores do not count.
    vectors : ndarray, shape (n, dim)
        Finite; n is at least `LEAST_VECTORS` and at most ``n_tried(dim)``.

    Notes
    -----
    Depends on the vectors alone: what is found is the same on every instruction set and number of
    threads, and the sums are of integers.
    """
    gains = gains_of(encoder, vectors)
    n, total, squares = len(gains), int(gains.sum()), int((gains * gains).sum())
    # The mean and its standard error, both times n.
    error = math.sqrt((n * squares - total * total) / (n - 1))
    return "asymmetric" if total > _STANDARD_ERRORS * error else "hamming"


def gains_of(encoder: Encoder, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return how many more of its 10 exact neighbours each query finds by asymmetric scores."""
    order = shuffled(len(vectors))
    n_rounds = min(_VECTORS_FOR_A_QUERY, -(-_VECTORS_FOR_A_QUERY * _MOST_QUERIES // len(vectors)))
    gains = []
    for i in range(n_rounds):
        is_query = np.zeros(len(vectors), np.bool_)
        is_query[order[i::_VECTORS_FOR_A_QUERY]] = True
        gains.append(_gains_in_round(encoder, vectors[~is_query], vectors[is_query]))
    return np.concatenate(gains)


def _gains_in_round(
    encoder: Encoder, rows: NDArray[np.float32], asked: NDArray[np.float32]
) -> NDArray[np.int64]:
    alone = Encoder(encoder.binarizer, (), encoder.metric, encoder.corrected)
    columns = alone.empty_columns(len(rows))
    alone.encode_into(columns, rows)
    documents = Documents(alone, columns)
    block = alone.binarizer.encode(asked, "vectors", 0, 0)
    queries = Queries(block.codes, block)
    exact = _exact(rows, asked, alone)
    asymmetric = [Rung("asymmetric", 1.0)]
    if alone.corrected:
        asymmetric.insert(0, Rung("asymmetric", BEFORE_CORRECTION))
    steps = (Step(_K, _K),)
    hamming_hits, asymmetric_hits = (
        _hits(find_rows(documents, queries, Plan(steps, rungs, 0))[1], exact)
        for rungs in ([Rung("hamming", 1.0)], asymmetric)
    )
    return asymmetric_hits - hamming_hits


def _exact(
    rows: NDArray[np.float32], asked: NDArray[np.float32], encoder: Encoder
) -> NDArray[np.int64]:
    """Return the nearest rows of each query by the metric."""
    if encoder.metric == "cosine":
        rows, asked = unit_rows(rows), unit_rows(asked)
    else:  # both times one power of two: the order of scores stays, and none overflows
        exponent = np.frexp(max(np.abs(rows).max(), np.abs(asked).max()))[1]
        rows, asked = np.ldexp(rows, -exponent), np.ldexp(asked, -exponent)
    everyone = np.broadcast_to(np.arange(len(rows)), (len(asked), len(rows)))
    return native.rescore(
        rows,
        asked,
        np.ascontiguousarray(everyone),
        k=_K,
        metric=encoder.metric,
        ids=None,
        isa=encoder.isa,
        threads=0,
    )[1]


def _hits(found: NDArray[np.int64], exact: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many of the exact neighbours of each query are found."""
    is_hit = (found[:, :, np.newaxis] == exact[:, np.newaxis, :]).any(axis=1)
    hits: NDArray[np.int64] = is_hit.sum(axis=1, dtype=np.int64)
    return hits
