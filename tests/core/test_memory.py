# SPDX-License-Identifier: Apache-2.0
"""Rows that searches read begin with a cache line; many of them, with a large page."""

import numpy as np
import pytest

import bitsift
from bitsift.core.memory import aligned_empty

LINE = 64
PAGE = 2 << 20
ROWS = 50_000  # 4.8 MB of codes


def remainder(array, alignment):
    return array.ctypes.data % alignment


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
@pytest.mark.parametrize("shape", [(1,), (3, 7), (1000, 96), (0, 5), (5, 0)])
def test_an_aligned_array_is_an_array_like_any_other(shape, dtype):
    array = aligned_empty(shape, dtype)
    assert (array.shape, array.dtype) == (shape, dtype)
    flags = array.flags
    assert (flags.c_contiguous, flags.writeable, flags.aligned) == (True, True, True)
    array[...] = 1
    assert (array == 1).all()
    if array.size:
        assert remainder(array, LINE) == 0


def test_large_arrays_begin_with_a_large_page():
    assert remainder(aligned_empty((ROWS, 96), np.uint8), PAGE) == 0


def test_codes_of_an_index_are_aligned_wherever_they_come_from(tmp_path):
    codes = np.random.default_rng(1).integers(0, 256, (ROWS, 96), np.uint8)
    added = bitsift.Index(768, store=None)
    for begin in range(0, ROWS, 17_000):
        added.add(codes[begin : begin + 17_000])
    reserved = bitsift.Index(768, store=None)
    reserved.reserve(ROWS)
    reserved.add(codes)
    added.save(tmp_path / "index")
    loaded = bitsift.Index.load(tmp_path / "index")
    for index in (added, reserved, loaded):
        assert remainder(index.codes, PAGE) == 0
        assert np.array_equal(index.codes, codes)
    small = bitsift.Index(768, store=None)
    small.add(codes[:10])
    assert remainder(small.codes, LINE) == 0
