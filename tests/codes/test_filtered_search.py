# SPDX-License-Identifier: Apache-2.0
"""A search of some rows finds what a search of these rows alone finds."""

import numpy as np
import pytest

import bitsift
from oracle import reference


def random_codes(rng, n, n_bytes):
    return rng.integers(0, 256, (n, n_bytes), dtype=np.uint8)


def expected(codes, queries, k, mask):
    rows = np.flatnonzero(mask)
    distances, found = reference.search(codes[mask], queries, k)
    return distances, rows[found]


@pytest.mark.parametrize("n_bytes", [1, 8, 33, 96])
@pytest.mark.parametrize("share", [0.0, 0.003, 0.1, 0.5, 0.97, 1.0])
def test_one_mask(isa, rng, n_bytes, share):
    codes, mask = random_codes(rng, 3001, n_bytes), rng.random(3001) < share
    for n_queries in (1, 2, 17):
        queries = random_codes(rng, n_queries, n_bytes)
        for k in (0, 1, 10, 300, 5000):
            for threads in (1, 3):
                found = bitsift.search(codes, queries, k, filter=mask, isa=isa, threads=threads)
                distances, rows = expected(codes, queries, min(k, mask.sum()), mask)
                np.testing.assert_array_equal(found.ids, rows)
                np.testing.assert_array_equal(found.scores, distances)
                assert found.ids.dtype == np.int64
                assert found.kind == "hamming"


def test_more_rows_than_a_page_of_a_mask_has(isa, rng):
    codes, queries = random_codes(rng, 200_003, 2), random_codes(rng, 3, 2)
    for mask in (rng.random(len(codes)) < 0.02, np.arange(len(codes)) > 131_000):
        found = bitsift.search(codes, queries, 20, filter=mask, isa=isa)
        np.testing.assert_array_equal(found.ids, expected(codes, queries, 20, mask)[1])


def test_a_mask_for_each_query(rng):
    codes, queries = random_codes(rng, 500, 8), random_codes(rng, 4, 8)
    masks = rng.random((4, 500)) < np.array([[0.5], [0.0], [0.01], [1.0]])
    found = bitsift.search(codes, queries, 10, filter=masks)
    assert found.ids.shape == (4, 10)
    for i, mask in enumerate(masks):
        distances, rows = expected(codes, queries[i : i + 1], min(10, mask.sum()), mask)
        n = rows.shape[1]
        np.testing.assert_array_equal(found.ids[i, :n], rows[0])
        np.testing.assert_array_equal(found.scores[i, :n], distances[0])
        assert (found.ids[i, n:] == -1).all()
        assert (found.scores[i, n:] == np.iinfo(np.int32).max).all()


def test_layouts(rng):
    codes, mask = random_codes(rng, 400, 16), rng.random(400) < 0.3
    wide = np.repeat(mask, 2)[::2]
    for some_codes, some_mask in (
        (codes[::2], mask[::2]),
        (codes[::-1], mask[::-1]),
        (codes, wide),
    ):
        found = bitsift.search(some_codes, codes[0], 5, filter=some_mask)
        np.testing.assert_array_equal(
            found.ids, expected(some_codes, codes[:1], 5, some_mask)[1][0]
        )
    assert bitsift.search(codes, codes[0], 5, filter=mask.tolist()).ids.shape == (5,)
    assert bitsift.search(codes, codes[:0], 5, filter=mask).ids.shape == (0, 5)
    assert bitsift.search(codes[:0], codes[:2], 5, filter=mask[:0]).ids.shape == (2, 0)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (np.ones(9, np.bool_), ValueError, r"filter must have shape \(10,\), or \(2, 10\)"),
        (np.ones((3, 10), np.bool_), ValueError, r"got shape \(3, 10\)"),
        (np.ones(10, np.uint8), TypeError, "filter must be a mask.* got uint8"),
        ([1, 2], TypeError, "filter must be a mask.* got int64"),
        ("mask", TypeError, "filter must be a mask"),
    ],
    ids=str,
)
def test_what_is_no_mask_is_refused(rng, wrong, error, words):
    codes = random_codes(rng, 10, 4)
    with pytest.raises(error, match=words):
        bitsift.search(codes, codes[:2], 3, filter=wrong)
