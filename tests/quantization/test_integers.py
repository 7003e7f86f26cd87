# SPDX-License-Identifier: Apache-2.0
"""Values as small integers, their bytes, and what they stand for."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsift import MinMaxCalibrator, RollingCalibrator
from bitsift.core import blocks
from bitsift.quantization.bounds import as_ranges
from bitsift.quantization.calibrators import default_calibrator
from bitsift.quantization.integers import PRECISIONS
from oracle import integers as reference

NAMES = ["int8", "uint8", "int4", "ternary"]
LINEAR = ["int8", "uint8", "int4"]
LARGEST = float(np.finfo(np.float32).max)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_VALUES", 50)


def some_ranges(rng, dim):
    bounds = np.sort(rng.normal(0, 2, (2, dim)), axis=0)
    return np.stack((bounds[0] - 0.1, bounds[1] + 0.1)).astype(np.float32)


def random_codes(rng, name, shape):
    codes = reference.CODES[name]
    return rng.integers(codes.start, codes.stop, shape).astype(np.int8)


def test_table():
    assert list(PRECISIONS) == NAMES
    told = [(p.name, p.dtype, p.levels) for p in PRECISIONS.values()]
    assert told == [
        ("int8", np.int8, 256),
        ("uint8", np.uint8, 256),
        ("int4", np.uint8, 16),
        ("ternary", np.uint8, 3),
    ]


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("int8", {1: 1, 2: 2, 5: 5, 768: 768}),
        ("uint8", {1: 1, 2: 2, 5: 5, 768: 768}),
        ("int4", {1: 1, 2: 1, 3: 2, 768: 384}),
        ("ternary", {1: 1, 5: 1, 6: 2, 768: 154, 770: 154}),
    ],
)
def test_columns(name, columns):
    assert {dim: PRECISIONS[name].n_columns(dim) for dim in columns} == columns


class TestKnownAnswers:
    # Steps of 1, of 1/4 and of 16 with 256 levels; of 16, of 4 and of 256 with 16 levels.
    ranges = np.array([[-128, 0, -1024], [128, 64, 3072]], np.float32)
    values = np.array([[0, 32, 1024], [-128, 0, -1024], [127, 63.75, 3056], [1e9, 1e9, -1e9]])

    def test_int8(self):
        codes = PRECISIONS["int8"].quantize(self.values, self.ranges)
        assert codes.tolist() == [[0, 0, 0], [-128] * 3, [127] * 3, [127, 127, -128]]
        stored = PRECISIONS["int8"].encode(self.values, self.ranges)
        assert stored.dtype == np.int8
        assert stored.tolist() == codes.tolist()

    def test_uint8(self):
        stored = PRECISIONS["uint8"].encode(self.values, self.ranges)
        assert stored.dtype == np.uint8
        assert stored.tolist() == [[128] * 3, [0] * 3, [255] * 3, [255, 255, 0]]

    def test_int4(self):
        codes = PRECISIONS["int4"].quantize(self.values, self.ranges)
        assert codes.tolist() == [[0, 0, 0], [-8, -8, -8], [7, 7, 7], [7, 7, -8]]
        stored = PRECISIONS["int4"].encode(self.values, self.ranges)
        assert stored.dtype == np.uint8
        assert stored.tolist() == [[0, 0], [0x88, 0x80], [0x77, 0x70], [0x77, 0x80]]

    def test_ternary(self):
        codes = PRECISIONS["ternary"].quantize(self.values, self.ranges)
        assert codes.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 1, -1]]
        stored = PRECISIONS["ternary"].encode(self.values, self.ranges)
        assert stored.dtype == np.uint8
        # digits 11111 and 22011
        assert stored.tolist() == [[121], [121], [121], [2 * 81 + 2 * 27 + 0 * 9 + 3 + 1]]

    def test_values(self):
        stored = np.array([[-128, 0, 127]], np.int8)
        values = PRECISIONS["int8"].decode(stored, self.ranges, 3)
        assert values.dtype == np.float32
        assert values.tolist() == [[-128, 32, 3056]]
        stored = np.array([[0, 128, 255]], np.uint8)
        assert PRECISIONS["uint8"].decode(stored, self.ranges, 3).tolist() == [[-128, 32, 3056]]
        stored = np.array([[0x80, 0x70]], np.uint8)
        assert PRECISIONS["int4"].decode(stored, self.ranges, 3).tolist() == [[-128, 32, 2816]]
        stored = np.array([[0 * 81 + 1 * 27 + 2 * 9 + 3 + 1]], np.uint8)
        assert PRECISIONS["ternary"].decode(stored, self.ranges, 3).tolist() == [[-256, 32, 5120]]

    def test_halves_go_to_the_even_code(self):
        values = np.array([[-1.5], [-0.5], [0.5], [1.5], [2.5]])
        ranges = np.array([[-128], [128]], np.float32)
        codes = PRECISIONS["int8"].quantize(values, ranges)
        assert codes.ravel().tolist() == [-2, 0, 0, 2, 2]

    def test_bounds_themselves_are_within(self):
        lower, upper = np.float32(-0.1), np.float32(0.3)
        ranges = np.array([[lower], [upper]])
        below, above = np.nextafter(lower, np.float32(-1)), np.nextafter(upper, np.float32(1))
        values = np.array([[lower], [upper], [below], [above]])
        assert PRECISIONS["ternary"].quantize(values, ranges).ravel().tolist() == [0, 0, -1, 1]
        wider = np.nextafter(np.array([[lower], [upper]], np.float64), [[-1], [1]])
        assert PRECISIONS["ternary"].quantize(wider, ranges).ravel().tolist() == [-1, 1]


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5, 6, 9, 10, 11, 64, 129])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_codes_are_the_oracles(name, rng, dim, dtype, small_blocks):
    ranges = some_ranges(rng, dim)
    values = rng.normal(0, 3, (13, dim)).astype(dtype)
    codes = PRECISIONS[name].quantize(values, ranges)
    assert codes.dtype == np.int8
    assert codes.tolist() == reference.quantize(name, values, ranges)


@pytest.mark.parametrize("dim", [*range(1, 18), 64, 129])
def test_bytes_are_the_oracles_and_come_back(name, rng, dim):
    codes = random_codes(rng, name, (30, dim))
    stored = PRECISIONS[name].pack(codes)
    assert stored.dtype == PRECISIONS[name].dtype
    assert stored.tolist() == [reference.pack_row(name, row) for row in codes]
    assert PRECISIONS[name].check_stored(stored, dim) is None
    back = PRECISIONS[name].unpack(stored, dim)
    assert back.dtype == np.int8
    np.testing.assert_array_equal(back, codes)


@pytest.mark.parametrize(
    ("name", "a_byte"), [("int8", 1), ("uint8", 1), ("int4", 2), ("ternary", 5)]
)
def test_every_byte(name, a_byte):
    codes = reference.CODES[name]
    grid = np.meshgrid(*[np.array(codes, np.int8)] * a_byte, indexing="ij")
    rows = np.stack([axis.ravel() for axis in grid], axis=1)
    stored = PRECISIONS[name].pack(rows)
    assert len(np.unique(stored)) == len(codes) ** a_byte
    np.testing.assert_array_equal(PRECISIONS[name].unpack(stored, a_byte), rows)


def test_layout_does_not_need_contiguous_rows(name, rng):
    codes = random_codes(rng, name, (20, 14))
    stored = PRECISIONS[name].pack(codes)
    for part in (np.s_[::2], np.s_[::-1]):
        np.testing.assert_array_equal(PRECISIONS[name].pack(codes[part]), stored[part])
        np.testing.assert_array_equal(PRECISIONS[name].unpack(stored[part], 14), codes[part])
    turned = np.asfortranarray(codes)
    np.testing.assert_array_equal(PRECISIONS[name].pack(turned), stored)


@pytest.mark.parametrize("dim", [1, 4, 5, 7, 64])
def test_values_are_the_oracles(name, rng, dim, small_blocks):
    ranges = some_ranges(rng, dim)
    codes = random_codes(rng, name, (13, dim))
    values = PRECISIONS[name].decode(PRECISIONS[name].pack(codes), ranges, dim)
    assert values.dtype == np.float32
    expected = np.array(reference.decode(name, codes, ranges))
    np.testing.assert_allclose(values, expected, rtol=1e-7, atol=1e-7)
    base, step = PRECISIONS[name].affine(ranges)
    assert base.dtype == step.dtype == np.float64
    assert base.shape == step.shape == (dim,)
    np.testing.assert_allclose(base + step * codes, expected, rtol=1e-14, atol=1e-14)


def test_blocks_do_not_show(name, rng, monkeypatch):
    values = rng.normal(0, 1, (40, 11)).astype(np.float32)
    ranges = default_calibrator(name).fit(values).ranges
    stored = PRECISIONS[name].encode(values, ranges)
    decoded = PRECISIONS[name].decode(stored, ranges, 11)
    np.testing.assert_array_equal(
        stored, PRECISIONS[name].pack(PRECISIONS[name].quantize(values, ranges))
    )
    for block_values in (1, 11, 12, 33, 100):
        monkeypatch.setattr(blocks, "_BLOCK_VALUES", block_values)
        assert PRECISIONS[name].encode(values, ranges).tobytes() == stored.tobytes()
        assert PRECISIONS[name].decode(stored, ranges, 11).tobytes() == decoded.tobytes()


def test_no_rows(name):
    ranges = np.array([[-1] * 7, [1] * 7], np.float32)
    stored = PRECISIONS[name].encode(np.empty((0, 7), np.float32), ranges)
    assert stored.shape == (0, PRECISIONS[name].n_columns(7))
    assert stored.dtype == PRECISIONS[name].dtype
    assert PRECISIONS[name].decode(stored, ranges, 7).shape == (0, 7)
    assert PRECISIONS[name].check_stored(stored, 7) is None


FLOAT32 = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)


@pytest.mark.parametrize("name", LINEAR)
@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_law_the_nearest_code_within_the_bounds(name, data):
    bounds = data.draw(hnp.arrays(np.float32, (2, 3), elements=FLOAT32))
    ranges = as_ranges(np.sort(bounds, axis=0))
    share = data.draw(hnp.arrays(np.float64, (4, 3), elements=st.floats(0, 1)))
    lower, upper = ranges.astype(np.float64)
    values = np.clip(lower + share * (upper - lower), lower, upper)
    _, step = PRECISIONS[name].affine(ranges)
    stood_for = (
        PRECISIONS[name]
        .decode(PRECISIONS[name].encode(values, ranges), ranges, 3)
        .astype(np.float64)
    )
    # The last half step below the upper bound, which has no code of its own, is up to one step off.
    reachable = values <= upper - step
    rounding = 1e-7 * np.maximum(np.abs(lower), np.abs(upper))
    error = np.abs(stood_for - values)
    assert (error <= np.where(reachable, step / 2, step) * (1 + 1e-9) + rounding).all()


@settings(deadline=None, max_examples=100)
@given(value=FLOAT32, others=hnp.arrays(np.float32, (5, 2), elements=FLOAT32))
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", [MinMaxCalibrator, lambda: RollingCalibrator(3.0)])
def test_law_a_constant_has_the_middle_code(name, make, value, others):
    rows = np.column_stack((np.full(5, value, np.float32), others))
    ranges = make().fit(rows).ranges
    codes = PRECISIONS[name].quantize(rows, ranges)
    assert (codes[:, 0] == 0).all()
    decoded = PRECISIONS[name].decode(PRECISIONS[name].pack(codes), ranges, 3)[0, 0]
    half = (float(ranges[1, 0]) - float(ranges[0, 0])) / 2
    assert abs(float(decoded) - value) <= 2.0**-23 * (half + abs(value))


@pytest.mark.parametrize("value", [0.0, 0.1, -3.3, 1e-40, 1e30])
def test_constants_alone_stand_for_themselves(name, value):
    rows = np.full((3, 2), value, np.float32)
    ranges = default_calibrator(name).fit(rows).ranges
    decoded = PRECISIONS[name].decode(PRECISIONS[name].encode(rows, ranges), ranges, 2)
    np.testing.assert_array_equal(decoded, rows)


def test_the_ends_of_float32(name):
    ranges = np.array([[-LARGEST], [LARGEST]], np.float32)
    codes = np.array([[min(reference.CODES[name])], [0], [max(reference.CODES[name])]], np.int8)
    values = PRECISIONS[name].decode(PRECISIONS[name].pack(codes), ranges, 1).ravel()
    assert np.isfinite(values).all()
    assert values[0] == np.float32(-LARGEST)
    assert values[1] == 0
    again = PRECISIONS[name].quantize(values[:, np.newaxis].astype(np.float32), ranges)
    assert again.ravel().tolist() == ([0, 0, 0] if name == "ternary" else codes.ravel().tolist())


class TestStoredRows:
    def test_any_byte_is_right(self):
        rows = np.arange(256, dtype=np.uint8).reshape(64, 4)
        assert PRECISIONS["uint8"].check_stored(rows, 4) is None
        assert PRECISIONS["int8"].check_stored(rows.view(np.int8), 4) is None
        assert PRECISIONS["int4"].check_stored(rows, 8) is None

    def test_pad_nibble(self):
        rows = np.zeros((5, 2), np.uint8)
        rows[:, 0] = 0xFF
        rows[1, 1] = 0xF0
        assert PRECISIONS["int4"].check_stored(rows, 3) is None
        rows[3, 1] = 0x01
        found = PRECISIONS["int4"].check_stored(rows, 3)
        assert found == "row 3 has a pad nibble that is not zero"
        assert PRECISIONS["int4"].check_stored(rows, 3, first_row=100) == found.replace("3", "103")
        assert PRECISIONS["int4"].check_stored(rows, 4) is None

    @pytest.mark.parametrize("byte", [243, 255])
    @pytest.mark.parametrize("dim", [10, 8])
    def test_bytes_of_no_codes(self, byte, dim):
        rows = np.full((4, 2), 121, np.uint8)
        assert PRECISIONS["ternary"].check_stored(rows, dim) is None
        rows[2, 0] = byte
        found = PRECISIONS["ternary"].check_stored(rows, dim, first_row=40)
        assert found == f"row 42 has the byte {byte}; five ternary codes give 0 to 242"

    @pytest.mark.parametrize("dim", [1, 2, 3, 4, 5])
    def test_pad_codes(self, dim):
        every = np.arange(243, dtype=np.uint8)[:, np.newaxis]
        for row in every:
            pads = np.base_repr(int(row[0]), 3).zfill(5)[dim:]
            found = PRECISIONS["ternary"].check_stored(row[np.newaxis], dim, first_row=7)
            wanted = None if set(pads) <= {"1"} else "row 7 has a pad code that is not zero"
            assert found == wanted


def test_default_calibrators():
    assert [repr(default_calibrator(name)) for name in NAMES] == [
        "MinMaxCalibrator(not fitted)",
        "MinMaxCalibrator(not fitted)",
        "RollingCalibrator(n_std=3.0, not fitted)",
        "RollingCalibrator(n_std=0.7, not fitted)",
    ]
