# SPDX-License-Identifier: Apache-2.0
"""Every wrong argument raises an error that says what came and what is wanted; nothing changes."""

import inspect

import numpy as np
import pytest

import bitsift
import bitsift.core.native as native

FLOATS = np.ones((3, 20), np.float32)
CODES = np.zeros((3, 3), np.uint8)


def refuses(error, message):
    return pytest.raises(error, match=message)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dim": 0}, ValueError, "dim must be 1 to 65536; got 0"),
        ({"dim": -5}, ValueError, "dim must be 1 to 65536; got -5"),
        ({"dim": 65_537}, ValueError, "dim must be 1 to 65536; got 65537"),
        ({"dim": 8.0}, TypeError, "dim must be an integer; got float"),
        ({"dim": True}, TypeError, "dim must be an integer; got True"),
        ({"dim": "8"}, TypeError, "dim must be an integer; got str"),
        ({"metric": "hamming"}, ValueError, "metric must be one of .*; got 'hamming'"),
        ({"metric": None}, ValueError, "metric must be one of"),
        ({"store": "int2"}, ValueError, "store must be one of .*; got 'int2'"),
        ({"store": np.float32}, TypeError, "store must be a name, several of them, or None; got"),
        ({"store": []}, ValueError, "store must name at least one store, or be None"),
        ({"store": ["int8", 8]}, TypeError, "store must be a name, several of them, or None; got"),
        ({"store": ("int8", "int8")}, ValueError, "each store once"),
        ({"rotate": 1}, TypeError, "rotate must be True or False; got 1"),
        ({"correction": None}, TypeError, "correction must be True or False; got None"),
        ({"calibrator": "min_max"}, TypeError, "calibrator must be a Calibrator; got str"),
        (
            {"store": "int8", "calibrator": bitsift.MinMaxCalibrator().fit(np.eye(3))},
            ValueError,
            "calibrator must have dim 20, like the index; got .*dim=3",
        ),
        (
            {"correction": True, "threshold": 0.5},
            ValueError,
            'correction=True with metric="cosine" needs vectors of length 1',
        ),
        ({"threshold": np.nan}, ValueError, "threshold must be finite"),
        ({"threshold": 1e300}, ValueError, "threshold must be within float32's range"),
        ({"threshold": [0.0, 1.0]}, ValueError, r"shape \(20,\).*got shape \(2,\)"),
        ({"threshold": "mode"}, ValueError, "threshold must be a number, an array or one of"),
        ({"threshold": 1j}, TypeError, "threshold must be a real number"),
        ({"threshold": None}, TypeError, "threshold must be a real number"),
    ],
)
def test_index_arguments(arguments, error, message):
    with refuses(error, message):
        bitsift.Index(**{"dim": 20, **arguments})


VECTORS = [
    (np.ones((3, 19)), ValueError, "must have 20 values a row; got 19"),
    (np.ones(21), ValueError, "must have 20 values a row; got 21"),
    (np.ones((3, 4), np.uint8), ValueError, "3 bytes a row for dim 20; got 4 bytes = 32 bits"),
    (np.full((1, 3), 255, np.uint8), ValueError, "the last 4 bits of a row must be zero"),
    (np.ones((2, 3, 20)), ValueError, r"shape \(n, d\) or \(d,\); got 3 axes"),
    (np.float32(1), ValueError, "got 0 axes"),
    (np.ones((3, 0)), ValueError, "at least one value a row"),
    ([], ValueError, r"at least one value a row; got shape \(0,\)"),
    ([[1.0, 2.0], [1.0]], ValueError, "must be a rectangular array"),
    (
        np.ones((3, 20), np.int64),
        TypeError,
        "got int64; convert integers to a float type",
    ),
    (np.ones((3, 20), np.complex64), TypeError, "got complex64"),
    (np.ones((3, 20), np.longdouble), TypeError, "got .*float|got longdouble"),
    (np.ones((3, 3), np.int8), TypeError, "int8 in two conventions"),
    (np.ones((3, 20), object), TypeError, "Python objects"),
    (np.full((3, 20), "x"), TypeError, "got <U1"),
    (np.zeros((3, 20), [("a", "f4")]), TypeError, "got \\["),
    (np.zeros((3, 20), "M8[s]"), TypeError, "got datetime64"),
    (np.ma.masked_array(FLOATS), TypeError, "got a masked one"),
    (None, TypeError, "must hold numbers; got None"),
    ({"a": 1}, TypeError, "must hold numbers; got a dict"),
    ("text", TypeError, "must hold numbers; got a str"),
    (np.where(np.arange(20) == 7, np.nan, FLOATS), ValueError, "row 0, dimension 7 is nan"),
    (np.where(np.arange(20) == 7, np.inf, FLOATS), ValueError, "row 0, dimension 7 is inf"),
    (
        np.where(np.arange(20) == 7, -1e300, np.ones((3, 20))),
        ValueError,
        "float32's range.*-1e\\+300",
    ),
]


@pytest.mark.parametrize("store", [None, "float32", "float16"])
@pytest.mark.parametrize(("vectors", "error", "message"), VECTORS)
def test_add(store, vectors, error, message):
    index = bitsift.Index(20, store=store)
    index.add(FLOATS, ids=[4, 2, 8])
    packed = isinstance(vectors, np.ndarray) and vectors.dtype == np.uint8
    if packed and store:
        error, message = TypeError, f"got packed codes .*store='{store}' keeps original vectors"
    with refuses(error, message):
        index.add(vectors)
    assert index.ids.tolist() == [4, 2, 8]
    np.testing.assert_array_equal(index.codes, np.packbits(FLOATS > 0, axis=1))
    if store:
        np.testing.assert_array_equal(index.get([4, 2, 8]), FLOATS)
    assert index.add(FLOATS).tolist() == [9, 10, 11]


@pytest.mark.parametrize(("queries", "error", "message"), VECTORS)
def test_search_queries(queries, error, message):
    index = bitsift.Index(20)
    index.add(FLOATS)
    with refuses(error, message):
        index.search(queries)


def test_bool_vectors_need_no_store():
    with refuses(TypeError, "got bool, but store='float16' keeps original vectors"):
        bitsift.Index(20).add(FLOATS > 0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"k": -1}, ValueError, "k must be 0 to 2147483647; got -1"),
        ({"k": 2**31}, ValueError, "k must be 0 to 2147483647"),
        ({"k": 2**80}, ValueError, "k must be 0 to 2147483647"),
        ({"k": 2.0}, TypeError, "k must be an integer; got float"),
        ({"k": None}, TypeError, "k must be an integer; got NoneType"),
        ({"k": True}, TypeError, "k must be an integer; got True"),
        ({"oversampling": 0.5}, ValueError, "oversampling must be finite and at least 1; got 0.5"),
        ({"oversampling": np.nan}, ValueError, "oversampling must be finite"),
        ({"oversampling": np.inf}, ValueError, "oversampling must be finite"),
        ({"oversampling": 10**400}, ValueError, "oversampling must be finite"),
        ({"oversampling": "x"}, TypeError, "oversampling must be a number; got str"),
        ({"oversampling": "4"}, TypeError, "oversampling must be a number; got str"),
        ({"oversampling": True}, TypeError, "oversampling must be a number; got bool"),
        ({"threads": -1}, ValueError, "threads must be 0 to 1024; got -1"),
        ({"threads": 10**9}, ValueError, "threads must be 0 to 1024; got 1000000000"),
        ({"threads": 1.5}, TypeError, "threads must be an integer; got float"),
    ],
)
def test_search_arguments(arguments, error, message):
    index = bitsift.Index(20)
    index.add(FLOATS)
    with refuses(error, message):
        index.search(FLOATS, **arguments)


def test_rescoring_is_yes_or_no():
    index = bitsift.Index(20)
    index.add(FLOATS)
    with refuses(TypeError, "rescore must be True, False or None; got 'no'"):
        index.search(FLOATS, rescore="no")
    assert index.search(FLOATS, 1, rescore=np.True_).scores.dtype == np.float32


def test_rescoring_without_originals():
    index = bitsift.Index(20, store=None)
    index.add(FLOATS)
    with refuses(ValueError, "store=None keeps no original vectors"):
        index.search(FLOATS, rescore=True)


@pytest.mark.parametrize(
    ("codes", "queries", "error", "message"),
    [
        (
            CODES,
            CODES[:, :2],
            ValueError,
            "queries must have 3 bytes a row, like codes; got 2 bytes = 16 bits",
        ),
        (CODES[0], CODES, ValueError, r"codes must have shape \(n, n_bytes\); got shape \(3,\)"),
        (CODES.astype(np.int8), CODES, TypeError, "int8 in two conventions"),
        (CODES, CODES.astype(np.int8), TypeError, "int8 in two conventions"),
        (
            CODES.astype(float),
            CODES,
            TypeError,
            r"codes must be packed bits \(uint8\); got float64",
        ),
        (CODES > 0, CODES, TypeError, "got bool"),
        (CODES, None, TypeError, "queries must hold numbers; got None"),
        (np.zeros((2, 8193), np.uint8), CODES, ValueError, "at most 65536 bits"),
        (np.zeros((2, 0), np.uint8), CODES, ValueError, "at least one value a row"),
        (np.zeros((2, 2, 2), np.uint8), CODES, ValueError, "got 3 axes"),
    ],
)
def test_flat_search(codes, queries, error, message):
    with refuses(error, message):
        bitsift.search(codes, queries, 1)


def test_hamming():
    with refuses(ValueError, "a must have 2 bytes a row, like b; got 3 bytes = 24 bits"):
        bitsift.hamming(CODES, CODES[:, :2])
    with refuses(TypeError, r"a must be packed bits \(uint8\); got float32"):
        bitsift.hamming(FLOATS, CODES)


@pytest.mark.parametrize(
    ("x", "threshold", "error", "message"),
    [
        (FLOATS, np.nan, ValueError, "threshold must be finite"),
        (FLOATS, [1, 2], ValueError, r"shape \(20,\)"),
        (FLOATS, "mean", TypeError, "threshold must be a real number"),
        (FLOATS > 0, 1.0, ValueError, "bool values need a threshold with 0 <= threshold < 1"),
        (np.zeros((1, 65_537)), 0, ValueError, "at most 65536 values a row; got 65537"),
        (
            np.zeros((1, 20), int),
            0,
            TypeError,
            "must be float16, float32, float64 or bool; got int64",
        ),
        (np.zeros((1, 20), np.uint8), 0, TypeError, "got uint8"),
    ],
)
def test_pack(x, threshold, error, message):
    with refuses(error, message):
        bitsift.pack(x, threshold)


@pytest.mark.parametrize(
    ("codes", "dim", "error", "message"),
    [
        (CODES, 25, ValueError, "codes must have 4 bytes a row for dim 25; got 3 bytes = 24 bits"),
        (CODES, 16, ValueError, "codes must have 2 bytes a row for dim 16; got 3"),
        (CODES, 0, ValueError, "dim must be 1 to 65536; got 0"),
        (CODES, 20.0, TypeError, "dim must be an integer"),
        (CODES.view(np.int8), 20, TypeError, "int8 in two conventions"),
        (FLOATS, 20, TypeError, r"packed bits \(uint8\); got float32"),
    ],
)
def test_unpack(codes, dim, error, message):
    with refuses(error, message):
        bitsift.unpack(codes, dim)


def test_get_and_reserve():
    index = bitsift.Index(20)
    index.add(FLOATS)
    with refuses(TypeError, "ids must be integers below .*; got float64"):
        index.get([0.5])
    with refuses(ValueError, "ids must be one id or have shape"):
        index.get([[0]])
    with refuses(ValueError, "n must be 0 to"):
        index.reserve(-1)
    with refuses(MemoryError, "allocate"):
        index.reserve(2**40 - 1)
    assert len(index) == 3


MASKED = np.ma.masked_array(FLOATS, FLOATS > 1)
MASKED_ROWS = np.ma.masked_array(np.arange(6).reshape(2, 3), False)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("x", lambda: bitsift.pack(list(MASKED))),
        ("x", lambda: bitsift.pack([FLOATS[0], MASKED[1]])),
        ("x", lambda: bitsift.pack(tuple(MASKED))),
        ("threshold", lambda: bitsift.pack(FLOATS, MASKED[0])),
        ("threshold", lambda: bitsift.Index(20, threshold=MASKED[0])),
        ("vectors", lambda: bitsift.Index(20).add(list(MASKED))),
        ("queries", lambda: bitsift.Index(20).search(list(MASKED))),
        ("ids", lambda: bitsift.Index(20).add(FLOATS[:3], MASKED_ROWS[0])),
        ("ids", lambda: bitsift.Index(20).get(MASKED_ROWS[0])),
        ("embeddings", lambda: bitsift.quantize_embeddings(MASKED, "int8")),
        (r"embeddings\[0\]", lambda: bitsift.quantize_embeddings([MASKED], "int8")),
        (r"embeddings\[1\]", lambda: bitsift.quantize_embeddings([FLOATS, MASKED], "ubinary")),
        (r"embeddings\[0\]", lambda: bitsift.quantize_embeddings(list(MASKED), "float16")),
        ("ranges", lambda: bitsift.quantize_embeddings(FLOATS, "int8", MASKED[:2])),
        (
            "calibration_embeddings",
            lambda: bitsift.quantize_embeddings(FLOATS, "int8", None, list(MASKED)),
        ),
        ("sample", lambda: bitsift.MinMaxCalibrator().fit(list(MASKED))),
        ("sample", lambda: bitsift.advise(list(MASKED))),
        ("documents", lambda: bitsift.evaluate(list(MASKED))),
        ("qrels", lambda: bitsift.evaluate(np.ones((30, 4)), np.ones((2, 4)), MASKED_ROWS)),
    ],
)
def test_masks_are_not_lost(name, call):
    with pytest.raises(TypeError, match=f"^{name} must be a plain array; got a masked one"):
        call()


class TestCore:
    """The compiled functions, called past the Python layer, refuse what they could not read."""

    def test_search(self):
        arrays = (CODES, CODES, None)
        good = {"k": 1, "ids": None, "isa": "scalar", "threads": 1}
        native.search(*arrays, **good)
        for bad in (CODES[0], CODES.astype(np.int16), CODES.T, CODES.astype(np.float32), "x"):
            with pytest.raises((TypeError, ValueError)):
                native.search(bad, CODES, None, **good)
        with pytest.raises((TypeError, ValueError)):
            native.search(CODES, CODES[:, :2], None, **good)
        for bad in ({"k": -1}, {"ids": np.zeros(2, np.int64)}, {"isa": "sse9"}):
            with pytest.raises((TypeError, ValueError)):
                native.search(*arrays, **good | bad)

    def test_pack(self):
        thresholds = np.zeros(20, np.float32)
        for bad in (FLOATS[0], FLOATS.T[::2], FLOATS.astype(np.complex128), FLOATS.astype(int)):
            with pytest.raises((TypeError, ValueError)):
                native.pack(bad, thresholds, "scalar", 1)
        with pytest.raises((TypeError, ValueError)):
            native.pack(FLOATS, thresholds[:19], "scalar", 1)

    def test_rescore(self):
        rows = np.zeros((3, 2), np.int64)
        good = {
            "originals": FLOATS,
            "queries": FLOATS,
            "candidates": rows,
            "k": 1,
            "metric": "cosine",
            "ids": None,
            "isa": "scalar",
            "threads": 1,
        }
        native.rescore(**good)
        for name, bad in [
            ("originals", FLOATS[:, :5]),
            ("originals", FLOATS.astype(np.float64)),
            ("queries", FLOATS[:2]),
            ("candidates", rows + 3),
            ("candidates", rows.astype(np.int32)),
            ("candidates", rows[0]),
            ("metric", "manhattan"),
            ("ids", np.zeros(2, np.int64)),
            ("isa", "sse9"),
        ]:
            with pytest.raises((TypeError, ValueError, IndexError)):
                native.rescore(**good | {name: bad})


# Calls of every function that reports progress; their other arguments are not looked at yet.
WITH_PROGRESS = {
    "knn_graph": lambda progress: bitsift.knn_graph(CODES, 1, progress=progress),
    "verify": lambda progress: bitsift.verify("nowhere", progress=progress),
    "evaluate": lambda progress: bitsift.evaluate(np.zeros(3), progress=progress),
}


def test_all_that_report_progress_are_known():
    functions = {name: getattr(bitsift, name) for name in bitsift.__all__}
    reporting = {
        name
        for name, each in functions.items()
        if inspect.isfunction(each) and "progress" in inspect.signature(each).parameters
    }
    assert reporting == set(WITH_PROGRESS)


@pytest.mark.parametrize("name", WITH_PROGRESS)
@pytest.mark.parametrize(("wrong", "type_name"), [(True, "bool"), ("yes", "str"), (0, "int")])
def test_progress_is_callable_or_none(name, wrong, type_name):
    with refuses(TypeError, f"^progress must be callable or None; got {type_name}$"):
        WITH_PROGRESS[name](wrong)
