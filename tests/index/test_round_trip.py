# SPDX-License-Identifier: Apache-2.0
"""Indexes of every kind, saved, loaded and pickled: the same contents and the same answers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bitsift
from bitsift.index.persistence import contents_of
from helpers.storage_samples import STORES, assert_same, named_by_manifest, names_of, some_vectors


def assert_same_index(found: bitsift.Index, expected: bitsift.Index) -> None:
    assert_same(contents_of(found._held), contents_of(expected._held))
    assert repr(found) == repr(expected)
    assert (found.rotate, found.correction) == (expected.rotate, expected.correction)
    queries = some_vectors(4, seed=9)
    ladders: list[Any] = [["hamming"], ["asymmetric"], [("hamming", 9), "asymmetric"]]
    store = (
        ()
        if found.store is None
        else (found.store,)
        if isinstance(found.store, str)
        else (found.store)
    )
    ladders += [[("hamming", 9), name] for name in store]
    for ladder in ladders:
        for a, b in zip(
            found.search(queries, 5, ladder=ladder),
            expected.search(queries, 5, ladder=ladder),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("store", [None, *STORES, ("int4", "float16"), tuple(STORES)])
@pytest.mark.parametrize("threshold", [0.0, 0.25, "array", "half-mean", "mean", "median", "auto"])
@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("correction", [False, True])
def test_round_trip(
    tmp_path: Path, store: Any, threshold: Any, rotate: bool, correction: bool
) -> None:
    # The cosine is corrected relative to 0, or to what was fitted to unit vectors, alone.
    given = threshold in (0.25, "array")
    if threshold == "array":
        threshold = some_vectors(1, seed=5)[0]
    for number, ids in enumerate(("automatic", "ascending", "arbitrary")):
        metric: Any = ("cosine", "dot", "l2")[(number + rotate) % 3]
        if given and correction and metric == "cosine":
            metric = "l2"
        index = bitsift.Index(
            13, metric=metric, store=store, threshold=threshold, rotate=rotate,
            correction=correction,
        )  # fmt: skip
        chosen = np.random.default_rng(3).permutation(1000)[:120]
        index.add(
            some_vectors(120) + np.float32(0.2),
            ids={"automatic": None, "ascending": np.sort(chosen), "arbitrary": chosen}[ids],
        )
        path = tmp_path / ids
        index.save(path)
        bitsift.verify(path)
        assert names_of(path) == named_by_manifest(path)
        for mmap in (False, True):
            loaded = bitsift.Index.load(path, mmap=mmap)
            assert_same_index(loaded, index)
            assert_same_index(pickle.loads(pickle.dumps(loaded)), index)
        more = some_vectors(3, seed=4)
        assert loaded.add(more).tolist() == index.add(more).tolist()
        loaded.save(path)  # over the files that it is mapped from
        assert_same_index(bitsift.Index.load(path), index)


def test_calibrators(tmp_path: Path) -> None:
    for calibrator in (bitsift.MinMaxCalibrator(), bitsift.RollingCalibrator(1.25)):
        index = bitsift.Index(13, store=["int8", "int4"], calibrator=calibrator)
        for _ in range(2):
            index.save(tmp_path)
            for loaded in (bitsift.Index.load(tmp_path), pickle.loads(pickle.dumps(index))):
                assert repr(loaded.calibrators) == repr(index.calibrators)
            index.fit(some_vectors(120))
