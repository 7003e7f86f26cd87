# SPDX-License-Identifier: Apache-2.0
"""Correction: factors that are stored, corrected scores, and that these are unbiased."""

import numpy as np
import pytest

import bitsift
import bitsift.core.native as native
from oracle import reference

pytestmark = pytest.mark.usefixtures("fits_at_once")

METRICS = ["cosine", "dot", "l2"]
ESTIMATE = [("asymmetric", 1e9), "asymmetric"]  # of all vectors
# Metrics and thresholds of indexes that can correct.
CENTRES = [
    (metric, t)
    for metric in METRICS
    for t in (0.0, "number", "array", "mean")
    if metric != "cosine" or t in (0.0, "mean")
]


def as_threshold(rng, name, dim):
    if name == "number":
        return 0.25
    return rng.standard_normal(dim, dtype=np.float32) / 2 if name == "array" else name


def factors_of(index):
    return index._table.snapshot.documents.columns.factors


def oracle(index, vectors, queries):
    """Compute the factors, the prepared queries and the centre of an index without it."""
    metric, dim = index.metric, index.dim
    threshold = index.threshold
    is_centred = isinstance(threshold, np.ndarray) or threshold != 0
    centre = np.broadcast_to(np.float32(threshold), (dim,))
    normalize = metric == "cosine" and is_centred  # only a rule gives such a threshold
    relative, asked = (
        reference.prepared(rows, centre, rotate=index.rotate, normalize=normalize)
        for rows in (vectors, queries)
    )
    if index.rotate:
        centre = reference.rotated(centre[np.newaxis], reference.random_flips(dim))[0]
    centre = centre.astype(np.float64) if is_centred else None
    return reference.correction(metric, relative, centre), asked, centre


@pytest.mark.parametrize(("metric", "threshold"), CENTRES)
@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize(
    "dim", [1, 5, *(pytest.param(dim, marks=pytest.mark.slow) for dim in (8, 100)), 13, 384]
)
def test_factors_and_estimates(isa, rng, metric, threshold, rotate, dim):
    vectors = rng.standard_normal((150, dim), dtype=np.float32) + np.float32(0.1)
    queries = rng.standard_normal((4, dim), dtype=np.float32) + np.float32(0.1)
    ids = rng.permutation(1000)[:150]
    index = bitsift.Index(
        dim, metric=metric, store=None, threshold=as_threshold(rng, threshold, dim),
        rotate=rotate, correction=True, isa=isa,
    )  # fmt: skip
    index.add(vectors, ids=ids)
    factors, asked, centre = oracle(index, vectors, queries)
    two = metric == "l2" or threshold != 0.0
    assert factors_of(index).shape == (150, 2 if two else 1)
    assert factors_of(index).dtype == np.uint16
    np.testing.assert_array_equal(factors_of(index), factors)
    assert index.nbytes == 150 * (-(-dim // 8) + (4 if two else 2) + 8)

    bits = np.unpackbits(index.codes, axis=1, count=dim)
    scores, found = index.search(queries, 150, ladder=ESTIMATE)
    assert scores.dtype == np.float32
    for query, query_scores, query_ids in zip(asked, scores, found, strict=True):
        exact = reference.estimates(metric, query, bits, factors, centre)
        by_id = dict(zip(ids, exact, strict=True))
        expected = np.array([by_id[i] for i in query_ids])
        size = np.abs(exact).max()
        # A difference of squares is as exact as the rounding of the squares.
        atol = 1e-6 * size if metric != "l2" else 1e-5 * np.linalg.norm(query) + 1e-6 * size
        np.testing.assert_allclose(query_scores, expected, rtol=1e-5, atol=atol)
        steps = np.diff(query_scores)
        assert (steps >= 0).all() if metric == "l2" else (steps <= 0).all()
        assert (np.diff(query_ids)[steps == 0] > 0).all()
        assert sorted(query_ids) == sorted(ids)


def test_bfloat16_is_the_nearest_and_even_of_two():
    def number(bits):
        return float(np.uint32(bits << 16).view(np.float32))

    for bits in (0x3F80, 0x3F81, 0x4049, 0x0001, 0x7F7E):
        low, high = number(bits), number(bits + 1)
        even = bits if bits % 2 == 0 else bits + 1
        middle = (low + high) / 2
        for x, expected in [
            (low, bits),
            (middle, even),
            (low + 0.49 * (high - low), bits),
            (low + 0.51 * (high - low), bits + 1),
        ]:
            assert reference.bfloat16(x) == expected
            # A vector of one value: |y|^2 / |y|_1 is its magnitude.
            vectors = np.float32([[x], [-x]])
            for metric in ("dot", "l2"):
                found, finite = native.correction_factors(vectors, None, metric, 1)
                if bits > 0x2000:  # the square of less is no float
                    assert (found == expected).all()
                assert finite


def test_zero_vectors_have_no_factor(rng):
    vectors = rng.standard_normal((150, 20), dtype=np.float32)
    vectors[[3, 9]] = 0
    for metric in METRICS:
        index = bitsift.Index(20, metric=metric, store=None, correction=True)
        index.add(vectors)
        assert (factors_of(index)[[3, 9]] == 0).all()
        scores, ids = index.search(vectors[:1], 150, ladder=ESTIMATE)
        of_zero = np.linalg.norm(vectors[0]) if metric == "l2" else 0
        np.testing.assert_allclose(scores[0][np.isin(ids[0], [3, 9])], of_zero, rtol=1e-6)
        zero_query, _ = index.search(np.zeros(20), 150, ladder=ESTIMATE)
        assert np.isfinite(zero_query).all()
        if metric != "l2":
            assert (zero_query == 0).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("threshold", [pytest.param(0.0, marks=pytest.mark.slow), "mean"])
@pytest.mark.parametrize("rotate", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_unbiased(rng, metric, threshold, rotate):
    # The error of one score is about sqrt((pi / 2 - 1) / dim) times the norms. The mean of many
    # errors is much smaller, so that it shows a bias: a factor that is wrong by 1 % makes one.
    n, dim = 4_000, 256
    vectors = rng.standard_normal((n, dim)) * rng.uniform(0.5, 2, (n, 1))
    vectors = (vectors + 0.5 * (threshold == "mean")).astype(np.float32)
    queries = vectors[:200] + rng.standard_normal((200, dim), dtype=np.float32)
    index = bitsift.Index(
        dim, metric=metric, store=None, threshold=threshold, rotate=rotate, correction=True
    )
    index.add(vectors)
    scores, ids = index.search(queries, n, ladder=ESTIMATE)
    v, q = vectors.astype(np.float64), queries.astype(np.float64)
    true = q @ v.T
    if metric == "cosine":
        true /= np.linalg.norm(q, axis=1)[:, np.newaxis] * np.linalg.norm(v, axis=1)
    found = np.empty_like(true)
    np.put_along_axis(found, ids, scores, axis=1)
    if metric == "l2":  # squared distances are unbiased
        true = np.square(q).sum(axis=1)[:, np.newaxis] + np.square(v).sum(axis=1) - 2 * true
        found = found**2
    errors = found - true
    assert np.std(errors) > 0.01 * np.std(true)  # it is an estimate
    assert abs(errors.mean()) < 0.01 * np.std(true)
    # The score of a query and its own vector is far from 0, so that a wrong factor shows.
    own = np.arange(200)
    own_errors = errors[own, own]
    bound = 4 * np.std(own_errors) / np.sqrt(200) + 0.005 * np.abs(true[own, own]).mean()
    assert abs(own_errors.mean()) < bound


@pytest.mark.parametrize("metric", METRICS)
def test_correction_raises_recall_on_shifted_data(rng, metric):
    # Lengths differ, which uncorrected scores ignore.
    n, dim = 3_000, 64
    vectors = rng.standard_normal((n, dim)) * rng.uniform(0.3, 3, (n, 1)) + 1
    vectors = vectors.astype(np.float32)
    queries = vectors[::30] + rng.standard_normal((100, dim), dtype=np.float32)

    def recall(correction):
        index = bitsift.Index(
            dim, metric=metric, store="float32", threshold="mean", correction=correction
        )
        index.add(vectors)
        exact = index.search(queries, 10, oversampling=1e9, scoring="hamming").ids
        found = index.search(queries, 10, scoring="asymmetric", rescore=False).ids
        return np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact, strict=True)])

    assert recall(correction=True) > recall(correction=False) + 0.05


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("threshold", [0.0, "mean"])
@pytest.mark.parametrize("rotate", [False, True])
def test_ranking_all_candidates_without_correction_equals_the_scan(
    isa, rng, metric, threshold, rotate
):
    vectors = rng.standard_normal((700, 77), dtype=np.float32)
    vectors = np.concatenate((vectors, vectors[:50]))  # ties
    index = bitsift.Index(
        77, metric=metric, store=None, threshold=threshold, rotate=rotate, isa=isa
    )
    index.add(vectors, ids=rng.permutation(10_000)[:750])
    queries = rng.standard_normal((5, 77), dtype=np.float32)
    for k in (1, 10, 750):
        scan = index.search(queries, k, scoring="asymmetric")
        for first in ("hamming", "asymmetric"):
            found = index.search(queries, k, ladder=[(first, 750 / k), "asymmetric"])
            assert found.scores.tobytes() == scan.scores.tobytes()
            assert found.ids.tobytes() == scan.ids.tobytes()


def test_the_same_bytes_on_every_level_and_number_of_threads(rng):
    vectors = rng.standard_normal((6_000, 100), dtype=np.float32)
    results = set()
    for isa in bitsift.available_isas():
        index = bitsift.Index(
            100, store=None, threshold="mean", rotate=True, correction=True, isa=isa
        )
        index.add(vectors)
        for threads in (1, 2, 5):
            scores, ids = index.search(vectors[:30], 20, scoring="asymmetric", threads=threads)
            results.add((scores.tobytes(), ids.tobytes(), factors_of(index).tobytes()))
    assert len(results) == 1


@pytest.mark.parametrize("metric", METRICS)
def test_padding(rng, metric):
    index = bitsift.Index(8, metric=metric, store=None, correction=True)
    for n in (0, 2):
        scores, ids = index.search(np.ones(8), 4, scoring="asymmetric")
        assert (ids[n:] == -1).all()
        assert (scores[n:] == (np.inf if metric == "l2" else -np.inf)).all()
        assert np.isfinite(scores[:n]).all()
        index.add(rng.standard_normal((2, 8)))


def test_values_too_large_to_be_corrected():
    index = bitsift.Index(64, metric="l2", store=None, correction=True)
    largest = np.finfo(np.float32).max
    vectors = np.ones((5, 64), np.float32)
    vectors[3] = largest  # its length is 8 times that
    with pytest.raises(ValueError, match="smaller for a correction within float32; row 3 is not"):
        index.add(vectors)
    assert len(index) == 0
    index.add(vectors[:3])
    assert len(factors_of(index)) == 3


def test_bits_cannot_be_corrected():
    for bits in (np.zeros((2, 1), np.uint8), np.ones((2, 8), bool)):
        with pytest.raises(TypeError, match="correction=True computes it from original vectors"):
            bitsift.Index(8, store=None, correction=True).add(bits)


def test_codes_are_those_without_correction(rng):
    vectors = rng.standard_normal((150, 33), dtype=np.float32)
    a, b = (bitsift.Index(33, store=None, correction=correction) for correction in (False, True))
    assert (a.correction, b.correction) == (False, True)
    for index in (a, b):
        index.add(vectors)
    np.testing.assert_array_equal(a.codes, b.codes)
    for bits in (vectors[:3] > 0, b.codes[:3], vectors[:3]):
        found = [index.search(bits, 9, scoring="hamming").ids for index in (a, b)]
        np.testing.assert_array_equal(*found)
