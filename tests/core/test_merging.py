# SPDX-License-Identifier: Apache-2.0
"""Merged results of shards are the results of one search over all of them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsift

DIM = 24
VECTORS = np.random.default_rng(0).standard_normal((300, DIM)).astype(np.float32)
VECTORS[100:150] = VECTORS[:50]  # scores tie, across shards too
IDS = np.random.default_rng(1).permutation(1000)[:300].astype(np.int64)
QUERIES = np.random.default_rng(2).standard_normal((4, DIM)).astype(np.float32)
LARGEST = np.iinfo(np.int32).max


def made_index(rows=slice(None), **options):
    index = bitsift.Index(DIM, **options)
    index.add(VECTORS[rows], IDS[rows])
    return index


def check_same(found, wanted):
    assert found.kind == wanted.kind
    assert found.scores.dtype == wanted.scores.dtype
    assert found.scores.tobytes() == wanted.scores.tobytes()
    np.testing.assert_array_equal(found.ids, wanted.ids)


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("how", [{"rescore": False, "scoring": "hamming"}, {"oversampling": 300}])
@pytest.mark.parametrize("ends", [[300], [0, 7, 8, 150, 300], [299, 300]], ids=str)
def test_shards_of_an_index(metric, how, ends):
    whole = made_index(metric=metric, store="float32")
    parts = [slice(begin, end) for begin, end in itertools.pairwise([0, *ends])]
    shards = [made_index(rows, metric=metric, store="float32") for rows in parts]
    for k, offset in ((1, 0), (10, 0), (10, 25), (500, 0), (0, 0), (7, 1000)):
        found = bitsift.merge(
            [shard.search(QUERIES, k + offset, **how) for shard in shards], k, offset=offset
        )
        check_same(found, whole.search(QUERIES, k, offset=offset, **how))
        one = bitsift.merge([shard.search(QUERIES[1], k + offset, **how) for shard in shards], k)
        assert one.ids.ndim == 1
        if offset == 0:
            check_same(one, whole.search(QUERIES[1], k, **how))


def test_filters_for_each_query():
    whole, shards = (
        made_index(store=None),
        [made_index(slice(i, i + 100), store=None) for i in (0, 100, 200)],
    )
    filters = [IDS[:3], IDS[50:250], [], IDS[[0, 299]]]
    how = {"scoring": "hamming", "filter": filters}
    found = bitsift.merge([shard.search(QUERIES, 20, **how) for shard in shards], 20)
    check_same(found, whole.search(QUERIES, 20, **how))
    assert (found.ids[2] == -1).all()
    assert (found.scores[2] == LARGEST).all()


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_split(data):
    n = data.draw(st.integers(0, 40))
    codes = np.array(data.draw(st.lists(st.integers(0, 15), min_size=n, max_size=n)), np.uint8)
    shard_of = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), np.int64)
    k, offset = data.draw(st.integers(0, 50)), data.draw(st.integers(0, 50))
    queries = np.array([[0], [9]], np.uint8)
    results = []
    for shard in range(4):
        rows = np.flatnonzero(shard_of == shard)
        found = bitsift.search(codes[rows, np.newaxis], queries, k + offset)
        results.append(found._replace(ids=rows[found.ids]))
    found = bitsift.merge(results, k, offset=offset)
    wanted = bitsift.search(codes[:, np.newaxis], queries, k + offset)
    check_same(found, bitsift.SearchResult(wanted.scores[:, offset:], wanted.ids[:, offset:]))


@pytest.mark.parametrize(("kind", "worst"), [("cosine", -np.inf), ("l2", np.inf)])
def test_a_score_that_is_the_worst_precedes_what_is_missing(kind, worst):
    some = bitsift.SearchResult(np.array([worst, worst], "f4"), np.array([7, -1]), kind=kind)
    other = bitsift.SearchResult(np.array([worst], "f4"), np.array([3]), kind=kind)
    found = bitsift.merge(iter([some, other]), 5)
    assert found.ids.tolist() == [3, 7]
    assert found.scores.tolist() == [worst, worst]


def made(kind="cosine", shape=(2, 3)):
    return bitsift.SearchResult(np.zeros(shape, np.float32), np.zeros(shape, np.int64), kind=kind)


@pytest.mark.parametrize(
    ("results", "error", "words"),
    [
        ([], ValueError, "results must be those of at least one shard; got none"),
        (made(), TypeError, "results must be several of SearchResult; got one: put it in a list"),
        ([made(), (1, 2)], TypeError, r"list of SearchResult; 1 is \(1, 2\)"),
        ([made(None)], ValueError, "results must be of a known kind; that of result 0 is not"),
        ([made(), made("dot")], ValueError, "result 0 is 'cosine', result 1 'dot'"),
        ([made(), made(shape=(3, 3))], ValueError, r"same queries; .*\(2, 3\), .*1 \(3, 3\)"),
        ([made(), made(shape=(3,))], ValueError, "must be of the same queries"),
        (
            [made()._replace(ids=np.zeros(2))],
            ValueError,
            "results must have scores and ids of one shape",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_merged(results, error, words):
    with pytest.raises(error, match=words):
        bitsift.merge(results, 3)


@pytest.mark.parametrize("wrong", [{"k": -1}, {"k": 1.5}, {"k": 1, "offset": -1}], ids=str)
def test_wrong_numbers(wrong):
    with pytest.raises((ValueError, TypeError), match=r"(k|offset) must be"):
        bitsift.merge([made()], **wrong)
