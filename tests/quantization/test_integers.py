# SPDX-License-Identifier: Apache-2.0
"""Values to small integers, their bytes, and back to values."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import strategies as st

from bitsift import MinMaxCalibrator, RollingCalibrator
from bitsift.core import blocks
from bitsift.quantization.bounds import as_ranges
from bitsift.quantization.calibrators import default_calibrator
from bitsift.quantization.integers import INTEGER_CODECS
from helpers.laws import few_or_many, try_law
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


def quantized(name, values, ranges):
    """The integers that values are encoded as."""
    codec = INTEGER_CODECS[name]
    return codec.unpack(codec.encode(values, ranges), values.shape[1])


def packed(name, codes):
    """Integers as they are stored: encoded as values, with a step of 1."""
    half = 0.5 if name == "ternary" else reference.LEVELS[name] // 2
    ranges = np.repeat(np.array([[-half], [half]], np.float32), codes.shape[1], axis=1)
    return INTEGER_CODECS[name].encode(codes.astype(np.float32), ranges)


def test_table():
    assert list(INTEGER_CODECS) == NAMES
    told = [(p.name, p.dtype, p.n_steps) for p in INTEGER_CODECS.values()]
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
    assert {dim: INTEGER_CODECS[name].n_columns(dim) for dim in columns} == columns


class TestKnownAnswers:
    # Steps of 1, of 1/4 and of 16 with 256 steps; of 16, of 4 and of 256 with 16 steps.
    ranges = np.array([[-128, 0, -1024], [128, 64, 3072]], np.float32)
    values = np.array([[0, 32, 1024], [-128, 0, -1024], [127, 63.75, 3056], [1e9, 1e9, -1e9]])

    def test_int8(self):
        codes = quantized("int8", self.values, self.ranges)
        assert codes.tolist() == [[0, 0, 0], [-128] * 3, [127] * 3, [127, 127, -128]]
        stored = INTEGER_CODECS["int8"].encode(self.values, self.ranges)
        assert stored.dtype == np.int8
        assert stored.tolist() == codes.tolist()

    def test_uint8(self):
        stored = INTEGER_CODECS["uint8"].encode(self.values, self.ranges)
        assert stored.dtype == np.uint8
        assert stored.tolist() == [[128] * 3, [0] * 3, [255] * 3, [255, 255, 0]]

    def test_int4(self):
        codes = quantized("int4", self.values, self.ranges)
        assert codes.tolist() == [[0, 0, 0], [-8, -8, -8], [7, 7, 7], [7, 7, -8]]
        stored = INTEGER_CODECS["int4"].encode(self.values, self.ranges)
        assert stored.dtype == np.uint8
        assert stored.tolist() == [[0, 0], [0x88, 0x80], [0x77, 0x70], [0x77, 0x80]]

    def test_ternary(self):
        codes = quantized("ternary", self.values, self.ranges)
        assert codes.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 1, -1]]
        stored = INTEGER_CODECS["ternary"].encode(self.values, self.ranges)
        assert stored.dtype == np.uint8
        # digits 11111 and 22011
        assert stored.tolist() == [[121], [121], [121], [2 * 81 + 2 * 27 + 0 * 9 + 3 + 1]]

    def test_values(self):
        stored = np.array([[-128, 0, 127]], np.int8)
        values = INTEGER_CODECS["int8"].decode(stored, self.ranges, 3)
        assert values.dtype == np.float32
        assert values.tolist() == [[-128, 32, 3056]]
        stored = np.array([[0, 128, 255]], np.uint8)
        assert INTEGER_CODECS["uint8"].decode(stored, self.ranges, 3).tolist() == [[-128, 32, 3056]]
        stored = np.array([[0x80, 0x70]], np.uint8)
        assert INTEGER_CODECS["int4"].decode(stored, self.ranges, 3).tolist() == [[-128, 32, 2816]]
        stored = np.array([[0 * 81 + 1 * 27 + 2 * 9 + 3 + 1]], np.uint8)
        assert INTEGER_CODECS["ternary"].decode(stored, self.ranges, 3).tolist() == [
            [-256, 32, 5120]
        ]

    def test_halves_go_to_the_even_code(self):
        values = np.array([[-1.5], [-0.5], [0.5], [1.5], [2.5]])
        ranges = np.array([[-128], [128]], np.float32)
        codes = quantized("int8", values, ranges)
        assert codes.ravel().tolist() == [-2, 0, 0, 2, 2]

    def test_bounds_themselves_are_within(self):
        lower, upper = np.float32(-0.1), np.float32(0.3)
        ranges = np.array([[lower], [upper]])
        below, above = np.nextafter(lower, np.float32(-1)), np.nextafter(upper, np.float32(1))
        values = np.array([[lower], [upper], [below], [above]])
        assert quantized("ternary", values, ranges).ravel().tolist() == [0, 0, -1, 1]
        wider = np.nextafter(np.array([[lower], [upper]], np.float64), [[-1], [1]])
        assert quantized("ternary", wider, ranges).ravel().tolist() == [-1, 1]


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5, 6, 9, 10, 11, 64, 129])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_codes_are_the_oracles(name, rng, dim, dtype, small_blocks):
    ranges = some_ranges(rng, dim)
    values = rng.normal(0, 3, (13, dim)).astype(dtype)
    codes = quantized(name, values, ranges)
    assert codes.dtype == np.int8
    assert codes.tolist() == reference.quantize(name, values, ranges)
    np.testing.assert_array_equal(codes, reference.quantize_array(name, values, ranges))


@pytest.mark.parametrize("dim", [*range(1, 18), 64, 129])
def test_bytes_are_the_oracles_and_come_back(name, rng, dim):
    codes = random_codes(rng, name, (30, dim))
    stored = packed(name, codes)
    assert stored.dtype == INTEGER_CODECS[name].dtype
    assert stored.tolist() == [reference.pack_row(name, row) for row in codes]
    assert INTEGER_CODECS[name].check_stored(stored, dim) is None
    back = INTEGER_CODECS[name].unpack(stored, dim)
    assert back.dtype == np.int8
    np.testing.assert_array_equal(back, codes)


@pytest.mark.parametrize(
    ("name", "a_byte"), [("int8", 1), ("uint8", 1), ("int4", 2), ("ternary", 5)]
)
def test_every_byte(name, a_byte):
    codes = reference.CODES[name]
    grid = np.meshgrid(*[np.array(codes, np.int8)] * a_byte, indexing="ij")
    rows = np.stack([axis.ravel() for axis in grid], axis=1)
    stored = packed(name, rows)
    assert len(np.unique(stored)) == len(codes) ** a_byte
    np.testing.assert_array_equal(INTEGER_CODECS[name].unpack(stored, a_byte), rows)


def test_rows_may_be_any_distance_apart(name, rng):
    codes = random_codes(rng, name, (20, 14))
    stored = packed(name, codes)
    for part in (np.s_[::2], np.s_[::-1]):
        np.testing.assert_array_equal(INTEGER_CODECS[name].unpack(stored[part], 14), codes[part])
    values, ranges = rng.standard_normal((20, 14)), some_ranges(rng, 14)
    stored = INTEGER_CODECS[name].encode(values, ranges)
    for part in (np.s_[::2], np.s_[::-1]):
        same = INTEGER_CODECS[name].encode(values[part], ranges)
        np.testing.assert_array_equal(same, stored[part])


@pytest.mark.parametrize("dim", [1, 4, 5, 7, 64])
def test_values_are_the_oracles(name, rng, dim, small_blocks):
    ranges = some_ranges(rng, dim)
    codes = random_codes(rng, name, (13, dim))
    values = INTEGER_CODECS[name].decode(packed(name, codes), ranges, dim)
    assert values.dtype == np.float32
    expected = np.array(reference.decode(name, codes, ranges))
    np.testing.assert_allclose(values, expected, rtol=1e-7, atol=1e-7)
    base, step = INTEGER_CODECS[name].affine(ranges)
    assert base.dtype == step.dtype == np.float64
    assert base.shape == step.shape == (dim,)
    np.testing.assert_allclose(base + step * codes, expected, rtol=1e-14, atol=1e-14)


def test_the_size_of_a_block_changes_nothing(name, rng, monkeypatch):
    values = rng.normal(0, 1, (40, 11)).astype(np.float32)
    ranges = default_calibrator(name).fit(values).ranges
    stored = INTEGER_CODECS[name].encode(values, ranges)
    decoded = INTEGER_CODECS[name].decode(stored, ranges, 11)
    np.testing.assert_array_equal(
        stored, packed(name, reference.quantize_array(name, values, ranges))
    )
    for block_values in (1, 11, 12, 33, 100):
        monkeypatch.setattr(blocks, "_BLOCK_VALUES", block_values)
        assert INTEGER_CODECS[name].encode(values, ranges).tobytes() == stored.tobytes()
        assert INTEGER_CODECS[name].decode(stored, ranges, 11).tobytes() == decoded.tobytes()


def test_no_rows(name):
    ranges = np.array([[-1] * 7, [1] * 7], np.float32)
    stored = INTEGER_CODECS[name].encode(np.empty((0, 7), np.float32), ranges)
    assert stored.shape == (0, INTEGER_CODECS[name].n_columns(7))
    assert stored.dtype == INTEGER_CODECS[name].dtype
    assert INTEGER_CODECS[name].decode(stored, ranges, 7).shape == (0, 7)
    assert INTEGER_CODECS[name].check_stored(stored, 7) is None


FLOAT32 = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@few_or_many(15, 150)
def test_law_the_compiled_encoder_is_the_formula(name, dtype, n_examples):
    def law(data) -> None:
        largest = 2.0**15 if dtype == np.float16 else 2.0**100
        elements = st.floats(-largest, largest, width=32)
        ranges = as_ranges(
            np.sort(data.draw(hnp.arrays(np.float32, (2, 3), elements=elements)), axis=0)
        )
        lower, upper = ranges.astype(np.float64)
        # Halfway between two integers, and the nearest values of this type on both sides of that.
        halves = data.draw(hnp.arrays(np.int64, (2, 3), elements=st.integers(-5, 521)))
        with np.errstate(over="ignore"):  # float16; infinities are left out below
            middle = (lower + halves * (upper - lower) / 512).astype(dtype)
            above, below = (np.nextafter(middle, dtype(sign * np.inf)) for sign in (1, -1))
            bounds = ranges.astype(dtype)
        width = 8 * np.dtype(dtype).itemsize
        elements = st.floats(-largest, largest, width=width)
        others = data.draw(hnp.arrays(dtype, (2, 3), elements=elements))
        values = np.concatenate((middle, above, below, others, bounds))
        values = np.where(np.isfinite(values.astype(np.float32)), values, dtype(0))
        expected = reference.quantize_array(name, values, ranges)
        np.testing.assert_array_equal(quantized(name, values, ranges), expected)
        stored = INTEGER_CODECS[name].encode(values, ranges)
        assert stored.tolist() == [reference.pack_row(name, row) for row in expected]

    try_law(law, n_examples, data=st.data())


@few_or_many(30, 100)
@pytest.mark.parametrize("name", LINEAR)
def test_law_the_nearest_code_within_the_bounds(name, n_examples):
    def law(data) -> None:
        bounds = data.draw(hnp.arrays(np.float32, (2, 3), elements=FLOAT32))
        ranges = as_ranges(np.sort(bounds, axis=0))
        share = data.draw(hnp.arrays(np.float64, (4, 3), elements=st.floats(0, 1)))
        lower, upper = ranges.astype(np.float64)
        values = np.clip(lower + share * (upper - lower), lower, upper)
        _, step = INTEGER_CODECS[name].affine(ranges)
        stood_for = (
            INTEGER_CODECS[name]
            .decode(INTEGER_CODECS[name].encode(values, ranges), ranges, 3)
            .astype(np.float64)
        )
        # The last half step below the upper bound has no code of its own: it is up to a step off.
        reachable = values <= upper - step
        rounding = 1e-7 * np.maximum(np.abs(lower), np.abs(upper))
        error = np.abs(stood_for - values)
        assert (error <= np.where(reachable, step / 2, step) * (1 + 1e-9) + rounding).all()

    try_law(law, n_examples, data=st.data())


@few_or_many(30, 100)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", [MinMaxCalibrator, lambda: RollingCalibrator(3.0)])
def test_law_a_constant_has_the_middle_code(name, make, n_examples):
    def law(value, others) -> None:
        rows = np.column_stack((np.full(5, value, np.float32), others))
        ranges = make().fit(rows).ranges
        codes = quantized(name, rows, ranges)
        assert (codes[:, 0] == 0).all()
        decoded = INTEGER_CODECS[name].decode(packed(name, codes), ranges, 3)[0, 0]
        half = (float(ranges[1, 0]) - float(ranges[0, 0])) / 2
        assert abs(float(decoded) - value) <= 2.0**-23 * (half + abs(value))

    others = hnp.arrays(np.float32, (5, 2), elements=FLOAT32)
    try_law(law, n_examples, value=FLOAT32, others=others)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.3, 1e-40, 1e30])
def test_constants_alone_stand_for_themselves(name, value):
    rows = np.full((3, 2), value, np.float32)
    ranges = default_calibrator(name).fit(rows).ranges
    decoded = INTEGER_CODECS[name].decode(INTEGER_CODECS[name].encode(rows, ranges), ranges, 2)
    np.testing.assert_array_equal(decoded, rows)


def test_the_ends_of_float32(name):
    ranges = np.array([[-LARGEST], [LARGEST]], np.float32)
    codes = np.array([[min(reference.CODES[name])], [0], [max(reference.CODES[name])]], np.int8)
    values = INTEGER_CODECS[name].decode(packed(name, codes), ranges, 1).ravel()
    assert np.isfinite(values).all()
    assert values[0] == np.float32(-LARGEST)
    assert values[1] == 0
    again = quantized(name, values[:, np.newaxis].astype(np.float32), ranges)
    assert again.ravel().tolist() == ([0, 0, 0] if name == "ternary" else codes.ravel().tolist())


class TestStoredRows:
    def test_any_byte_is_right(self):
        rows = np.arange(256, dtype=np.uint8).reshape(64, 4)
        assert INTEGER_CODECS["uint8"].check_stored(rows, 4) is None
        assert INTEGER_CODECS["int8"].check_stored(rows.view(np.int8), 4) is None
        assert INTEGER_CODECS["int4"].check_stored(rows, 8) is None

    def test_pad_nibble(self):
        rows = np.zeros((5, 2), np.uint8)
        rows[:, 0] = 0xFF
        rows[1, 1] = 0xF0
        assert INTEGER_CODECS["int4"].check_stored(rows, 3) is None
        rows[3, 1] = 0x01
        found = INTEGER_CODECS["int4"].check_stored(rows, 3)
        assert found == "row 3 has a pad nibble that is not zero"
        assert INTEGER_CODECS["int4"].check_stored(rows, 3, first_row=100) == found.replace(
            "3", "103"
        )
        assert INTEGER_CODECS["int4"].check_stored(rows, 4) is None

    @pytest.mark.parametrize("byte", [243, 255])
    @pytest.mark.parametrize("dim", [10, 8])
    def test_bytes_of_no_codes(self, byte, dim):
        rows = np.full((4, 2), 121, np.uint8)
        assert INTEGER_CODECS["ternary"].check_stored(rows, dim) is None
        rows[2, 0] = byte
        found = INTEGER_CODECS["ternary"].check_stored(rows, dim, first_row=40)
        assert found == f"row 42 has the byte {byte}; five ternary codes give 0 to 242"

    @pytest.mark.parametrize("dim", [1, 2, 3, 4, 5])
    def test_pad_codes(self, dim):
        every = np.arange(243, dtype=np.uint8)[:, np.newaxis]
        for row in every:
            pads = np.base_repr(int(row[0]), 3).zfill(5)[dim:]
            found = INTEGER_CODECS["ternary"].check_stored(row[np.newaxis], dim, first_row=7)
            wanted = None if set(pads) <= {"1"} else "row 7 has a pad code that is not zero"
            assert found == wanted


def test_default_calibrators():
    assert [repr(default_calibrator(name)) for name in NAMES] == [
        "MinMaxCalibrator(not fitted)",
        "MinMaxCalibrator(not fitted)",
        "RollingCalibrator(n_std=3.0, not fitted)",
        "RollingCalibrator(n_std=0.7, not fitted)",
    ]
