# SPDX-License-Identifier: Apache-2.0
"""Floats to bits, exactly as NumPy compares and packs."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsift
from oracle import reference

DIMS = [1, 2, 7, 8, 9, 15, 16, 31, 63, 64, 65, 127, 128, 129, 384, 768, 1000, 65_535, 65_536]
FLOATS = [np.float16, np.float32, np.float64]


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_sign(isa, rng, dim, dtype):
    x = rng.standard_normal((5, dim)).astype(dtype)
    x[rng.random(x.shape) < 0.1] = 0.0
    x[rng.random(x.shape) < 0.1] = -0.0
    np.testing.assert_array_equal(bitsift.pack(x, isa=isa), reference.pack(x))


@pytest.mark.parametrize("dim", DIMS)
def test_bool(isa, rng, dim):
    x = rng.random((5, dim)) < 0.5
    np.testing.assert_array_equal(bitsift.pack(x, isa=isa), np.packbits(x, axis=1))


def test_bool_of_any_nonzero_byte(isa):
    x = np.arange(256, dtype=np.uint8).view(bool).reshape(4, 64)
    np.testing.assert_array_equal(
        bitsift.pack(x, isa=isa), np.packbits(x.view(np.uint8) != 0, axis=1)
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("threshold_dtype", [*FLOATS, np.int32])
@pytest.mark.parametrize("dim", [1, 63, 200])
def test_threshold_for_each_dimension(isa, rng, dtype, threshold_dtype, dim):
    x = rng.integers(-3, 3, (7, dim)).astype(dtype)
    threshold = rng.integers(-3, 3, dim).astype(threshold_dtype)
    np.testing.assert_array_equal(bitsift.pack(x, threshold, isa=isa), reference.pack(x, threshold))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "threshold", [0.1, -0.1, 1, 1e-9, 1e30, -1e30, -np.finfo(float).max, np.float64(0.1)]
)
def test_threshold_is_compared_as_numpy_compares(isa, dtype, threshold):
    near = np.array([threshold]).astype(np.float64)
    with np.errstate(over="ignore", under="ignore"):
        values = near.astype(dtype)
        around = np.stack(
            [np.nextafter(values, dtype(-1e4)), values, np.nextafter(values, dtype(1e4))]
        )
    x = around[np.isfinite(around)][np.newaxis]
    if isinstance(threshold, np.float64):  # an array keeps its type in every release of NumPy
        threshold = np.full(x.shape[1], threshold)
    with np.errstate(over="ignore"):
        expected = reference.pack(x, threshold)
    np.testing.assert_array_equal(bitsift.pack(x, threshold, isa=isa), expected)


@pytest.mark.parametrize("dtype", [*FLOATS, bool])
@pytest.mark.parametrize("offset", range(8))
def test_any_alignment_and_stride(isa, rng, dtype, offset):
    size = np.dtype(dtype).itemsize
    raw = np.zeros(40 * size * 60 + offset, np.uint8)
    x = (
        raw[offset:].view(dtype).reshape(40, 60)
        if offset % size == 0
        else np.frombuffer(raw.data, dtype, count=40 * 60, offset=offset).reshape(40, 60)
    )
    x[:] = rng.random(x.shape) < 0.5
    expected = reference.pack(x, 0.5) if dtype is not bool else np.packbits(x, axis=1)
    for view, want in [
        (x, expected),
        (x[::-1], expected[::-1]),
        (x[::3], expected[::3]),
        (x[:, ::-1], np.packbits(x[:, ::-1] > 0.5, axis=1)),
        (x.T, np.packbits(x.T > 0.5, axis=1)),
        (x[:, 3:50], np.packbits(x[:, 3:50] > 0.5, axis=1)),
        (np.broadcast_to(x[0], (3, 60)), np.repeat(expected[:1], 3, axis=0)),
    ]:
        np.testing.assert_array_equal(bitsift.pack(view, 0.5, isa=isa), want)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), dtype=st.sampled_from(FLOATS))
def test_law_pack_is_packbits(data, dtype):
    shape = data.draw(st.tuples(st.integers(0, 4), st.integers(1, 200)))
    width = np.dtype(dtype).itemsize * 8
    floats = st.floats(allow_nan=False, allow_infinity=False, width=width)
    x = data.draw(hnp.arrays(dtype, shape, elements=floats))
    threshold = data.draw(floats)
    expected = reference.pack(x, threshold)
    for isa in bitsift.available_isas():
        np.testing.assert_array_equal(bitsift.pack(x, threshold, isa=isa), expected)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 5), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_law_unpack_inverts_pack(n, dim, seed):
    bits = np.random.default_rng(seed).integers(0, 2, (n, dim), dtype=np.uint8)
    np.testing.assert_array_equal(bitsift.unpack(bitsift.pack(bits.astype(bool)), dim), bits)


def test_the_number_of_threads_changes_nothing(rng):
    x = rng.standard_normal((9_000, 300), dtype=np.float32)
    one = bitsift.pack(x, threads=1)
    for threads in (2, 7):
        assert bitsift.pack(x, threads=threads).tobytes() == one.tobytes()


def test_one_vector_gives_one_code():
    assert bitsift.pack([1.0, -1.0]).tolist() == [128]
    assert bitsift.unpack(np.array([128], np.uint8), 2).tolist() == [1, 0]


def test_no_vectors():
    assert bitsift.pack(np.zeros((0, 20))).shape == (0, 3)
    assert bitsift.unpack(np.zeros((0, 3), np.uint8), 20).shape == (0, 20)


def test_big_endian_and_read_only(rng):
    x = rng.standard_normal((3, 70))
    swapped = x.astype(">f8")
    swapped.flags.writeable = False
    np.testing.assert_array_equal(bitsift.pack(swapped), reference.pack(x))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 63, 64, 99])
def test_non_finite_is_refused_and_found(isa, dtype, bad, place):
    x = np.zeros((4, 100), dtype)
    x[2, place] = bad
    with pytest.raises(ValueError, match=f"x must be finite; row 2, dimension {place} is {bad}"):
        bitsift.pack(x, isa=isa)
