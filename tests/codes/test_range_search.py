# SPDX-License-Identifier: Apache-2.0
"""A range search of codes finds what a search for all rows finds, cut at the radius."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsift
from oracle import reference


def random_codes(rng, n, n_bytes):
    return rng.integers(0, 256, (n, n_bytes), dtype=np.uint8)


def expected(codes, queries, radius, mask=None):
    """The lims, distances and rows."""
    rows = np.arange(len(codes)) if mask is None else np.flatnonzero(mask)
    distances, found = reference.search(codes[rows], queries, len(rows))
    parts = [
        (one[one <= radius], rows[near[one <= radius]])
        for one, near in zip(distances, found, strict=True)
    ]
    counts = [len(one) for one, _ in parts]
    return (
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
        np.concatenate([np.zeros(0, np.int32), *(one for one, _ in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(near for _, near in parts)]),
    )


def check(found, wanted):
    assert found.kind == "hamming"
    assert found.descending is False
    assert [array.dtype for array in found] == [np.int64, np.int32, np.int64]
    for array, right in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(array, right)


@pytest.mark.parametrize("n_bytes", [1, 8, 33, 96])
@pytest.mark.parametrize("n_queries", [1, 2, 17])
def test_every_radius(isa, rng, n_bytes, n_queries):
    codes, queries = random_codes(rng, 801, n_bytes), random_codes(rng, n_queries, n_bytes)
    codes[7] = queries[0]
    for radius in (-1, 0, 3 * n_bytes, 4 * n_bytes, 8 * n_bytes, 2**40):
        wanted = expected(codes, queries, radius)
        for threads in (1, 3):
            options = {"isa": isa, "threads": threads}
            check(bitsift.range_search(codes, queries, radius, **options), wanted)
            counts = bitsift.range_search(codes, queries, radius, count_only=True, **options)
            assert counts.dtype == np.int64
            np.testing.assert_array_equal(counts, np.diff(wanted[0]))


@pytest.mark.parametrize("share", [0.0, 0.003, 0.5])
def test_one_mask(isa, rng, share):
    codes, queries = random_codes(rng, 70_001, 4), random_codes(rng, 3, 4)
    mask = rng.random(len(codes)) < share
    for radius in (2, 8, 32):
        found = bitsift.range_search(codes, queries, radius, filter=mask, isa=isa)
        check(found, expected(codes, queries, radius, mask))


def test_a_mask_for_each_query(rng):
    codes, queries = random_codes(rng, 500, 2), random_codes(rng, 4, 2)
    masks = rng.random((4, 500)) < np.array([[0.5], [0.0], [0.01], [1.0]])
    found = bitsift.range_search(codes, queries, 8, filter=masks)
    counts = bitsift.range_search(codes, queries, 8, filter=masks, count_only=True)
    for i, mask in enumerate(masks):
        _, distances, rows = expected(codes, queries[i : i + 1], 8, mask)
        np.testing.assert_array_equal(found.of(i).ids, rows)
        np.testing.assert_array_equal(found.of(i).scores, distances)
        assert counts[i] == len(rows)


def test_all_rows_tie(isa):
    codes = np.full((5000, 3), 0x5A, np.uint8)
    found = bitsift.range_search(codes, codes[:2], 0, isa=isa)
    np.testing.assert_array_equal(found.lims, [0, 5000, 10_000])
    np.testing.assert_array_equal(found.ids, np.tile(np.arange(5000), 2))
    assert not found.distances.any()


def test_one_query_layouts_and_no_rows(rng):
    codes = random_codes(rng, 400, 16)
    one = bitsift.range_search(codes, codes[5], 60)
    check(one, expected(codes, codes[5:6], 60))
    assert bitsift.range_search(codes, codes[5], 60, count_only=True).shape == ()
    for some in (codes[::2], codes[::-1], codes[:0]):
        check(bitsift.range_search(some, codes[:3], 60), expected(some, codes[:3], 60))
    none = bitsift.range_search(codes, codes[:0], 60)
    assert [array.tolist() for array in none] == [[0], [], []]
    assert bitsift.range_search(codes, codes[:0], 60, count_only=True).shape == (0,)
    assert bitsift.range_search(codes, codes[:0], 60, filter=np.ones((0, 400), bool)).ids.size == 0


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_codes(data):
    n, n_bytes = data.draw(st.integers(0, 60)), data.draw(st.integers(1, 3))
    few = st.integers(0, 3)  # many ties
    codes, queries = (
        np.array(
            data.draw(
                st.lists(st.lists(few, min_size=n_bytes, max_size=n_bytes), min_size=m, max_size=m)
            ),
            np.uint8,
        ).reshape(m, n_bytes)
        for m in (n, data.draw(st.integers(1, 4)))
    )
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), np.bool_)
    radius = data.draw(st.integers(-2, 8 * n_bytes + 1))
    check(
        bitsift.range_search(codes, queries, radius, filter=mask),
        expected(codes, queries, radius, mask),
    )


class TestResult:
    def found(self):
        codes = np.array([[0], [1], [3], [7]], np.uint8)
        return bitsift.range_search(codes, codes[[0, 3]], 2)

    def test_of_gives_the_results_of_a_query(self):
        found = self.found()
        assert found.of(0).ids.tolist() == [0, 1, 2]
        assert found.of(-1).ids.tolist() == [3, 2, 1]
        assert found.of(1).scores.tolist() == [0, 1, 2]
        assert found.of(np.int64(1)).kind == "hamming"
        for number in (2, -3):
            with pytest.raises(IndexError, match="query must be one of 2 queries; got"):
                found.of(number)

    def test_it_never_changes(self):
        with pytest.raises(AttributeError, match="a result never changes"):
            self.found().lims = np.zeros(3)

    def test_a_kind_stays_with_it(self):
        lims, distances, ids = self.found()
        known = bitsift.RangeResult(lims, distances.astype(np.float32), ids, kind="dot")
        assert known._replace(ids=ids + 1).kind == "dot"
        assert known.of(0).kind == "dot"
        assert known.descending is True
        assert bitsift.RangeResult(lims, distances.astype(np.float32), ids).kind is None


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"radius": 0.5}, TypeError, "radius, a number of bits, must be an integer; got float"),
        ({"radius": True}, TypeError, "radius, a number of bits, must be an integer"),
        ({"radius": 2**70}, ValueError, "radius, a number of bits, must be"),
        ({"count_only": 1}, TypeError, "count_only must be True or False; got 1"),
        ({"filter": np.ones(9, bool)}, ValueError, r"filter must have shape \(10,\)"),
        ({"filter": [3]}, TypeError, "filter must be a mask"),
        ({"queries": np.zeros((2, 3), np.uint8)}, ValueError, "queries must have 4 bytes a row"),
        ({"codes": np.zeros(4, np.uint8)}, ValueError, r"codes must have shape \(n, n_bytes\)"),
        ({"isa": "sse"}, ValueError, "isa must be one of"),
        ({"threads": -1}, ValueError, "threads must be"),
    ],
    ids=str,
)
def test_wrong_arguments(rng, arguments, error, words):
    codes = random_codes(rng, 10, 4)
    with pytest.raises(error, match=words):
        bitsift.range_search(**({"codes": codes, "queries": codes[:2], "radius": 3} | arguments))
