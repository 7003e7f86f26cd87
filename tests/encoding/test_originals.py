# SPDX-License-Identifier: Apache-2.0
"""Every store of originals, against decoding them and scoring in float64."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsift
from bitsift import BitsiftWarning, MinMaxCalibrator, RollingCalibrator
from bitsift.quantization.calibrators import default_calibrator
from bitsift.quantization.integers import INTEGER_CODECS
from helpers.storage_samples import resident_bytes
from oracle import integers, reference

pytestmark = pytest.mark.usefixtures("fits_at_once")

METRICS = ["cosine", "dot", "l2"]
INTEGERS = ["int8", "uint8", "int4", "ternary"]
STORES = ["float32", "float16", *INTEGERS]
EVERYTHING = 1e9  # times k: all vectors are candidates


def normal(rng, n, dim):
    return rng.standard_normal((n, dim), dtype=np.float32)


def exact(store, vectors, ranges):
    """Decode what the store keeps, to float64."""
    if store in INTEGERS:
        base, step = INTEGER_CODECS[store].affine(ranges)
        return base + step * integers.quantize_array(store, vectors, ranges)
    return vectors.astype(store).astype(np.float64)


def as_kept(store, vectors, ranges):
    """What `get` gives."""
    if store in INTEGERS:
        encoded = INTEGER_CODECS[store].encode(vectors, ranges)
        return INTEGER_CODECS[store].decode(encoded, ranges, vectors.shape[1])
    return vectors.astype(store)


def ranges_of(store, vectors):
    return default_calibrator(store).fit(vectors).ranges if store in INTEGERS else None


def assert_found(found, metric, queries, vectors, ids, k):
    for query, scores, found_ids in zip(queries, *found, strict=True):
        expected = reference.ranked(metric, reference.scores(metric, query, vectors), ids, k)
        np.testing.assert_allclose(scores, expected[0], rtol=2e-7, atol=1e-30)
        np.testing.assert_array_equal(found_ids, expected[1])


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "dim", [1, 5, *(pytest.param(dim, marks=pytest.mark.slow) for dim in (8, 100)), 13, 384]
)
def test_search(isa, rng, store, metric, dim):
    vectors, queries = normal(rng, 150, dim), normal(rng, 4, dim)
    ids = rng.permutation(1000)[:150]
    index = bitsift.Index(dim, metric=metric, store=store, isa=isa)
    index.add(vectors, ids=ids)
    ranges = ranges_of(store, vectors)
    found = index.search(queries, 150, oversampling=EVERYTHING)
    assert found.scores.dtype == np.float32
    assert_found(found, metric, queries, exact(store, vectors, ranges), ids, 150)
    kept = index.get(ids)
    assert kept.dtype == ("float16" if store == "float16" else "float32")
    np.testing.assert_array_equal(kept, as_kept(store, vectors, ranges))
    np.testing.assert_array_equal(index.codes, reference.pack(vectors))


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(0, 40),
    dim=st.integers(1, 70),
    k=st.integers(0, 45),
    metric=st.sampled_from(["dot", "l2"]),
    store=st.sampled_from(STORES),
    seed=st.integers(0, 2**32 - 1),
)
def test_law_what_a_store_can_hold_is_searched_exactly(n, dim, k, metric, store, seed):
    rng = np.random.default_rng(seed)
    # Steps of 1/16 with 256 levels, of 1 with 16, and the three values of ternary: every product
    # and sum is exact, and ties are many.
    ends = 0.5 if store == "ternary" else 8.0
    calibrator = None
    if store in INTEGERS:
        calibrator = MinMaxCalibrator().fit(np.repeat([[-ends], [ends]], dim, axis=1))
    vectors = rng.integers(-1, 2, (n, dim)).astype(np.float32)
    queries = rng.integers(-3, 4, (3, dim)).astype(np.float32)
    ids = rng.permutation(100)[:n]
    for isa in bitsift.available_isas():
        index = bitsift.Index(dim, metric=metric, store=store, calibrator=calibrator, isa=isa)
        index.add(vectors, ids=ids)
        scores, found = index.search(queries, k, oversampling=EVERYTHING)
        m = min(n, k)
        assert_found((scores[:, :m], found[:, :m]), metric, queries, vectors, ids, m)
        assert (found[:, m:] == -1).all()


@pytest.mark.parametrize("store", STORES)
def test_the_same_bytes_on_every_level_and_number_of_threads(rng, store):
    vectors, queries = normal(rng, 5_000, 97), normal(rng, 30, 97)
    results = set()
    for isa in bitsift.available_isas():
        index = bitsift.Index(97, metric="l2", store=store, isa=isa)
        index.add(vectors)
        for threads in (1, 2, 5):
            scores, ids = index.search(queries, 20, threads=threads)
            results.add((scores.tobytes(), ids.tobytes(), index.get(index.ids).tobytes()))
    assert len(results) == 1


@pytest.mark.parametrize("dim", [1, 5, 8, 13, 100, 384])
@pytest.mark.parametrize("store", STORES)
def test_nbytes(rng, store, dim):
    columns = {
        "float32": 4 * dim,
        "float16": 2 * dim,
        "int8": dim,
        "uint8": dim,
        "int4": -(-dim // 2),
        "ternary": -(-dim // 5),
    }
    for correction, more in ((False, 0), (True, 2)):
        index = bitsift.Index(dim, store=store, correction=correction)
        assert index.nbytes == 0
        index.add(normal(rng, 120, dim))
        a_vector = -(-dim // 8) + columns[store] + more
        assert index.nbytes == 120 * a_vector
        index.add(normal(rng, 1, dim), ids=[500])
        assert index.nbytes == 121 * (a_vector + 8)


@pytest.mark.parametrize("metric", METRICS)
def test_several_stores(isa, rng, metric):
    vectors, queries = normal(rng, 200, 37), normal(rng, 5, 37)
    ids = rng.permutation(10**6)[:200]
    index = bitsift.Index(37, metric=metric, store=STORES, isa=isa)
    assert index.store == tuple(STORES)
    index.add(vectors, ids=ids)
    assert index.nbytes == 200 * (5 + 8 + 4 * 37 + 2 * 37 + 37 + 37 + 19 + 8)
    for store in STORES:
        kept = exact(store, vectors, ranges_of(store, vectors))
        found = index.search(queries, 20, ladder=[("hamming", EVERYTHING), store])
        assert_found(found, metric, queries, kept, ids, 20)
    last = index.search(queries, 20, oversampling=EVERYTHING)
    np.testing.assert_array_equal(last.ids, found.ids)
    np.testing.assert_array_equal(last.scores, found.scores)


@pytest.mark.parametrize("store", STORES)
def test_get_gives_what_the_last_store_holds(rng, store):
    vectors = normal(rng, 120, 13)
    others = [name for name in STORES if name != store]
    index = bitsift.Index(13, store=[*others, store])
    index.add(vectors, ids=np.arange(120)[::-1])
    kept = as_kept(store, vectors, ranges_of(store, vectors))
    np.testing.assert_array_equal(index.get([119, 0, 7, 7]), kept[[0, 119, 112, 112]])
    np.testing.assert_array_equal(index.get(5), kept[114])


@pytest.mark.parametrize("threshold", [0.0, "mean"])
def test_add_in_parts_equals_one_add_after_fit(rng, threshold, monkeypatch):
    monkeypatch.setattr("bitsift.encoding.encoder._CHUNK_BYTES", 1000)
    sample, vectors = normal(rng, 150, 21), normal(rng, 300, 21)
    options = {"store": STORES, "correction": True, "threshold": threshold}
    whole, parts = (bitsift.Index(21, **options).fit(sample) for _ in range(2))
    whole.add(vectors)
    for begin in range(0, 300, 7):
        parts.add(vectors[begin : begin + 7])
    ranges = ranges_of("ternary", sample)  # and not of the vectors
    np.testing.assert_array_equal(whole.get(whole.ids), as_kept("ternary", vectors, ranges))
    np.testing.assert_array_equal(whole.codes, parts.codes)
    for ladder in (
        *([("hamming", EVERYTHING), store] for store in STORES),
        [("asymmetric", EVERYTHING), "asymmetric"],
    ):
        for a, b in zip(*(i.search(sample, 9, ladder=ladder) for i in (whole, parts)), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("store", STORES)
def test_documents_may_be_mapped_or_of_any_layout(rng, tmp_path, store):
    vectors = normal(rng, 200, 30)
    np.save(tmp_path / "vectors.npy", vectors)
    expected = as_kept(store, vectors, ranges_of(store, vectors))
    for same in (
        np.load(tmp_path / "vectors.npy", mmap_mode="r"),
        np.asfortranarray(vectors),
        vectors.astype(np.float64),
        vectors.astype(">f4"),
        np.repeat(vectors, 2, axis=0)[::2],
    ):
        index = bitsift.Index(30, store=store)
        index.add(same)
        np.testing.assert_array_equal(index.get(index.ids), expected)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_mapped_originals_stay_on_disk_until_they_are_needed(tmp_path, rng):
    vectors = normal(rng, 20_000, 64)
    index = bitsift.Index(64, store=["int8", "int4", "float32"])
    index.add(vectors)
    index.save(tmp_path / "index")
    loaded = bitsift.Index.load(tmp_path / "index", mmap=True)
    files = {s: next((tmp_path / "index").glob(f"originals_{s}-*")) for s in loaded.store}
    scan = loaded.search(vectors[:3], 5, rescore=False)
    assert [resident_bytes(path) for path in files.values()] == [0, 0, 0]
    ladder = [("hamming", 4), "int4"]
    found = loaded.search(vectors[:3], 5, ladder=ladder)
    assert resident_bytes(files["int4"]) > 0
    assert resident_bytes(files["int8"]) == resident_bytes(files["float32"]) == 0
    np.testing.assert_array_equal(scan.ids, index.search(vectors[:3], 5, rescore=False).ids)
    np.testing.assert_array_equal(found.ids, index.search(vectors[:3], 5, ladder=ladder).ids)


@pytest.mark.parametrize("store", ["float32", *INTEGERS])
@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_huge_values(isa, rng, store, metric):
    vectors = np.float32(3e37) * np.clip(normal(rng, 150, 9), -3, 3)
    queries = vectors[:3] / 2
    index = bitsift.Index(9, metric=metric, store=store, isa=isa)
    index.add(vectors)
    kept = exact(store, vectors, ranges_of(store, vectors))
    found = index.search(queries, 150, oversampling=EVERYTHING)
    assert np.isfinite(found.scores).all()
    assert_found(found, metric, queries, kept, index.ids, 150)


@pytest.mark.parametrize("store", INTEGERS)
@pytest.mark.parametrize("metric", METRICS)
def test_constant_dimensions(rng, store, metric):
    vectors, queries = normal(rng, 150, 12), normal(rng, 3, 12)
    vectors[:, [0, 5, 11]] = [0, -2.5, 1e-3]
    index = bitsift.Index(12, metric=metric, store=store)
    index.add(vectors)
    kept = index.get(index.ids)
    # The middle of their bounds, to the rounding of these.
    np.testing.assert_allclose(kept[:, [0, 5, 11]], vectors[:, [0, 5, 11]], atol=1e-6)
    expected = exact(store, vectors, ranges_of(store, vectors))
    found = index.search(queries, 150, oversampling=EVERYTHING)
    assert_found(found, metric, queries, expected, index.ids, 150)


def test_identical_vectors(rng):
    vector = normal(rng, 1, 20)
    for store in STORES:
        index = bitsift.Index(20, store=store)
        index.add(np.repeat(vector, 130, axis=0), ids=rng.permutation(130))
        np.testing.assert_allclose(index.get([3, 9]), np.repeat(vector, 2, axis=0), rtol=1e-3)
        assert index.search(vector, 40).ids.tolist() == [list(range(40))]


class TestCalibrator:
    @pytest.mark.parametrize("store", INTEGERS)
    @pytest.mark.parametrize("kind", [MinMaxCalibrator, lambda: RollingCalibrator(1.5)])
    @pytest.mark.filterwarnings("ignore:.* of the values :bitsift.BitsiftWarning")
    def test_not_fitted(self, rng, store, kind):
        vectors, calibrator = normal(rng, 150, 12), kind()
        index = bitsift.Index(12, store=store, calibrator=calibrator)
        assert index.calibrators[store].n == 0
        index.add(vectors)
        assert calibrator.n == 0
        ranges = kind().fit(vectors).ranges
        np.testing.assert_array_equal(index.calibrators[store].ranges, ranges)
        np.testing.assert_array_equal(index.get(index.ids), as_kept(store, vectors, ranges))
        index.add(3 * vectors)
        assert index.calibrators[store].n == 150
        np.testing.assert_array_equal(
            index.get(range(150, 300)), as_kept(store, 3 * vectors, ranges)
        )

    @pytest.mark.parametrize("store", INTEGERS)
    def test_fitted(self, rng, store):
        vectors, other = normal(rng, 8, 12), normal(rng, 3, 12)
        calibrator = RollingCalibrator(2.0).fit(other)
        before = calibrator.state()
        index = bitsift.Index(12, store=store, calibrator=calibrator)
        index.add(vectors)  # no warning that they are few
        ranges = RollingCalibrator(2.0).fit(other).ranges
        np.testing.assert_array_equal(index.get(index.ids), as_kept(store, vectors, ranges))
        assert calibrator.state()[0] == before[0]
        np.testing.assert_array_equal(calibrator.state()[1], before[1])

    def test_the_index_keeps_a_copy(self, rng):
        vectors = normal(rng, 150, 12)
        calibrator = MinMaxCalibrator().fit(vectors)
        index = bitsift.Index(12, store="int8", calibrator=calibrator)
        ranges = calibrator.ranges
        calibrator.partial_fit(10 * vectors)
        index.add(vectors)
        np.testing.assert_array_equal(index.calibrators["int8"].ranges, ranges)
        index.calibrators["int8"].partial_fit(10 * vectors)
        np.testing.assert_array_equal(index.calibrators["int8"].ranges, ranges)
        np.testing.assert_array_equal(index.get(index.ids), as_kept("int8", vectors, ranges))

    def test_defaults(self, rng):
        index = bitsift.Index(12, store=STORES)
        assert {name: repr(found) for name, found in index.calibrators.items()} == {
            "int8": "MinMaxCalibrator(not fitted)",
            "uint8": "MinMaxCalibrator(not fitted)",
            "int4": "RollingCalibrator(n_std=3.0, not fitted)",
            "ternary": "RollingCalibrator(n_std=0.7, not fitted)",
        }
        index.add(normal(rng, 100, 12))
        assert {found.n for found in index.calibrators.values()} == {100}

    def test_few_vectors(self, rng):
        index = bitsift.Index(12, store=["float32", "int4"])
        message = "the bounds of store='int4' fitted to 99 vectors only; call fit"
        with pytest.warns(BitsiftWarning, match=message):
            index.add(normal(rng, 99, 12))
        assert len(index) == 99
        bitsift.Index(12, store="int4").add(normal(rng, 100, 12))


@pytest.mark.parametrize("place", [0, -1])
def test_float16_that_overflows_leaves_every_store_as_it_was(rng, place):
    vectors = normal(rng, 150, 10)
    stores = ["int8", "float16", "float32"]
    index = bitsift.Index(10, store=stores, correction=True)
    index.add(vectors)
    before = index.nbytes, index.search(vectors, 9, scoring="hamming")
    wrong = vectors.copy()
    wrong[place, 3] = -65_520
    message = rf"float16's range, 65504.*row {place % 150}, dimension 3 is -65520"
    with pytest.raises(ValueError, match=message):
        index.add(wrong)
    assert len(index) == 150
    assert index.nbytes == before[0]
    found = index.search(vectors, 9, scoring="hamming")
    np.testing.assert_array_equal(found.scores, before[1].scores)
    assert index.add(vectors[:2]).tolist() == [150, 151]
    wrong[place, 3] = -65_519  # is rounded to the largest
    assert len(index.add(wrong)) == 150


@pytest.mark.parametrize("store", STORES)
def test_empty_index_of_a_store(store):
    index = bitsift.Index(10, store=store)
    found = index.search(np.ones((2, 10)), 3)
    assert (found.scores.shape, found.scores.dtype) == ((2, 0), np.float32)
    assert (found.ids.shape, found.kind) == ((2, 0), "cosine")
    assert index.get([]).shape == (0, 10)


@pytest.mark.parametrize("store", STORES)
def test_bits_are_refused(store):
    index = bitsift.Index(10, store=store)
    message = f"store='{store}' keeps original vectors: add float vectors"
    for bits in (np.zeros((2, 2), np.uint8), np.ones((2, 10), bool)):
        with pytest.raises(TypeError, match=message):
            index.add(bits)
