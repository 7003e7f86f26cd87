# SPDX-License-Identifier: Apache-2.0
"""Bounds of each dimension are right to rounding, in any batches, and never span nothing."""

import json
import math
import tracemalloc
from fractions import Fraction

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsift import Calibrator, MinMaxCalibrator, RollingCalibrator
from bitsift.core import blocks
from helpers.laws import few_or_many, try_law

FLOATS = [np.float16, np.float32, np.float64]
LARGEST = np.finfo(np.float32).max
SMALLEST = np.finfo(np.float32).smallest_subnormal
FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
MAKERS = {"min_max": MinMaxCalibrator, "rolling": lambda: RollingCalibrator(3.0)}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_VALUES", 20)


def exact_mean_and_squares(column):
    values = [Fraction(v) for v in column.tolist()]
    mean = sum(values) / len(values)
    return mean, sum((v - mean) ** 2 for v in values)


def same_state(a, b):
    (fields_a, array_a), (fields_b, array_b) = a.state(), b.state()
    return fields_a == fields_b and array_a.tobytes() == array_b.tobytes()


class TestKnownAnswers:
    rows = np.array([[0.0, -2.0], [4.0, 2.0], [8.0, 0.0]], np.float32)

    def test_min_max(self):
        calibrator = MinMaxCalibrator().fit(self.rows)
        assert calibrator.ranges.dtype == np.float32
        assert calibrator.ranges.tolist() == [[0, -2], [8, 2]]
        assert (calibrator.n, calibrator.dim) == (3, 2)

    def test_rolling(self):
        # Population deviations: sqrt(32 / 3) and sqrt(8 / 3).
        calibrator = RollingCalibrator(1.5).fit(self.rows)
        wanted = [[4 - 1.5 * math.sqrt(32 / 3), -1.5 * math.sqrt(8 / 3)]]
        wanted += [[4 + 1.5 * math.sqrt(32 / 3), 1.5 * math.sqrt(8 / 3)]]
        assert calibrator.ranges.dtype == np.float32
        np.testing.assert_array_equal(calibrator.ranges, np.array(wanted, np.float32))
        assert (calibrator.n, calibrator.dim, calibrator.n_std) == (3, 2, 1.5)

    def test_share_clipped(self):
        calibrator = MinMaxCalibrator().fit(self.rows)
        assert calibrator.share_clipped(self.rows) == 0
        assert calibrator.share_clipped([[8.5, 0.0], [8.0, -2.5], [-0.5, 2.5], [1.0, 1.0]]) == 0.5

    def test_values_are_clipped_as_float32(self):
        sample = np.array([[0.1, 0.7], [0.3, 0.9]])  # none of them a float32
        assert MinMaxCalibrator().fit(sample).share_clipped(sample) == 0

    def test_repr(self):
        assert repr(MinMaxCalibrator()) == "MinMaxCalibrator(not fitted)"
        assert repr(RollingCalibrator(3)) == "RollingCalibrator(n_std=3.0, not fitted)"
        assert repr(MinMaxCalibrator().fit(self.rows)) == "MinMaxCalibrator(dim=2, n=3)"
        fitted = RollingCalibrator(0.5).fit(self.rows)
        assert repr(fitted) == "RollingCalibrator(n_std=0.5, dim=2, n=3)"


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("dim", [1, 3, 64])
def test_bounds_are_numpys(rng, dtype, dim, small_blocks):
    rows = rng.normal(1, 2, (500, dim)).astype(dtype)
    exact = rows.astype(np.float64)
    lowest_largest = np.stack((exact.min(axis=0), exact.max(axis=0))).astype(np.float32)
    np.testing.assert_array_equal(MinMaxCalibrator().fit(rows).ranges, lowest_largest)
    spread = 2.5 * exact.std(axis=0)
    around = np.stack((exact.mean(axis=0) - spread, exact.mean(axis=0) + spread))
    np.testing.assert_allclose(RollingCalibrator(2.5).fit(rows).ranges, around, rtol=2e-7)


@pytest.mark.parametrize("batch_rows", [1, 7, 100, 10_000])
def test_a_large_mean_does_not_swallow_the_deviation(rng, batch_rows):
    noise = rng.standard_normal((10_000, 3))
    rows = noise + 1e8
    calibrator = RollingCalibrator(1.0)
    for begin in range(0, len(rows), batch_rows):
        calibrator.partial_fit(rows[begin : begin + batch_rows])
    mean, squares = calibrator.state()[1]
    np.testing.assert_allclose(mean, 1e8 + (rows - 1e8).mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(np.sqrt(squares / 10_000), (rows - 1e8).std(axis=0), rtol=1e-8)


@pytest.mark.parametrize("value", [0.1, 1e8 + 1 / 3, -1e-7])
def test_a_constant_has_no_deviation(value, small_blocks):
    calibrator = RollingCalibrator(1.0).fit(np.full((1000, 3), value))
    assert calibrator.state()[1].tolist() == [[value] * 3, [0.0] * 3]


def test_values_as_large_as_float32_has(make):
    rows = np.array([[LARGEST, LARGEST], [-LARGEST, LARGEST]], np.float32)
    ranges = make().fit(rows).ranges
    assert ranges[:, 0].tolist() == [-LARGEST, LARGEST]
    assert ranges[:, 1].tolist() == [0, LARGEST]
    assert RollingCalibrator(1e308).fit(rows).ranges[:, 0].tolist() == [-LARGEST, LARGEST]
    _, squares = RollingCalibrator(1.0).fit(rows).state()[1]
    assert squares.tolist() == [2 * float(LARGEST) ** 2, 0]
    calibrator = make().fit(rows)
    assert same_state(Calibrator.from_state(*calibrator.state()), calibrator)


@few_or_many(40, 150)
def test_law_any_batches_give_the_same_bounds(n_examples):
    def law(data) -> None:
        n = data.draw(st.integers(1, 12))
        rows = data.draw(hnp.arrays(np.float32, (n, 2), elements=FLOAT32))
        cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=5)))
        batches = np.split(rows, cuts)  # some of them empty
        streamed, merged = [MinMaxCalibrator(), RollingCalibrator(3.0)], None
        for batch in batches:
            parts = [MinMaxCalibrator(), RollingCalibrator(3.0)]
            for calibrator, part in zip(streamed, parts, strict=True):
                calibrator.partial_fit(batch)
                part.partial_fit(batch)
            if merged is not None:
                parts = [left.merge(right) for left, right in zip(merged, parts, strict=True)]
            merged = parts
        for min_max, rolling in (streamed, merged):
            assert (min_max.n, rolling.n) == (n, n)
            np.testing.assert_array_equal(min_max.state()[1], [rows.min(axis=0), rows.max(axis=0)])
            for column in range(2):
                mean, squares = exact_mean_and_squares(rows[:, column])
                largest = float(np.abs(rows[:, column]).max())
                got_mean, got_squares = rolling.state()[1][:, column]
                assert got_mean == pytest.approx(float(mean), rel=0, abs=1e-14 * largest)
                wanted = math.sqrt(float(squares / n))
                got = math.sqrt(got_squares / n)
                assert got == pytest.approx(wanted, rel=1e-12, abs=1e-14 * largest)

    try_law(law, n_examples, data=st.data())


@few_or_many(40, 150)
@pytest.mark.parametrize("kind", MAKERS)
def test_law_every_dimension_has_a_range(kind, n_examples):
    def law(rows) -> None:
        ranges = MAKERS[kind]().fit(rows).ranges
        assert ranges.dtype == np.float32
        assert np.isfinite(ranges).all()
        assert (ranges[0] < ranges[1]).all()
        if kind == "rolling":
            rounding = 1e-6 * np.abs(rows).max(axis=0)
            mean = rows.astype(np.float64).mean(axis=0)
            assert (ranges[0] <= mean + rounding).all()
            assert (mean - rounding <= ranges[1]).all()
        else:
            assert (ranges[0] <= rows).all()
            assert (rows <= ranges[1]).all()

    shapes = st.tuples(st.integers(1, 4), st.integers(1, 4))
    try_law(law, n_examples, rows=hnp.arrays(np.float32, shapes, elements=FLOAT32))


@pytest.mark.parametrize(
    ("columns", "ranges"),
    [
        # half the widest range of the others
        (([5, 5], [0, 4], [0, 1]), [[3, 7], [0, 4], [0, 1]]),
        (([0, 0], [-8, 8]), [[-8, 8], [-8, 8]]),
        (([1, 1], [2, 2], [0, 4]), [[-1, 3], [0, 4], [0, 4]]),
        # there is no other range: the magnitude, or 1
        (([5, 5], [-3, -3], [0, 0]), [[0, 10], [-6, 0], [-1, 1]]),
        # the others' is nothing next to the value
        (([1, 1], [0, 1e-20]), [[0, 2], [0, 1e-20]]),
        (([-1e30, -1e30], [0, 1]), [[-2e30, 0], [0, 1]]),
        # nothing beyond float32
        (([LARGEST, LARGEST], [0, 1]), [[0, LARGEST], [0, 1]]),
        (([-LARGEST, -LARGEST], [0, 2e38]), [[-LARGEST, 0], [0, 2e38]]),
        (([SMALLEST, SMALLEST],), [[0, 2 * SMALLEST]]),
        (([0, 0], [0, SMALLEST]), [[-1, 1], [0, SMALLEST]]),
    ],
)
def test_a_constant_gets_a_range(columns, ranges):
    rows = np.array(columns, np.float32).T
    wanted = np.array(ranges, np.float32).T
    np.testing.assert_array_equal(MinMaxCalibrator().fit(rows).ranges, wanted)
    calibrator = MinMaxCalibrator().fit(rows)
    assert calibrator.share_clipped(rows) == 0
    # the state knows nothing of it: a value that comes later gives the range
    np.testing.assert_array_equal(calibrator.state()[1], np.sort(np.array(columns, np.float32)).T)


def test_a_constant_gets_a_range_rolling():
    rows = np.array([[0.1, 0.0, 7.0], [0.1, 4.0, 7.0], [0.1, 8.0, 7.0]], np.float32)
    spread = 2 * math.sqrt(32 / 3)
    ranges = RollingCalibrator(2.0).fit(rows).ranges
    constant = float(np.float32(0.1))
    wanted = [[constant - spread, 4 - spread, 7 - spread]]
    wanted += [[constant + spread, 4 + spread, 7 + spread]]
    np.testing.assert_allclose(ranges, wanted, rtol=1e-6)


def test_bounds_that_float32_cannot_tell_apart(make):
    rows = np.array([[1.0, -1.0], [1.0 + 1e-12, 3.0]])
    ranges = make().fit(rows).ranges
    half = (ranges[1, 1] - ranges[0, 1]) / 2
    np.testing.assert_allclose(ranges[:, 0], [1 - half, 1 + half], rtol=1e-6)


def test_fit_forgets(rng, make):
    first, second = rng.standard_normal((2, 30, 4))
    again = make().fit(first * 100).fit(second)
    assert same_state(again, make().fit(second))
    assert make().fit(first).fit(np.ones((1, 9))).dim == 9


def test_empty_batches_add_nothing(rng, make):
    rows = rng.standard_normal((30, 4))
    calibrator = make().partial_fit(np.empty((0, 4)))
    assert calibrator.n == 0
    calibrator.partial_fit(rows).partial_fit(rows[:0]).merge(make())
    assert same_state(calibrator, make().fit(rows))
    assert same_state(make().merge(calibrator), calibrator)


def test_merge_leaves_the_other_alone(rng, make):
    a, b = rng.standard_normal((2, 30, 4))
    other = make().fit(b)
    merged = make().fit(a).merge(other)
    assert merged.n == 60
    assert same_state(other, make().fit(b))
    taken = make().merge(other).partial_fit(a)
    assert taken.n == 60
    assert same_state(other, make().fit(b))


def test_results_are_copies(make):
    calibrator = make().fit([[0.0], [1.0]])
    before = calibrator.ranges
    calibrator.ranges[:] = 9
    calibrator.state()[1][:] = 9
    np.testing.assert_array_equal(calibrator.ranges, before)


def test_any_layout(rng, make, small_blocks):
    rows = rng.standard_normal((40, 9)).astype(np.float32)
    read_only = rows.astype(">f4")
    read_only.flags.writeable = False
    wide = np.repeat(rows, 2, axis=1)
    wanted = make().fit(rows)
    for same in (np.asfortranarray(rows), read_only, wide[:, ::2], rows.tolist()):
        assert same_state(make().fit(same), wanted)


def test_a_mapped_file_takes_a_block_of_memory(tmp_path, rng, make):
    rows = rng.standard_normal((40_000, 100), dtype=np.float32)  # 16 MB
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    make().fit(mapped[:10])
    tracemalloc.start()
    try:
        calibrator = make().partial_fit(mapped)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6_000_000
    assert calibrator.n == 40_000
    assert same_state(calibrator, make().fit(rows))


class TestBadInput:
    rows = np.arange(12.0).reshape(6, 2)

    @pytest.mark.parametrize(
        ("rows", "error", "message"),
        [
            (np.empty((0, 2)), ValueError, r"must have at least one row; got shape \(0, 2\)"),
            (np.ones(2), ValueError, r"must have shape \(n, dim\); got shape \(2,\)"),
            (np.ones((1, 2, 2)), ValueError, "got 3 axes"),
            (np.ones((3, 0)), ValueError, "at least one value a row"),
            (np.ones((1, 65_537), np.float16), ValueError, "at most 65536 values a row; got 65537"),
            (np.ones((2, 2), int), TypeError, "must be float16, float32 or float64; got int64"),
            (np.ones((2, 2), bool), TypeError, "must be float16, float32 or float64; got bool"),
            (np.ones((2, 2), complex), TypeError, "float64; got complex128"),
            (np.ma.ones((2, 2)), TypeError, "masked"),
            ([[1.0], [1.0, 2.0]], ValueError, "rectangular"),
        ],
    )
    def test_shapes_and_types(self, make, rows, error, message):
        calibrator = make().fit(self.rows)
        for call in (calibrator.fit, calibrator.share_clipped):
            with pytest.raises(error, match=message):
                call(rows)
        if "one row" not in message:
            with pytest.raises(error, match=message):
                calibrator.partial_fit(rows)
        assert same_state(calibrator, make().fit(self.rows))

    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_not_finite_is_found(self, make, dtype, bad, small_blocks):
        rows = np.ones((50, 4), dtype)
        rows[17, 3] = bad
        calibrator = make().fit(np.zeros((1, 4)))
        for call, name in [
            (calibrator.fit, "sample"),
            (calibrator.partial_fit, "batch"),
            (calibrator.share_clipped, "values"),
        ]:
            message = f"{name} must be finite; row 17, dimension 3 is {bad}"
            with pytest.raises(ValueError, match=message):
                call(rows)
        assert same_state(calibrator, make().fit(np.zeros((1, 4))))

    def test_too_large_is_found(self, make, small_blocks):
        rows = np.ones((50, 4))
        rows[17, 3] = -1e39
        calibrator = make()
        with pytest.raises(ValueError, match=r"float32's range; row 17, dimension 3 is -1e\+39"):
            calibrator.partial_fit(rows)
        assert calibrator.n == 0

    def test_other_dimensions(self, make):
        calibrator = make().fit(self.rows)
        for call in (calibrator.partial_fit, calibrator.share_clipped):
            with pytest.raises(
                ValueError, match="must have 2 values a row; got 3; the calibrator has dim 2"
            ):
                call(np.ones((1, 3)))
        with pytest.raises(ValueError, match="batch must have 2 values a row; got 3"):
            calibrator.partial_fit(np.ones((0, 3)))
        assert same_state(calibrator, make().fit(self.rows))

    def test_not_fitted(self, make):
        calibrator = make()
        for use in (
            lambda: calibrator.dim,
            lambda: calibrator.ranges,
            calibrator.state,
            lambda: calibrator.share_clipped(self.rows),
        ):
            with pytest.raises(ValueError, match=r"^not fitted: "):
                use()
        assert calibrator.n == 0

    @pytest.mark.parametrize("n_std", [0, -1.0, math.nan, math.inf, 10**400])
    def test_n_std_out_of_range(self, n_std):
        with pytest.raises(ValueError, match="n_std must be positive and finite; got"):
            RollingCalibrator(n_std)

    @pytest.mark.parametrize("n_std", ["3", None, True, [3.0], 3j])
    def test_n_std_is_no_number(self, n_std):
        with pytest.raises(TypeError, match="n_std must be a number; got"):
            RollingCalibrator(n_std)

    def test_merge_of_unlike_ones(self):
        rolling = RollingCalibrator(3.0).fit(self.rows)
        before = RollingCalibrator(3.0).fit(self.rows)
        for other in (MinMaxCalibrator(), RollingCalibrator(2.0).fit(self.rows)):
            with pytest.raises(ValueError, match=r"of the same kind .*n_std=3\.0"):
                rolling.merge(other)
        with pytest.raises(ValueError, match="must have dim 2, like this calibrator; got dim 3"):
            rolling.merge(RollingCalibrator(3.0).fit(np.ones((2, 3))))
        with pytest.raises(TypeError, match="other must be a calibrator; got ndarray"):
            rolling.merge(self.rows)
        assert same_state(rolling, before)


class TestState:
    def test_what_it_is(self):
        fields, array = MinMaxCalibrator().fit([[1.0, 4.0], [3.0, 2.0]]).state()
        assert fields == {"kind": "min_max", "n_std": None, "n": 2}
        assert array.dtype == np.float64
        assert array.tolist() == [[1, 2], [3, 4]]
        fields, array = RollingCalibrator(3).fit([[1.0, 4.0], [3.0, 2.0]]).state()
        assert fields == {"kind": "rolling", "n_std": 3.0, "n": 2}
        assert array.tolist() == [[2, 3], [2, 2]]

    @pytest.mark.parametrize("make", [MinMaxCalibrator, lambda: RollingCalibrator(np.float32(0.7))])
    def test_there_and_back(self, rng, make):
        calibrator = make().fit(rng.standard_normal((50, 5)))
        fields, array = calibrator.state()
        back = Calibrator.from_state(json.loads(json.dumps(fields)), array)
        assert type(back) is type(calibrator)
        assert repr(back) == repr(calibrator)
        assert same_state(back, calibrator)
        more = rng.standard_normal((50, 5))
        assert same_state(back.partial_fit(more), calibrator.partial_fit(more))

    def test_it_keeps_a_copy(self):
        array = np.array([[0.0], [1.0]])
        back = Calibrator.from_state({"kind": "min_max", "n_std": None, "n": 3}, array)
        array[:] = 7
        assert back.ranges.tolist() == [[0], [1]]

    @settings(deadline=None, max_examples=60)
    @given(rows=hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.just(2)), elements=FLOAT32))
    @pytest.mark.parametrize("kind", MAKERS)
    def test_law_every_state_is_accepted(self, kind, rows):
        calibrator = MAKERS[kind]().fit(rows)
        assert same_state(Calibrator.from_state(*calibrator.state()), calibrator)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"kind": "median"}, 'kind of calibration must be "min_max" or "rolling"'),
            ({"kind": None}, "kind of calibration"),
            ({"kind": ["rolling"]}, "kind of calibration"),
            ({"kind": "min_max"}, "n_std of a min_max calibration must be None; got 3.0"),
            ({"n_std": None}, "n_std of a rolling calibration must be a number; got None"),
            ({"n_std": "3"}, "must be a number; got '3'"),
            ({"n_std": True}, "must be a number; got True"),
            ({"n_std": 0}, "positive and finite"),
            ({"n_std": math.nan}, "positive and finite"),
            ({"n_std": 10**400}, "positive and finite"),
            ({"n": 0}, "n of a calibration must be an integer, at least 1; got 0"),
            ({"n": -1}, "n of a calibration"),
            ({"n": 2.0}, "n of a calibration"),
            ({"n": True}, "n of a calibration"),
            ({"n": 2**63}, "n of a calibration"),
            ({"more": 1}, "must have the fields"),
        ],
    )
    def test_foreign_fields(self, change, message):
        fields = {"kind": "rolling", "n_std": 3.0, "n": 2}
        array = np.array([[0.0, 1.0], [0.0, 1.0]])
        assert Calibrator.from_state(fields, array).n == 2
        with pytest.raises(ValueError, match=message):
            Calibrator.from_state(fields | change, array)

    def test_missing_fields(self):
        array = np.zeros((2, 1))
        for fields in ({"kind": "min_max", "n": 1}, {}, None, [1, 2]):
            with pytest.raises(ValueError, match="must have the fields"):
                Calibrator.from_state(fields, array)

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            ([[0.0], [1.0]], "must be float64; got list"),
            (np.zeros((2, 1), np.float32), "must be float64; got float32"),
            (np.zeros((3, 1)), r"must have shape \(2, dim\)"),
            (np.zeros(2), r"must have shape \(2, dim\)"),
            (np.zeros((2, 0)), r"must have shape \(2, dim\)"),
            (np.zeros((2, 65_537)), r"must have shape \(2, dim\) with dim 1 to 65536"),
        ],
    )
    @pytest.mark.parametrize("kind", MAKERS)
    def test_foreign_arrays(self, kind, array, message):
        fields = MAKERS[kind]().fit([[1.0]]).state()[0]
        with pytest.raises(ValueError, match=message):
            Calibrator.from_state(fields, array)

    @pytest.mark.parametrize(
        ("column", "message"),
        [
            ([1.0, 0.5], "dimension 1 has a minimum above its maximum"),
            ([math.nan, 1.0], "be finite; row 0, dimension 1 is nan"),
            ([-math.inf, 1.0], "be finite; row 0, dimension 1 is -inf"),
            ([0.0, 1e39], r"float32's range; row 1, dimension 1 is 1e\+39"),
        ],
    )
    def test_foreign_minima(self, column, message):
        array = np.array([[0.0, 1.0], column]).T
        with pytest.raises(ValueError, match=message):
            Calibrator.from_state({"kind": "min_max", "n_std": None, "n": 9}, array)

    @pytest.mark.parametrize(
        ("column", "message"),
        [
            ([math.nan, 1.0], "mean of a calibration must be finite; row 0, dimension 1 is nan"),
            ([math.inf, 1.0], "mean of a calibration must be finite; row 0, dimension 1 is inf"),
            (
                [1e39, 1.0],
                r"mean of a calibration must be within .*; row 0, dimension 1 is 1e\+39",
            ),
            ([0.0, -1e-9], "dimension 1 has the sum of squared deviations -1e-09"),
            ([0.0, math.nan], "dimension 1 has the sum of squared deviations nan"),
            ([0.0, math.inf], "dimension 1 has the sum of squared deviations inf"),
            ([0.0, 1e79], r"deviations 1e\+79, which 9 rows cannot have"),
        ],
    )
    def test_foreign_means(self, column, message):
        array = np.array([[0.0, 1.0], column]).T
        with pytest.raises(ValueError, match=message):
            Calibrator.from_state({"kind": "rolling", "n_std": 3.0, "n": 9}, array)


def test_the_base_is_no_calibrator():
    with pytest.raises(TypeError, match="abstract"):
        Calibrator()
