# SPDX-License-Identifier: Apache-2.0
"""More than 2**31 rows or bytes. Zeros that are never written share a page of memory."""

import numpy as np
import pytest

import bitsift
import bitsift.core.native as native

pytestmark = pytest.mark.large

BEYOND = 2**31 + 12_345


@pytest.mark.parametrize("n_queries", [1, 4])
def test_rows_beyond_2_to_the_31(n_queries):
    codes = np.zeros((BEYOND, 1), np.uint8)
    near = np.array([3, 2**31 - 1, 2**31, BEYOND - 1])
    codes[near] = 0xFF
    queries = np.full((n_queries, 1), 0xFF, np.uint8)
    distances, rows = bitsift.search(codes, queries, 6)
    for i in range(n_queries):
        assert rows[i].tolist() == [*near.tolist(), 0, 1]
        assert distances[i].tolist() == [0, 0, 0, 0, 8, 8]


@pytest.mark.parametrize("n_queries", [1, 4])
def test_bytes_beyond_2_to_the_32(n_queries):
    n_bytes = 4096
    n = 2**32 // n_bytes + 100
    codes = np.zeros((n, n_bytes), np.uint8)
    near = np.array([2**31 // n_bytes, n - 60, n - 1])
    codes[near] = 0xFF
    queries = np.full((n_queries, n_bytes), 0xFF, np.uint8)
    distances, rows = bitsift.search(codes, queries, 4)
    for i in range(n_queries):
        assert rows[i].tolist() == [*near.tolist(), 0]
        assert distances[i].tolist() == [0, 0, 0, 8 * n_bytes]


def test_all_pairs_beyond_2_to_the_31_bytes():
    n = 23_200
    a, b = np.zeros((n, 1), np.uint8), np.zeros((n, 1), np.uint8)
    a[-1] = 0xFF
    b[-2] = 0x0F
    distances = bitsift.hamming(a, b)
    assert distances.nbytes > 2**31
    assert distances[-1, -3:].tolist() == [8, 4, 8]
    assert (distances[:-1, -2] == 4).all()
    assert not distances[:-1, :-2].any()


def test_pack_beyond_2_to_the_32_bytes():
    x = np.zeros((2**32 // 4096 + 3, 1024), np.float32)
    x[-1, -1] = 1
    x[2**31 // 4096, 5] = 1
    codes = bitsift.pack(x)
    assert np.flatnonzero(codes.any(axis=1)).tolist() == [2**31 // 4096, len(x) - 1]
    assert codes[-1, -1] == 1


def test_rescoring_rows_beyond_2_to_the_32_bytes():
    originals = np.zeros((2**32 // 4096 + 3, 1024), np.float32)
    near = np.array([[2**31 // 4096, len(originals) - 1, 0]])
    originals[near[0, :2], 7] = 1, 2
    query = np.zeros((1, 1024), np.float32)
    query[0, 7] = 3
    isa = bitsift.Index(8).isa
    scores, rows = native.rescore(
        originals, query, near, k=3, metric="dot", ids=None, isa=isa, threads=0
    )
    assert rows[0].tolist() == [near[0, 1], near[0, 0], 0]
    assert scores[0].tolist() == [6, 3, 0]
