# SPDX-License-Identifier: Apache-2.0
"""Pages: candidates go by position, so that any two pages are slices of one long result."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

import bitsift
from bitsift.retrieval.defaults import SearchDefaults, steps_by_position
from helpers.laws import few_or_many, try_law
from oracle import pages

DIM = 24
METRICS = ("cosine", "dot", "l2")
STORES = ("float32", "float16", "int8", "uint8", "int4", "ternary")
SCANS = ("hamming", "asymmetric")


def some_vectors(rng, n):
    # Multiples of 1/4, and each vector twice: ties of every kind.
    vectors = np.round(4 * rng.standard_normal((n, DIM))) / 4 + 0.125
    vectors[n // 2 :] = vectors[: n - n // 2]
    return vectors.astype(np.float32)


def make_index(rng, n, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        index = bitsift.Index(DIM, **options)
        index.add(some_vectors(rng, n), ids=rng.permutation(10 * n)[:n])
    return index


def with_defaults(index, scan, candidates="by-position"):
    """The same index with other defaults."""
    documents = index._table.snapshot.documents
    object.__setattr__(documents, "defaults", SearchDefaults(scan, candidates))
    object.__setattr__(documents, "search_one", None)
    return index


def long_result(index, query, scan):
    """Scores and ids of all vectors, by the oracle, from what a scan and full rescoring give."""
    n = len(index)
    scanned = index.search(query, n, scoring=scan, rescore=False).ids
    scores, ids = index.search(query, n, scoring=scan, oversampling=1)
    score_of = dict(zip(ids.tolist(), scores.tolist(), strict=True))
    row_of = {id: row for row, id in enumerate(index.ids.tolist())}
    by_row = np.array([score_of[id] for id in index.ids.tolist()], np.float32)
    order = pages.by_position(
        np.array([row_of[id] for id in scanned.tolist()]),
        by_row if index.metric == "l2" else -by_row,
        index.ids,
    )
    return by_row[order], index.ids[order]


@pytest.mark.parametrize(
    ("n_results", "n_rows", "steps"),
    [
        (0, 0, [(0, 0)]),
        (0, 500, [(0, 0)]),
        (1, 1, [(1, 1)]),
        (1, 10**6, [(1, 100)]),
        (16, 10**6, [(16, 100)]),
        (17, 10**6, [(16, 100), (17, 600)]),
        (100, 10**6, [(16, 100), (100, 600)]),
        (101, 10**6, [(16, 100), (100, 600), (101, 1200)]),
        (201, 10**6, [(16, 100), (100, 600), (200, 1200), (201, 2400)]),
        (90, 90, [(90, 90)]),
        (100, 100, [(100, 100)]),
        (101, 101, [(16, 100), (101, 101)]),
        (600, 600, [(16, 100), (600, 600)]),
        (700, 700, [(16, 100), (100, 600), (700, 700)]),
    ],
)
def test_the_steps(n_results, n_rows, steps):
    assert list(steps_by_position(n_results, n_rows)) == steps


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("store", STORES)
def test_a_long_result_is_that_of_the_oracle(isa, rng, metric, scan, store):
    for n in (0, 90, 1500):
        index = with_defaults(make_index(rng, n, store=store, metric=metric, isa=isa), scan)
        queries = some_vectors(rng, 4)
        found = index.search(queries, 2000)
        assert found.scores.shape == found.ids.shape == (4, n)
        for query, scores, ids in zip(queries, *found, strict=True):
            if n == 0:
                continue
            expected_scores, expected_ids = long_result(index, query, scan)
            np.testing.assert_array_equal(ids, expected_ids)
            np.testing.assert_array_equal(scores, expected_scores)


@few_or_many(40, 1500)
def test_any_two_pages_are_slices_of_one_result(n_examples):
    kept: dict[Any, Any] = {}

    def law(n, store, metric, scan, correction, seed, cuts, threads, rescore):
        rng = np.random.default_rng(seed)
        if correction and metric == "cosine":
            metric = "dot"
        key = n, store, metric, correction, seed
        if key not in kept:
            kept[key] = make_index(rng, n, store=store, metric=metric, correction=correction)
        index = with_defaults(kept[key], scan)
        queries = some_vectors(np.random.default_rng(seed + 1), 3)
        options = {"rescore": rescore} if store is not None else {}
        if correction and scan == "hamming":
            options["scoring"] = "hamming"
        whole = index.search(queries, n, **options)
        assert [len(set(ids)) for ids in whole.ids.tolist()] == [n] * 3
        for first, k in cuts:
            part = index.search(queries, k, offset=first, threads=threads, **options)
            for found, expected in zip(part, whole, strict=True):
                np.testing.assert_array_equal(found, expected[:, first : first + k])
            for query in range(3):
                one = index.search(queries[query], k, offset=first, **options)
                for found, expected in zip(one, whole, strict=True):
                    np.testing.assert_array_equal(found, expected[query, first : first + k])
            assert (part.kind, part.scores.dtype) == (whole.kind, whole.scores.dtype)

    numbers = st.one_of(
        st.integers(0, 40),
        st.sampled_from([16, 17, 100, 101, 200, 201, 400, 401, 799, 800, 801]),
        st.integers(0, 1400),
    )
    try_law(
        law,
        n_examples,
        n=st.sampled_from([1, 15, 16, 17, 99, 100, 101, 599, 601, 1300]),
        store=st.sampled_from([None, *STORES]),
        metric=st.sampled_from(METRICS),
        scan=st.sampled_from(SCANS),
        correction=st.booleans(),
        seed=st.integers(0, 3),
        cuts=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=6),
        threads=st.sampled_from([0, 1, 2, 7]),
        rescore=st.sampled_from([None, True, False]),
    )


@few_or_many(30, 800)
def test_pages_of_a_changed_index_are_slices(n_examples):
    """What an index decides by itself, in few dimensions, with vectors removed and replaced."""

    def law(n, least, dim, store, metric, spread, shift, seed, n_removed, cuts):
        rng = np.random.default_rng(seed)
        vectors = (spread * rng.standard_normal((n, dim)) + shift).astype(np.float32)
        index = bitsift.Index(dim, store=store, metric=metric)
        with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
            warnings.simplefilter("ignore")
            patch.setattr("bitsift.index.fitting.LEAST_ROWS_FITTED", least)
            for part in np.array_split(vectors, 3):
                index.add(part)
            gone = rng.permutation(n)[: min(n_removed, n)]
            index.remove(gone)
            index.upsert(vectors[: n // 4], rng.permutation(n)[: n // 4])
        assert (index.scoring is None) == (n < least)
        queries = rng.standard_normal((3, dim)).astype(np.float32)
        whole = index.search(queries, n)
        for ids in whole.ids.tolist():
            assert sorted(ids) == sorted(index.ids.tolist())
        for first, k in cuts:
            part = index.search(queries, k, offset=first)
            one = index.search(queries[2], k, offset=first)
            for found, alone, expected in zip(part, one, whole, strict=True):
                np.testing.assert_array_equal(found, expected[:, first : first + k])
                np.testing.assert_array_equal(alone, expected[2, first : first + k])

    numbers = st.one_of(st.sampled_from([0, 1, 16, 17, 100, 101]), st.integers(0, 650))
    try_law(
        law,
        n_examples,
        n=st.sampled_from([1, 15, 16, 17, 63, 64, 65, 100, 101, 511, 512, 513, 575, 576, 600]),
        least=st.sampled_from([1, 64, 1000]),
        dim=st.integers(1, 9),
        store=st.sampled_from([None, *STORES]),
        metric=st.sampled_from(METRICS),
        spread=st.sampled_from([0.0, 1.0, 1000.0]),
        shift=st.sampled_from([0.0, 2.0]),
        seed=st.integers(0, 5),
        n_removed=st.sampled_from([0, 1, 5, 40, 500, 600]),
        cuts=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5),
    )


@pytest.mark.parametrize("correction", [False, True])
@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("store", [None, "float16", "int8"])
def test_the_same_on_every_level_and_number_of_threads(rng, store, scan, correction):
    results = set()
    state = rng.bit_generator.state
    for isa in bitsift.available_isas():
        rng.bit_generator.state = state
        index = make_index(
            rng, 3000, store=store, metric="l2", correction=correction, isa=isa
        )  # fmt: skip
        queries = some_vectors(rng, 20)
        for threads in (1, 2, 5):
            found = index.search(queries, 90, offset=30, scoring=scan, threads=threads)
            results.add((found.scores.tobytes(), found.ids.tobytes()))
    assert len(results) == 1


def test_fixed_candidates_are_four_for_each_result(rng):
    index = with_defaults(make_index(rng, 900), "hamming", "fixed")
    queries = some_vectors(rng, 5)
    for k, offset in ((1, 0), (10, 0), (30, 0), (10, 20), (500, 0)):
        found = index.search(queries, k, offset=offset)
        expected = index.search(queries, k, offset=offset, oversampling=4, scoring="hamming")
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_array_equal(index.search(queries[0], k, offset=offset), [
            part[0] for part in expected
        ])  # fmt: skip


@pytest.mark.parametrize("options", [{"oversampling": 2.5}, {"ladder": [("hamming", 2.5), "int8"]}])
def test_explicit_candidates_are_of_offset_and_k(rng, options):
    index = make_index(rng, 900, store="int8")
    queries = some_vectors(rng, 5)
    for k, offset in ((10, 0), (10, 7), (3, 100), (600, 500)):
        page = index.search(queries, k, offset=offset, **options)
        whole = index.search(queries, offset + k, **options)
        np.testing.assert_array_equal(page.ids, whole.ids[:, offset:])
        np.testing.assert_array_equal(page.scores, whole.scores[:, offset:])


@pytest.mark.parametrize("store", [None, "float32"])
def test_offsets_beyond_the_vectors(rng, store):
    index = make_index(rng, 120, store=store, scoring="hamming")
    queries = some_vectors(rng, 2)
    last = index.search(queries, 10, offset=119)
    assert last.ids.shape == last.scores.shape == (2, 1)
    for offset in (120, 121, 10**6, 2**62, 2**63 - 1, np.int64(500)):
        found = index.search(queries, 10, offset=offset)
        assert found.ids.shape == found.scores.shape == (2, 0)
        assert found.scores.dtype == last.scores.dtype
        assert found.kind == last.kind == ("cosine" if store else "hamming")
        assert index.search(queries[0], 10, offset=offset).ids.shape == (0,)
    assert index.search(queries, 0, offset=5).ids.shape == (2, 0)
    with pytest.raises(ValueError, match="finite"):
        index.search(np.full(DIM, np.nan), 10, offset=500)


@pytest.mark.parametrize(
    ("offset", "error", "message"),
    [
        (-1, ValueError, f"offset must be 0 to {2**63 - 1}; got -1"),
        (2**63, ValueError, f"offset must be 0 to {2**63 - 1}; got {2**63}"),
        (True, TypeError, "offset must be an integer; got True"),
        (False, TypeError, "offset must be an integer; got False"),
        (1.0, TypeError, "offset must be an integer; got float"),
        (None, TypeError, "offset must be an integer; got NoneType"),
        ("1", TypeError, "offset must be an integer; got str"),
        (np.ones(2, int), TypeError, "offset must be an integer; got ndarray"),
    ],
)
def test_hostile_offsets(rng, offset, error, message):
    index = make_index(rng, 30)
    for queries in (some_vectors(rng, 2), some_vectors(rng, 1)[0]):
        with pytest.raises(error, match=message):
            index.search(queries, 3, offset=offset)


def test_a_page_keeps_no_other_memory(rng):
    index = make_index(rng, 300)
    for array in index.search(some_vectors(rng, 4), 10, offset=100):
        assert array.base is None
        assert array.flags.c_contiguous


def test_huge_k_takes_no_memory(rng):
    index = make_index(rng, 10)
    query = some_vectors(rng, 1)[0]
    for found in (
        index.search(query, 10**8),
        index.search(query[np.newaxis], 10**8),
        bitsift.search(index.codes, index.codes[0], 10**8),
        bitsift.search(index.codes, index.codes, 2**31 - 1),
    ):
        assert found.ids.shape[-1] == found.scores.shape[-1] == 10
    assert bitsift.knn_graph(index.codes, 2**31 - 1).ids.shape == (10, 9)
    assert bitsift.knn_graph(index.codes[:0], 3).ids.shape == (0, 0)
