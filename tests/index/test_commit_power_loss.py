# SPDX-License-Identifier: Apache-2.0
"""Commits and compactions amid which the power goes: one of both generations is there."""

from __future__ import annotations

import random
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bitsift
from helpers.power_loss import Log, Sync, lay_out, recording, states

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors of folders are asked")
VECTORS = np.random.default_rng(0).standard_normal((60, 9)).astype(np.float32)
State = tuple[list[int], bytes]


def add(index: bitsift.Index) -> None:
    index.add(VECTORS[40:43])
    index.commit()


def change(index: bitsift.Index) -> None:
    index.upsert(VECTORS[50:53], ids=[1, 2, 900])
    index.remove([21])
    index.commit()


def compact(index: bitsift.Index) -> None:
    index.compact()


CHANGES = pytest.mark.parametrize(
    "change", [add, *(pytest.param(one, marks=pytest.mark.slow) for one in (change, compact))]
)


def recorded(disk: Path, change: Callable[[bitsift.Index], None]) -> tuple[Log, State, State]:
    """Change an index of two segments and removed rows; return the states before and after."""
    disk.mkdir()
    options = {"store": "float16", "threshold": 0, "scoring": "hamming"}
    with bitsift.Index.open(disk / "index", "a", dim=9, **options) as index:
        index.add(VECTORS[:20])
        index.commit()
        index.add(VECTORS[20:30])
        index.remove([3, 4, 22])
        index.commit()
    before = state_of(disk / "index")
    with bitsift.Index.open(disk / "index", "a") as index, recording(disk) as log:
        change(index)
    return log, before, state_of(disk / "index")


def state_of(path: Path) -> State:
    bitsift.verify(path)
    index = bitsift.Index.open(path)
    return index.ids.tolist(), index.get(index.ids).tobytes()


def outcomes(
    log: Log, scratch: Path, most: int, first: int = 0
) -> Iterator[tuple[bool, State | str]]:
    """Say whether the change had ended, and what a power cut may leave then."""
    for is_done, tree in states(log, most, random.Random(0), first):
        lay_out(tree, scratch)
        try:
            yield is_done, state_of(scratch / "index")
        except bitsift.IndexFileError as error:
            yield is_done, str(error)
        shutil.rmtree(scratch)


@CHANGES
@pytest.mark.parametrize("most", [pytest.param(60, marks=pytest.mark.slow), 3])
def test_one_of_both_generations_is_there(tmp_path, change, most):
    log, before, after = recorded(tmp_path / "disk", change)
    fine = [(False, before), (False, after), (True, after)]
    seen = []
    for found in outcomes(log, tmp_path / "scratch", most):
        assert found in fine
        if found not in seen:
            seen.append(found)
    assert len(seen) == (2 if before == after else 3)


@CHANGES
@pytest.mark.parametrize(
    "part", [pytest.param(slice(None), marks=pytest.mark.slow, id="every"), slice(1, None, 9)]
)
def test_no_sync_may_be_left_out(tmp_path, change, part):
    log, before, after = recorded(tmp_path / "disk", change)
    fine = [(False, before), (False, after), (True, after)]
    syncs = [i for i, step in enumerate(log.steps) if isinstance(step, Sync)]
    for i in syncs[part]:
        without = replace(log, steps=[*log.steps[:i], *log.steps[i + 1 :]])
        found = outcomes(without, tmp_path / str(i), 20, first=i)
        assert any(one not in fine for one in found), log.steps[i]


@pytest.mark.slow
def test_a_writer_goes_on_from_what_is_left(tmp_path):
    log, before, after = recorded(tmp_path / "disk", change)
    for _, tree in states(log, 20, random.Random(1)):
        lay_out(tree, tmp_path / "scratch")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with bitsift.Index.open(tmp_path / "scratch" / "index", "a") as index:
                index.add(VECTORS[:1], ids=[1000])
                index.commit()
        found = state_of(tmp_path / "scratch" / "index")
        expected = before if found[0][:-1] == before[0] else after
        assert found == (
            [*expected[0], 1000],
            expected[1] + VECTORS[:1].astype("float16").tobytes(),
        )
        shutil.rmtree(tmp_path / "scratch")
