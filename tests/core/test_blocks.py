# SPDX-License-Identifier: Apache-2.0
"""Conversions by blocks of rows: results and errors are those of one NumPy call on the whole."""

import base64
import signal
import warnings

import numpy as np
import pytest

import bitsift
from bitsift.core import blocks
from bitsift.core.arguments import plain_array
from bitsift.core.blocks import fill, row_blocks

BLOCK = 7  # rows
DIM = 20
N_BYTES = 3


@pytest.fixture(params=[BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, 1, 0])
def n(request):
    return request.param


def set_block(monkeypatch, row_values, n_rows=BLOCK):
    monkeypatch.setattr(blocks, "_BLOCK_VALUES", n_rows * row_values)


def some_bits(n):
    return np.random.default_rng(n).integers(0, 2, (n, DIM), dtype=np.uint8)


def assert_same(made, wanted):
    assert (made.dtype, made.shape) == (wanted.dtype, wanted.shape)
    assert made.tobytes() == wanted.tobytes()
    assert made.flags.c_contiguous
    assert made.flags.writeable


def layouts(array):
    return array, np.asfortranarray(array), np.repeat(array, 2, axis=1)[:, ::2]


def test_fill(monkeypatch, n):
    set_block(monkeypatch, DIM)
    assert list(row_blocks(n, DIM)) == [(i, min(i + BLOCK, n)) for i in range(0, n, BLOCK)]
    rows, out = some_bits(n), np.empty((n, DIM), np.int16)
    fill(out, np.negative, rows.astype(np.int16))
    np.testing.assert_array_equal(out, -rows.astype(np.int16))


def test_unpack_and_from_codes(monkeypatch, n):
    set_block(monkeypatch, DIM)
    bits = some_bits(n)
    unpadded = np.packbits(bits, axis=1)
    for codes in layouts(unpadded):
        assert_same(bitsift.unpack(codes, DIM), bits)
        for dim, shown in ((DIM, bits), (None, np.unpackbits(unpadded, axis=1))):
            assert_same(bitsift.from_codes(codes, "bits", dim=dim), shown)
            assert_same(bitsift.from_codes(codes, "signs", dim=dim), shown.view(np.int8) * 2 - 1)
    little = np.packbits(bits, axis=1, bitorder="little")
    set_block(monkeypatch, N_BYTES)
    for codes in layouts(unpadded):
        assert_same(bitsift.from_codes(codes, "ubinary"), unpadded)
        assert_same(bitsift.from_codes(codes, "vespa"), unpadded.view(np.int8))
        assert_same(bitsift.from_codes(codes, "binary"), (unpadded ^ 0x80).view(np.int8))
        assert_same(bitsift.from_codes(codes, "sqlite-vec", dim=DIM), little)
        assert not np.shares_memory(bitsift.from_codes(codes, "ubinary"), codes)


def test_to_codes(monkeypatch, n):
    set_block(monkeypatch, DIM)
    bits = some_bits(n)
    codes = np.packbits(bits, axis=1)
    for dtype in (bool, np.uint8, np.int64, np.float16, ">f4", np.float64):
        for x in layouts(bits.astype(dtype)):
            assert_same(bitsift.to_codes(x, "bits"), codes)
    for x in layouts(bits.astype(np.float32) * 2 - 1):
        assert_same(bitsift.to_codes(x, "signs"), codes)
    set_block(monkeypatch, N_BYTES)
    little = np.packbits(bits, axis=1, bitorder="little")
    offset = (codes ^ 0x80).view(np.int8)
    for wide in (False, True):
        for convention, packed in (
            ("ubinary", codes),
            ("vespa", codes.view(np.int8)),
            ("binary", offset),
            ("sqlite-vec", little),
        ):
            for x in layouts(packed.astype(np.int32) if wide else packed):
                assert_same(bitsift.to_codes(x, convention, dim=DIM), codes)
    for x in layouts(offset):
        assert_same(bitsift.codes_from_int8(x, convention="offset"), codes)


def test_quantized_embeddings(monkeypatch, n):
    set_block(monkeypatch, N_BYTES)
    vectors = some_bits(n).astype(np.float32) - 0.5
    codes = np.packbits(vectors > 0, axis=1)
    assert_same(bitsift.quantize_embeddings(vectors, "ubinary"), codes)
    assert_same(bitsift.quantize_embeddings(vectors, "binary"), (codes ^ 0x80).view(np.int8))


@pytest.mark.parametrize("row", [0, BLOCK - 1, BLOCK, 2 * BLOCK])
def test_errors_name_the_row_of_the_whole(monkeypatch, row):
    n = 2 * BLOCK + 1
    set_block(monkeypatch, DIM)
    bits = some_bits(n).astype(np.float32)
    for value, convention in ((0.5, "bits"), (0.0, "signs"), (np.nan, "bits")):
        wrong = bits if convention == "bits" else bits * 2 - 1
        wrong = wrong.copy()
        wrong[row, 4] = wrong[-1, 5] = value
        with pytest.raises(ValueError, match=rf"row {row}, dimension 4 is {value}$"):
            bitsift.to_codes(wrong, convention)
    wrong = bits.copy()
    wrong[row, 4] = wrong[-1, 5] = np.inf
    with pytest.raises(ValueError, match=f"finite; row {row}, dimension 4 is inf"):
        bitsift.pack(wrong)
    set_block(monkeypatch, N_BYTES)
    packed = np.zeros((n, N_BYTES), np.int64)
    packed[row, 1] = 200
    hint = "0 to 255 look like"
    with pytest.raises(ValueError, match=f"-128 to 127; row {row}, value 1 is 200; .*{hint}"):
        bitsift.to_codes(packed, "binary")
    packed[0, 2] = -3  # the hint is of all values
    with pytest.raises(ValueError, match=r"row 0, value 2 is -3"):
        bitsift.to_codes(packed, "ubinary")
    set_block(monkeypatch, 1)
    codes = np.zeros((n, N_BYTES), np.uint8)
    codes[row:, 2] = 1
    with pytest.raises(ValueError, match=f"last byte of row {row} is 1, its bits are 00000001"):
        bitsift.from_codes(codes, "ubinary", dim=DIM)


def test_a_long_row_of_integers_is_refused():
    with pytest.raises(ValueError, match="at most 65536 bits a row"):
        bitsift.to_codes(np.zeros(70_000, np.int64), "ubinary")
    with pytest.raises(ValueError, match="at most 65536 bits a row"):
        bitsift.to_codes(np.zeros(70_000, np.uint8), "ubinary")


def test_responses(monkeypatch, n):
    set_block(monkeypatch, N_BYTES)
    codes = np.packbits(some_bits(n), axis=1)
    listed = {"embeddings": {"ubinary": codes.tolist()}}
    assert_same(bitsift.codes_from_response(listed, dim=DIM), codes)
    items = [
        {"index": i, "embedding": row.tolist() if i % 3 else base64.b64encode(row).decode()}
        for i, row in enumerate(codes)
    ]
    assert_same(bitsift.codes_from_response(items, "ubinary", dim=DIM), codes)


ARRAYS = [np.arange(3.0) + i for i in range(9)]
LISTS = {
    "integers": [[1, 2, 3]] * 9,
    "floats": [[1.5, 2.5]] * 9,
    "mixed in each row": [[1, 2.5, True]] * 9,
    "bool": [[True, False]] * 9,
    "bool, then integers": [[True, False]] * 5 + [[1, 2]] * 4,
    "integers, then floats": [[1, 2**53 + 1]] * 5 + [[0.5, 2]] * 4,
    "big integers": [[2**63, 2**64 - 1]] * 9,
    "big and small": [[2**63, 1]] * 5 + [[1, -1]] * 4,
    "big, then negative": [[2**63]] * 5 + [[-1]] * 4,
    "beyond 64 bits": [[1]] * 8 + [[2**64]],
    "complex": [[1j, 2.0]] * 9,
    "text": [["a", "b"]] * 8 + [["long"]] * 1,
    "numbers and text": [[1, 2]] * 5 + [["a", "b"]] * 4,
    "None": [[1.0, 2.0]] * 8 + [[None, 1.0]],
    "ragged": [[1, 2]] * 8 + [[1, 2, 3]],
    "ragged at a block": [[1, 2]] * 6 + [[1]] * 3,
    "a number among rows": [[1, 2]] * 8 + [3],
    "empty rows": [[]] * 9,
    "an empty row": [[]] + [[1]] * 8,
    "flat integers": list(range(9)),
    "flat floats": [0.5] * 9,
    "flat mixed": [0] * 8 + [0.5],
    "flat big": [0] * 8 + [2**63],
    "tuples": tuple((i, i + 0.5) for i in range(9)),
    "arrays": ARRAYS,
    "tuple of arrays": tuple(ARRAYS),
    "float32": [one.astype(np.float32) for one in ARRAYS],
    "float16, then float32": [one.astype(np.float16 if one[0] < 5 else "f4") for one in ARRAYS],
    "big-endian": [one.astype(">f4") for one in ARRAYS],
    "one big-endian": [*ARRAYS[:8], ARRAYS[8].astype(">f8")],
    "int8 and uint8": [one.astype("i1" if one[0] < 5 else "u1") for one in ARRAYS],
    "scalars": list(np.arange(9, dtype=np.float32)),
    "scalars and floats": [*np.arange(8, dtype=np.float32), 0.1],
    "matrices": [one[np.newaxis] for one in ARRAYS],
    "a matrix among rows": [*ARRAYS[:8], np.ones((1, 3))],
    "arrays of other lengths": [*ARRAYS[:8], np.ones(4)],
    "lists of arrays": [[one, one] for one in ARRAYS],
    "objects": [one.astype(object) for one in ARRAYS],
    "masked": [*ARRAYS[:8], np.ma.masked_array(ARRAYS[8], [True, False, False])],
    "dates": [np.array(["2020-01-01"], "M8[D]")] * 9,
    "memory views": [memoryview(one.copy()) for one in ARRAYS],
}


def outcome(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            array = plain_array(x, "x")
        except (TypeError, ValueError) as error:
            return type(error), str(error)
    return array.dtype.str, array.shape, array.flags.c_contiguous, array.tobytes()


@pytest.mark.parametrize("name", LISTS)
def test_a_list_in_blocks_is_the_array_of_the_whole(monkeypatch, name):
    x = LISTS[name]
    wanted = outcome(x)  # as short as it is, it is read at once
    monkeypatch.setattr(blocks, "_MANY_ROWS", 0)
    for n_values in (1, 2, 4, 6, 9, 12, 18, 24, 27):
        monkeypatch.setattr(blocks, "_BLOCK_VALUES", n_values)
        assert outcome(x) == wanted


def test_which_lists_go_in_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "_MANY_ROWS", 4)
    monkeypatch.setattr(blocks, "_BLOCK_VALUES", 6)

    class Own(list):
        pass

    in_blocks = {name for name, x in LISTS.items() if blocks.listed(x) is not None}
    assert {"integers", "floats", "mixed in each row", "arrays", "tuples"} <= in_blocks
    assert not {"integers, then floats", "ragged", "text", "big-endian", "objects"} & in_blocks
    assert blocks.listed(Own(ARRAYS)) is None
    assert blocks.listed(ARRAYS[:4]) is None


@pytest.mark.parametrize("step", [pytest.param(5, marks=pytest.mark.slow), 13])
@pytest.mark.parametrize("is_cut", [True, False])
@pytest.mark.usefixtures("no_collection")
def test_the_error_of_a_handler_is_not_taken_for_one_of_the_list(is_cut, step):
    class HandlerError(Exception):
        pass

    def stop(number, frame):
        raise HandlerError

    x = [[0.5] * 64] * 20_000
    if not is_cut:
        x[-5_000:] = [[1] * 64] * 5_000
    n_ended = 0
    replaced = signal.signal(signal.SIGALRM, stop)
    try:
        for milliseconds in range(1, 80, step):
            signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000)
            try:
                plain_array(x, "x")
                signal.setitimer(signal.ITIMER_REAL, 0)
            except HandlerError:
                n_ended += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, replaced)
    assert n_ended
