# SPDX-License-Identifier: Apache-2.0
"""Whatever a newcomer passes: a result, or one line that names the argument and what came."""

import collections
import datetime as dt
import decimal
import pathlib
import re
import warnings

import numpy as np
import pytest

import bitsift

FLOATS = np.random.default_rng(0).standard_normal((24, 8)).astype(np.float32)
CODES = bitsift.pack(FLOATS)


class Subclass(np.ndarray):
    pass


class Unreadable:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array of this")


def objects(*cells):
    array = np.empty(len(cells), object)
    array[:] = cells
    return array


# Made anew for each call: generators are used up.
INPUTS = {
    "None": lambda: None,
    "Ellipsis": lambda: ...,
    "True": lambda: True,
    "0": lambda: 0,
    "-1": lambda: -1,
    "5": lambda: 5,
    "2.0": lambda: 2.0,
    "1.5": lambda: 1.5,
    "NaN": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "complex": lambda: 1j,
    "10**400": lambda: 10**400,
    "[2**80]": lambda: [2**80],
    "text": lambda: "vectors",
    "a file's name": lambda: "vectors.npy",
    "a path": lambda: pathlib.Path("vectors.npy"),
    "bytes": lambda: b"abcdef",
    "bytearray": lambda: bytearray(b"abc"),
    "memoryview": lambda: memoryview(b"ab"),
    "[]": list,
    "[[]]": lambda: [[]],
    "texts": lambda: ["a", "b"],
    "blobs": lambda: [b"ab", b"cd"],
    "[None]": lambda: [None],
    "[1.0, None]": lambda: [1.0, None],
    "[[1.0, None]]": lambda: [[1.0, None]],
    "ragged": lambda: [[1.0, 2.0], [1.0]],
    "ragged cells": lambda: [1.0, [2.0]],
    "generator": lambda: (row for row in FLOATS),
    "iterator": lambda: iter(FLOATS),
    "map": lambda: map(list, FLOATS),
    "set": lambda: {1, 2},
    "frozenset": lambda: frozenset([1]),
    "dict": lambda: {"a": 1},
    "dict of rows": lambda: dict(enumerate(FLOATS)),
    "values": lambda: dict(enumerate(FLOATS)).values(),
    "deque": lambda: collections.deque([[1.0] * 8]),
    "range": lambda: range(8),
    "slice": lambda: slice(3),
    "a type": lambda: np.float32,
    "an object": object,
    "objects": lambda: [object()],
    "unreadable": Unreadable,
    "unreadable rows": lambda: [Unreadable()],
    "decimals": lambda: [[decimal.Decimal(1)] * 8],
    "a date": lambda: dt.date(2020, 1, 1),
    "dates": lambda: [dt.date(2020, 1, 1)],
    "transposed": lambda: FLOATS.T,
    "one axis": lambda: FLOATS[0],
    "three axes": lambda: FLOATS[np.newaxis],
    "no axis": lambda: np.array(1.0),
    "no columns": lambda: np.ones((3, 0), np.float32),
    "no rows": lambda: np.ones((0, 8), np.float32),
    "one column short": lambda: FLOATS[:, :7],
    "NaN in a row": lambda: np.where(FLOATS > 1.5, np.nan, FLOATS),
    "infinity in a row": lambda: np.where(FLOATS > 1.5, np.inf, FLOATS),
    "huge": lambda: np.full((3, 8), 1e300),
    "float128": lambda: FLOATS.astype(np.longdouble),
    "big-endian": lambda: FLOATS.astype(">f4"),
    "column of lists": lambda: objects([1.0, 2.0], [3.0, 4.0]),
    "ragged column": lambda: objects([1.0, 2.0], [3.0]),
    "column of texts": lambda: objects("a", "b"),
    "floats as objects": lambda: FLOATS.astype(object),
    "masked": lambda: np.ma.masked_array(FLOATS),
    "masked rows": lambda: [np.ma.masked_array(FLOATS[0])],
    "matrix": lambda: np.asmatrix(FLOATS),
    "subclass": lambda: FLOATS.view(Subclass),
    "fields": lambda: np.zeros(3, [("a", "f4"), ("b", "f4")]),
    **{
        str(np.dtype(name)): lambda name=name: np.zeros((24, 8), name)
        for name in ("?", "i1", "u1", "i2", "i8", "u8", "f2", "f8", "c8", "M8[s]", "m8[s]", "U3")
    },
    "codes": lambda: CODES,
    "codes as int8": lambda: CODES.view(np.int8),
}


def index(**options):
    return bitsift.Index(8, **options)


def filled(**options):
    made = index(**options)
    made.add(FLOATS)
    return made


FILLED, BITS = filled(), filled(store=None)
FITTED = bitsift.MinMaxCalibrator().fit(FLOATS)

# The argument's name, as messages begin with it, and the call.
CALLS = {
    "pack x": ("x", bitsift.pack),
    "pack threshold": ("threshold", lambda x: bitsift.pack(FLOATS, x)),
    "unpack codes": ("codes", lambda x: bitsift.unpack(x, 8)),
    "unpack dim": ("dim|codes", lambda x: bitsift.unpack(CODES, x)),
    "search codes": ("codes|queries", lambda x: bitsift.search(x, CODES, 1)),
    "search queries": ("queries", lambda x: bitsift.search(CODES, x, 1)),
    "search k": ("k", lambda x: bitsift.search(CODES, CODES, x)),
    "search isa": ("isa", lambda x: bitsift.search(CODES, CODES, 1, isa=x)),
    "search threads": ("threads", lambda x: bitsift.search(CODES, CODES, 1, threads=x)),
    "range_search codes": ("codes|queries", lambda x: bitsift.range_search(x, CODES, 1)),
    "range_search radius": ("radius", lambda x: bitsift.range_search(CODES, CODES, x)),
    "range_search isa": ("isa", lambda x: bitsift.range_search(CODES, CODES, 1, isa=x)),
    "bitsift.merge": ("results", lambda x: bitsift.merge(x, 1)),
    "bitsift.merge result": ("results", lambda x: bitsift.merge([x], 1)),
    "bitsift.merge k": ("k", lambda x: bitsift.merge([FILLED.search(FLOATS)], x)),
    "knn_graph codes": ("codes", lambda x: bitsift.knn_graph(x, 1)),
    "knn_graph k": ("k", lambda x: bitsift.knn_graph(CODES, x)),
    "knn_graph progress": ("progress", lambda x: bitsift.knn_graph(CODES, 1, progress=x)),
    "verify progress": ("progress|nowhere", lambda x: bitsift.verify("nowhere", progress=x)),
    "evaluate progress": ("progress|documents", lambda x: bitsift.evaluate(FLOATS, progress=x)),
    "hamming a": ("a", lambda x: bitsift.hamming(x, CODES)),
    "hamming b": ("b|a", lambda x: bitsift.hamming(CODES, x)),
    "to_codes binary": ("embeddings", lambda x: bitsift.to_codes(x, "binary")),
    "to_codes bits": ("embeddings", lambda x: bitsift.to_codes(x, "bits")),
    "to_codes signs": ("embeddings", lambda x: bitsift.to_codes(x, "signs", dim=8)),
    "to_codes convention": ("convention|embeddings", lambda x: bitsift.to_codes(CODES, x)),
    "to_codes dim": (
        "dim|embeddings|the last 3 bits",
        lambda x: bitsift.to_codes(CODES, "ubinary", dim=x),
    ),
    "from_codes codes": ("codes", lambda x: bitsift.from_codes(x, "signs")),
    "from_codes convention": ("convention", lambda x: bitsift.from_codes(CODES, x)),
    "codes_from_int8": ("codes", lambda x: bitsift.codes_from_int8(x, convention="offset")),
    "codes_from_response": (
        'response|the response|encoding_type|embeddings?|item|"data"',
        bitsift.codes_from_response,
    ),
    "codes_from_response data": (
        'the response|embeddings?|item|"data"',
        lambda x: bitsift.codes_from_response({"data": x}, "binary"),
    ),
    "codes_from_response type": (
        "encoding_type|embeddings?",
        lambda x: bitsift.codes_from_response([[1]], x),
    ),
    "quantize_embeddings": ("embeddings|bounds", lambda x: bitsift.quantize_embeddings(x, "int8")),
    "quantize precision": ("precision", lambda x: bitsift.quantize_embeddings(FLOATS, x)),
    "quantize ranges": ("ranges", lambda x: bitsift.quantize_embeddings(FLOATS, "int4", x)),
    "quantize calibration": (
        "calibration_embeddings",
        lambda x: bitsift.quantize_embeddings(FLOATS, "int8", None, x),
    ),
    "Index dim": ("dim", bitsift.Index),
    "Index metric": ("metric", lambda x: index(metric=x)),
    "Index store": ("store|each store", lambda x: index(store=x)),
    "Index threshold": ("threshold", lambda x: index(threshold=x)),
    "Index rotate": ("rotate", lambda x: index(rotate=x)),
    "Index correction": ("correction", lambda x: index(correction=x)),
    "Index calibrator": ("calibrator", lambda x: index(store="int8", calibrator=x)),
    "fit": ("sample|vectors", lambda x: index(threshold="mean").fit(x)),
    "add": ("vectors|got", lambda x: index().add(x)),
    "add int8": ("vectors|got", lambda x: index(store="int8").add(x)),
    "add bits": ("vectors", lambda x: index(store=None).add(x)),
    "add ids": ("ids", lambda x: index().add(FLOATS, x)),
    "get": ("ids|'id", FILLED.get),
    "in": ("", lambda x: x in FILLED),
    "reserve": ("n", lambda x: index().reserve(x)),
    "search": ("queries", FILLED.search),
    "search bits": ("queries", BITS.search),
    "search for k": ("k", lambda x: FILLED.search(FLOATS, x)),
    "oversampling": ("oversampling", lambda x: FILLED.search(FLOATS, oversampling=x)),
    "rescore": ("rescore", lambda x: FILLED.search(FLOATS, rescore=x)),
    "scoring": ("scoring", lambda x: FILLED.search(FLOATS, scoring=x)),
    "ladder": ("ladder|this rung|the first", lambda x: FILLED.search(FLOATS, ladder=x)),
    "rung": (
        "this rung|the first|rung '.*' of ladder: oversampling",
        lambda x: FILLED.search(FLOATS, ladder=[x, "float32"]),
    ),
    "Index.range_search": ("queries", lambda x: FILLED.range_search(x, 0)),
    "Index.range_search radius": ("radius", lambda x: FILLED.range_search(FLOATS, x)),
    "Index.range_search count_only": (
        "count_only",
        lambda x: FILLED.range_search(FLOATS, 0.5, count_only=x),
    ),
    "iter_range chunk_size": (
        "chunk_size",
        lambda x: FILLED.iter_range(FLOATS, 0.5, chunk_size=x),
    ),
    "load": ("path|.*: there is nothing here", bitsift.Index.load),
    "load mmap": ("mmap|.*: there is nothing here", lambda x: bitsift.Index.load("/no/such", x)),
    "verify": ("path|.*: there is nothing here", bitsift.verify),
    "MinMaxCalibrator.fit": ("sample", lambda x: bitsift.MinMaxCalibrator().fit(x)),
    "partial_fit": ("batch", lambda x: bitsift.RollingCalibrator(2).partial_fit(x)),
    "merge": ("other", FITTED.merge),
    "share_clipped": ("values", FITTED.share_clipped),
    "from_state": ("calibration", lambda x: bitsift.Calibrator.from_state(x, np.zeros((2, 3)))),
    "n_std": ("n_std", bitsift.RollingCalibrator),
    "advise": ("sample|too few", bitsift.advise),
    "advise queries": ("queries", lambda x: bitsift.advise(FLOATS, queries=x)),
    "advise bits_alone": ("bits_alone", lambda x: bitsift.advise(FLOATS, bits_alone=x)),
    "evaluate": ("documents", lambda x: bitsift.evaluate(x, k=25)),
    "evaluate queries": ("queries|documents", lambda x: bitsift.evaluate(FLOATS, x, k=25)),
    "evaluate qrels": ("qrels", lambda x: bitsift.evaluate(FLOATS, FLOATS, x, progress=stop)),
    "evaluate k": ("k|documents", lambda x: bitsift.evaluate(FLOATS, k=x, progress=stop)),
    "evaluate price": (
        "price_per_gb",
        lambda x: bitsift.evaluate(FLOATS, price_per_gb=x, progress=stop),
    ),
    "evaluate vectors": (
        "n_vectors",
        lambda x: bitsift.evaluate(FLOATS, n_vectors=x, progress=stop),
    ),
    "plan vectors": ("vectors", lambda x: bitsift.plan(x, 8, bandwidth=1)),
    "plan dim": ("dim", lambda x: bitsift.plan(8, x, bandwidth=1)),
    "plan price": ("price", lambda x: bitsift.plan(8, 8, price=x, bandwidth=1)),
    "plan bandwidth": ("bandwidth", lambda x: bitsift.plan(8, 8, bandwidth=x)),
    "plan threads": ("threads", lambda x: bitsift.plan(8, 8, bandwidth=1, threads=x)),
}
ERRORS = (TypeError, ValueError, KeyError, bitsift.IndexFileError, OSError, MemoryError)
# Of NumPy, of Python, or of us where we tell too little or too much.
FOREIGN = re.compile(
    r"inhomogeneous|setting an array element|cannot cast|ufunc|object at 0x|broadcast|"
    r"not supported between|has no attribute|unhashable|takes .* argument|\n",
    re.IGNORECASE,
)


class Stopped(Exception):
    pass


def stop(share):
    """End an evaluation whose arguments are fine."""
    raise Stopped


def module_that_raised(error):
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals["__name__"]


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_argument_is_named_in_one_line(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of files must not exist
    name, function = CALLS[call]
    bad = []
    for input_name, make in INPUTS.items():
        with warnings.catch_warnings():
            # of ours, and that matrices and the like are discouraged
            warnings.simplefilter("ignore")
            try:
                function(make())
            except Stopped:
                continue
            except ERRORS as error:
                message = str(error)
                fine = re.match(name, message) and not FOREIGN.search(message)
                ours = module_that_raised(error).startswith("bitsift.")
                if not fine or not ours or len(message) > 500:
                    bad.append(
                        (input_name, type(error).__name__, module_that_raised(error), message)
                    )
    assert bad == []


@pytest.mark.parametrize("name", ["a", "b", "queries", "codes"])
def test_none_is_called_none(name):
    calls = {"a": "hamming a", "b": "hamming b", "queries": "search", "codes": "unpack codes"}
    with pytest.raises(TypeError, match=f"^{name} must hold numbers; got None$"):
        CALLS[calls[name]][1](None)
