# SPDX-License-Identifier: Apache-2.0
"""The compiled functions, called past the Python layer, refuse arrays that they cannot read.

And what is no number becomes an integer that the contract names, the same on every machine.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import bitsift
import bitsift.core.native as native
from bitsift.quantization.integers import INTEGER_CODECS
from oracle import reference

DIM = 9
FLOATS = np.random.default_rng(0).standard_normal((5, DIM)).astype(np.float32)
HALVES, DOUBLES = FLOATS.astype(np.float16), FLOATS.astype(np.float64)
BYTES = np.arange(10, dtype=np.uint8).reshape(5, 2)
ZEROS = np.zeros(DIM, np.float32)
RANGES = np.array([[-1] * DIM, [1] * DIM], np.float32)
ROWS, IDS = np.zeros((5, 1), np.int64), np.arange(5)
MAGNITUDES, NUMBERS = np.ones((5, 16), np.uint8), np.ones((3, 5))
FACTORS = np.full((5, 1), 0x3F80, np.uint16)
FLIPS = np.ones((2, DIM), np.float32)
LEVEL = {"isa": "scalar", "threads": 1}
RESCORING = {"k": 1, **LEVEL}


def rescore_codes(codes, queries, candidates, factors, numbers, ids):
    estimate = "dot", factors, numbers
    arrays = codes, queries, MAGNITUDES, candidates
    return native.rescore_codes(*arrays, estimate=estimate, ids=ids, **RESCORING)


ONE_QUERY = {
    "codes": BYTES,
    "dim": DIM,
    "thresholds": ZEROS,
    "centring": None,
    "originals": None,
    "metric": "dot",
    "ids": None,
    "tie_ids": None,
    "candidates": 4,
    "asymmetric": False,
    "live": None,
    "isa": "scalar",
    "result_type": bitsift.SearchResult,
}


def one_query_search(codes, thresholds, threshold, flips, stored, ids, tie_ids):
    arrays = {"thresholds": thresholds, "centring": (threshold, flips, True)}
    arrays |= {"originals": (stored, None, None, None), "ids": ids, "tie_ids": tie_ids}
    return native.one_query_search(**ONE_QUERY | arrays | {"codes": codes})


# Function and the arrays that it takes.
TAKEN = {
    "pack float16": (partial(native.pack, **LEVEL), (HALVES, ZEROS)),
    "pack float32": (partial(native.pack, **LEVEL), (FLOATS, ZEROS)),
    "pack float64": (partial(native.pack, **LEVEL), (DOUBLES, ZEROS.astype(np.float64))),
    "encode_integers float32": (
        partial(native.encode_integers, integer_type="int4", threads=1),
        (FLOATS, RANGES),
    ),
    "encode_integers float64": (
        partial(native.encode_integers, integer_type="int4", threads=1),
        (DOUBLES, RANGES),
    ),
    "centre_and_rotate": (
        partial(native.centre_and_rotate, normalize=True, threads=1),
        (FLOATS, ZEROS, FLIPS),
    ),
    "round_queries": (partial(native.round_queries, threads=1), (DOUBLES, ZEROS)),
    "correction_factors": (
        partial(native.correction_factors, metric="dot", threads=1),
        (FLOATS, ZEROS),
    ),
    "search": (
        lambda codes, ids: native.search(codes, codes, None, ids=ids, **RESCORING),
        (BYTES, IDS),
    ),
    "range_search": (
        lambda codes, limits, ids: native.range_search(
            codes, codes, None, limits, ids=ids, **LEVEL
        ),
        (BYTES, np.full(len(BYTES), 9), IDS),
    ),
    "count_in_range": (
        lambda codes, limits: native.count_in_range(codes, codes, None, limits, **LEVEL),
        (BYTES, np.full(len(BYTES), 9)),
    ),
    "rescore float16": (
        lambda *arrays: native.rescore(*arrays[:3], ids=arrays[3], metric="dot", **RESCORING),
        (HALVES, FLOATS, ROWS, IDS),
    ),
    "rescore float32": (
        lambda *arrays: native.rescore(*arrays[:3], ids=arrays[3], metric="dot", **RESCORING),
        (FLOATS, FLOATS, ROWS, IDS),
    ),
    "rescore_integers": (
        lambda *arrays: native.rescore_integers(
            *arrays[:5], ids=arrays[5], integer_type="int8", metric="dot", **RESCORING
        ),
        (FLOATS.astype(np.int8), FLOATS, ROWS, DOUBLES[0], DOUBLES[1], IDS),
    ),
    "rescore_codes": (rescore_codes, (BYTES, BYTES, ROWS, FACTORS, NUMBERS, IDS)),
    "one_query_search float32": (
        one_query_search,
        (BYTES, ZEROS, ZEROS, FLIPS, FLOATS, IDS, IDS),
    ),
    "one_query_search float16": (
        one_query_search,
        (BYTES, ZEROS, ZEROS, FLIPS, HALVES, IDS, IDS),
    ),
    "one_query_search integers": (
        lambda stored, base, step: native.one_query_search(
            **ONE_QUERY | {"originals": (stored, "int8", base, step)}
        ),
        (FLOATS.astype(np.int8), DOUBLES[0], DOUBLES[1]),
    ),
}
PLACES = [(name, place) for name, (_, arrays) in TAKEN.items() for place in range(len(arrays))]


def misaligned(array):
    """Copy to an odd address."""
    memory = np.empty(array.nbytes + 1, np.uint8)
    copy = memory[1 - memory.ctypes.data % 2 :][: array.nbytes].view(array.dtype)
    copy = copy.reshape(array.shape)
    copy[...] = array
    return copy


def swapped(array):
    return array.astype(array.dtype.newbyteorder("S"))


def rows_apart(array, n_bytes):
    """Copy to rows so many bytes apart, beyond the values of a row."""
    step = array.strides[0] + n_bytes
    copy = np.ndarray(
        array.shape, array.dtype, bytearray(len(array) * step), 0, (step, array.itemsize)
    )
    copy[...] = array
    return copy


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_misaligned_and_swapped_arrays_are_refused(name, place):
    function, arrays = TAKEN[name]
    function(*arrays)
    if arrays[place].itemsize == 1:
        return
    for change in (misaligned, swapped):
        changed = [change(a) if i == place else a for i, a in enumerate(arrays)]
        if name == "rescore_codes" and place in (3, 4) and change is swapped:
            # Arrays in a tuple are converted.
            for got, wanted in zip(function(*changed), function(*arrays), strict=True):
                np.testing.assert_array_equal(got, wanted)
            continue
        with pytest.raises((ValueError, TypeError)):
            function(*changed)


@pytest.mark.parametrize("values", [HALVES, FLOATS, DOUBLES])
def test_strides(values):
    thresholds = ZEROS.astype(np.float64) if values.dtype == np.float64 else ZEROS
    function = partial(native.pack, thresholds=thresholds, **LEVEL)
    for same in (values[::-1], np.broadcast_to(values[0], (5, DIM)), rows_apart(values, 8)):
        np.testing.assert_array_equal(function(same)[0], reference.pack(same))
    # Rows that are not a multiple of the alignment apart, and rows that are not contiguous.
    for bad in (rows_apart(values, 1), values[:, ::2], values[:, ::-1], values.T):
        with pytest.raises(ValueError, match=r"aligned|contiguous|threshold"):
            function(bad)
    # The stride of an axis along which no step is taken means nothing.
    assert function(rows_apart(values, 1)[:1])[0].shape == (1, 2)
    assert function(values[:0])[0].shape == (0, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"codes": BYTES[:, :1]},
        {"codes": BYTES[0]},
        {"codes": BYTES.T},
        {"dim": 17},
        {"dim": 0},
        {"thresholds": ZEROS[1:]},
        {"thresholds": DOUBLES[0]},
        {"centring": (ZEROS[1:], FLIPS, True)},
        {"centring": (ZEROS, FLIPS[:, 1:], True)},
        {"centring": (ZEROS, FLIPS[:1], True)},
        {"originals": (FLOATS[1:], None, None, None)},
        {"originals": (FLOATS[:, 1:], None, None, None)},
        {"originals": (DOUBLES, None, None, None)},
        {"originals": (BYTES, None, None, None)},
        {"originals": (FLOATS.astype(np.int8), "int8", None, None)},
        {"originals": (FLOATS.astype(np.int8), "int8", DOUBLES[0], DOUBLES[0, 1:])},
        {"originals": (FLOATS.astype(np.int8), "int4", DOUBLES[0], DOUBLES[0])},
        {"originals": (FLOATS.astype(np.int8), "int3", DOUBLES[0], DOUBLES[0])},
        {"originals": (FLOATS.astype(np.int8)[1:], "int8", DOUBLES[0], DOUBLES[0])},
        {"metric": "hamming"},
        {"ids": IDS[1:]},
        {"tie_ids": IDS[1:]},
        {"live": native.LiveRows(4)},
        {"live": [True] * 5},
        {"isa": "sse9"},
        {"result_type": list},
        {"result_type": 3},
    ],
)
def test_a_search_of_one_query_refuses_what_does_not_fit(wrong):
    assert native.one_query_search(**ONE_QUERY)(FLOATS[0], 1, 1) is not None
    with pytest.raises((ValueError, TypeError)):
        native.one_query_search(**ONE_QUERY | wrong)


SET = native.RowSet.of_numbers(np.array([1, 3]), 5)
MADE_IDS = np.array([7, 4, 9])
FOUND = native.IdIndex(MADE_IDS, 4, 0)


@pytest.mark.parametrize(
    "call",
    [
        native.RowSet,
        lambda: native.RowSet.of_values(np.ones(3, np.uint8)),
        lambda: native.RowSet.of_numbers(np.array([5]), 5),
        lambda: native.RowSet.of_numbers(np.array([1]), 2**41),
        lambda: native.RowSet.of_numbers(np.array([1], np.int32), 5),
        lambda: native.RowSet.of_numbers(misaligned(IDS), 5),
        lambda: SET.with_numbers(np.array([5])),
        lambda: SET.selected(np.ones(3, np.bool_)),
        lambda: SET.selected(np.ones(1, np.bool_)),
        lambda: SET.extended_to(2**41),
        lambda: SET.kept(np.array([1.0])),
        lambda: SET & native.LiveRows(5),
        lambda: native.LiveRows(2**41),
        lambda: native.LiveRows(-1),
        lambda: native.LiveRows(5).remove(np.array([5])),
        lambda: native.LiveRows(5).remove_one(5),
        lambda: native.LiveRows(5).extended_to(2**41),
        lambda: native.IdIndex(MADE_IDS, 2, 0),
        lambda: native.IdIndex(MADE_IDS, 2**41, 0),
        lambda: native.IdIndex(misaligned(MADE_IDS), 4, 0),
        lambda: FOUND.enter(MADE_IDS, None, np.array([1, 2])),
        lambda: FOUND.enter(MADE_IDS, native.RowSet.of_values(np.ones(2, np.bool_)), MADE_IDS[:1]),
        lambda: FOUND.find(MADE_IDS, native.RowSet.of_values(np.ones(2, np.bool_)), MADE_IDS),
        lambda: FOUND.find(MADE_IDS, None, MADE_IDS.astype(np.int32)),
    ],
)
def test_sets_of_rows_and_tables_of_ids_refuse_what_does_not_fit(call):
    with pytest.raises((ValueError, TypeError)):
        call()


def test_sets_of_rows_and_tables_of_ids():
    live = native.LiveRows(5)
    assert live.current() is None
    assert live.remove(np.array([2, -1, 2])) == 1
    assert not live.remove_one(-1)
    assert not live.remove_one(2)
    assert live.remove_one(0)
    assert live.current() is live.current()
    assert live.current().numbers().tolist() == [1, 3, 4]
    assert (SET & live.current()).numbers().tolist() == [1, 3]
    assert live.current().kept(np.array([3, 2, -1, 99])).tolist() == [3, -1, -1, -1]
    assert FOUND.find(MADE_IDS, None, np.array([9, 8, 7])).tolist() == [2, -1, 0]
    assert FOUND.enter(MADE_IDS, None, MADE_IDS[1:2]) == 0
    assert (len(FOUND), FOUND.capacity, FOUND.version) == (3, 4, 0)


def test_the_result_of_a_search_of_one_query_is_a_tuple():
    with pytest.raises(TypeError):
        native.search_one(BYTES, BYTES[0], 1, None, 1, list)


def test_the_python_layer_copies_what_the_core_refuses():
    for values in (HALVES, FLOATS, DOUBLES):
        for odd in (misaligned(values), swapped(values), rows_apart(values, 1), values[:, ::-1]):
            np.testing.assert_array_equal(bitsift.pack(odd), reference.pack(np.array(odd)))
            index = bitsift.Index(DIM, metric="l2", store="float32")
            index.add(odd)
            np.testing.assert_array_equal(index.get(range(5)), np.array(odd, np.float32))
            assert index.search(odd, 1).ids[:, 0].tolist() == list(range(5))
    codes = bitsift.pack(FLOATS, misaligned(FLOATS[0]))
    np.testing.assert_array_equal(codes, reference.pack(FLOATS, FLOATS[0]))


def test_thresholds_of_another_type_are_refused():
    for values, thresholds in ((FLOATS, DOUBLES[0]), (DOUBLES, FLOATS[0]), (HALVES, HALVES[0])):
        with pytest.raises(ValueError, match="thresholds must be contiguous, and float64 for"):
            native.pack(values, thresholds, **LEVEL)


@pytest.mark.parametrize(
    ("integer_type", "lowest", "highest"),
    [("int8", [128] * DIM, [127] * DIM), ("uint8", [0] * DIM, [255] * DIM),
     ("int4", [0x88] * 4 + [0x80], [0x77] * 4 + [0x70])],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_no_number_becomes_an_integer(integer_type, lowest, highest, dtype):
    largest = np.finfo(dtype).max
    for value, wanted in [
        (np.nan, lowest),
        (-np.nan, lowest),
        (-np.inf, lowest),
        (-largest, lowest),
        (np.inf, highest),
        (largest, highest),
    ]:
        values = np.full((1, DIM), value, dtype)
        assert native.encode_integers(values, RANGES, integer_type, 1).tolist() == [wanted]


def test_ternary_takes_nan_for_a_value_within_the_bounds():
    values = np.float32([[np.nan, np.inf, -np.inf, 0, 2, -2, -1, 1, np.nan]])
    codes = INTEGER_CODECS["ternary"].encode(values, RANGES)
    unpacked = INTEGER_CODECS["ternary"].unpack(codes, DIM)
    assert unpacked.tolist() == [[0, 1, -1, 0, 1, -1, 0, 0, 0]]


@pytest.mark.parametrize(
    "ranges", [[1, 1], [1, -1], [np.nan, 1], [-1, np.nan], [-np.inf, 1], [-1, np.inf]]
)
@pytest.mark.parametrize("integer_type", ["int8", "uint8", "int4", "ternary"])
def test_bounds_that_are_no_range_are_refused(ranges, integer_type):
    wrong = RANGES.copy()
    wrong[:, 3] = ranges
    with pytest.raises(ValueError, match="lower bounds must be below upper ones"):
        native.encode_integers(FLOATS, wrong, integer_type, 1)


def test_magnitudes_of_what_is_no_number_are_0():
    queries = np.array([[np.nan, 1, -2, 0, np.nan, 2, 0, 0, 1], [np.inf, 1, -np.inf, *[0] * 6]])
    codes, magnitudes, _ = native.round_queries(queries, ZEROS, 1)
    np.testing.assert_array_equal(codes, reference.pack(queries))
    assert magnitudes[0, :DIM].tolist() == [0, 16, 31, 0, 0, 31, 0, 0, 16]
    assert not magnitudes[1].any()


CODES = np.zeros((3, 5), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([], "at least one segment"),
        ([CODES, np.zeros((3, 6), np.uint8)], "equally wide"),
        ([CODES, np.zeros((3, 5), np.float32)], "one type"),
        ([CODES, np.zeros(3, np.int64)], "one type"),
        ([np.zeros((3, 4), np.float32), np.zeros((3, 4), np.float16)], "another size"),
        ([np.zeros((3, 4), np.float16), np.zeros((3, 4), np.uint16)], "one type"),
        ([CODES, CODES[:, ::2]], "equally wide|contiguous"),
        ([np.zeros((3, 10), np.uint8)[:, ::2]], "contiguous"),
        ([np.zeros((3, 0), np.uint8)], "column"),
        ([np.zeros(3, np.int32)], "int64"),
        ([np.zeros(3, np.int64), np.zeros((3, 1), np.int64)], "int64"),
        ([np.zeros((2, 3), ">f4")], "byte order"),
        ([np.zeros((2, 3), np.int64)], "segments must be"),
        ([np.zeros((2, 2, 2), np.uint8)], "two axes"),
        ([np.zeros((), np.uint8)], "two axes"),
    ],
)
def test_segments_of_nothing_or_of_other_kinds(arrays, message):
    with pytest.raises((TypeError, ValueError), match=message):
        native.Segments(arrays)


def test_segments_take_the_place_of_arrays_of_their_type_alone():
    codes = native.Segments([CODES, CODES])
    queries = np.zeros((1, 5), np.uint8)
    found = native.search(codes, queries, None, k=2, ids=None, isa="scalar", threads=1)
    assert found[1].tolist() == [[0, 1]]
    assert [array.shape for array in codes.arrays] == [(3, 5)] * 2
    floats = native.Segments([np.zeros((6, 5), np.float32)])
    for wrong in (floats, native.Segments([np.arange(6)])):
        with pytest.raises(ValueError, match="another type"):
            native.search(wrong, queries, None, k=2, ids=None, isa="scalar", threads=1)
    for ids in (floats, native.Segments([np.arange(5)])):
        with pytest.raises(ValueError, match="one id for each row"):
            native.search(codes, queries, None, k=2, ids=ids, isa="scalar", threads=1)
    ids = native.Segments([np.array([5, 4, 3, 2])[::2], np.array([9, 1, 2, 0])])
    found = native.search(codes, queries, None, k=6, ids=ids, isa="scalar", threads=1)
    assert found[1].tolist() == [[5, 3, 4, 1, 0, 2]]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"limits": np.full(2, 5)}, "one limit for each query"),
        ({"limits": np.full((3, 1), 5)}, "one limit for each query"),
        ({"begin": 4}, "the first row must be one of the codes"),
        ({"most": 2}, "a part is of at most 256 queries"),
        ({"queries": np.zeros((257, 5), np.uint8), "limits": np.full(257, 5), "most": 300}, "256"),
        ({"queries": np.zeros((3, 4), np.uint8)}, "equally long"),
        ({"magnitudes": np.ones((3, 39), np.uint8)}, "one magnitude for each bit"),
        ({"magnitudes": np.full((3, 40), 32, np.uint8)}, "magnitude"),
        ({"ids": np.arange(2)}, "one id for each row"),
        ({"rows": native.RowSet.of_values(np.ones(2, np.bool_))}, "the set must be one of these"),
    ],
)
def test_a_range_search_refuses_what_does_not_fit(wrong, message):
    given = {"codes": CODES, "queries": CODES, "magnitudes": None, "limits": np.full(3, 40)}
    given |= {"ids": None, "isa": "scalar", "threads": 1}
    lims, _, rows, end = native.range_search(**given)
    assert (lims.tolist(), len(rows), end) == ([0, 3, 6, 9], 9, 3)
    with pytest.raises(ValueError, match=message):
        native.range_search(**given | wrong)


def test_numbers_of_a_part_of_a_set():
    rows = native.RowSet.of_numbers(np.array([70_000, 3, 64, 65_535]), 70_001)
    assert rows.numbers().tolist() == [3, 64, 65_535, 70_000]
    assert rows.numbers(4, 65_536).tolist() == [64, 65_535]
    assert rows.numbers(65_536).tolist() == [70_000]
    for begin, end in ((3, 2), (0, 70_002)):
        with pytest.raises(ValueError, match="the rows must be those of the set"):
            rows.numbers(begin, end)
