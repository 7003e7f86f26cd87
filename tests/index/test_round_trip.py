# SPDX-License-Identifier: Apache-2.0
"""Indexes of every kind, saved, loaded and pickled: the same contents and the same answers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bitsift
from bitsift.index.persistence import to_contents
from helpers.storage_samples import STORES, assert_same, named_by_manifest, names_of, some_vectors

pytestmark = pytest.mark.usefixtures("fits_at_once")


def answers_of(index: bitsift.Index) -> list[np.ndarray[Any, Any]]:
    """Scores and ids of some queries, by each way to rank."""
    queries = some_vectors(4, seed=9)
    ladders: list[Any] = [["hamming"], ["asymmetric"], [("hamming", 9), "asymmetric"]]
    stores = [index.store] if isinstance(index.store, str) else index.store or ()
    ladders += [[("hamming", 9), store] for store in stores]
    return [array for ladder in ladders for array in index.search(queries, 5, ladder=ladder)]


def assert_same_index(
    found: bitsift.Index, expected: bitsift.Index, answers: list[np.ndarray[Any, Any]]
) -> None:
    """Compare with the index that gave these answers."""
    assert_same(to_contents(*found._table.snapshot[:2]), to_contents(*expected._table.snapshot[:2]))
    assert repr(found) == repr(expected)
    assert (found.rotate, found.correction) == (expected.rotate, expected.correction)
    for a, b in zip(answers_of(found), answers, strict=True):
        np.testing.assert_array_equal(a, b)


EVERY_STORE = [None, *STORES, ("int4", "float16"), tuple(STORES)]
THRESHOLDS = [0.0, 0.25, "array", "half-mean", "mean", "median", "auto"]
IDS = ["automatic", "ascending", "arbitrary"]


every_store = pytest.mark.parametrize("store", EVERY_STORE)
every_threshold = pytest.mark.parametrize("threshold", THRESHOLDS)


@pytest.mark.parametrize(
    ("store", "threshold"),
    [
        pytest.param(store, threshold, marks=[pytest.mark.slow] * ((i + j) % 2))
        for i, store in enumerate(EVERY_STORE)
        for j, threshold in enumerate(THRESHOLDS)
    ],
)
def test_round_trip(tmp_path: Path, store: Any, threshold: Any) -> None:
    """Rotation, correction and the kind of ids take turns."""
    turn = EVERY_STORE.index(store) * len(THRESHOLDS) + THRESHOLDS.index(threshold)
    rotate, correction = bool(turn & 1), bool(turn & 2)
    check_round_trip(tmp_path, store, threshold, rotate, correction, IDS[turn % 3])


@pytest.mark.slow
@every_store
@every_threshold
@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("correction", [False, True])
@pytest.mark.parametrize("ids", IDS)
def test_round_trip_of_every_index(
    tmp_path: Path, store: Any, threshold: Any, rotate: bool, correction: bool, ids: str
) -> None:
    check_round_trip(tmp_path, store, threshold, rotate, correction, ids)


def check_round_trip(
    path: Path, store: Any, threshold: Any, rotate: bool, correction: bool, ids: str
) -> None:
    metric: Any = ("cosine", "dot", "l2")[(IDS.index(ids) + rotate) % 3]
    # The cosine is corrected relative to 0, or to what was fitted to unit vectors, alone.
    if threshold in (0.25, "array") and correction and metric == "cosine":
        metric = "l2"
    n = 240 if threshold == "auto" else 120  # as many as it needs
    if threshold == "array":
        threshold = some_vectors(1, seed=5)[0]
    index = bitsift.Index(
        13, metric=metric, store=store, threshold=threshold, rotate=rotate, correction=correction
    )
    chosen = np.random.default_rng(3).permutation(1000)[:n]
    index.add(
        some_vectors(n) + np.float32(0.2),
        ids={"automatic": None, "ascending": np.sort(chosen), "arbitrary": chosen}[ids],
    )
    index.save(path)
    bitsift.verify(path)
    assert names_of(path) == named_by_manifest(path)
    answers = answers_of(index)
    for mmap in (False, True):
        loaded = bitsift.Index.load(path, mmap=mmap)
        assert_same_index(loaded, index, answers)
        assert_same_index(pickle.loads(pickle.dumps(loaded)), index, answers)
    more = some_vectors(3, seed=4)
    assert loaded.add(more).tolist() == index.add(more).tolist()
    loaded.save(path)  # over the files that it is mapped from
    assert_same_index(bitsift.Index.load(path), index, answers_of(index))


def test_round_trip_of_calibrators(tmp_path: Path) -> None:
    for calibrator in (bitsift.MinMaxCalibrator(), bitsift.RollingCalibrator(1.25)):
        index = bitsift.Index(13, store=["int8", "int4"], calibrator=calibrator)
        for _ in range(2):
            index.save(tmp_path)
            for loaded in (bitsift.Index.load(tmp_path), pickle.loads(pickle.dumps(index))):
                assert repr(loaded.calibrators) == repr(index.calibrators)
            if not any(fitted.n for fitted in index.calibrators.values()):
                index.fit(some_vectors(120))
