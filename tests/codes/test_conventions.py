# SPDX-License-Identifier: Apache-2.0
"""Codes to and from each named convention; embeddings of another convention are refused."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsift

PACKED = ["ubinary", "binary", "vespa", "sqlite-vec"]
CONVENTIONS = [*PACKED, "bits", "signs"]
DTYPES = {
    "ubinary": np.uint8,
    "binary": np.int8,
    "vespa": np.int8,
    "sqlite-vec": np.uint8,
    "bits": np.uint8,
    "signs": np.int8,
}
UINT8 = np.zeros((3, 2), np.uint8)
INT8 = np.zeros((3, 2), np.int8)


def refuses(error, message):
    return pytest.raises(error, match=message)


def write(bits, convention):
    """Write one list of bits in a convention, in plain Python."""
    if convention == "bits":
        return list(bits)
    if convention == "signs":
        return [1 if bit else -1 for bit in bits]
    padded = [*bits, *[0] * (-len(bits) % 8)]
    row = []
    for start in range(0, len(padded), 8):
        eight = padded[start : start + 8]
        if convention == "sqlite-vec":
            eight = eight[::-1]
        byte = int("".join(map(str, eight)), 2)
        if convention == "binary":
            byte -= 128
        if convention == "vespa" and byte > 127:
            byte -= 256
        row.append(byte)
    return row


class TestKnownAnswers:
    """Known answers: from the documents of the vendors, or from their code."""

    @pytest.mark.parametrize(
        ("convention", "values"),
        [
            # docs.voyageai.com, flexible dimensions and quantization, offset binary: eight values
            # of signs - + - - + + - + are 01001101, which is 77, and 77 - 128 = -51.
            ("ubinary", [77]),
            ("binary", [-51]),
            ("vespa", [77]),
            # What sqlite-vec 0.1.9 answers for those eight values: X'B2'.
            ("sqlite-vec", [0xB2]),
            ("bits", [0, 1, 0, 0, 1, 1, 0, 1]),
            ("signs", [-1, 1, -1, -1, 1, 1, -1, 1]),
        ],
    )
    def test_one_byte_in_every_convention(self, convention, values):
        embedding = np.array(values, DTYPES[convention])
        assert bitsift.to_codes(embedding, convention).tolist() == [77]
        assert bitsift.from_codes(np.array([77], np.uint8), convention).tolist() == values

    @pytest.mark.parametrize(
        ("bits", "byte"),  # docs.vespa.ai, binarizing vectors: the table of pack_bits
        [
            ([1, 1, 1, 1, 1, 1, 1, 1], -1),
            ([0, 0, 0, 0, 0, 0, 0, 0], 0),
            ([1, 0, 0, 0, 0, 0, 0, 0], -128),
            ([1, 0, 0, 0, 0, 0, 0, 1], -127),
        ],
    )
    def test_vespa(self, bits, byte):
        codes = bitsift.to_codes(bits, "bits")
        assert bitsift.from_codes(codes, "vespa").tolist() == [byte]
        assert bitsift.to_codes(np.array([byte], np.int8), "vespa").tolist() == codes.tolist()

    @pytest.mark.parametrize(
        ("floats", "byte"),
        [
            # the example of sqlite-vec's guide to binary quantization, as its 0.1.9 answers it
            ([-0.73, -0.80, 0.12, -0.73, 0.79, -0.11, 0.23, 0.97], 0xD4),
            ([-1, -1, -1, -1, 1, 1, 1, 1], 0xF0),  # github.com/asg017/sqlite-vec/issues/23
            ([1, 0, -1, -1, -1, -1, -1, -1], 0x01),
        ],
    )
    def test_sqlite_vec(self, floats, byte):
        codes = bitsift.pack(np.array(floats, np.float32))
        assert bitsift.from_codes(codes, "sqlite-vec").tolist() == [byte]
        blob = np.frombuffer(bytes([byte]), np.uint8)
        assert bitsift.to_codes(blob, "sqlite-vec").tolist() == codes.tolist()

    def test_sentence_transformers(self, rng):
        """quantize_embeddings: packbits for "ubinary"; for "binary" 128 less, as int8."""
        floats = rng.standard_normal((7, 20)).astype(np.float32)
        ubinary = np.packbits(floats > 0, axis=-1)
        binary = (ubinary.astype(np.int16) - 128).astype(np.int8)
        codes = bitsift.pack(floats)
        np.testing.assert_array_equal(bitsift.to_codes(ubinary, "ubinary", dim=20), codes)
        np.testing.assert_array_equal(bitsift.to_codes(binary, "binary", dim=20), codes)

    @pytest.mark.parametrize("convention", PACKED)
    def test_all_bytes(self, convention):
        codes = np.arange(256, dtype=np.uint8).reshape(16, 16)
        expected = [write(np.unpackbits(row).tolist(), convention) for row in codes]
        embeddings = bitsift.from_codes(codes, convention)
        assert embeddings.dtype == DTYPES[convention]
        assert embeddings.tolist() == expected
        np.testing.assert_array_equal(bitsift.to_codes(embeddings, convention), codes)


@settings(deadline=None, max_examples=150)
@given(data=st.data(), convention=st.sampled_from(CONVENTIONS), dim=st.integers(1, 200))
def test_law_conventions_invert(data, convention, dim):
    shape = data.draw(st.sampled_from([(dim,), (0, dim), (1, dim), (5, dim)]))
    bits = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 1)))
    codes = np.packbits(bits, axis=-1)
    embeddings = bitsift.from_codes(codes, convention, dim=dim)
    assert embeddings.dtype == DTYPES[convention]
    one = bits.ndim == 1
    rows = [write(row, convention) for row in bits.reshape(-1, dim).tolist()]
    assert embeddings.tolist() == (rows[0] if one else rows)
    back = bitsift.to_codes(embeddings, convention, dim=dim)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, codes)
    assert back.shape == codes.shape


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=2, max_side=9)),
    st.sampled_from(CONVENTIONS),
)
def test_law_without_dim_every_bit_counts(codes, convention):
    embeddings = bitsift.from_codes(codes, convention)
    assert embeddings.shape[-1] == codes.shape[-1] * (1 if convention in PACKED else 8)
    np.testing.assert_array_equal(bitsift.to_codes(embeddings, convention), codes)


@pytest.mark.parametrize("convention", PACKED)
def test_embeddings_agree_with_pack_and_search(rng, convention):
    floats = rng.standard_normal((50, 70)).astype(np.float32)
    embeddings = bitsift.from_codes(bitsift.pack(floats), convention, dim=70)
    index = bitsift.Index(70, store=None)
    index.add(bitsift.to_codes(embeddings, convention, dim=70))
    scores, ids = index.search(floats, k=1)
    assert ids[:, 0].tolist() == list(range(50))
    assert not scores.any()


class TestMixedUp:
    """A wrong name gives an error where the data can tell, and other bits where it cannot."""

    codes = np.random.default_rng(7).integers(0, 256, (20, 8), dtype=np.uint8)

    def test_binary_for_vespa_differs_in_the_first_bit_of_every_byte(self):
        offset = bitsift.from_codes(self.codes, "binary")
        np.testing.assert_array_equal(bitsift.to_codes(offset, "vespa"), self.codes ^ 0x80)
        # Between two sets of embeddings with the same mistake, distances are right; else not.
        wrong = bitsift.hamming(self.codes, bitsift.to_codes(offset, "vespa"))
        np.testing.assert_array_equal(np.diag(wrong), 8)

    def test_sqlite_vec_for_ubinary_turns_every_byte(self):
        turned = bitsift.from_codes(self.codes, "sqlite-vec")
        bits = np.unpackbits(bitsift.to_codes(turned, "ubinary"), axis=1).reshape(20, 8, 8)
        own = np.unpackbits(self.codes, axis=1).reshape(20, 8, 8)
        np.testing.assert_array_equal(bits, own[..., ::-1])

    @pytest.mark.parametrize("written", CONVENTIONS)
    @pytest.mark.parametrize("read", CONVENTIONS)
    def test_never_the_same_bits(self, written, read):
        if written == read:
            return
        embeddings = bitsift.from_codes(self.codes, written)
        try:
            codes = bitsift.to_codes(embeddings, read)
        except (TypeError, ValueError):
            return
        assert codes.shape != self.codes.shape or (codes != self.codes).any()

    @pytest.mark.parametrize(
        ("written", "read", "message"),
        [
            ("ubinary", "binary", 'must be int8; got uint8; packed uint8 is "ubinary" or'),
            ("sqlite-vec", "vespa", 'must be int8; got uint8; packed uint8 is "ubinary" or'),
            ("binary", "ubinary", 'must be uint8; got int8; packed int8 is "binary" or "vespa"'),
            ("vespa", "sqlite-vec", "must be uint8; got int8"),
            ("signs", "ubinary", "must be uint8; got int8"),
            ("bits", "binary", "must be int8; got uint8"),
        ],
    )
    def test_another_type(self, written, read, message):
        with refuses(TypeError, message):
            bitsift.to_codes(bitsift.from_codes(self.codes, written), read)

    def test_values_of_another_convention_in_wide_integers(self):
        wide = bitsift.from_codes(self.codes, "binary").astype(np.int64)
        with refuses(ValueError, 'must be 0 to 255; .* look like "binary" or "vespa"'):
            bitsift.to_codes(wide, "ubinary")
        with refuses(ValueError, 'must be -128 to 127; .* look like "ubinary" or'):
            bitsift.to_codes(self.codes.astype(np.int64), "binary")
        with refuses(ValueError, "row 0, value 1 is 256$"):
            bitsift.to_codes([[255, 256]], "ubinary")
        with refuses(ValueError, "row 0, value 1 is -129$"):
            bitsift.to_codes([-128, -129], "binary")


class TestWhatIsTaken:
    @pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, ">i4"])
    def test_lists_and_wide_integers_that_fit(self, dtype):
        assert bitsift.to_codes([[-128, 127]], "binary").tolist() == [[0, 255]]
        assert bitsift.to_codes(np.array([-128, 127], dtype), "binary").tolist() == [0, 255]
        assert bitsift.to_codes(np.array([0, 255], dtype), "ubinary").tolist() == [0, 255]

    def test_unsigned_wide_integers(self):
        assert bitsift.to_codes(np.array([0, 255], np.uint16), "ubinary").tolist() == [0, 255]
        with refuses(ValueError, "row 0, value 0 is 18446744073709551615$"):
            bitsift.to_codes(np.array([2**64 - 1], np.uint64), "vespa")

    @pytest.mark.parametrize(
        "dtype", [bool, np.int8, np.uint8, np.int64, np.uint64, ">i2", np.float16, np.float64]
    )
    def test_bits_of_any_type(self, dtype):
        bits = np.array([[1, 0, 0, 1, 1], [0, 0, 0, 0, 1]], dtype)
        assert bitsift.to_codes(bits, "bits", dim=5).tolist() == [[0b10011000], [0b00001000]]

    @pytest.mark.parametrize("dtype", [np.int8, np.int64, ">i2", np.float16, np.float64])
    def test_signs_of_any_type(self, dtype):
        signs = np.array([[1, -1, -1, 1, 1], [-1, -1, -1, -1, 1]], dtype)
        assert bitsift.to_codes(signs, "signs", dim=5).tolist() == [[0b10011000], [0b00001000]]

    @pytest.mark.parametrize("convention", CONVENTIONS)
    def test_any_stride_is_taken_and_arguments_stay_as_they_were(self, rng, convention):
        codes = rng.integers(0, 256, (6, 8), dtype=np.uint8)
        whole = bitsift.from_codes(codes, convention)
        before = whole.copy()
        for view in (whole[::-1], whole[::2], np.asfortranarray(whole)):
            contiguous = np.ascontiguousarray(view)
            np.testing.assert_array_equal(
                bitsift.to_codes(view, convention), bitsift.to_codes(contiguous, convention)
            )
        np.testing.assert_array_equal(
            bitsift.from_codes(codes[:, ::-1], convention),
            bitsift.from_codes(codes[:, ::-1].copy(), convention),
        )
        result = bitsift.to_codes(whole, convention)
        result[:] = 0
        np.testing.assert_array_equal(whole, before)
        written = bitsift.from_codes(codes, convention)
        kept = codes.copy()
        written[:] = 0
        np.testing.assert_array_equal(codes, kept)

    def test_largest_dim(self):
        codes = np.full(8192, 0b01010101, np.uint8)
        for convention in CONVENTIONS:
            embeddings = bitsift.from_codes(codes, convention)
            np.testing.assert_array_equal(bitsift.to_codes(embeddings, convention), codes)


@pytest.mark.parametrize(
    ("convention", "row", "last", "bits"),
    [
        ("ubinary", [0, 31], 31, "00011111"),
        ("binary", [-128, -97], -97, "00011111"),
        ("vespa", [0, 1], 1, "00000001"),
        ("sqlite-vec", [0, 128], 128, "00000001"),
    ],
)
def test_pad_bits_must_be_zero(convention, row, last, bits):
    zero = bitsift.from_codes(np.zeros(2, np.uint8), convention)
    embeddings = np.array([zero, row], DTYPES[convention])
    message = f"the last 4 bits .* dim is 12, .* row 1 is {last}, its bits are {bits}"
    with refuses(ValueError, message) as caught:
        bitsift.to_codes(embeddings, convention, dim=12)
    assert ("a byte of zero bits is -128" in str(caught.value)) == (convention == "binary")
    with refuses(ValueError, f"row 0 is {last}"):
        bitsift.to_codes(embeddings[1], convention, dim=12)
    assert bitsift.to_codes(embeddings, convention).shape == (2, 2)  # every bit counts
    assert bitsift.to_codes(embeddings[0], convention, dim=12).tolist() == [0, 0]


def test_zero_bits_of_offset_binary_are_minus_128():
    assert bitsift.to_codes(np.array([-128, 0], np.int8), "binary", dim=9).tolist() == [0, 128]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_pad_bits_of_codes_must_be_zero(convention):
    with refuses(ValueError, "the last 3 bits .* row 1 is 4, its bits are 00000100"):
        bitsift.from_codes(np.array([[0, 0], [1, 4]], np.uint8), convention, dim=13)


BAD = [
    (UINT8, "cohere", {}, ValueError, r"convention must be one of \('ubinary', .*; got 'cohere'"),
    (UINT8, None, {}, ValueError, "convention must be one of .*; got None"),
    (UINT8, np.array([1, 2]), {}, ValueError, "convention must be one of"),
    (UINT8, "ubinary", {"dim": 0}, ValueError, "dim must be 1 to 65536; got 0"),
    (UINT8, "ubinary", {"dim": 12.0}, TypeError, "dim must be an integer; got float"),
    (UINT8, "ubinary", {"dim": 17}, ValueError, "3 bytes a row for dim 17; got 2 bytes = 16 bits$"),
    (UINT8, "ubinary", {"dim": 8}, ValueError, "1 bytes a row for dim 8; got 2 bytes = 16 bits$"),
    (INT8, "binary", {"dim": 8}, ValueError, "1 bytes a row for dim 8"),
    (UINT8, "ubinary", {"dim": 2}, ValueError, 'for dim 2; got 2 .* is "bits" .* or "signs"'),
    (UINT8, "bits", {"dim": 16}, ValueError, '"bits" must have 16 values a row; got 2'),
    (INT8 + 1, "signs", {"dim": 3}, ValueError, '"signs" must have 3 values a row; got 2'),
    (UINT8.astype(float), "ubinary", {}, TypeError, 'got float64; .* "bits" .* or "signs"'),
    (UINT8 > 0, "binary", {}, TypeError, 'must be int8; got bool; .* "bits"'),
    (UINT8.astype(complex), "binary", {}, TypeError, "must be int8; got complex128$"),
    (np.full((1, 2), "x"), "ubinary", {}, TypeError, "must be uint8; got <U1; text"),
    (np.zeros((2, 8193), np.uint8), "ubinary", {}, ValueError, "at most 65536 bits .* got 8193"),
    (np.zeros((2, 8193), np.int8), "vespa", {}, ValueError, "at most 65536 bits a row"),
    (np.zeros((1, 65_537), np.uint8), "bits", {}, ValueError, "at most 65536 values .* got 65537"),
    ([[0, 1], [2, 0]], "bits", {}, ValueError, "must be 0 or 1; row 1, dimension 0 is 2$"),
    ([0, -1], "bits", {}, ValueError, "must be 0 or 1; row 0, dimension 1 is -1$"),
    ([0.5, 0], "bits", {}, ValueError, "must be 0 or 1; row 0, dimension 0 is 0.5$"),
    ([1, np.nan], "bits", {}, ValueError, "row 0, dimension 1 is nan$"),
    ([1, 0], "signs", {}, ValueError, "must be -1 or 1; row 0, dimension 1 is 0$"),
    ([1.0, np.inf], "signs", {}, ValueError, "row 0, dimension 1 is inf$"),
    (UINT8, "signs", {}, TypeError, "must be signed integers or floats; got uint8"),
    (UINT8 > 0, "signs", {}, TypeError, "must be signed integers or floats; got bool"),
    (UINT8.astype(complex), "bits", {}, TypeError, "must be bool, integers or floats; got complex"),
    (np.full((1, 2), "x"), "bits", {}, TypeError, "must be bool, integers or floats; got <U1"),
    (np.zeros((2, 2, 2), np.uint8), "ubinary", {}, ValueError, "got 3 axes"),
    (np.zeros((2, 0), np.uint8), "ubinary", {}, ValueError, "at least one value a row"),
    ([], "bits", {}, ValueError, r"at least one value a row; got shape \(0,\)"),
    ([[1, 2], [1]], "ubinary", {}, ValueError, "must be a rectangular array"),
    (None, "ubinary", {}, TypeError, "must hold numbers; got None"),
    ([2**70], "ubinary", {}, TypeError, "Python objects"),
    (np.ma.masked_array(UINT8), "ubinary", {}, TypeError, "got a masked one"),
]


@pytest.mark.parametrize(("embeddings", "convention", "options", "error", "message"), BAD)
def test_bad_embeddings(embeddings, convention, options, error, message):
    with refuses(error, message):
        bitsift.to_codes(embeddings, convention, **options)


@pytest.mark.parametrize(
    ("codes", "convention", "options", "error", "message"),
    [
        (UINT8, "offset", {}, ValueError, "convention must be one of .*; got 'offset'"),
        (
            UINT8,
            "bits",
            {"dim": 17},
            ValueError,
            "3 bytes a row for dim 17; got 2 bytes = 16 bits$",
        ),
        (UINT8, "bits", {"dim": True}, TypeError, "dim must be an integer; got True"),
        (INT8, "binary", {}, TypeError, "int8 in two conventions"),
        (UINT8 > 0, "bits", {}, TypeError, r"codes must be packed bits \(uint8\); got bool"),
        ([[0, 1]], "bits", {}, TypeError, r"packed bits \(uint8\); got int64"),
        (np.zeros((1, 8193), np.uint8), "binary", {}, ValueError, "at most 65536 bits a row"),
    ],
)
def test_bad_codes(codes, convention, options, error, message):
    with refuses(error, message):
        bitsift.from_codes(codes, convention, **options)


def test_a_convention_must_be_named():
    with refuses(TypeError, "convention"):
        bitsift.to_codes(UINT8)
    with refuses(TypeError, "convention"):
        bitsift.from_codes(UINT8)


class TestInt8:
    packed = np.arange(256, dtype=np.uint8).reshape(16, 16)

    def test_offset(self):
        as_int8 = (self.packed.astype(np.int16) - 128).astype(np.int8)
        codes = bitsift.codes_from_int8(as_int8, convention="offset")
        np.testing.assert_array_equal(codes, self.packed)

    def test_twos_complement(self):
        codes = bitsift.codes_from_int8(self.packed.view(np.int8), convention="twos_complement")
        np.testing.assert_array_equal(codes, self.packed)

    def test_convention_must_be_known(self):
        with refuses(ValueError, "convention must be"):
            bitsift.codes_from_int8(self.packed.view(np.int8), convention="cohere")
        with refuses(TypeError, "codes must be int8; got uint8"):
            bitsift.codes_from_int8(self.packed, convention="offset")
        with refuses(TypeError, "codes must be int8; got int64"):
            bitsift.codes_from_int8([[-51]], convention="offset")


class TestNumbers:
    """int8 and uint8 that are numbers, one a dimension, are not taken for packed bits."""

    BYTES = ("ubinary", "binary", "sqlite-vec")

    @staticmethod
    def numbers(rng, spread, width=384, n=50):
        return np.clip(np.rint(spread * rng.standard_normal((n, width))), -128, 127).astype(np.int8)

    @staticmethod
    def as_given(numbers, convention):
        return numbers if convention in ("binary", "vespa") else numbers.view(np.uint8) ^ 128

    @pytest.mark.parametrize("convention", BYTES)
    @pytest.mark.parametrize("spread", [2, 20, 32, 50])
    @pytest.mark.parametrize("n", [1, 2, 50, 2_000])
    def test_numbers_are_refused(self, rng, convention, spread, n):
        given = self.as_given(self.numbers(rng, max(spread, 10), n=n), convention)
        for rows in (given, given[0], given.tolist()):
            with pytest.raises(ValueError, match=r"look like numbers.*dim=3072 says so") as caught:
                bitsift.to_codes(rows, convention)
            assert "numpy.asarray(embeddings, 'float32')" in str(caught.value)
        packed = bitsift.to_codes(given, convention, dim=3_072)
        assert packed.shape == (n, 384)
        with pytest.raises(ValueError, match=r"48 bytes a row for dim 384; got 384.*numbers"):
            bitsift.to_codes(given, convention, dim=384)

    def test_vespa_warns(self, rng):
        numbers = self.numbers(rng, 30)
        with pytest.warns(bitsift.BitsiftWarning, match="look like numbers"):
            bitsift.to_codes(numbers, "vespa")
        assert bitsift.to_codes(numbers, "vespa", dim=3_072).shape == numbers.shape

    def test_the_older_function(self, rng):
        numbers = self.numbers(rng, 30)
        with pytest.raises(ValueError, match=r"^codes must be packed bits.*look like numbers"):
            bitsift.codes_from_int8(numbers, convention="offset")
        with pytest.warns(bitsift.BitsiftWarning, match="look like numbers"):
            bitsift.codes_from_int8(numbers, convention="twos_complement")
        for convention in ("offset", "twos_complement"):
            codes = bitsift.codes_from_int8(numbers, convention=convention, dim=3_072)
            assert codes.shape == numbers.shape
            with pytest.raises(ValueError, match="48 bytes a row for dim 384"):
                bitsift.codes_from_int8(numbers, convention=convention, dim=384)

    @pytest.mark.parametrize("convention", [*BYTES, "vespa"])
    @pytest.mark.parametrize(
        "kind", ["even", "rare", "frequent", "constant", "correlated", "image"]
    )
    def test_packed_bits_are_not_refused(self, rng, convention, kind):
        """Whatever the bits are like; no warning either, which the tests would raise."""
        for width in (16, 128, 384):
            uniform = rng.random((200, 8 * width))
            bits = {
                "even": uniform < 0.5,
                "rare": uniform < 0.03,
                "frequent": uniform < 0.97,
                "constant": np.where(uniform < 0.1, uniform < 0.5, rng.random(8 * width) < 0.5),
                "correlated": np.repeat(rng.random((200, width)) < 0.2, 8, axis=1),
                "image": np.cumsum(uniform < 0.1, axis=1) % 2,  # runs of ten
            }[kind]
            codes = np.packbits(bits, axis=1)
            given = bitsift.from_codes(codes, convention)
            assert np.array_equal(bitsift.to_codes(given, convention), codes)

    def test_of_a_response(self, rng):
        numbers = self.numbers(rng, 30)
        response = {"embeddings": numbers.tolist()}
        with pytest.raises(ValueError, match="look like numbers"):
            bitsift.codes_from_response(response, "binary")
        with pytest.raises(ValueError, match="for dim 384"):
            bitsift.codes_from_response(response, "binary", dim=384)
        with pytest.raises(ValueError, match="int8 embeddings are numbers, one a dimension"):
            bitsift.codes_from_response({"embeddings": {"int8": numbers.tolist()}})
