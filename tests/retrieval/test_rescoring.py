# SPDX-License-Identifier: Apache-2.0
"""Rescoring: the metric in float, and the order of equal scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsift
from oracle import reference

pytestmark = pytest.mark.usefixtures("fits_at_once")

METRICS = ["cosine", "dot", "l2"]
STORES = ["float32", "float16"]


def exhaustive(metric, queries, vectors, ids, k):
    """The best k of all vectors by the metric in float64."""
    scores = np.empty((len(queries), k))
    found = np.empty((len(queries), k), np.int64)
    for i, query in enumerate(queries):
        all_scores = reference.scores(metric, query, vectors)
        badness = all_scores if metric == "l2" else -all_scores
        best = np.lexsort((ids, badness.astype(np.float32)))[:k]
        scores[i], found[i] = all_scores[best], ids[best]
    return scores, found


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("dim", [1, 5, 15, 16, 17, 33, 384, 1000])
def test_scores(isa, rng, metric, store, dim):
    vectors = rng.standard_normal((150, dim), dtype=np.float32).astype(store)
    queries = rng.standard_normal((4, dim), dtype=np.float32)
    ids = rng.permutation(1000)[:150]
    index = bitsift.Index(dim, metric=metric, store=store, isa=isa)
    index.add(vectors, ids=ids)
    scores, found = index.search(queries, k=20, oversampling=1000)
    expected_scores, expected = exhaustive(metric, queries, vectors, ids, 20)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected_scores, rtol=2e-7, atol=1e-30)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("metric", METRICS)
def test_scores_equal_numpy_float32(rng, metric):
    vectors = rng.standard_normal((300, 768), dtype=np.float32) + np.float32(0.3)
    query = rng.standard_normal(768, dtype=np.float32) + np.float32(0.3)
    index = bitsift.Index(768, metric=metric, store="float32")
    index.add(vectors)
    scores, ids = index.search(query, k=300, oversampling=1)
    if metric == "l2":
        expected = np.linalg.norm(vectors - query, axis=1)
    else:
        expected = vectors @ query
        if metric == "cosine":
            expected /= np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    # Where terms cancel, float32 is no more exact than this.
    scale = np.abs(vectors[ids] * query).sum(axis=1) if metric == "dot" else 1
    np.testing.assert_allclose(scores, expected[ids], rtol=1e-5, atol=1e-7 * np.max(scale))


def test_order_of_scores(rng):
    vectors = rng.standard_normal((100, 32), dtype=np.float32)
    for metric in METRICS:
        index = bitsift.Index(32, metric=metric)
        index.add(vectors)
        scores = index.search(vectors[:5], k=10).scores
        steps = np.diff(scores, axis=1)
        assert (steps >= 0).all() if metric == "l2" else (steps <= 0).all()


@pytest.mark.parametrize("metric", METRICS)
def test_equal_scores_go_to_the_smaller_id(rng, metric):
    vector = rng.standard_normal(24, dtype=np.float32)
    ids = rng.permutation(200)
    index = bitsift.Index(24, metric=metric)
    index.add(np.tile(vector, (200, 1)), ids=ids)
    for k in (1, 50, 200):
        for oversampling in (1, 3):
            found = index.search(vector, k=k, oversampling=oversampling).ids
            np.testing.assert_array_equal(found, np.arange(k))


def test_zero_vectors_have_no_direction():
    index = bitsift.Index(8)
    index.add(np.vstack([np.zeros(8), np.ones(8), -np.ones(8)]))
    scores, ids = index.search(np.ones(8), k=3)
    assert ids.tolist() == [1, 0, 2]
    np.testing.assert_allclose(scores, [1, 0, -1])
    scores, ids = index.search(np.zeros(8), k=3)
    assert ids.tolist() == [0, 1, 2]
    assert scores.tolist() == [0, 0, 0]
    assert not np.signbit(scores).any()


def test_distance_to_itself_is_zero(rng):
    vectors = rng.standard_normal((20, 300), dtype=np.float32) * 1000
    index = bitsift.Index(300, metric="l2", store="float32")
    index.add(vectors)
    scores, ids = index.search(vectors, k=1)
    assert (scores == 0).all()
    np.testing.assert_array_equal(ids[:, 0], np.arange(20))


def test_huge_and_tiny_values_do_not_overflow_on_the_way():
    largest = np.finfo(np.float32).max
    smallest = np.finfo(np.float32).smallest_subnormal
    index = bitsift.Index(4, store="float32")
    index.add(np.array([[largest] * 4, [smallest] * 4, [largest, 0, 0, 0]], np.float32))
    scores, ids = index.search(np.full(4, largest, np.float32), k=3)
    assert ids.tolist() == [0, 1, 2]
    np.testing.assert_allclose(scores, [1, 1, 0.5], rtol=1e-6)


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(0, 40),
    dim=st.integers(1, 70),
    k=st.integers(0, 45),
    metric=st.sampled_from(METRICS),
    store=st.sampled_from(STORES),
    seed=st.integers(0, 2**32 - 1),
)
def test_law_all_candidates_is_exhaustive_search(n, dim, k, metric, store, seed):
    rng = np.random.default_rng(seed)
    # Small integers: every product and sum is exact, ties are many.
    vectors = rng.integers(-3, 4, (n, dim)).astype(np.float32)
    queries = rng.integers(-3, 4, (3, dim)).astype(np.float32)
    ids = rng.permutation(100)[:n]
    expected_scores, expected = exhaustive(metric, queries, vectors, ids, min(k, n))
    for isa in bitsift.available_isas():
        index = bitsift.Index(dim, metric=metric, store=store, isa=isa)
        index.add(vectors, ids=ids)
        scores, found = index.search(queries, k=k, oversampling=1e9)
        np.testing.assert_allclose(scores[:, :n], expected_scores, rtol=2e-7, atol=1e-30)
        if metric != "cosine":
            np.testing.assert_array_equal(found[:, :n], expected)


def test_float16_that_overflows_is_refused():
    index = bitsift.Index(3, store="float16")
    index.add(np.ones((1, 3)))
    vectors = np.array([[1, 1, 1], [1, 1, 70_000]], np.float32)
    message = r"""float16's range, 65504.*\(store="float32" takes.*row 1, dimension 2 is 70000"""
    with pytest.raises(ValueError, match=message):
        index.add(vectors)
    assert len(index) == 1
    assert len(bitsift.Index(3, store="float32").add(vectors)) == 2
