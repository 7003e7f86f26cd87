# SPDX-License-Identifier: Apache-2.0
"""One query is searched in one native call, which returns and raises what the general way does."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

import bitsift
import bitsift.core.native as native
from helpers.laws import few_or_many, try_law

DIM = 37
N_BYTES = 5
RNG = np.random.default_rng(0)
VECTORS = RNG.standard_normal((200, DIM)).astype(np.float32)
VECTORS[50:100] = VECTORS[:50]  # ties
QUERY = RNG.standard_normal(DIM)
CODES = bitsift.pack(VECTORS)
STORES = ("float32", "float16", "int8", "uint8", "int4", "ternary")
IDS = RNG.permutation(10**6)[: len(VECTORS)]


def make(
    n: int = len(VECTORS),
    ids: Any = None,
    scoring: Any = "hamming",
    waits: bool = False,
    **options: Any,
) -> bitsift.Index:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        index = bitsift.Index(DIM, scoring=scoring, **options)
        if n:
            if not waits:
                index.fit(VECTORS[:n])
            index.add(VECTORS[:n], ids=None if ids is None else ids[:n])
    return index


INDEXES = {
    "bits": make(store=None),
    **{f"{store} {metric}": make(store=store, metric=metric)
       for store in STORES for metric in ("cosine", "dot", "l2")},
    "several stores": make(store=("float32", "int4")),
    "threshold": make(threshold=0.25),
    "thresholds": make(threshold=np.linspace(-1, 1, DIM)),
    "cosine, normalized": make(threshold="mean"),
    "l2, mean": make(threshold="mean", metric="l2"),
    "rotated": make(rotate=True, store=None),
    "rotated, half-mean": make(rotate=True, threshold="half-mean", store="float16"),
    "correction": make(correction=True, threshold="mean"),
    "bits, ids": make(store=None, ids=IDS),
    "ids": make(ids=IDS),
    "ids, ascending": make(ids=np.sort(IDS)),
    "ids, few": make(3, ids=IDS),
    "one": make(1, store="int8"),
    "none": make(0),
    "none, bits": make(0, store=None),
    "none, not fitted": make(0, store="ternary", threshold="mean"),
}  # fmt: skip
asymmetric = partial(make, scoring="asymmetric")
INDEXES |= {
    **{f"asymmetric {store} {metric}": asymmetric(store=store, metric=metric)
       for store in (None, "float32", "int4") for metric in ("cosine", "dot", "l2")},
    **{f"asymmetric {metric}, {number}": asymmetric(store=None, metric=metric, threshold=threshold)
       for metric in ("cosine", "dot", "l2")
       for number, threshold in (("threshold", 0.25), ("thresholds", np.linspace(-1, 1, DIM)))},
    **{f"asymmetric {metric}, {rotate}": asymmetric(
           store=None, metric=metric, threshold="mean", rotate=rotate)
       for metric in ("cosine", "dot", "l2") for rotate in (False, True)},
    "asymmetric, correction": asymmetric(correction=True, threshold="mean"),
    "asymmetric, bits, ids": asymmetric(store=None, ids=IDS),
    "asymmetric, ids": asymmetric(ids=IDS),
    "asymmetric, one": asymmetric(1, store=None),
    "asymmetric, none": asymmetric(0),
    "asymmetric, none, bits": asymmetric(0, store=None),
}  # fmt: skip

waiting = partial(make, waits=True)
INDEXES |= {
    "waiting": waiting(scoring="auto", ids=IDS),
    "waiting, bits": waiting(scoring="auto", store=None, metric="l2"),
    "waiting, int8 and correction": waiting(store="int8", correction=True),
    "waiting, threshold": waiting(threshold="mean", scoring="asymmetric", store=None),
}


class Kin(np.ndarray):
    """A subclass."""


def misaligned(array: np.ndarray) -> np.ndarray:
    memory = np.empty(array.nbytes + 1, np.uint8)
    memory[1:] = array.view(np.uint8)
    return memory[1:].view(array.dtype)


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def replaced(value: float, dtype: type = np.float32, place: int = DIM - 1) -> np.ndarray:
    query = QUERY.astype(dtype)
    query[place] = value
    return query


QUERY_32 = QUERY.astype(np.float32)
CODE = CODES[7]
# The native call takes these.
USUAL = {
    "float32": QUERY_32,
    "float32, (1, d)": QUERY_32[np.newaxis],
    "float64": QUERY,
    "float64, (1, d)": QUERY[np.newaxis],
    "float16": QUERY.astype(np.float16),
    "float16, (1, d)": QUERY.astype(np.float16)[np.newaxis],
    "zeros": np.zeros(DIM),
    "subnormal": np.full(DIM, 1e-310),
    "subnormal as float32": np.full(DIM, 1e-41),
    "subnormal as float16": np.full(DIM, 1e-7, np.float16),
    "largest": np.full(DIM, 3e38),
    "code": CODE,
    "code, (1, n)": CODE[np.newaxis],
    "read-only": read_only(QUERY_32),
    "read-only code": read_only(CODE),
    "one row of many": VECTORS[3:4],
    "one row of many, backwards": VECTORS[::-1][3:4],
    "column of rows": np.asfortranarray(VECTORS[5:6]),
}
# All others go the general way; some are wrong.
UNUSUAL = {
    "NaN": replaced(np.nan),
    "NaN, first": replaced(np.nan, np.float64, 0),
    "NaN, (1, d)": replaced(np.nan, np.float16)[np.newaxis],
    "infinite": replaced(np.inf),
    "-infinite": replaced(-np.inf, np.float64),
    "beyond float32": replaced(1e39, np.float64),
    "two": VECTORS[:2],
    "two codes": CODES[:2],
    "no rows": VECTORS[:0],
    "no axis": np.float32(1),
    "three axes": QUERY_32[np.newaxis, np.newaxis],
    "no values": np.zeros(0, np.float32),
    "(1, 0)": np.zeros((1, 0)),
    "narrow": QUERY_32[:-1],
    "wide": np.zeros(DIM + 1),
    "wide, (1, d)": np.zeros((1, DIM + 1), np.float16),
    "narrow code": CODE[:-1],
    "wide code": np.zeros(N_BYTES + 1, np.uint8),
    "numbers as uint8": np.zeros(DIM, np.uint8),
    "pad bits": np.full(N_BYTES, 255, np.uint8),
    "list": QUERY.tolist(),
    "list of lists": [QUERY.tolist()],
    "tuple": tuple(QUERY.tolist()),
    "bool": QUERY > 0,
    "int8": CODE.view(np.int8),
    "int8 numbers": np.zeros(DIM, np.int8),
    "int64": np.ones(DIM, np.int64),
    "uint16": np.ones(DIM, np.uint16),
    "complex": QUERY.astype(np.complex64),
    "longdouble": QUERY.astype(np.longdouble),
    "text": QUERY.astype("U3"),
    "objects": QUERY.astype(object),
    "structured": np.zeros(DIM, [("a", "f4")]),
    "other byte order": QUERY_32.astype(QUERY_32.dtype.newbyteorder("S")),
    "other byte order, float16": QUERY.astype(np.dtype(np.float16).newbyteorder("S")),
    "misaligned": misaligned(QUERY_32),
    "misaligned float64": misaligned(QUERY),
    "strided": np.repeat(QUERY_32, 2)[::2],
    "strided code": np.repeat(CODE, 2)[::2],
    "backwards": QUERY_32[::-1],
    "broadcast": np.broadcast_to(np.float32(1), DIM),
    "subclass": QUERY_32.view(Kin),
    "masked": np.ma.masked_array(QUERY_32, QUERY_32 > 0),
    "masked code": np.ma.masked_array(CODE, CODE > 9),
    "None": None,
    "word": "float32",
    "number": 1.5,
    "dict": {},
}


class Indexable:
    def __index__(self) -> int:
        return 3


class Fails:
    def __index__(self) -> int:
        raise KeyError("this one fails")


USUAL_K = [0, 1, 10, 200, 201, 4096]
UNUSUAL_K = [4097, -1, 2**31, 2**63, 2**70, -(2**70), True, np.True_, np.int64(3), np.uint8(3)]
UNUSUAL_K += [3.0, "3", None, Indexable(), Fails(), [3], np.array(3)]
USUAL_THREADS = [0, 1, 2, 1024]
UNUSUAL_THREADS = [1025, -1, True, None, 2.0, "2", np.int64(2), Indexable(), Fails(), 2**64]


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, raises and warns of, in a form that can be compared."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            found = call()
        except Exception as error:
            result: Any = type(error), str(error)
        else:
            assert type(found) is bitsift.SearchResult
            result = [
                (type(a), a.dtype, a.shape, a.tobytes(), a.flags.writeable, a.flags.c_contiguous)
                for a in found
            ] + [found.kind]
    return result, [(warning.category, str(warning.message)) for warning in warned]


def general(index: bitsift.Index) -> bitsift.Index:
    """A copy of an index that takes the general way."""
    slow = copy.copy(index)
    object.__setattr__(slow._table.snapshot.documents, "search_one", lambda *_: None)
    return slow


GENERAL = {name: general(index) for name, index in INDEXES.items()}


def check(name: str, *arguments: Any, **options: Any) -> None:
    got = outcome(lambda: INDEXES[name].search(*arguments, **options))
    assert got == outcome(lambda: GENERAL[name].search(*arguments, **options))


def in_one_call(index: bitsift.Index, *arguments: Any) -> bool:
    """Whether the native call takes these: queries, k and threads."""
    search_one = index._table.snapshot.documents.prepare_search_one()
    return search_one is not None and search_one(*arguments) is not None


@pytest.mark.parametrize("name", INDEXES)
def test_queries(name):
    for query in (*USUAL.values(), *UNUSUAL.values()):
        check(name, query, 3)
        check(name, query)


@pytest.mark.parametrize(
    "name",
    [
        *("bits", "float32 cosine", "ids", "none", "correction"),
        *("asymmetric None dot", "asymmetric, ids", "asymmetric, correction"),
    ],
)
def test_numbers(name):
    for query in (QUERY_32, CODE, QUERY[np.newaxis], QUERY.tolist(), UNUSUAL["NaN"]):
        for k in (*USUAL_K, *UNUSUAL_K):
            check(name, query, k)
        for threads in (*USUAL_THREADS, *UNUSUAL_THREADS):
            check(name, query, 3, threads=threads)
        # Which of two wrong arguments is named.
        check(name, query, -1, threads=-1)


@pytest.mark.parametrize(
    "options",
    [
        {"oversampling": 2},
        {"oversampling": None},
        {"oversampling": 0},
        {"rescore": True},
        {"rescore": False},
        {"rescore": 3},
        {"scoring": None},
        {"scoring": "auto"},
        {"scoring": "hamming"},
        {"scoring": "asymmetric"},
        {"offset": 0},
        {"offset": 2},
        {"offset": False},
        {"offset": -1},
        {"scoring": "cosine"},
        {"ladder": [("hamming", 8), "float32"]},
        {"ladder": []},
    ],
)
def test_options(options):
    for name in (
        *("bits", "float32 dot", "correction"),
        *("asymmetric None l2", "asymmetric int4 dot", "asymmetric, correction"),
    ):
        for query in (QUERY_32, CODE, UNUSUAL["narrow"]):
            check(name, query, 3, **options)


def test_what_goes_which_way():
    for name, index in INDEXES.items():
        for query_name, query in USUAL.items():
            if query_name == "largest" and index.rotate:
                continue  # some are beyond float32 once rotated
            if not index._table.snapshot.fitting.has_final_codes:
                continue  # no search asks it
            goes = "correction" not in name
            assert in_one_call(index, query, 3, 0) == goes, (name, query_name)
        assert not any(in_one_call(index, query, 3, 0) for query in UNUSUAL.values())
    index = INDEXES["bits"]
    assert all(in_one_call(index, QUERY_32, k, 0) for k in USUAL_K)
    assert not any(in_one_call(index, QUERY_32, k, 0) for k in UNUSUAL_K)
    assert all(in_one_call(index, QUERY_32, 3, threads) for threads in USUAL_THREADS)
    assert not any(in_one_call(index, QUERY_32, 3, threads) for threads in UNUSUAL_THREADS)


@few_or_many(40, 2000)
def test_any_index_and_query(n_examples):
    def law(dim, n, k, seed, dtype, store, metric, rotate, threshold, scoring, data):
        rng = np.random.default_rng(seed)
        vectors = rng.standard_normal((n, dim)).astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            index = bitsift.Index(
                dim, store=store, metric=metric, rotate=rotate, threshold=threshold, scoring=scoring
            )
            index.add(vectors, ids=rng.permutation(3 * n)[:n] if seed % 2 else None)
        values = data.draw(some.arrays(dtype, (dim,)))
        codes = bitsift.pack(rng.standard_normal(dim))
        slow = general(index)
        for query in (values, rng.standard_normal(dim).astype(dtype), codes):
            for shaped in (query, query[np.newaxis]):
                got = outcome(lambda shaped=shaped: index.search(shaped, k))
                assert got == outcome(lambda shaped=shaped: slow.search(shaped, k))

    try_law(
        law,
        n_examples,
        dim=st.integers(1, 150),
        n=st.integers(0, 300),
        k=st.integers(0, 320),
        seed=st.integers(0, 2**32),
        dtype=st.sampled_from([np.float16, np.float32, np.float64]),
        store=st.sampled_from([None, *STORES]),
        metric=st.sampled_from(["cosine", "dot", "l2"]),
        rotate=st.booleans(),
        threshold=st.sampled_from([0.0, 0.3, "mean"]),
        scoring=st.sampled_from(["auto", "hamming", "asymmetric"]),
        data=st.data(),
    )


# Each is beyond what one thread does, and the scan of the last is shared.
@pytest.mark.parametrize(
    ("n", "dim", "store"),
    [
        (6000, 384, None),
        (6000, 384, "float16"),
        (60, 65_536, None),
        (60, 65_536, "float16"),
        (50_000, 1024, None),
    ],
)
def test_more_work_than_one_thread_is_worth(isa, rng, n, dim, store):
    index = bitsift.Index(dim, store=store, isa=isa)
    part = rng.standard_normal((60, dim)).astype(np.float32)
    if store is None:
        index.add(rng.integers(0, 256, (n, dim // 8), np.uint8))
    else:
        index.add(np.resize(part, (n, dim)))
    slow = general(index)
    for threads in (0, 1, 2, 7):
        got = outcome(partial(index.search, part[0], 100, threads=threads))
        assert got == outcome(partial(slow.search, part[0], 100, threads=threads))


def test_levels(isa):
    for scoring, name in (("hamming", "float32 cosine"), ("asymmetric", "asymmetric None l2")):
        like = INDEXES[name]
        index = make(isa=isa, scoring=scoring, store=like.store, metric=like.metric)
        for query in USUAL.values():
            assert outcome(lambda query=query, index=index: index.search(query)) == outcome(
                lambda query=query, like=like: general(like).search(query)
            )


def test_each_state_of_an_index_has_its_own():
    index = make(100)
    before = index._table.snapshot.documents
    assert index.search(VECTORS[150], 1).ids != [150]
    index.add(VECTORS[100:])
    assert index.search(VECTORS[150], 1).ids == [150]
    assert before.search_one is not index._table.snapshot.documents.search_one
    assert before.search_one(VECTORS[150], 1, 0).ids != [150]


def test_it_holds_the_arrays_and_nothing_holds_it():
    index = make(rotate=True, threshold="mean", store="int8", ids=IDS)
    wanted = index.search(QUERY)
    search_one = index._table.snapshot.documents.search_one
    gc.collect()
    gc.disable()
    try:
        documents = weakref.ref(index._table.snapshot.documents)
        memory = weakref.ref(documents().columns.codes.base)
        del index
        assert documents() is None  # no cycle
        assert memory() is not None
        for _ in range(100):
            np.full((len(VECTORS), DIM), np.nan)  # would take freed memory
        np.testing.assert_array_equal(search_one(QUERY, 10, 0), wanted)
        del search_one
        assert memory() is None
    finally:
        gc.enable()


def test_copies_and_pickles_are_the_same_after_a_search():
    index = make(rotate=True)
    before = pickle.dumps(index)
    index.search(QUERY)
    assert pickle.dumps(index) == before
    for same in (copy.copy(index), copy.deepcopy(index), pickle.loads(before)):
        assert outcome(lambda same=same: same.search(QUERY)) == outcome(lambda: index.search(QUERY))


def test_the_first_search_from_many_threads():
    for _ in range(20):
        index = make(50)
        barrier = Barrier(8)

        def search(index=index, barrier=barrier):
            barrier.wait()
            return index.search(QUERY_32).ids.tolist()

        with ThreadPoolExecutor(8) as pool:
            found = [job.result() for job in [pool.submit(search) for _ in range(8)]]
        assert found == [general(index).search(QUERY_32).ids.tolist()] * 8


def test_a_subclass_is_asked():
    class Twice(bitsift.Index):
        def search(self, queries, k=10, **options):
            return super().search(np.multiply(queries, 2), 2 * k, **options)

    index = Twice(DIM, metric="dot", store="float32", scoring="hamming")
    index.add(VECTORS)
    scores, _ = index.search(QUERY_32, 2)
    np.testing.assert_array_equal(scores, 2 * INDEXES["float32 dot"].search(QUERY_32, 4).scores)


# ---- bitsift.search: the caller's codes -------------------------------------------------------


@pytest.fixture
def general_search(monkeypatch):
    """`bitsift.search`, the general way."""

    def search(*arguments: Any, **options: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(native, "search_one", lambda *_: None)
            return bitsift.search(*arguments, **options)

    return search


CODE_ARRAYS = {
    "codes": CODES,
    "none": CODES[:0],
    "one": CODES[:1],
    "rows apart": CODES[::3],
    "backwards": CODES[::-1],
    "rows within rows": RNG.integers(0, 256, (30, 9), np.uint8)[:, 2:7],
    "broadcast": np.broadcast_to(CODE, (40, N_BYTES)),
    "read-only": read_only(CODES),
    "columns apart": np.repeat(CODES, 2, axis=1)[:, ::2],
    "by columns": np.asfortranarray(CODES),
    "one column": CODES[:, :1],
    "one column, strided": np.repeat(CODES, 2, axis=1)[:, ::20],
    "no columns": CODES[:, :0],
    "one axis": CODE,
    "three axes": CODES[np.newaxis],
    "too wide": np.zeros((2, 8193), np.uint8),
    "list": CODES[:3].tolist(),
    "int8": CODES.view(np.int8),
    "bool": CODES > 9,
    "floats": VECTORS,
    "masked": np.ma.masked_array(CODES, CODES > 9),
    "subclass": CODES.view(Kin),
    "None": None,
}


@pytest.mark.parametrize("name", CODE_ARRAYS)
def test_codes(general_search, name):
    codes = CODE_ARRAYS[name]
    queries = [*USUAL.values(), *UNUSUAL.values(), CODE[:1], CODE[:1][np.newaxis]]
    for query in queries:
        got = outcome(lambda query=query: bitsift.search(codes, query, 3))
        assert got == outcome(lambda query=query: general_search(codes, query, 3))


def test_numbers_of_a_search_of_codes(general_search):
    for query in (CODE, CODES[:1], CODES[:2], CODE[1:]):
        for k in (*USUAL_K, *UNUSUAL_K):
            got = outcome(partial(bitsift.search, CODES, query, k))
            assert got == outcome(partial(general_search, CODES, query, k))
        for options in (
            *({"threads": threads} for threads in (*USUAL_THREADS, *UNUSUAL_THREADS)),
            *({"isa": isa} for isa in ("scalar", "", "sse9", "neon", "\ud800", b"scalar", 3, True)),
            {"isa": "sse9", "threads": -1},
        ):
            got = outcome(partial(bitsift.search, CODES, query, 3, **options))
            assert got == outcome(partial(general_search, CODES, query, 3, **options))


def test_which_searches_of_codes_take_one_call(isa):
    def in_one_call(codes: Any, query: Any, k: Any = 3, level: Any = None) -> bool:
        return native.search_one(codes, query, k, level, 0, bitsift.SearchResult) is not None

    usual = list(CODE_ARRAYS)[:8]
    for name, codes in CODE_ARRAYS.items():
        assert in_one_call(codes, CODE) == (name in usual), name
    assert in_one_call(CODES, CODE, 3, isa)
    assert in_one_call(CODES, CODES[:1])
    assert not in_one_call(CODES, CODES[:2])
    assert not in_one_call(CODES, CODE, np.int64(3))
    assert not in_one_call(CODES, CODE, 3, "sse9")


def test_the_level_of_the_environment(monkeypatch, general_search):
    for level in ("scalar", "sse9", ""):
        monkeypatch.setenv("BITSIFT_ISA", level)
        got = outcome(partial(bitsift.search, CODES, CODE, 3))
        assert got == outcome(partial(general_search, CODES, CODE, 3))
