# SPDX-License-Identifier: Apache-2.0
"""Filters: a search finds what an index of the allowed vectors alone would find, byte for byte."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsift
from helpers.same_results import check_same

pytestmark = pytest.mark.usefixtures("fits_or_waits")

DIM = 40
N = 700


def made_vectors(n=N, seed=0):
    return np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)


def made_ids(n=N, seed=1):
    return np.random.default_rng(seed).permutation(3 * n)[:n].astype(np.int64)


def made_index(mask=None, ids=None, vectors=None, **options):
    """An index of the vectors of a mask, fitted as that of all vectors is."""
    vectors = made_vectors() if vectors is None else vectors
    index = bitsift.Index(DIM, **options)
    fits = isinstance(options.get("threshold"), str) or options.get("store") in ("int8", "int4")
    if fits:
        index.fit(vectors)
    chosen = slice(None) if mask is None else mask
    numbers = np.arange(len(vectors)) if ids is None else ids
    index.add(vectors[chosen], numbers[chosen])
    return index


def made_queries(n=5, seed=2):
    return made_vectors(n, seed)


SHARES = [0.0, 0.01, 0.3, 0.9, 1.0]
KINDS = [
    {"store": None},
    {"store": "float32", "metric": "l2"},
    {"store": "float16", "metric": "dot", "threshold": "mean"},
    {"store": "int8", "rotate": True},
    {"store": None, "correction": True},
    {"store": ("float32", "float16"), "correction": True, "metric": "l2"},
]
SEARCHES = [
    {"scoring": "hamming"},
    {"scoring": "asymmetric"},
    {"scoring": "asymmetric", "offset": 3},
    {"scoring": "hamming", "rescore": False, "threads": 1},
]


class TestAgainstAnIndexOfTheAllowedVectors:
    @pytest.mark.parametrize("share", SHARES)
    @pytest.mark.parametrize("options", KINDS, ids=str)
    def test_masks(self, share, options):
        mask = np.random.default_rng(3).random(N) < share
        ids = made_ids()
        index, alone = made_index(ids=ids, **options), made_index(mask, ids, **options)
        for search in SEARCHES:
            for k in (1, 10, 150):
                check_same(
                    index.search(made_queries(), k, filter=mask, **search),
                    alone.search(made_queries(), k, **search),
                )

    @pytest.mark.parametrize("isa", bitsift.available_isas())
    @pytest.mark.parametrize("threads", [1, 2, 7])
    def test_levels_and_threads(self, isa, threads):
        mask = np.random.default_rng(3).random(N) < 0.4
        index, alone = made_index(isa=isa, store="float16"), made_index(mask, store="float16")
        for scoring in ("hamming", "asymmetric"):
            check_same(
                index.search(made_queries(), 10, filter=mask, scoring=scoring, threads=threads),
                alone.search(made_queries(), 10, scoring=scoring),
            )

    def test_a_ladder(self):
        mask = np.random.default_rng(3).random(N) < 0.2
        options = {"store": ("float16", "float32"), "metric": "l2"}
        ladder = [("hamming", 20), ("asymmetric", 6), ("float16", 2), "float32"]
        check_same(
            made_index(**options).search(made_queries(), 9, filter=mask, ladder=ladder),
            made_index(mask, **options).search(made_queries(), 9, ladder=ladder),
        )

    def test_oversampling_and_pages(self):
        mask = np.random.default_rng(3).random(N) < 0.5
        index, alone = made_index(store="float32"), made_index(mask, store="float32")
        for search in ({"oversampling": 2.5, "offset": 4}, {"offset": 340}, {"offset": 10**6}):
            check_same(
                index.search(made_queries(), 20, filter=mask, **search),
                alone.search(made_queries(), 20, **search),
            )

    def test_bits_as_queries(self):
        mask = np.random.default_rng(3).random(N) < 0.5
        codes = bitsift.pack(made_queries())
        check_same(
            made_index(store=None).search(codes, 10, filter=mask),
            made_index(mask, store=None).search(codes, 10),
        )

    @settings(max_examples=25, deadline=None)
    @given(st.data())
    def test_any_filter(self, data):
        n = data.draw(st.integers(0, 90))
        vectors, ids = made_vectors(n), made_ids(max(n, 1))[:n]
        mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), np.bool_)
        options = {"store": data.draw(st.sampled_from([None, "float32"]))}
        index = made_index(ids=ids, vectors=vectors, **options)
        alone = made_index(mask, ids, vectors, **options)
        k, offset = data.draw(st.integers(0, 100)), data.draw(st.integers(0, 100))
        found = index.search(made_queries(), k, offset=offset, filter=mask)
        check_same(found, alone.search(made_queries(), k, offset=offset))
        assert found.ids.shape == (5, min(k, max(0, mask.sum() - offset)))


class TestWaysToSayIt:
    def test_ids_masks_sets_and_prepared_filters_say_the_same(self):
        ids = made_ids()
        index = made_index(ids=ids)
        mask = np.random.default_rng(3).random(N) < 0.3
        allowed = np.random.default_rng(4).permutation(ids[mask])
        wanted = index.search(made_queries(), 10, filter=mask)
        ways = [
            allowed,
            allowed.tolist(),
            tuple(allowed.tolist()),
            set(allowed.tolist()),
            frozenset(allowed.tolist()),
            allowed.astype(np.uint32),
            np.concatenate([allowed, allowed, [10**9]]),
            mask.tolist(),
            index.filter(mask),
            index.filter(allowed),
            index.filter(set(allowed.tolist())),
        ]
        for way in ways:
            check_same(index.search(made_queries(), 10, filter=way), wanted)

    def test_nothing_is_allowed(self):
        index = made_index()
        for nothing in ([], (), set(), np.zeros(N, np.bool_), [10**9], index.filter([])):
            found = index.search(made_queries(), 10, filter=nothing)
            assert found.ids.shape == (5, 0)
            assert index.search(made_queries()[0], 10, filter=nothing).ids.shape == (0,)

    def test_one_for_each_query(self):
        ids = made_ids()
        index = made_index(ids=ids)
        rng = np.random.default_rng(5)
        masks = [rng.random(N) < share for share in (0.5, 0.0, 0.004, 1.0, 0.1)]
        given = [masks[0], ids[masks[1]], set(ids[masks[2]].tolist()), index.filter(masks[3])]
        given.append(ids[masks[4]].tolist())
        found = index.search(made_queries(), 10, filter=given)
        assert found.ids.shape == (5, 10)
        for i, mask in enumerate(masks):
            alone = index.search(made_queries()[i], 10, filter=mask)
            n = len(alone.ids)
            assert n == min(10, mask.sum())
            np.testing.assert_array_equal(found.ids[i, :n], alone.ids)
            np.testing.assert_array_equal(found.scores[i, :n], alone.scores)
            assert (found.ids[i, n:] == -1).all()
            assert (found.scores[i, n:] == -np.inf).all()
        check_same(index.search(made_queries(), 10, filter=np.array(masks)), found)

    def test_missing_results_have_the_worst_score_of_their_kind(self):
        worst = {"hamming": np.iinfo(np.int32).max, "l2": np.inf, "dot": -np.inf}
        for metric in ("l2", "dot"):
            index = made_index(metric=metric, store="float32")
            for options, kind in (
                ({}, metric),
                ({"scoring": "hamming", "rescore": False}, "hamming"),
            ):
                found = index.search(made_queries(2), 3, filter=[[1, 2, 3], [4]], **options)
                assert found.kind == kind
                assert (found.scores[1, 1:] == worst[kind]).all()

    def test_one_query_with_a_list_of_one_filter(self):
        index = made_index()
        found = index.search(made_queries()[0], 3, filter=[[5, 6]])
        assert sorted(found.ids.tolist()) == [5, 6]

    def test_no_queries(self):
        index = made_index()
        none = np.empty((0, DIM), np.float32)
        assert index.search(none, 3, filter=[1, 2]).ids.shape == (0, 2)
        assert index.search(none, 3, filter=np.empty((0, N), np.bool_)).ids.shape == (0, 3)


class TestPreparedFilters:
    def test_vectors_that_are_added_later_are_not_among_them(self):
        index = made_index()
        prepared = index.filter(np.ones(N, np.bool_))
        index.add(made_queries() * 2)
        found = index.search(made_queries(), N + 10, filter=prepared)
        assert found.ids.shape == (5, N)
        assert found.ids.max() == N - 1
        assert repr(prepared) == f"<bitsift.Filter: {N} vectors>"

    def test_it_belongs_to_one_index(self):
        index = made_index()
        prepared = index.filter([1])
        for other in (made_index(), copy.copy(index), copy.deepcopy(index)):
            with pytest.raises(ValueError, match="filter must be made by this index; got one of"):
                other.search(made_queries(), filter=prepared)

    def test_it_cannot_be_pickled_or_copied(self):
        prepared = made_index().filter([1])
        for call in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="a filter cannot be pickled or copied"):
                call(prepared)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (
            np.ones(N - 1, np.bool_),
            ValueError,
            r"filter must have shape \(700,\), one value for each",
        ),
        (np.ones((4, N), np.bool_), ValueError, "a list of one for each: 5; got 4"),
        ([[1], [2]], ValueError, "a list of one for each: 5; got 2"),
        (np.ones((1, 2, 3), np.int64), ValueError, r"got an array of shape \(1, 2, 3\)"),
        (7, ValueError, r"got an array of shape \(\)"),
        ([1.0, 2.0], TypeError, "filter must be integers below"),
        (["a"], TypeError, "filter must be"),
        ("even", TypeError, "filter must be allowed ids .* got 'even'"),
        (b"12", TypeError, "filter must be allowed ids"),
        ({1: 2}, TypeError, "filter must be"),
        (len, TypeError, "filter must be"),
        ([None] * 5, TypeError, "filter must be"),
        (np.array([2**63], np.uint64), ValueError, "filter must be below 2"),
    ],
    ids=str,
)
def test_what_is_no_filter_is_refused(wrong, error, words):
    with pytest.raises(error, match=words):
        made_index().search(made_queries(), filter=wrong)
