# SPDX-License-Identifier: Apache-2.0
"""Copies and pickles: the same index, with its user's attributes, of its own class."""

import copy
import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import bitsift
from bitsift.storage.contents import Contents
from helpers import subclasses
from helpers.storage_samples import everything, some_vectors
from helpers.subclasses import (
    Labelled,
    Locked,
    Made,
    MadeByKeyword,
    Mixed,
    Named,
    Noted,
    Opened,
    Slotted,
)

pytestmark = pytest.mark.usefixtures("fits_at_once")


def unpickled(protocol):
    return lambda thing: pickle.loads(pickle.dumps(thing, protocol))


WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {protocol}": unpickled(protocol) for protocol in range(6)},
}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def way(request):
    """Each way to get an index from another one."""
    return request.param


def filled(index):
    index.add(some_vectors(120, index.dim), ids=np.arange(120)[::-1] * 3)
    return index


def assert_same_rows(found, expected):
    assert repr(found) == repr(expected)
    np.testing.assert_array_equal(found.codes, expected.codes)
    np.testing.assert_array_equal(found.get(expected.ids), expected.get(expected.ids))
    queries = some_vectors(3, expected.dim, seed=1)
    results = (index.search(queries, 4, scoring="hamming") for index in (found, expected))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_attributes_of_the_user(way):
    index = filled(bitsift.Index(12))
    index.texts = ["a", "b"]
    found = way(index)
    assert vars(found).keys() == vars(index).keys()
    assert found.texts == ["a", "b"]
    assert_same_rows(found, index)


def test_a_copy_is_shallow_and_a_deep_copy_is_deep():
    index = filled(bitsift.Index(12))
    index.texts = [["a"]]
    assert copy.copy(index).texts is index.texts
    assert copy.deepcopy(index).texts[0] is not index.texts[0]
    both = copy.deepcopy([index, index.texts])
    assert both[0].texts is both[1]


def test_attributes_that_lead_back_to_the_index(way):
    index = filled(bitsift.Index(12))
    index.itself, index.around = index, {"index": index}
    found = way(index)
    if way is copy.copy:
        assert found.itself is index
    else:
        assert found.itself is found
        assert found.around["index"] is found
    assert_same_rows(found, index)


@pytest.mark.parametrize("other_first", [False, True])
def test_copies_grow_apart(way, other_first):
    index = filled(bitsift.Index(12, store=("int8", "float32"), correction=True))
    index.reserve(100)  # room that must not be shared
    found = way(index)
    pair = (found, index) if other_first else (index, found)
    for seed, one in enumerate(pair):
        one.add(some_vectors(5, 12, seed=seed), ids=[1000 + seed, 998, 997, 996, 995])
    for seed, one in enumerate(pair):
        assert one.ids[120] == 1000 + seed
        assert (1001 - seed) not in one
        stored = one.get(one.ids[120:])
        np.testing.assert_array_equal(stored, some_vectors(5, 12, seed=seed))
        assert len(one) == 125


def test_a_copy_shares_memory_and_a_deep_copy_does_not():
    index = filled(bitsift.Index(12))
    assert np.shares_memory(copy.copy(index).codes, index.codes)
    assert not np.shares_memory(copy.deepcopy(index).codes, index.codes)
    assert not np.shares_memory(copy.deepcopy(index).ids, index.ids)


@pytest.mark.parametrize("store", [None, "int8", ("int8",), ("int8", "float32")])
def test_what_an_index_says_of_itself(way, store):
    index = filled(bitsift.Index(12, store=store, threshold="mean", rotate=True))
    found = way(index)
    for name in ("dim", "metric", "store", "rotate", "correction", "nbytes"):
        assert getattr(found, name) == getattr(index, name)
    assert found.threshold.tobytes() == index.threshold.tobytes()
    assert repr(found.calibrators) == repr(index.calibrators)


def test_advice_is_kept(way):
    index = bitsift.Index(13, threshold="auto")
    index.add(some_vectors(240))
    assert index.advice is not None
    assert way(index).advice == index.advice


def test_an_index_that_is_not_fitted(way):
    index = bitsift.Index(12, threshold="mean", store=("int8", "ternary"), correction=True)
    found = way(index)
    assert_same_rows(filled(found), filled(index))


def test_copies_keep_the_instruction_set():
    index = bitsift.Index(12, isa="scalar")
    assert copy.copy(index).isa == copy.deepcopy(index).isa == "scalar"
    best = bitsift.available_isas()[-1]
    assert pickle.loads(pickle.dumps(index)).isa == best  # of the machine where it opens


@pytest.mark.parametrize(
    "index",
    [
        Labelled(12),
        Named("x"),
        Opened("x"),
        Slotted("x"),
        Mixed("x"),
        Locked("x"),
        Made("x"),
        MadeByKeyword("x"),
    ],
    ids=lambda index: type(index).__name__,
)
def test_subclasses_come_back_as_they_are(way, index):
    if isinstance(index, Labelled):
        index.labels[3] = "three"
    index = filled(copy.deepcopy(index))
    found = way(index)
    assert type(found) is type(index)
    for name in ("labels", "name", "path", "mixed", "note", "made_with"):
        assert getattr(found, name, None) == getattr(index, name, None)
    assert_same_rows(found, index)
    if isinstance(index, Locked):
        assert found.lock is not index.lock


def test_subclasses_load_as_themselves(tmp_path):
    filled(bitsift.Index(12, store=("int8", "float32"))).save(tmp_path)
    for cls in (Labelled, Named, Opened, Slotted, Mixed, Locked, bitsift.Index):
        index = cls.load(tmp_path, mmap=cls is Named)
        assert type(index) is cls
        assert (len(index), index.store) == (120, ("int8", "float32"))
        # The constructor was called if it takes the arguments of Index.
        assert hasattr(index, "labels") == (cls is Labelled)
        assert not hasattr(index, "name")
        assert not hasattr(index, "path")


def test_a_state_that_is_no_dictionary(way):
    index = filled(Noted(12))
    index.note = "two"
    found = way(index)
    assert found.note == "two"
    assert_same_rows(found, index)


def test_a_subclass_may_reduce_itself(way, monkeypatch):
    monkeypatch.setattr(
        Named, "__reduce__", lambda self: (Named, (self.name + "!",)), raising=False
    )
    assert way(Named("x")).name == "x!"


def test_pickles_of_subclasses_without_a_version_are_constructed():
    index = filled(Labelled(12))
    state = fields_of(index)
    for field in ("version", "advice", "store_is_name"):
        del state[field]
    for opened in (Labelled._from_state(state), pickle.loads(old_pickle(index, state))):
        assert opened.labels == {}
        assert_same_rows(opened, index)


def old_pickle(index, state):
    """Pickle as version 0.1.0 did."""

    class Old:
        def __reduce__(self):
            return type(index)._of, (Contents(**state), None)

    return pickle.dumps(Old())


def test_buffers_out_of_band(tmp_path):
    index = bitsift.Index(64)
    index.add(some_vectors(500, 64), ids=np.random.default_rng(0).permutation(500))
    index.save(tmp_path)
    for one in (index, bitsift.Index.load(tmp_path)):
        buffers = []
        data = pickle.dumps(one, protocol=5, buffer_callback=buffers.append)
        assert len(data) < 4000
        # Nothing is copied there, and nothing here.
        assert sum(buffer.raw().nbytes for buffer in buffers) >= index.nbytes
        opened = pickle.loads(data, buffers=buffers)
        assert np.shares_memory(opened.codes, one.codes)
        assert_same_rows(opened, index)
        opened.add(some_vectors(3, 64))
        assert len(one) == 500


def test_buffers_that_are_not_aligned():
    index = filled(bitsift.Index(12))
    buffers = []
    data = pickle.dumps(index, protocol=5, buffer_callback=buffers.append)
    shifted = [memoryview(b"x" + bytes(buffer.raw()))[1:] for buffer in buffers]
    assert_same_rows(pickle.loads(data, buffers=shifted), index)


# ---- Damaged pickles -------------------------------------------------------------------------


def fields_of(index):
    """Give the data that a pickle of the index has."""
    kept = index.__reduce__()[1][0]
    return kept.__reduce__()[1][0]


class Damaged:
    """Pickles as an index with some fields changed."""

    def __init__(self, **changes):
        fields = fields_of(everything())
        for name, change in changes.items():
            fields[name] = change(fields[name]) if callable(change) else change
        self.fields = fields

    def __reduce__(self):
        return subclasses.Labelled._open_pickle, (self.fields,)


def opened(**changes):
    return pickle.loads(pickle.dumps(Damaged(**changes)))


def at(place, value):
    """Return a change of one element."""

    def change(array):
        array = array.copy()
        array[place] = value
        return array

    return change


def of_store(store, change):
    """Return a change of one of several arrays."""
    return lambda arrays: {**arrays, store: change(arrays[store])}


def rolling_with(**attributes):
    def change(calibrator):
        calibrator = copy.deepcopy(calibrator)
        vars(calibrator).update(attributes)
        return calibrator

    return change


def nested(held):
    """Put a dictionary into itself."""
    inside = dict(held)
    inside["int8"] = inside
    return inside


DAMAGE = {
    "codes: row 2 has pad bits": {"codes": at((2, -1), 1)},
    "codes must be an array of dtype uint8": {"codes": lambda a: a.astype(np.int16)},
    "codes must be .* got list": {"codes": lambda a: [1, 2]},
    "codes .* got .*shape \\(14,\\)": {"codes": lambda a: a.reshape(-1)},
    "ids must be .* shape \\(7,\\); got": {"ids": lambda a: a[:-1]},
    "ids must be .* int64": {"ids": lambda a: a.astype(np.int32)},
    "ids: row 1 has the negative id -4": {"ids": at(1, -4)},
    "ids: 9 is there twice": {"ids": lambda a: np.array([9, 1, 2, 9, 4, 5, 6])},
    "ids: row 1, id 1, is not above": {
        "ids": lambda a: np.array([9, 1, 2, 3, 4, 5, 6]),
        "ids_ascending": True,
    },
    "ids_ascending must be True": {"ids": None},
    "scoring must be one of": {"scoring": "auto"},
    "scoring must be one .* got 1": {"scoring": 1},
    "candidates must be one of": {"candidates": "some"},
    "candidates must be one .* got None": {"candidates": None},
    "vectors must be an array of dtype float32 and shape \\(7, 13\\); got NoneType": {
        "scoring": None
    },
    "vectors must be .* got .* shape \\(6, 13\\)": {
        "scoring": None,
        "vectors": lambda _: some_vectors(6),
    },
    "vectors: row 2 has a value that is not finite": {
        "scoring": None,
        "vectors": lambda _: at((2, 3), np.nan)(some_vectors(7)),
    },
    "vectors must be None; got an array": {"vectors": lambda _: some_vectors(7)},
    "ids_ascending must be a bool": {"ids_ascending": "yes"},
    "originals_float32: row 3 has a value that is not finite": {
        "originals": of_store("float32", at((3, 2), np.nan))
    },
    "originals_float16: row 0 has a value that is not finite": {
        "originals": of_store("float16", at((0, 0), np.inf))
    },
    "originals_int4: row 1 has a pad nibble": {"originals": of_store("int4", at((1, -1), 1))},
    "originals_ternary: row 1 has the byte": {"originals": of_store("ternary", at((1, 0), 250))},
    "originals_uint8 must be": {"originals": of_store("uint8", lambda a: a[:, 1:])},
    "store must be one of": {"originals": lambda arrays: {**arrays, "int3": arrays["int8"]}},
    "calibrations: the key 'int8' is missing": {
        "calibrators": lambda them: {k: v for k, v in them.items() if k != "int8"}
    },
    "calibrations: the key 'float16' does not belong": {
        "calibrators": lambda them: {**them, "float16": them["int8"]}
    },
    "calibrations.int8.n: found 0": {
        "calibrators": lambda them: {**them, "int8": bitsift.MinMaxCalibrator()}
    },
    "calibration_int8 must be": {
        "calibrators": lambda them: {**them, "int8": bitsift.MinMaxCalibrator().fit(np.eye(3))}
    },
    "n_std must be positive": {"calibrators": of_store("int4", rolling_with(_deviations=-1.0))},
    "squared deviations": {
        "calibrators": of_store("int4", rolling_with(_seen=(3, np.full((2, 13), -1.0))))
    },
    "it is not an index: .*unpack": {
        "calibrators": of_store("int8", rolling_with(_seen=(1, 2, 3)))
    },
    "'str' object has no attribute": {"calibrators": of_store("int8", lambda it: "rolling")},
    "dim must be an integer": {"dim": "13"},
    "dim must be 1 to": {"dim": 0},
    "codes must be an array .* shape \\(7, 3\\)": {"dim": 17},
    "metric must be one of": {"metric": "l1"},
    "threshold must be .* shape \\(13,\\); got": {"threshold": lambda a: a[:-1]},
    "threshold: .* not finite": {"threshold": at(0, np.nan)},
    "threshold must be finite": {"threshold": np.inf},
    "rule: found": {"rule": "mode"},
    "rotate: found 1": {"rotate": 1},
    "rotation must be None": {"rotate": False},
    "flips must be": {"flips": at((0, 0), 0.5)},
    "rotation must be an array": {"flips": lambda a: a[:-1]},
    "normalized: found": {"normalized": None},
    "correction: row 0 has a number that is not finite": {"factors": at((0, 0), 0x7F80)},
    "correction must be": {"factors": lambda a: a[:, :1]},
    "unexpected keyword argument 'more'": {"more": 1},
    "advice is of type str": {"advice": "do"},
    "dim must be an integer, of type int; got uint8": {"dim": np.uint8(13)},
    "dim must be an integer, of type int; got bool": {"dim": True},
    "threshold must be a float.*got str": {"threshold": "1.5"},
    "threshold must be a float.*got bytes": {"threshold": b"1.5"},
    "threshold must be a float.*got bool": {"threshold": True},
    "threshold must be a float.*got bool_?": {"threshold": np.True_},
    "threshold must be a float.*got Fraction": {"threshold": Fraction(1, 3)},
    "threshold must be a float.*got Decimal": {"threshold": Decimal("0.1")},
    "flips must have shape \\(n, 13\\); got shape .*, 9\\)": {"flips": lambda a: a[:, :9]},
    "flips must have shape \\(n, 13\\); got shape .*, 16\\)": {
        "flips": lambda a: np.tile(a, 2)[:, :16]
    },
    "rotation must be .* got shape \\(\\)|axis": {
        "flips": lambda a: a[0, 0] * np.ones((), np.float32)
    },
    "it is not an index: .*recursion": {"originals": nested},
    "it is not an index: .*recursion depth": {"calibrators": nested},
    "store_is_name is of type ndarray": {"store_is_name": np.ones(2)},
    "store_is_name is of type str": {"store_is_name": "yes"},
}


@pytest.mark.parametrize("message", DAMAGE)
def test_damaged_pickles(message):
    data = pickle.dumps(Damaged(**DAMAGE[message]))
    with pytest.raises(bitsift.CorruptIndexError, match=message) as raised:
        pickle.loads(data)
    assert raised.value.path == "<pickle>"


def test_rows_without_a_threshold():
    fields = fields_of(filled(bitsift.Index(12)))
    for rule in (None, "mean"):
        with pytest.raises(bitsift.CorruptIndexError, match=r"fitted: found False|'threshold' is"):
            bitsift.Index._open_pickle({**fields, "threshold": None, "rule": rule})


def test_what_is_not_damaged_opens():
    assert_same_rows(remade(), everything())
    swapped = {"codes": np.asfortranarray, "factors": lambda a: a.astype(">u2")}
    swapped["originals"] = of_store("float32", lambda a: a.astype(">f4"))
    assert_same_rows(remade(**swapped), everything())


def remade(**changes):
    return bitsift.Index._remade(opened(**changes), (), {})


def test_fields_that_are_missing():
    for name in ("dim", "codes", "originals"):
        damaged = Damaged()
        del damaged.fields[name]
        with pytest.raises(bitsift.CorruptIndexError, match=f"missing .* '{name}'"):
            pickle.loads(pickle.dumps(damaged))
    with pytest.raises(bitsift.CorruptIndexError, match="it holds list"):
        bitsift.Index._open_pickle([])


def test_a_pickle_of_a_folder_has_plain_fields():
    place = {"generation": 1, "manifest": b"", "follow_links": False, "is_opened": True}
    for fields in ({}, {"path": "x"}, {"path": 3, **place}, {"path": "a\0b", **place}):
        with pytest.raises(bitsift.CorruptIndexError, match="other fields than a folder's"):
            bitsift.Index._open_pickle({"version": 4, "store_is_name": True, **fields})


@pytest.mark.parametrize("version", [0, 5, 99, "2", None, True, 2.0])
def test_versions_that_are_unknown(version):
    with pytest.raises(bitsift.UnsupportedVersionError) as raised:
        opened(version=version)
    assert (
        f"version {version!r}; bitsift {bitsift.__version__} reads versions 1 to 4: install"
        in str(raised.value)
    )


# NumPy's own, where it frees an array whose dtype has a changed flag.
@pytest.mark.filterwarnings("ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("n_changes", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_changed_pickle_never_gives_a_broken_index(n_changes):
    data = bytearray(pickle.dumps(everything(), 4))
    rng = np.random.default_rng(5)
    for _ in range(n_changes):
        changed = data.copy()
        changed[rng.integers(len(data))] ^= 1 << rng.integers(8)
        try:
            index = pickle.loads(bytes(changed))
            assert isinstance(index, bitsift.Index)
        except Exception:  # what pickle and NumPy raise is theirs
            continue
        index.search(some_vectors(2), 3, scoring="hamming")
        assert len(index.get(index.ids)) == len(index)


# ---- What an index gives away ----------------------------------------------------------------


def test_changing_what_an_index_returned_does_not_change_it():
    index = everything()
    calibrated = bitsift.MinMaxCalibrator().fit(some_vectors(9))
    own = bitsift.Index(13, store="int8", calibrator=calibrated)
    before = fields_of(index)["originals"]["int8"].copy()
    for array in (index.codes, index.ids, index.threshold):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
        with pytest.raises(ValueError, match="read-only"):
            array.sort()
    for name, calibrator in index.calibrators.items():
        calibrator.fit(np.ones((2, 13)))
        calibrator.ranges[:] = 0
        assert repr(index.calibrators[name]) != repr(calibrator)
    index.calibrators.clear()
    assert len(index.calibrators) == 4
    ranges = own.calibrators["int8"].ranges
    calibrated.fit(np.ones((2, 13)))
    np.testing.assert_array_equal(own.calibrators["int8"].ranges, ranges)
    index.get(index.ids)[:] = 7
    scores, ids = index.search(some_vectors(2), scoring="hamming")
    ids[:] = -1
    scores[:] = 0
    np.testing.assert_array_equal(fields_of(index)["originals"]["int8"], before)
    for name in ("codes", "ids", "threshold", "dim", "store", "calibrators"):
        with pytest.raises(AttributeError):
            setattr(index, name, None)


def test_other_objects_keep_attributes_or_take_none():
    calibrator = bitsift.MinMaxCalibrator().fit(some_vectors(9))
    calibrator.note = ["a"]
    evaluation = bitsift.evaluate(some_vectors(40), some_vectors(4, seed=1), k=3, threads=1)
    advice = bitsift.advise(some_vectors(120))
    result = bitsift.Index(13).search(some_vectors(1))
    for frozen in (evaluation, advice, result):
        with pytest.raises(AttributeError):
            frozen.note = ["a"]
    for make in WAYS.values():
        assert make(calibrator).note == ["a"]
        assert repr(make(calibrator)) == repr(calibrator)
        assert type(make(result)) is bitsift.SearchResult
