# SPDX-License-Identifier: Apache-2.0
"""Pickles that version 0.1.0 made open, though the modules that they name have moved."""

import importlib.util
import pickle
import pickletools
import re
from pathlib import Path

import numpy as np
import pytest

import bitsift

pytestmark = pytest.mark.usefixtures("fits_at_once")

PICKLES = Path(__file__).parents[1] / "golden" / "pickles-0.1.0"
NEWER = {"IndexLockedError"}
NAMES = sorted(set(bitsift.__all__) - {"__version__"} - NEWER)
THINGS = [getattr(bitsift, name) for name in NAMES]


def stored(name: str):
    return pickle.loads((PICKLES / f"{name}.pickle").read_bytes())


def vectors():
    row, column = np.indices((120, 12))
    return (((row * 31 + column * 17 + row * column) % 255 - 100) / 64).astype(np.float32)


def test_old_names():
    later = {
        *("EvaluationCheck", "EvaluationRow", "IndexLockedError", "Plan", "PlanRow", "plan"),
        *("DiskFullError", "IndexClosedError", "IndexExistsError", "IndexReadOnlyError"),
        *("IndexStaleError", "NoLocksError"),
        *("Filter", "RangeResult", "available_threads", "merge", "range_search", "set_num_threads"),
    }
    assert [thing.__name__ for thing in stored("names")] == sorted(set(NAMES) - later)
    assert stored("names") == [thing for thing in THINGS if thing.__name__ not in later]


@pytest.mark.parametrize("name", ["bits", "floats", "everything", "unfitted"])
def test_old_indexes(name):
    index = stored(f"index-{name}")
    made = runpy_indexes()[name]
    assert index.scoring == "hamming"
    assert without_scoring(index) == without_scoring(made)
    assert np.array_equal(index.codes, made.codes)
    assert np.array_equal(index.ids, made.ids)
    for found, expected in zip(
        index.search(vectors()[:5], 7, ladder=["hamming"]),
        made.search(vectors()[:5], 7, ladder=["hamming"]),
        strict=True,
    ):
        assert found.tobytes() == expected.tobytes()
    if name == "unfitted":
        assert index.threshold == "median"
        index.add(vectors())
        assert len(index) == 120


def without_scoring(index):
    return re.sub(r"scoring='\w+', ", "", repr(index))


def test_old_indexes_search_as_they_did():
    """The best four candidates for each result by Hamming distance, whatever the result."""
    index = stored("index-floats")
    for again in (index, pickle.loads(pickle.dumps(index))):
        for k in (1, 7, 30):
            found = again.search(vectors()[:9], k)
            expected = index.search(vectors()[:9], k, scoring="hamming", oversampling=4.0)
            assert found.ids.tobytes() == expected.ids.tobytes()
            assert found.scores.tobytes() == expected.scores.tobytes()
            one = again.search(vectors()[3], k)
            assert one.ids.tobytes() == expected.ids[3].tobytes()
    assert index.search(vectors()[:9], 7, oversampling=40.0).ids.tobytes() != expected.ids.tobytes()


def runpy_indexes():
    maker = importlib.util.spec_from_file_location(
        "make_pickles", PICKLES.parent / "make_pickles_0_1_0.py"
    )
    module = importlib.util.module_from_spec(maker)
    maker.loader.exec_module(module)
    return module.indexes()


def test_old_results():
    codes = bitsift.pack(vectors())
    found = stored("result")
    expected = bitsift.search(codes, codes[:3], 4)
    assert type(found) is bitsift.SearchResult
    assert np.array_equal(found.scores, expected.scores)
    assert np.array_equal(found.ids, expected.ids)


def test_old_calibrators():
    min_max, rolling, unfitted = stored("calibrators")
    assert np.array_equal(min_max.ranges, bitsift.MinMaxCalibrator().fit(vectors()).ranges)
    assert np.array_equal(rolling.ranges, bitsift.RollingCalibrator(2.5).fit(vectors()).ranges)
    assert (unfitted.n, unfitted.n_std) == (0, 1.5)
    assert np.array_equal(
        unfitted.fit(vectors()).ranges, bitsift.RollingCalibrator(1.5).fit(vectors()).ranges
    )


def test_old_advice_and_evaluation():
    advice = stored("advice")
    present = bitsift.advise(vectors())
    assert (advice.metric, advice.best.threshold) == (present.metric, present.best.threshold)
    # Options are compared otherwise since, and gains and errors are new.
    for old, new in zip(advice.trials, present.trials, strict=True):
        assert (old.threshold, old.rotate) == (new.threshold, new.rotate)
        assert (old.gain, old.error, old.scan) == (None, None, None)
        assert 0 < old.rescored <= 1
    assert advice.best is advice.trials[0]
    assert (advice.contender, advice.is_certain, advice.correction) == (None, False, None)
    assert advice.recommendation == present.recommendation
    assert "measured by version 0.1.0" in str(advice)
    evaluation = stored("evaluation")
    assert type(evaluation) is bitsift.Evaluation
    assert len(evaluation.rows) > 0
    assert str(evaluation)


def test_old_errors():
    *path_errors, base, isa, warning = stored("errors")
    assert [type(error).__name__ for error in path_errors] == [
        "CorruptIndexError",
        "IndexFileError",
        "IndexNotFoundError",
        "IndexWriteError",
        "NotAnIndexError",
        "UnsupportedVersionError",
    ]
    assert all(str(error) == "a/folder: a reason" for error in path_errors)
    assert [type(x) for x in (base, isa, warning)] == [
        bitsift.BitsiftError,
        bitsift.UnsupportedIsaError,
        bitsift.BitsiftWarning,
    ]


def test_new_pickles_name_no_rooms(tmp_path):
    index = bitsift.Index(12, store="int8", threshold="mean", rotate=True)
    index.add(vectors())
    codes = bitsift.pack(vectors())
    things = [
        index,
        bitsift.RollingCalibrator(2.0).fit(vectors()),
        bitsift.search(codes, codes[:1], 3),
        bitsift.advise(vectors()),
        bitsift.CorruptIndexError("path", "reason"),
    ]
    for thing in things:
        assert rooms_in(pickle.dumps(thing)) == set()


def rooms_in(pickled: bytes) -> set[str]:
    texts = {arg for _, arg, _ in pickletools.genops(pickled) if isinstance(arg, str)}
    return {text for text in texts if text.startswith("bitsift.")}


def test_old_module_names():
    for name in ("advice", "arguments", "calibration", "errors", "scanning"):
        module = importlib.import_module(f"bitsift.{name}")
        assert getattr(bitsift, name) is module
        assert importlib.util.find_spec(f"bitsift.{name}").name == f"bitsift.{name}"
