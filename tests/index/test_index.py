# SPDX-License-Identifier: Apache-2.0
"""The index: adding, searching, and its properties."""

import itertools
import sys
import threading

import numpy as np
import pytest

import bitsift
from oracle import reference

STORES = [None, "float32", "float16"]


def vectors_of(rng, n, dim):
    return rng.standard_normal((n, dim), dtype=np.float32)


@pytest.mark.parametrize("dim", [1, 3, 8, 13, 64, 100, 384, 1001])
@pytest.mark.parametrize("store", STORES)
def test_hamming_search(isa, rng, dim, store):
    vectors, queries = vectors_of(rng, 200, dim), vectors_of(rng, 5, dim)
    index = bitsift.Index(dim, store=store, isa=isa)
    index.add(vectors)
    distances, ids = index.search(queries, k=7, scoring="hamming", rescore=False)
    expected = reference.search(reference.pack(vectors), reference.pack(queries), 7)
    np.testing.assert_array_equal(distances, expected[0])
    np.testing.assert_array_equal(ids, expected[1])
    assert distances.dtype == np.int32
    np.testing.assert_array_equal(index.codes, reference.pack(vectors))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("threshold", [0.25, "array"])
def test_threshold_applies_to_vectors_and_queries(rng, dtype, threshold):
    vectors = rng.standard_normal((50, 20)).astype(dtype)
    if threshold == "array":
        threshold = rng.standard_normal(20).astype(np.float32)
    index = bitsift.Index(20, threshold=threshold)
    index.add(vectors)
    rounded = vectors.astype(np.float32)
    expected_codes = reference.pack(rounded, np.float32(threshold))
    np.testing.assert_array_equal(index.codes, expected_codes)
    found = index.search(vectors, k=1, scoring="hamming", rescore=False)
    assert (found.scores == 0).all()


def test_bits_in_bits_out(rng):
    vectors = vectors_of(rng, 60, 21)
    codes = reference.pack(vectors)
    by_float, by_codes, by_bool = (bitsift.Index(21, store=None) for _ in range(3))
    by_float.add(vectors)
    by_codes.add(codes)
    by_bool.add(vectors > 0)
    for index in (by_float, by_codes, by_bool):
        np.testing.assert_array_equal(index.codes, codes)
        np.testing.assert_array_equal(index.get([3, 9]), codes[[3, 9]])
        for queries in (vectors[:4], codes[:4], vectors[:4] > 0):
            result = index.search(queries, k=5, scoring="hamming")
            np.testing.assert_array_equal(result.ids, reference.search(codes, codes[:4], 5)[1])


def test_bit_queries_are_not_rescored(rng):
    vectors = vectors_of(rng, 60, 21)
    index = bitsift.Index(21)
    index.add(vectors)
    for bits in (reference.pack(vectors[:2]), vectors[:2] > 0):
        assert index.search(bits, k=3).scores.dtype == np.int32
        with pytest.raises(ValueError, match="rescore=True needs float queries"):
            index.search(bits, k=3, rescore=True)


@pytest.mark.parametrize("store", STORES)
def test_there_are_no_more_columns_than_vectors(rng, store):
    index = bitsift.Index(16, store=store)
    index.add(vectors_of(rng, 3, 16), ids=[5, 9, 7])
    query = vectors_of(rng, 2, 16)
    distances, ids = index.search(query, k=6, rescore=False)
    assert distances.shape == (2, 3)
    assert np.sort(ids).tolist() == [[5, 7, 9]] * 2
    if store:
        scores, ids = index.search(query, k=2**31 - 1)
        assert np.sort(ids).tolist() == [[5, 7, 9]] * 2
        assert np.isfinite(scores).all()


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("scan", ["hamming", "asymmetric"])
def test_no_more_columns_of_codes_that_are_rescored(rng, metric, scan):
    index = bitsift.Index(16, metric=metric, store=None)
    index.add(vectors_of(rng, 5, 16))
    query = vectors_of(rng, 1, 16)[0]
    scores, ids = index.search(query, k=8, ladder=[(scan, 4), "asymmetric"])
    wanted, wanted_ids = index.search(query, k=8, scoring="asymmetric")
    assert ids.tolist() == wanted_ids.tolist()
    assert scores.tolist() == wanted.tolist()
    assert len(scores) == 5


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("store", STORES)
def test_empty_index(metric, store):
    index = bitsift.Index(10, metric=metric, store=store)
    scores, ids = index.search(np.ones((2, 10)), k=3)
    assert ids.shape == scores.shape == (2, 0)
    assert len(index) == index.nbytes == 0
    assert index.codes.shape == (0, 2)
    assert index.ids.shape == (0,)
    assert 0 not in index
    assert index.get([]).shape[0] == 0
    assert index.add(np.zeros((0, 10))).shape == (0,)


def test_no_queries_and_no_results(rng):
    index = bitsift.Index(10)
    index.add(vectors_of(rng, 5, 10))
    assert index.search(np.zeros((0, 10)), k=3).ids.shape == (0, 3)
    assert index.search(np.zeros((2, 10)), k=0).ids.shape == (2, 0)
    corrected = bitsift.Index(10, correction=True)
    corrected.add(vectors_of(rng, 5, 10))
    options = {"scoring": "asymmetric", "oversampling": 1e308}
    assert corrected.search(np.zeros((2, 10)), k=0, **options).ids.shape == (2, 0)


def test_single_query(rng):
    vectors = vectors_of(rng, 50, 30)
    index = bitsift.Index(30)
    index.add(vectors)
    one, many = index.search(vectors[4], k=3), index.search(vectors[4:5], k=3)
    assert one.ids.shape == one.scores.shape == (3,)
    np.testing.assert_array_equal(one.ids, many.ids[0])
    np.testing.assert_array_equal(one.scores, many.scores[0])


def test_single_vector(rng):
    index = bitsift.Index(30)
    assert index.add(vectors_of(rng, 1, 30)[0]).tolist() == [0]
    assert index.add(vectors_of(rng, 1, 30)[0], ids=[8]).tolist() == [8]
    assert index.get(8).shape == (30,)


def test_candidates_are_k_times_oversampling_rounded_up(rng):
    # The best by float is the last by Hamming: it is found once it is among the candidates.
    n = 40
    vectors = np.full((n, 64), 1e-3, np.float32)
    for i in range(n):
        vectors[i, :i] = -1e-3
    vectors[n - 1, -1] = 1000.0
    index = bitsift.Index(64, metric="dot", scoring="hamming")
    index.add(vectors)
    query = np.ones(64, np.float32)
    for k, oversampling, found in [
        (1, 39, False),
        (1, 39.1, True),
        (10, 3.9, False),
        (10, 3.95, True),
    ]:
        assert (index.search(query, k, oversampling=oversampling).ids[0] == n - 1) is np.bool_(
            found
        )
    assert index.search(query, 1, oversampling=1e308).ids[0] == n - 1


def test_results_do_not_depend_on_threads_or_isa(rng):
    vectors = np.round(vectors_of(rng, 20_000, 96), 1)
    queries = np.round(vectors_of(rng, 40, 96), 1)
    ids = rng.permutation(10**6)[: len(vectors)]
    results = []
    for isa in bitsift.available_isas():
        for store in ("float32", "float16"):
            index = bitsift.Index(96, store=store, isa=isa, metric="l2")
            index.add(vectors, ids=ids)
            for threads in (1, 2, 7):
                scores, found = index.search(queries, k=20, threads=threads)
                results.append((store, scores.tobytes(), found.tobytes()))
    assert len(set(results)) == 2  # one of each store


def test_results_do_not_depend_on_how_vectors_were_added(rng):
    vectors = vectors_of(rng, 500, 70)
    whole, parts = (bitsift.Index(70, store="float32") for _ in range(2))
    parts.reserve(100)
    whole.add(vectors)
    for begin in range(0, 500, 7):
        parts.add(vectors[begin : begin + 7])
    assert len(parts) == len(whole) == 500
    np.testing.assert_array_equal(parts.codes, whole.codes)
    np.testing.assert_array_equal(parts.get(range(500)), vectors)
    for a, b in zip(whole.search(vectors[:9], 5), parts.search(vectors[:9], 5), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("store", STORES)
def test_large_adds_go_in_blocks(rng, store, monkeypatch):
    monkeypatch.setattr("bitsift.encoding.encoder._CHUNK_BYTES", 1000)
    vectors = vectors_of(rng, 300, 50)
    index = bitsift.Index(50, store=store)
    index.add(vectors)
    np.testing.assert_array_equal(index.codes, reference.pack(vectors))
    if store:
        np.testing.assert_array_equal(index.get(index.ids), vectors.astype(store))


def test_memmap_and_any_layout_can_be_added(tmp_path, rng):
    vectors = vectors_of(rng, 64, 64)
    np.save(tmp_path / "v.npy", vectors)
    for same in (
        np.load(tmp_path / "v.npy", mmap_mode="r"),
        np.asfortranarray(vectors),
        vectors.astype(">f4"),
        vectors[::-1][::-1],
        vectors.tolist(),
        vectors.astype(np.float64),
    ):
        index = bitsift.Index(64, store="float32")
        index.add(same)
        np.testing.assert_array_equal(index.get(range(64)), vectors)


def test_original_vectors_are_copied(rng):
    vectors = vectors_of(rng, 5, 8)
    kept = vectors.copy()
    index = bitsift.Index(8, store="float32")
    index.add(vectors)
    vectors[:] = 0
    np.testing.assert_array_equal(index.get(range(5)), kept)


def test_views_are_read_only_and_keep_their_values(rng):
    index = bitsift.Index(24, store=None)
    index.add(vectors_of(rng, 5, 24), ids=[3, 1, 4, 15, 9])
    codes, ids = index.codes, index.ids
    for array in (codes, ids, bitsift.Index(8).ids):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    before = codes.copy(), ids.copy()
    index.add(vectors_of(rng, 500, 24))
    np.testing.assert_array_equal(codes, before[0])
    np.testing.assert_array_equal(ids, before[1])
    assert len(index.codes) == 505


@pytest.mark.parametrize(("store", "per_vector"), [(None, 13), ("float32", 413), ("float16", 213)])
def test_nbytes_is_what_the_vectors_take(rng, store, per_vector):
    index = bitsift.Index(100, store=store, scoring="hamming")
    index.add(vectors_of(rng, 10, 100) / 2)
    assert index.nbytes == 10 * per_vector
    index.add(vectors_of(rng, 1, 100) / 2, ids=[99])
    assert index.nbytes == 11 * (per_vector + 8)


def test_properties_and_repr():
    threshold = np.arange(9, dtype=np.float32)
    index = bitsift.Index(9, metric="l2", store="float16", threshold=threshold, isa="scalar")
    assert (index.dim, index.metric, index.store, index.isa) == (9, "l2", "float16", "scalar")
    np.testing.assert_array_equal(index.threshold, threshold)
    assert bitsift.Index(9, threshold=0.5).threshold == 0.5
    assert repr(index) == (
        "Index(dim=9, metric='l2', store='float16', scoring='auto', n=0, nbytes=0)"
    )


def test_searches_while_another_thread_adds(rng):
    vectors = vectors_of(rng, 4_000, 64)
    index = bitsift.Index(64)
    index.add(vectors[:100])
    errors = []
    done = threading.Event()

    def search():
        while not done.is_set():
            try:
                ids = index.search(vectors[:8], k=1).ids
                np.testing.assert_array_equal(ids[:, 0], np.arange(8))
            except BaseException as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for begin in range(100, 4_000, 13):
        index.add(vectors[begin : begin + 13])
    done.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(index) == 4_000


@pytest.mark.parametrize("ids", [None, [30, 20], [40, 50]])
def test_an_interrupt_at_any_call_leaves_the_index_as_it_was_or_grown(rng, ids):
    vectors = vectors_of(rng, 2, 16)
    completed = 0
    tracer = sys.gettrace()  # that of a debugger, or of the measurement of coverage
    for n_calls in itertools.count(1):
        index = bitsift.Index(16, store="float32")
        index.add(vectors, ids=[9, 7])
        countdown = iter(range(n_calls))

        def interrupt(frame, event, argument, countdown=countdown):
            ours = event == "call" and "bitsift" in frame.f_code.co_filename
            if ours and next(countdown, None) is None:
                sys.settrace(None)
                raise KeyboardInterrupt

        sys.settrace(interrupt)
        try:
            index.add(vectors, ids=ids)
            completed += 1
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(tracer)
        assert len(index) == len(index.ids) == len(index.codes)
        assert len(index) in ({4} if completed else {2, 4})
        grown = len(index)
        assert index.add(vectors).tolist() == [
            max(index.ids[:grown]) + 1,
            max(index.ids[:grown]) + 2,
        ]
        found = index.get(index.ids)
        np.testing.assert_array_equal(found, np.tile(vectors, (len(found) // 2, 1)))
        np.testing.assert_array_equal(index.search(vectors, k=1).ids[0], index.ids[:grown:2].min())
        if completed:
            break


def test_arguments_that_use_the_index_while_they_are_converted(rng):
    vectors = vectors_of(rng, 3, 16)
    index = bitsift.Index(16)

    class Meddling:
        def __init__(self, array):
            self.array = array

        def __array__(self, dtype=None, copy=None):
            index.add(vectors)
            return self.array

    assert index.add(vectors, ids=Meddling(np.arange(100, 103))).tolist() == [100, 101, 102]
    assert index.add(Meddling(vectors)).tolist() == [106, 107, 108]
    assert index.ids.tolist() == [0, 1, 2, 100, 101, 102, 103, 104, 105, 106, 107, 108]


def test_ids_are_copied(rng):
    ids = np.array([5, 3, 8])
    index = bitsift.Index(16)
    returned = index.add(vectors_of(rng, 3, 16), ids=ids)
    ids[:] = 0
    returned[:] = 1
    assert index.ids.tolist() == [5, 3, 8]


@pytest.mark.parametrize("packed", [False, True])
def test_nothing_added_to_a_mapped_index(tmp_path, rng, packed):
    index = bitsift.Index(16, store=None)
    index.add(vectors_of(rng, 3, 16))
    index.save(tmp_path / "index")
    loaded = bitsift.Index.load(tmp_path / "index", mmap=True)
    nothing = np.zeros((0, 2), np.uint8) if packed else np.zeros((0, 16))
    assert loaded.add(nothing).shape == (0,)
    assert len(loaded) == 3
