# SPDX-License-Identifier: Apache-2.0
"""Asymmetric scoring: exact for the rounded query, the same on every instruction set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsift
import bitsift.core.native as native
from oracle import reference

pytestmark = pytest.mark.usefixtures("fits_at_once")

METRICS = ["cosine", "dot", "l2"]


def expected(metric, query, vectors, threshold=0.0):
    """Scores of all vectors, in float64."""
    query = query.astype(np.float64)
    signs = np.where(vectors > threshold, 1.0, -1.0)
    if metric != "dot":
        query = query - threshold
    integers, scale = reference.round_query(query)
    products = scale * (signs @ integers)
    if metric == "dot":
        return products
    norm = np.linalg.norm(query)
    if metric == "cosine":
        return products / (norm * np.sqrt(len(query))) if norm > 0 else products
    return np.sqrt(np.maximum(norm**2 + len(query) - 2 * products, 0))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [1, 5, 8, 63, 64, 65, 384, 1000])
@pytest.mark.parametrize("n_queries", [1, 2, 17])
def test_scores_and_order(isa, rng, metric, dim, n_queries):
    vectors = rng.standard_normal((150, dim), dtype=np.float32)
    queries = rng.standard_normal((n_queries, dim), dtype=np.float32)
    ids = rng.permutation(1000)[:150]
    index = bitsift.Index(dim, metric=metric, store=None, isa=isa)
    index.add(vectors, ids=ids)
    scores, found = index.search(queries, k=150, scoring="asymmetric")
    assert scores.dtype == np.float32
    by_id = dict(zip(ids, vectors, strict=True))
    for query, query_scores, query_ids in zip(queries, scores, found, strict=True):
        assert sorted(query_ids) == sorted(ids)
        wanted = expected(metric, query, np.array([by_id[i] for i in query_ids]))
        np.testing.assert_allclose(query_scores, wanted, rtol=1e-6, atol=1e-6)
        steps = np.diff(query_scores)
        assert (steps >= 0).all() if metric == "l2" else (steps <= 0).all()
        ties = np.diff(wanted) == 0
        assert (np.diff(query_ids)[ties & (steps == 0)] > 0).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("threshold", ["number", "array"])
def test_threshold(rng, metric, threshold):
    vectors = rng.standard_normal((80, 40), dtype=np.float32) + np.float32(2)
    t = np.float32(1.5) if threshold == "number" else vectors.mean(axis=0)
    index = bitsift.Index(40, metric=metric, store=None, threshold=t)
    index.add(vectors)
    query = rng.standard_normal(40, dtype=np.float32) + np.float32(2)
    scores, ids = index.search(query, k=80, scoring="asymmetric")
    np.testing.assert_allclose(scores, expected(metric, query, vectors[ids], t), rtol=1e-5)


@pytest.mark.parametrize("dim", [1, 7, 64, 384])
def test_products_are_off_by_no_more_than_documented(rng, dim):
    # Queries that rounding moves by as much as it can: halves of a magnitude; and any.
    halves = (2 * rng.integers(0, 31, (30, dim)) + 1) / 2 * rng.choice([-1, 1], (30, dim))
    halves[:, 0] = 31
    queries = np.concatenate([halves, rng.standard_normal((30, dim))]).astype(np.float32)
    vectors = rng.standard_normal((50, dim), dtype=np.float32)
    index = bitsift.Index(dim, metric="dot", store=None)
    index.add(vectors)
    signs = np.where(vectors > 0, 1.0, -1.0)
    scores, ids = index.search(queries, 50, scoring="asymmetric")
    exact = np.take_along_axis(queries.astype(np.float64) @ signs.T, ids, axis=1)
    largest = np.abs(queries).max(axis=1, keepdims=True).astype(np.float64)
    error = np.abs(scores - exact) / largest
    assert (error <= dim / 62 + 1e-6 * dim).all()
    if dim == 384:
        typical = np.sqrt(np.mean(np.square(error[30:])))
        assert 0.8 < typical / (np.sqrt(dim) / 107) < 1.2


@pytest.mark.parametrize("unit", [2.0**-149, 2.0**-126, 1.0, 2.0**100, 2.0**125])
def test_products_of_any_size_are_rounded_to_float32(isa, rng, unit):
    # Of the smallest floats, this may move a product beyond its bound. Products of the largest unit
    # and many dimensions are beyond the largest float.
    for dim in (2, 63, 185, 384):
        queries = unit * np.where(np.arange(dim) == 0, 2, [[1], [1], [2]]).astype(np.float64)
        queries[1] *= rng.choice([-1, 1], dim)
        vectors = np.vstack([np.ones(dim), -np.ones(dim), rng.standard_normal((8, dim))])
        signs = np.where(vectors > 0, 1.0, -1.0)
        index = bitsift.Index(dim, metric="dot", store=None, isa=isa)
        index.add(vectors)
        scores, ids = index.search(queries, 10, scoring="asymmetric")
        for query, query_scores, query_ids in zip(queries, scores, ids, strict=True):
            integers, scale = reference.round_query(query)
            products = scale * (signs[query_ids] @ integers)
            assert (np.diff(signs[query_ids] @ integers) <= 0).all()
            with np.errstate(over="ignore"):
                np.testing.assert_array_equal(query_scores, products.astype(np.float32))
            exact = signs[query_ids] @ query
            assert (np.abs(products - exact) <= dim * 2 * unit / 62).all()


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(0, 70),
    n_queries=st.integers(0, 20),
    n_bytes=st.integers(1, 40),
    largest=st.sampled_from([0, 1, 15, 31]),
    k=st.integers(0, 75),
    seed=st.integers(0, 2**32 - 1),
)
def test_law_weighted_distances_equal_the_oracle(n, n_queries, n_bytes, largest, k, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (n, n_bytes), dtype=np.uint8)
    queries = rng.integers(0, 256, (n_queries, n_bytes), dtype=np.uint8)
    magnitudes = rng.integers(0, largest, (n_queries, 8 * n_bytes), np.uint8, endpoint=True)
    all_distances = reference.weighted_hamming(queries, magnitudes, codes)
    for isa in bitsift.available_isas():
        for threads in (1, 2):
            distances, rows = native.search(
                codes, queries, magnitudes, k=k, ids=None, isa=isa, threads=threads
            )
            for i in range(n_queries):
                best = np.lexsort((np.arange(n), all_distances[i]))[:k]
                np.testing.assert_array_equal(rows[i, : len(best)], best)
                np.testing.assert_array_equal(distances[i, : len(best)], all_distances[i][best])
                assert (rows[i, len(best) :] == -1).all()


def test_the_same_bytes_on_every_level_and_number_of_threads(rng):
    vectors = rng.standard_normal((20_000, 100), dtype=np.float32)
    queries = rng.standard_normal((20, 100), dtype=np.float32)
    found = set()
    for isa in bitsift.available_isas():
        index = bitsift.Index(100, store="float16", isa=isa)
        index.add(vectors)
        for threads in (1, 2, 5):
            for rescore in (False, True):
                result = index.search(
                    queries, 7, scoring="asymmetric", rescore=rescore, threads=threads
                )
                found.add((rescore, result.scores.tobytes(), result.ids.tobytes()))
    assert len(found) == 2


@pytest.mark.parametrize("metric", METRICS)
def test_data_that_is_not_centred(rng, metric):
    # The vectors have a large part in common, and so has the query for cosine and l2.
    common = 5 * rng.standard_normal(64, dtype=np.float32)
    vectors = common + rng.standard_normal((3_000, 64), dtype=np.float32)
    queries = vectors[:100] + np.float32(0.5) * rng.standard_normal((100, 64), dtype=np.float32)
    index = bitsift.Index(64, metric=metric, threshold=vectors.mean(axis=0))
    index.add(vectors)
    exact = index.search(queries, 10, oversampling=1000).ids

    def recall(scoring):
        found = index.search(queries, 10, rescore=False, scoring=scoring).ids
        return np.mean([len(set(a) & set(b)) for a, b in zip(found, exact, strict=True)])

    assert recall("asymmetric") > recall("hamming")


def test_magnitude_decides_where_bits_cannot(rng):
    # Both documents differ from the query in one bit: in that of its largest value, or another.
    query = np.array([0.1, -0.2, 3.0, 0.4, -0.5, 0.6, 0.7, 0.8], np.float32)
    index = bitsift.Index(8, store=None)
    index.add(np.sign(query) * np.array([[1, 1, -1, 1, 1, 1, 1, 1], [-1, 1, 1, 1, 1, 1, 1, 1]]))
    assert index.search(query, 2, scoring="hamming").scores.tolist() == [1, 1]
    assert index.search(query, 2, scoring="asymmetric").ids.tolist() == [1, 0]


def test_candidates_of_rescoring(rng):
    vectors = rng.standard_normal((5_000, 64), dtype=np.float32)
    queries = vectors[:200] + rng.standard_normal((200, 64), dtype=np.float32)
    index = bitsift.Index(64)
    index.add(vectors)
    exact = index.search(queries, 10, oversampling=1000).ids

    def recall(**options):
        found = index.search(queries, 10, oversampling=3, **options).ids
        return np.mean([len(set(a) & set(b)) for a, b in zip(found, exact, strict=True)])

    assert recall(scoring="asymmetric") > recall(scoring="hamming") + 0.5


@pytest.mark.parametrize("metric", METRICS)
def test_zero_queries(metric):
    index = bitsift.Index(8, metric=metric, store=None)
    index.add(np.ones((2, 8)))
    scores, ids = index.search(np.zeros(8), 4, scoring="asymmetric")
    assert ids.tolist() == [0, 1]
    assert scores[0] == (np.float32(np.sqrt(8)) if metric == "l2" else 0)
    assert not np.signbit(scores).any()


@pytest.mark.parametrize("metric", METRICS)
def test_huge_and_tiny_queries(metric):
    index = bitsift.Index(4, metric=metric, store=None, threshold=-3e38)
    index.add(np.array([[1, 1, 1, 1], [-3.2e38, 1, 1, 1]], np.float32))
    for size in (np.finfo(np.float32).max, np.finfo(np.float32).smallest_subnormal):
        scores, ids = index.search(np.full(4, size, np.float32), 2, scoring="asymmetric")
        assert ids.tolist() == [0, 1]
        assert not np.isnan(scores).any()


def test_bits_have_no_magnitudes(rng):
    index = bitsift.Index(16, store=None)
    index.add(rng.standard_normal((4, 16)))
    for query in (np.zeros((1, 2), np.uint8), np.ones(16, bool)):
        with pytest.raises(ValueError, match=r"asymmetric.* needs float queries; the queries are"):
            index.search(query, 1, scoring="asymmetric")
    with pytest.raises(
        ValueError, match=r"scoring must be one of \('auto', 'hamming', 'asym.*got 7"
    ):
        index.search(np.ones(16), 1, scoring=7)


def test_the_core_refuses_magnitudes_that_do_not_fit(rng):
    codes = rng.integers(0, 256, (4, 3), dtype=np.uint8)
    options = {"k": 1, "ids": None, "isa": "scalar", "threads": 1}
    for shape in ((4, 23), (3, 24)):
        with pytest.raises(ValueError, match="one magnitude for each bit"):
            native.search(codes, codes, np.zeros(shape, np.uint8), **options)
    with pytest.raises(ValueError, match="magnitudes are 0 to 31"):
        native.search(codes, codes, np.full((4, 24), 32, np.uint8), **options)
