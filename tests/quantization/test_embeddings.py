# SPDX-License-Identifier: Apache-2.0
"""quantize_embeddings: what sentence-transformers gives, where it is installed and by an oracle.

int4 and ternary have their oracle in `oracle/integers.py`.
"""

import math
import warnings

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsift
from bitsift import BitsiftWarning
from bitsift.core import blocks
from bitsift.quantization.bounds import as_ranges
from bitsift.quantization.integers import INTEGER_CODECS
from helpers.laws import few_or_many, try_law
from oracle import integers as reference_precision

# Random bounds clip many values, and all precisions get them; test_losses.py holds the warnings.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.* do(es)? nothing:bitsift.BitsiftWarning"),
    pytest.mark.filterwarnings("ignore:.* of the values :bitsift.BitsiftWarning"),
]

FLOATS = [np.float16, np.float32, np.float64]
LARGEST = np.finfo(np.float32).max
FLOAT32 = st.floats(-(2.0**60), 2.0**60, width=32)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_VALUES", 30)


def truncated(embeddings, ranges):
    """The uint8 rule of sentence-transformers, one NumPy number at a time."""
    codes = np.zeros(embeddings.shape, np.uint8)
    for (row, column), value in np.ndenumerate(embeddings):
        lower, upper = np.asarray(ranges, np.float32)[:, column]
        step = (upper - lower) / np.float32(255)
        if step == 0:
            step = np.float32(1)
        with np.errstate(over="ignore"):
            steps = (value - lower) / step
        codes[row, column] = math.floor(max(0, min(255, steps)))
    return codes


def expected(embeddings, precision, ranges):
    """Quantize finite embeddings, shape (n, dim), with these bounds."""
    if precision in ("float32", "float16"):
        return embeddings.astype(precision)
    if precision == "uint8":
        return truncated(embeddings, ranges)
    if precision == "int8":
        return (truncated(embeddings, ranges).astype(int) - 128).astype(np.int8)
    if precision == "ubinary":
        return np.packbits(embeddings > 0, axis=-1)
    if precision == "binary":
        return (np.packbits(embeddings > 0, axis=-1).astype(int) - 128).astype(np.int8)
    codes = reference_precision.quantize(precision, embeddings, ranges)
    rows = [reference_precision.pack_row(precision, row) for row in codes]
    return np.array(rows, np.uint8)


def assert_same(got, wanted):
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)


ALL = ["float32", "float16", "int8", "uint8", "int4", "ternary", "binary", "ubinary"]
CALIBRATED = ["int8", "uint8", "int4", "ternary"]


@pytest.fixture(params=ALL)
def precision(request):
    return request.param


def some_ranges(rng, dim):
    return np.stack((rng.uniform(-2, -0.1, dim), rng.uniform(0.1, 2, dim))).astype(np.float32)


class TestKnownAnswers:
    # Steps of 1, of 2 and, as there is no range, of 1.
    ranges = np.array([[0, -255, 7], [255, 255, 7]], np.float32)
    embeddings = np.array(
        [[0.0, -255.0, 7.0], [1.9, 0.0, 7.9], [-3.0, 999.0, 6.0], [255.0, 255.0, 1000.0]],
        np.float32,
    )

    def test_uint8(self):
        codes = bitsift.quantize_embeddings(self.embeddings, "uint8", self.ranges)
        wanted = [[0, 0, 0], [1, 127, 0], [0, 255, 0], [255, 255, 255]]
        assert_same(codes, np.array(wanted, np.uint8))

    def test_int8(self):
        codes = bitsift.quantize_embeddings(self.embeddings, "int8", self.ranges)
        wanted = [[-128, -128, -128], [-127, -1, -128], [-128, 127, -128], [127, 127, 127]]
        assert_same(codes, np.array(wanted, np.int8))

    def test_rounding_of_the_step_shows(self):
        # In float32, 255 steps of 2 / 255 are more than 2.
        two = np.array([[2.0]], np.float32)
        assert bitsift.quantize_embeddings(two, "uint8", [[0], [2]]).tolist() == [[254]]

    def test_arithmetic_is_in_the_type_of_the_embeddings(self):
        # Half a float32 step below 1: float32 has no such value, float64 has.
        below = np.array([[1 - 2.0**-26]])
        ranges = [[0.0], [255.0]]
        assert bitsift.quantize_embeddings(below, "uint8", ranges).tolist() == [[0]]
        as_float32 = below.astype(np.float32)
        assert bitsift.quantize_embeddings(as_float32, "uint8", ranges).tolist() == [[1]]

    def test_binary(self):
        embeddings = np.array([[1, -1, 0, 2, -2, -0.0, 1e-30, 1, 5, -5]], np.float32)
        packed = bitsift.quantize_embeddings(embeddings, "ubinary")
        assert_same(packed, np.array([[0b10010011, 0b10000000]], np.uint8))
        offset = bitsift.quantize_embeddings(embeddings, "binary")
        assert_same(offset, np.array([[0b10010011 - 128, 0]], np.int8))
        assert_same(bitsift.codes_from_int8(offset, convention="offset"), packed)

    def test_int4_and_ternary(self):
        ranges = [[-8, -8, -8], [8, 8, 8]]
        embeddings = np.array([[-8.0, 7.0, 1.0], [9.0, -9.0, 0.4]], np.float32)
        codes = bitsift.quantize_embeddings(embeddings, "int4", ranges)
        assert_same(codes, np.array([[0x87, 0x10], [0x78, 0x00]], np.uint8))
        codes = bitsift.quantize_embeddings(embeddings, "ternary", ranges)
        assert_same(codes, np.array([[0b1111001], [2 * 81 + 0 + 9 + 3 + 1]], np.uint8))

    def test_floats(self):
        embeddings = np.array([[1.1, -0.0]])
        assert_same(
            bitsift.quantize_embeddings(embeddings, "float32"), np.array([[1.1, 0]], np.float32)
        )
        assert_same(
            bitsift.quantize_embeddings(embeddings, "float16"), np.array([[1.1, 0]], np.float16)
        )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("dim", [1, 4, 5, 6, 8, 9, 33])
def test_codes_are_the_oracles(rng, precision, dtype, dim, small_blocks):
    embeddings = rng.standard_normal((17, dim)).astype(dtype)
    ranges = some_ranges(rng, dim)
    wanted = expected(embeddings, precision, ranges)
    got = bitsift.quantize_embeddings(embeddings, precision, ranges)
    assert_same(got, wanted)
    one = bitsift.quantize_embeddings(embeddings[3], precision, ranges)
    assert_same(one, wanted[3])


@few_or_many(30, 100)
@pytest.mark.parametrize("precision", CALIBRATED)
def test_law_codes_are_the_oracles(precision, n_examples):
    def law(data) -> None:
        ranges = np.sort(data.draw(hnp.arrays(np.float32, (2, 3), elements=FLOAT32)), axis=0)
        embeddings = data.draw(hnp.arrays(np.float32, (4, 3), elements=FLOAT32))
        used = ranges if precision in ("int8", "uint8") else as_ranges(ranges)
        wanted = expected(embeddings, precision, used)
        assert_same(bitsift.quantize_embeddings(embeddings, precision, ranges), wanted)

    try_law(law, n_examples, data=st.data())


class TestBounds:
    @pytest.mark.parametrize("precision", CALIBRATED)
    def test_of_a_calibrator(self, rng, precision):
        embeddings = rng.standard_normal((20, 6)).astype(np.float32)
        calibrator = bitsift.RollingCalibrator(1.2).fit(embeddings)
        got = bitsift.quantize_embeddings(embeddings, precision, calibrator)
        assert_same(got, expected(embeddings, precision, calibrator.ranges))

    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize(
        ("precision", "n_std"), [("int8", None), ("uint8", None), ("int4", 3.0), ("ternary", 0.7)]
    )
    def test_of_a_sample_or_of_the_embeddings(self, rng, precision, n_std, dtype):
        sample = rng.standard_normal((100, 6)).astype(dtype)
        if n_std is None:
            ranges = np.stack((sample.min(axis=0), sample.max(axis=0)))
        else:
            exact = sample.astype(np.float64)
            spread = n_std * exact.std(axis=0)
            ranges = np.stack((exact.mean(axis=0) - spread, exact.mean(axis=0) + spread))
        ranges = ranges.astype(np.float32)
        assert_same(
            bitsift.quantize_embeddings(sample, precision), expected(sample, precision, ranges)
        )
        others = rng.standard_normal((3, 6)).astype(dtype)
        got = bitsift.quantize_embeddings(others, precision, calibration_embeddings=sample)
        assert_same(got, expected(others, precision, ranges))

    @pytest.mark.parametrize("precision", CALIBRATED)
    def test_ranges_come_before_a_sample(self, rng, precision):
        embeddings, sample = rng.standard_normal((2, 20, 6))
        ranges = some_ranges(rng, 6)
        got = bitsift.quantize_embeddings(embeddings, precision, ranges, sample)
        assert_same(got, expected(embeddings, precision, ranges))

    @pytest.mark.parametrize("precision", CALIBRATED)
    @pytest.mark.parametrize("n", [2, 99, 100])
    def test_few_embeddings_are_a_warning(self, rng, precision, n):
        embeddings = rng.standard_normal((n, 3))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            bitsift.quantize_embeddings(embeddings, precision)
            bitsift.quantize_embeddings(embeddings, precision, calibration_embeddings=embeddings)
            bitsift.quantize_embeddings(embeddings, precision, some_ranges(rng, 3))
        caught = [warning for warning in caught if " of the values " not in str(warning.message)]
        assert [w.category for w in caught] == [BitsiftWarning] * (n < 100)
        for warning in caught:
            assert f"bounds for {precision} come from {n} embeddings" in str(warning.message)
            assert warning.filename == __file__

    @pytest.mark.parametrize("precision", CALIBRATED)
    @pytest.mark.parametrize("shape", [(3,), (1, 3)])
    def test_one_embedding_is_too_few(self, precision, shape):
        embedding = np.ones(shape, np.float32)
        with pytest.raises(ValueError, match=f"{precision} cannot come from a single embedding"):
            bitsift.quantize_embeddings(embedding, precision)
        for given_bounds in (
            {"ranges": [[0] * 3, [9] * 3]},
            {"calibration_embeddings": [[1.0] * 3]},
        ):
            codes = bitsift.quantize_embeddings(embedding, precision, **given_bounds)
            assert codes.ndim == len(shape)

    @pytest.mark.parametrize("precision", ["int4", "ternary"])
    def test_a_constant_is_in_the_middle(self, precision):
        embeddings = np.column_stack((np.full(100, 7.0), np.arange(100.0)))
        codes = bitsift.quantize_embeddings(embeddings, precision)
        unpacked = INTEGER_CODECS[precision].unpack(codes, 2)
        assert (unpacked[:, 0] == 0).all()
        same = bitsift.quantize_embeddings([[7.0, 1.0]], precision, [[7, 0], [7, 2]])
        assert INTEGER_CODECS[precision].unpack(same, 2).tolist() == [[0, 0]]

    @pytest.mark.parametrize(("precision", "lowest"), [("int8", -128), ("uint8", 0)])
    def test_a_constant_is_the_lowest_code(self, precision, lowest):
        embeddings = np.column_stack((np.full(100, 7.0), np.arange(100.0)))
        assert (bitsift.quantize_embeddings(embeddings, precision)[:, 0] == lowest).all()

    @pytest.mark.parametrize(("precision", "lowest"), [("int8", -128), ("uint8", 0)])
    def test_bounds_too_far_apart_for_float32(self, precision, lowest):
        embeddings = np.array([[LARGEST], [0], [-LARGEST]], np.float32)
        ranges = [[-LARGEST], [LARGEST]]
        codes = bitsift.quantize_embeddings(embeddings, precision, ranges)
        assert codes.ravel().tolist() == [lowest] * 3


class TestForms:
    @pytest.mark.parametrize("precision", CALIBRATED)
    def test_matrices_share_their_bounds(self, rng, precision):
        matrices = [rng.standard_normal((n, 6)).astype(np.float32) * n for n in (40, 1, 0, 60, 25)]
        together = np.concatenate(matrices)
        wanted = bitsift.quantize_embeddings(together, precision)
        got = bitsift.quantize_embeddings(matrices, precision)
        assert isinstance(got, list)
        assert [len(one) for one in got] == [40, 1, 0, 60, 25]
        assert_same(np.concatenate(got), wanted)

    def test_matrices(self, rng, precision):
        matrices = [rng.standard_normal((n, 7)) for n in (3, 0, 2)]
        ranges = some_ranges(rng, 7)
        got = bitsift.quantize_embeddings(matrices, precision, ranges)
        for one, matrix in zip(got, matrices, strict=True):
            assert_same(one, bitsift.quantize_embeddings(matrix, precision, ranges))

    @pytest.mark.parametrize("precision", CALIBRATED)
    def test_few_rows_of_matrices(self, precision):
        with pytest.warns(BitsiftWarning, match="come from 99 embeddings"):
            bitsift.quantize_embeddings([np.eye(50), np.eye(49, 50)], precision)
        with pytest.raises(ValueError, match="single embedding"):
            bitsift.quantize_embeddings([np.eye(1, 5), np.empty((0, 5))], precision)

    def test_vectors_and_lists(self, rng, precision):
        embeddings = rng.standard_normal((5, 6)).astype(np.float32)
        ranges = some_ranges(rng, 6)
        wanted = bitsift.quantize_embeddings(embeddings, precision, ranges)
        assert_same(bitsift.quantize_embeddings(list(embeddings), precision, ranges), wanted)
        as_floats = embeddings.tolist()  # float64
        got = bitsift.quantize_embeddings(as_floats, precision, ranges.tolist())
        wanted = bitsift.quantize_embeddings(np.array(as_floats), precision, ranges)
        assert_same(got, wanted)

    def test_none(self, precision):
        assert bitsift.quantize_embeddings([], precision) == []
        for no_rows in (np.empty((0, 11), np.float32), [np.empty((0, 11))]):
            codes = bitsift.quantize_embeddings(no_rows, precision)
            if isinstance(no_rows, list):
                (codes,) = codes
            dtype = {"int4": np.uint8, "ternary": np.uint8, "binary": np.int8}.get(precision)
            dtype = np.uint8 if precision == "ubinary" else dtype or precision
            columns = {"int4": 6, "ternary": 3, "binary": 2, "ubinary": 2}.get(precision, 11)
            assert (codes.dtype, codes.shape) == (dtype, (0, columns))

    def test_the_result_is_new(self, rng, precision):
        embeddings = rng.standard_normal((4, 6)).astype(np.float32)
        before = embeddings.copy()
        codes = bitsift.quantize_embeddings(embeddings, precision, some_ranges(rng, 6))
        codes[:] = 0
        np.testing.assert_array_equal(embeddings, before)

    def test_any_layout(self, rng, precision):
        embeddings = rng.standard_normal((8, 6)).astype(np.float32)
        ranges = some_ranges(rng, 6)
        wanted = bitsift.quantize_embeddings(embeddings, precision, ranges)
        read_only = embeddings.astype(">f4")
        read_only.flags.writeable = False
        for same in (np.asfortranarray(embeddings), read_only, np.repeat(embeddings, 2, 1)[:, ::2]):
            assert_same(bitsift.quantize_embeddings(same, precision, ranges), wanted)

    def test_bool(self, rng):
        bits = rng.random((3, 20)) < 0.5
        assert_same(bitsift.quantize_embeddings(bits, "ubinary"), np.packbits(bits, axis=1))
        with pytest.raises(TypeError, match="float64 for 'int8'; got bool"):
            bitsift.quantize_embeddings(bits, "int8")


class TestBadInput:
    embeddings = np.linspace(-1, 1, 400).reshape(100, 4)

    @pytest.mark.parametrize("precision", ["int2", "INT8", "", None, 8, "float64"])
    def test_precision(self, precision):
        for embeddings in (self.embeddings, []):
            with pytest.raises(ValueError, match=r"precision must be one of .*'ternary'.*; got"):
                bitsift.quantize_embeddings(embeddings, precision)

    @pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64])
    def test_integers(self, precision, dtype):
        with pytest.raises(TypeError, match=f"embeddings must be float16.*; got {np.dtype(dtype)}"):
            bitsift.quantize_embeddings(np.ones((3, 4), dtype), precision)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("with_ranges", [False, True])
    def test_not_finite_is_found(self, precision, bad, with_ranges, small_blocks):
        embeddings = self.embeddings.copy()
        embeddings[57, 2] = bad
        ranges = [[-1] * 4, [1] * 4] if with_ranges else None
        with pytest.raises(ValueError, match=f"row 57, dimension 2 is {bad}") as error:
            bitsift.quantize_embeddings(embeddings, precision, ranges)
        assert str(error.value).startswith("embeddings must be finite")
        with pytest.raises(ValueError, match=r"embeddings\[1\] must be finite; row 57"):
            bitsift.quantize_embeddings([self.embeddings, embeddings], precision, ranges)

    def test_too_large(self, small_blocks):
        embeddings = self.embeddings.copy()
        embeddings[57, 2] = 1e39
        ranges = [[-1] * 4, [1] * 4]
        for precision in ("float32", *CALIBRATED):
            with pytest.raises(ValueError, match=r"float32's range; row 57, dimension 2 is 1e\+39"):
                bitsift.quantize_embeddings(embeddings, precision, ranges)
        embeddings[57, 2] = 65_520
        with pytest.raises(ValueError, match=r"float16's range; row 57, dimension 2 is 65520"):
            bitsift.quantize_embeddings(embeddings, "float16")
        embeddings[57, 2] = 65_519
        assert bitsift.quantize_embeddings(embeddings, "float16")[57, 2] == 65_504

    def test_shapes(self, precision):
        with pytest.raises(ValueError, match="got 3 axes"):
            bitsift.quantize_embeddings(np.ones((2, 2, 2)), precision)
        with pytest.raises(ValueError, match="at least one value a row"):
            bitsift.quantize_embeddings(np.ones((2, 0)), precision)
        with pytest.raises(ValueError, match="rectangular"):
            bitsift.quantize_embeddings([np.ones(2), np.ones(3)], precision)
        for other in (np.ones((2, 5)), np.ones(4)):
            with pytest.raises(ValueError, match=r"embeddings\[1\] must have shape \(n, 4\)"):
                bitsift.quantize_embeddings([self.embeddings, other], precision)

    @pytest.mark.parametrize("precision", CALIBRATED)
    @pytest.mark.parametrize(
        ("ranges", "error", "message"),
        [
            ([-1, 1], ValueError, r"ranges must have shape \(2, 4\).*; got shape \(2,\)"),
            (np.ones((2, 3)), ValueError, r"got shape \(2, 3\)"),
            (np.ones((4, 2)), ValueError, r"got shape \(4, 2\)"),
            ([[0, 0, 0, 2], [1, 1, 1, 1]], ValueError, "dimension 3 has 2 and 1"),
            ([[0, np.nan, 0, 0], [1, 1, 1, 1]], ValueError, "dimension 1 has nan and 1.0"),
            ([[0, 0, 0, 0], [1, 1, np.inf, 1]], ValueError, "dimension 2 has 0.0 and inf"),
            ([[0, 0, 0, 0], [1e39, 1, 1, 1]], ValueError, r"dimension 0 has 0\.0 and 1e\+39"),
            (np.ones((2, 4), complex), TypeError, "real numbers or a calibrator; got complex128"),
            (bitsift.MinMaxCalibrator(), ValueError, "not fitted"),
            (bitsift.MinMaxCalibrator().fit([[1.0]]), ValueError, r"got shape \(2, 1\)"),
        ],
    )
    def test_ranges(self, precision, ranges, error, message):
        with pytest.raises(error, match=message):
            bitsift.quantize_embeddings(self.embeddings, precision, ranges)

    @pytest.mark.parametrize("precision", CALIBRATED)
    @pytest.mark.parametrize(
        ("sample", "error", "message"),
        [
            (np.empty((0, 4)), ValueError, "at least one row"),
            (np.ones(4), ValueError, r"must have shape \(n, dim\); got shape \(4,\)"),
            (np.ones((3, 5)), ValueError, "calibration_embeddings must have 4 values a row; got 5"),
            (np.ones((3, 4), int), TypeError, "must be float16, float32 or float64; got int64"),
            (np.full((3, 4), np.nan), ValueError, "must be finite; row 0, dimension 0 is nan"),
        ],
    )
    def test_calibration_embeddings(self, precision, sample, error, message):
        with pytest.raises(error, match=message) as raised:
            bitsift.quantize_embeddings(self.embeddings, precision, calibration_embeddings=sample)
        assert str(raised.value).startswith("calibration_embeddings ")


@pytest.fixture(scope="module")
def original():
    """The function of sentence-transformers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its imports
        module = pytest.importorskip(
            "sentence_transformers.util", reason="sentence-transformers is not installed"
        )
    return module.quantize_embeddings


ITS_PRECISIONS = ["float32", "int8", "uint8", "binary", "ubinary"]


@pytest.mark.filterwarnings("ignore::bitsift.BitsiftWarning")
@pytest.mark.parametrize("precision", ITS_PRECISIONS)
class TestAgainstSentenceTransformers:
    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize("dim", [1, 7, 8, 384])
    def test_every_source_of_bounds(self, original, rng, precision, dtype, dim, small_blocks):
        embeddings = rng.standard_normal((150, dim)).astype(dtype)
        embeddings[:, 0] = 0.25  # a constant
        sample = rng.standard_normal((120, dim)).astype(dtype)
        for bounds in (
            {},
            {"calibration_embeddings": sample},
            {"ranges": some_ranges(rng, dim)},
            {"ranges": some_ranges(rng, dim).astype(np.float64)},
            {"ranges": np.stack((sample.min(axis=0), sample.max(axis=0)))},
        ):
            for rows in (embeddings, embeddings[:2]):
                wanted = original(rows, precision, **bounds)
                assert_same(bitsift.quantize_embeddings(rows, precision, **bounds), wanted)

    def test_one_embedding(self, original, rng, precision):
        ranges = some_ranges(rng, 20)
        for shape in ((20,), (1, 20)):
            embedding = rng.standard_normal(shape).astype(np.float32)
            wanted = original(embedding, precision, ranges)
            assert_same(bitsift.quantize_embeddings(embedding, precision, ranges), wanted)
            if precision.endswith("int8"):
                for function in (original, bitsift.quantize_embeddings):
                    with pytest.raises(ValueError, match="single embedding"):
                        function(embedding, precision)

    def test_no_embeddings(self, original, precision):
        embeddings = np.empty((0, 20), np.float32)
        wanted = original(embeddings, precision)
        assert_same(bitsift.quantize_embeddings(embeddings, precision), wanted)
        assert original([], precision) == bitsift.quantize_embeddings([], precision) == []

    def test_lists(self, original, rng, precision):
        matrices = [rng.standard_normal((n, 20)).astype(np.float32) for n in (60, 1, 0, 80)]
        sample = rng.standard_normal((120, 20)).astype(np.float32)
        for bounds in ({}, {"calibration_embeddings": sample}, {"ranges": some_ranges(rng, 20)}):
            wanted = original(matrices, precision, **bounds)
            got = bitsift.quantize_embeddings(matrices, precision, **bounds)
            assert len(got) == len(wanted)
            for one, wanted_one in zip(got, wanted, strict=True):
                assert_same(one, wanted_one)
        vectors = list(matrices[0])
        wanted = original(vectors, precision)
        assert_same(bitsift.quantize_embeddings(vectors, precision), wanted)

    def test_tensors(self, original, rng, precision):
        torch = pytest.importorskip("torch", reason="torch is not installed")
        tensor = torch.from_numpy(rng.standard_normal((120, 20)).astype(np.float32))
        for form in (tensor, list(tensor), [tensor[:50], tensor[50:]]):
            wanted, got = original(form, precision), bitsift.quantize_embeddings(form, precision)
            assert type(got) is type(wanted)
            for one, wanted_one in zip(got, wanted, strict=True):
                assert_same(one, wanted_one)

    @settings(deadline=None, max_examples=100)
    @given(data=st.data())
    def test_law_same_bytes(self, original, precision, data):
        ranges = np.sort(data.draw(hnp.arrays(np.float32, (2, 3), elements=FLOAT32)), axis=0)
        dtype = data.draw(st.sampled_from([np.float32, np.float64]))
        embeddings = data.draw(hnp.arrays(np.float32, (4, 3), elements=FLOAT32)).astype(dtype)
        with np.errstate(all="ignore"):
            wanted = original(embeddings, precision, ranges)
        assert_same(bitsift.quantize_embeddings(embeddings, precision, ranges), wanted)

    def test_it_warns_of_as_many(self, original, rng, precision, caplog):
        for n in (99, 100):
            embeddings = rng.standard_normal((n, 3)).astype(np.float32)
            caplog.clear()
            original(embeddings, precision)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                bitsift.quantize_embeddings(embeddings, precision)
            assert len(caught) == len(caplog.records)
            assert len(caught) == (precision in ("int8", "uint8") and n == 99)
