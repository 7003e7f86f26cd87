# SPDX-License-Identifier: Apache-2.0
"""The trial that decides what an index scans with, beside one in NumPy alone."""

from __future__ import annotations

import numpy as np
import pytest

import bitsift
from bitsift.core.samples import shuffled
from bitsift.retrieval.scoring import LEAST_VECTORS, decide_scoring, hits_of, n_tried
from oracle import reference

pytestmark = pytest.mark.usefixtures("fits_at_once")

METRICS = ("cosine", "dot", "l2")


def made_vectors(n, dim, mean=0.0, seed=0):
    return (np.random.default_rng(seed).standard_normal((n, dim)) + mean).astype(np.float32)


def encoder_of(index):
    return index._table.snapshot.documents.encoder


def best(metric, scores, k=10):
    return set(reference.ranked(metric, scores, np.arange(len(scores)), k)[1])


def expected_hits(vectors, metric, centre, *, rotate, normalize, corrects):
    """The same trial, one query after the other."""
    n, dim = vectors.shape
    compared = reference.prepared(vectors, centre, rotate=rotate, normalize=normalize)
    bits = compared > 0
    centred = not (np.isscalar(centre) and centre == 0)
    axis = None
    if centred:
        axis = np.broadcast_to(centre, dim).astype(np.float32)
        axis = (
            reference.rotated(axis[np.newaxis], reference.random_flips(dim))[0] if rotate else axis
        )
    exact_vectors = reference.unit_rows(vectors) if metric == "cosine" else vectors
    hits = []
    order = shuffled(n)
    for i in range(min(8, -(-512 // n))):
        asked = np.sort(order[i::8])
        rows = np.setdiff1d(np.arange(n), asked)
        for q in asked:
            exact = best(metric, reference.scores(metric, exact_vectors[q], exact_vectors[rows]))
            by_distance = best("l2", (bits[rows] != bits[q]).sum(axis=1))
            query = compared[q].astype(np.float64)
            if metric == "dot" and not corrects:
                # The product of a query and the threshold is the same for all documents.
                zero = np.zeros(dim, np.float32)
                query = reference.prepared(vectors[[q]], zero, rotate=rotate, normalize=normalize)
                query = query[0].astype(np.float64)
            integers, _ = reference.round_query(query)
            differing = bits[rows] != (query > 0)
            weighted = (differing * np.abs(integers)).sum(axis=1)
            if not corrects:
                found = best("l2", weighted)
            else:
                first = np.lexsort((np.arange(len(rows)), weighted))[:80]
                factors = reference.correction(metric, compared[rows], axis)
                estimates = reference.estimates(
                    metric, query, bits[rows][first], factors[first], axis
                )
                found = set(reference.ranked(metric, estimates, first, 10)[1])
            hits.append([len(found & exact), len(by_distance & exact)])
    return hits


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("corrects", [False, True])
@pytest.mark.parametrize(
    ("rotate", "threshold"), [(False, 0.0), (True, 0.0), (False, "mean"), (True, "mean")]
)
def test_the_trial_is_that_of_the_oracle(metric, corrects, rotate, threshold, isa):
    vectors = made_vectors(150, 21, 0.3)
    index = bitsift.Index(
        21, metric=metric, store=None, rotate=rotate, threshold=threshold, correction=corrects,
        isa=isa,
    )  # fmt: skip
    index.fit(vectors)
    asymmetric, hamming = hits_of(encoder_of(index), vectors)
    assert len(asymmetric) == len(hamming) == 4 * 19  # four rounds
    expected = expected_hits(
        vectors,
        metric,
        index.threshold,
        rotate=rotate,
        normalize=metric == "cosine" and threshold == "mean",
        corrects=corrects,
    )
    assert np.stack((asymmetric, hamming), axis=1).tolist() == expected


def test_asymmetric_scores_win_by_two_standard_errors(monkeypatch):
    encoder = encoder_of(bitsift.Index(8))
    for gains, expected in (
        ([0] * 64, "hamming"),
        ([1] * 64, "asymmetric"),
        ([-1] * 64, "hamming"),
        ([1, -1] * 32, "hamming"),
        # A mean of 4/64, a standard error of sqrt(60/64/64/63): 2.05 of them are less than it.
        ([1] * 4 + [0] * 60, "asymmetric"),
        ([1] * 3 + [0] * 61, "hamming"),
        ([10] + [0] * 63, "hamming"),
    ):
        asymmetric = np.array(gains)
        hits = np.maximum(asymmetric, 0), np.maximum(-asymmetric, 0)
        monkeypatch.setattr("bitsift.retrieval.scoring.hits_of", lambda *_, hits=hits: hits)
        assert decide_scoring(encoder, made_vectors(64, 8)) == expected, gains


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [8, 37, 128])
@pytest.mark.parametrize("n", [LEAST_VECTORS, 100, 512])
def test_bits_of_centred_data_are_scored(metric, dim, n, isa):
    for mean, expected in ((0.0, "asymmetric"), (9.0, "hamming")):
        index = bitsift.Index(dim, metric=metric, isa=isa)
        assert decide_scoring(encoder_of(index), made_vectors(n, dim, mean)) == expected


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("corrects", [False, True])
@pytest.mark.parametrize("dim", [1, 5, 64])
def test_data_that_say_nothing(metric, corrects, dim):
    encoder = encoder_of(bitsift.Index(dim, metric=metric, store=None, correction=corrects))
    for value in (0.0, 1.0, -3e18, 1e-45):
        assert decide_scoring(encoder, np.full((64, dim), value, np.float32)) == "hamming"


@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e37])
@pytest.mark.parametrize("metric", METRICS)
def test_huge_and_tiny_values(scale, metric):
    encoder = encoder_of(bitsift.Index(64, metric=metric, store=None))
    vectors = made_vectors(64, 64) * np.float32(scale)
    assert decide_scoring(encoder, vectors) == "asymmetric"


def test_long_vectors_are_fewer():
    assert [n_tried(dim) for dim in (1, 384, 4096, 8192, 65536)] == [512, 512, 512, 256, 64]
