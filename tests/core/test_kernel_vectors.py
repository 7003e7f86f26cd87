# SPDX-License-Identifier: Apache-2.0
"""The compiled module gives the expected results that the C++ tests read on every architecture."""

from __future__ import annotations

import numpy as np
import pytest

import bitsift.core.native as native
from golden import make_kernel_vectors as vectors

CASES = vectors.read(vectors.PATH.read_bytes())


def same(got, wanted):
    """Compare bits: a negative zero does not equal zero."""
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    assert got.tobytes() == wanted.tobytes()


def displaced(array, n_bytes):
    """Copy to an address `n_bytes` behind a 64-byte boundary."""
    memory = np.zeros(array.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + n_bytes
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def flat(ids):
    return None if ids is None else ids[0]


def check(case, isa, threads, offset):
    if case.kind == vectors.PACKING:
        values, thresholds, codes, *_ = case.arrays
        if thresholds is None:
            thresholds = np.zeros((1, 1), np.float32)
        kind = np.float64 if values.dtype == np.float64 else np.float32
        row = np.broadcast_to(thresholds, (1, values.shape[1]))[0]
        thresholds = np.ascontiguousarray(row, kind)
        placed = displaced(values, offset * values.itemsize)
        got, finite = native.pack(placed, thresholds, isa, threads)
        same(got, codes)
        assert finite == bool(case.option)
    elif case.kind == vectors.SEARCH:
        codes, queries, ids, distances, rows, *_ = case.arrays
        placed = displaced(codes, offset), displaced(queries, offset)
        got = native.search(*placed, None, k=case.k, ids=flat(ids), isa=isa, threads=threads)
        same(got[0], distances)
        same(got[1], rows.astype(np.int64))
    elif case.kind == vectors.ALL_PAIRS:
        a, b, distances, *_ = case.arrays
        same(native.hamming(displaced(a, offset), displaced(b, offset), isa, threads), distances)
    else:
        originals, queries, candidates, ids, scores, rows = case.arrays
        got = native.rescore(
            displaced(originals, offset * originals.itemsize),
            displaced(queries, offset * queries.itemsize),
            candidates.astype(np.int64),
            k=case.k,
            metric=vectors.METRICS[case.option],
            ids=flat(ids),
            isa=isa,
            threads=threads,
        )
        same(got[0], scores)
        same(got[1], rows.astype(np.int64))


def test_the_file_is_what_the_generator_writes():
    assert vectors.PATH.read_bytes() == vectors.make()


def test_the_file_has_every_kind():
    assert {case.kind for case in CASES} == set(range(4))
    assert len(CASES) > 500


@pytest.mark.parametrize("isa", native.available_isas())
@pytest.mark.parametrize(("threads", "offset"), [(1, 0), (2, 1), (7, 5)])
def test_every_case(isa, threads, offset):
    for case in CASES:
        check(case, isa, threads, offset)
