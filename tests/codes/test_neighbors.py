# SPDX-License-Identifier: Apache-2.0
"""Top-k and all pairs by Hamming distance, equal to the oracle bit for bit."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsift
import bitsift.core.native as native
from bitsift.core import arguments
from oracle import reference

WIDTHS = [1, 2, 3, 7, 8, 9, 13, 16, 31, 32, 33, 48, 63, 64, 65, 96, 97, 130, 249, 520]


def random_codes(rng, n, n_bytes):
    return rng.integers(0, 256, (n, n_bytes), dtype=np.uint8)


def assert_equals_oracle(result, expected):
    np.testing.assert_array_equal(result[0], expected[0])
    np.testing.assert_array_equal(result[1], expected[1])
    assert result[0].dtype == np.int32
    assert result[1].dtype == np.int64


@pytest.mark.parametrize("n_bytes", WIDTHS)
@pytest.mark.parametrize("n_queries", [1, 3, 4, 9])
def test_search(isa, rng, n_bytes, n_queries):
    codes = random_codes(rng, 301, n_bytes)
    queries = random_codes(rng, n_queries, n_bytes)
    for k in (1, 10, 64, 300, 301, 350):
        assert_equals_oracle(
            bitsift.search(codes, queries, k, isa=isa), reference.search(codes, queries, k)
        )


@pytest.mark.parametrize("n_bytes", [4096, 8191, 8192])
def test_longest_codes(isa, rng, n_bytes):
    codes = random_codes(rng, 37, n_bytes)
    codes[5] = ~codes[4]  # the largest distance there is
    queries = codes[4:9]
    for part in (queries, queries[:1]):
        assert_equals_oracle(
            bitsift.search(codes, part, 37, isa=isa), reference.search(codes, part, 37)
        )


@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 31, 33])
@pytest.mark.parametrize("n_queries", [0, 1, 5, 300])
def test_edge_sizes(isa, rng, n, n_queries):
    codes = random_codes(rng, n, 12)
    queries = random_codes(rng, n_queries, 12)
    for k in (0, 1, n, n + 3):
        assert_equals_oracle(
            bitsift.search(codes, queries, k, isa=isa), reference.search(codes, queries, k)
        )


@pytest.mark.parametrize("n_queries", [1, 6])
def test_ties_go_to_the_smaller_row(isa, n_queries):
    codes = np.zeros((5_000, 3), np.uint8)
    queries = np.zeros((n_queries, 3), np.uint8)
    for k in (1, 10, 100, 4_999):
        found = bitsift.search(codes, queries, k, isa=isa)
        np.testing.assert_array_equal(found.ids, np.tile(np.arange(k), (n_queries, 1)))


@pytest.mark.parametrize("n_queries", [1, 6])
@pytest.mark.parametrize("order", ["random", "descending"])
def test_ties_go_to_the_smaller_id(isa, rng, n_queries, order):
    n = 3_000
    codes = rng.integers(0, 2, (n, 1), dtype=np.uint8)  # two values: ties everywhere
    queries = rng.integers(0, 2, (n_queries, 1), dtype=np.uint8)
    ids = rng.permutation(n) * 7 if order == "random" else np.arange(n)[::-1] * 2**40
    ids = np.ascontiguousarray(ids, np.int64)
    for k, threads in itertools.product((1, 10, 1_000, n), (1, 2, 7)):
        assert_equals_oracle(
            native.search(codes, queries, None, k=k, ids=ids, isa=isa, threads=threads),
            reference.search(codes, queries, k, ids),
        )


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_any_order_of_arrival(isa, order):
    # Codes in order of falling distance: each one enters the top k.
    n = 2_000
    codes = bitsift.pack(np.arange(n)[:, np.newaxis] > np.arange(n)[np.newaxis])
    codes = codes if order == "ascending" else codes[::-1]
    query = np.zeros((1, codes.shape[1]), np.uint8)
    for k in (1, 31, 33, 500):
        assert_equals_oracle(
            bitsift.search(codes, query, k, isa=isa), reference.search(codes, query, k)
        )


@pytest.mark.parametrize("n_bytes", [5, 48, 96])
@pytest.mark.parametrize("offset", range(1, 9))
def test_any_alignment_and_stride(isa, rng, n_bytes, offset):
    memory = rng.integers(0, 256, (90, n_bytes + 20), dtype=np.uint8)
    codes = memory[:, offset : offset + n_bytes]
    queries = memory[::9, 20 - offset : 20 - offset + n_bytes]
    for view in (codes, codes[::-1], codes[::4], np.broadcast_to(codes[3], codes.shape)):
        assert np.shares_memory(view, memory)
        for part in (queries, queries[:2]):
            assert_equals_oracle(
                bitsift.search(view, part, 11, isa=isa), reference.search(view, part, 11)
            )
            np.testing.assert_array_equal(
                bitsift.hamming(part, view, isa=isa), reference.hamming(part, view)
            )


def test_columns_that_are_not_contiguous_are_copied(rng):
    codes = np.asfortranarray(random_codes(rng, 50, 6))
    assert_equals_oracle(bitsift.search(codes, codes[:5], 3), reference.search(codes, codes[:5], 3))


@pytest.mark.parametrize("n_bytes", WIDTHS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (5, 17), (300, 33), (0, 3), (3, 0)])
def test_hamming(isa, rng, n_bytes, shape):
    a, b = (random_codes(rng, n, n_bytes) for n in shape)
    distances = bitsift.hamming(a, b, isa=isa)
    np.testing.assert_array_equal(distances, reference.hamming(a, b))
    assert distances.dtype == np.int32


def test_hamming_of_single_codes(rng):
    a, b = random_codes(rng, 3, 9), random_codes(rng, 4, 9)
    expected = reference.hamming(a, b)
    np.testing.assert_array_equal(bitsift.hamming(a[1], b), expected[1])
    np.testing.assert_array_equal(bitsift.hamming(a, b[2]), expected[:, 2])
    assert int(bitsift.hamming(a[1], b[2])) == expected[1, 2]


def test_single_query_gives_single_result(rng):
    codes = random_codes(rng, 30, 5)
    one = bitsift.search(codes, codes[3], 4)
    many = bitsift.search(codes, codes[3:4], 4)
    assert one.scores.shape == one.ids.shape == (4,)
    np.testing.assert_array_equal(one.ids, many.ids[0])


@pytest.mark.parametrize("n_queries", [1, 2, 5, 300])
@pytest.mark.parametrize("n", [100, 60_000])
def test_the_number_of_threads_changes_nothing(isa, rng, n, n_queries):
    codes = rng.integers(0, 4, (n, 24), dtype=np.uint8)  # few distances: many ties
    queries = rng.integers(0, 4, (n_queries, 24), dtype=np.uint8)
    for k in (1, 10, 200):
        results = [
            bitsift.search(codes, queries, k, isa=isa, threads=threads) for threads in (1, 2, 7)
        ]
        for other in results[1:]:
            assert other.scores.tobytes() == results[0].scores.tobytes()
            assert other.ids.tobytes() == results[0].ids.tobytes()
    part = slice(0, 3)
    assert_equals_oracle(
        [array[part] for array in results[0]], reference.search(codes, queries[part], 200)
    )


def test_the_number_of_threads_changes_no_distance(rng):
    a, b = random_codes(rng, 300, 10), random_codes(rng, 3_000, 10)
    one = bitsift.hamming(a, b, threads=1)
    for threads in (2, 7):
        assert bitsift.hamming(a, b, threads=threads).tobytes() == one.tobytes()


@pytest.mark.parametrize("n_queries", [1, 5])
def test_memmap_is_searched_where_it_lies(tmp_path, rng, n_queries):
    codes = random_codes(rng, 500, 40)
    np.save(tmp_path / "codes.npy", codes)
    mapped = np.load(tmp_path / "codes.npy", mmap_mode="r")
    for array in (mapped, mapped[::-3], mapped[:, 3:20]):
        assert np.shares_memory(arguments.parse_codes(array, "codes").rows, mapped)
    queries = codes[:n_queries]
    assert_equals_oracle(bitsift.search(mapped, queries, 7), reference.search(codes, queries, 7))


@settings(deadline=None, max_examples=80)
@given(
    n=st.integers(0, 70),
    n_queries=st.integers(0, 9),
    n_bytes=st.integers(1, 70),
    k=st.integers(0, 80),
    values=st.sampled_from([2, 256]),
    seed=st.integers(0, 2**32 - 1),
)
def test_law_every_level_equals_the_oracle(n, n_queries, n_bytes, k, values, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, values, (n, n_bytes), dtype=np.uint8)
    queries = rng.integers(0, values, (n_queries, n_bytes), dtype=np.uint8)
    expected = reference.search(codes, queries, k)
    for isa in bitsift.available_isas():
        assert_equals_oracle(bitsift.search(codes, queries, k, isa=isa), expected)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_law_hamming_is_a_metric(n, n_bytes, seed):
    codes = np.random.default_rng(seed).integers(0, 256, (n, n_bytes), dtype=np.uint8)
    distances = bitsift.hamming(codes, codes)
    assert (np.diag(distances) == 0).all()
    assert (distances == distances.T).all()
    through = distances[:, :, np.newaxis] + distances[np.newaxis, :, :]
    assert (distances <= through.min(axis=1)).all()
