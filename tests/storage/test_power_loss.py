# SPDX-License-Identifier: Apache-2.0
"""Power cuts within a save, a commit, a compaction: one of two states, and no sync is needless."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bitsift
from helpers.cut_short import VECTORS, change
from helpers.power_loss import Event, Files, Log, states_after

State = tuple[int, list[int], bytes]


def commit(path: Path) -> None:
    with bitsift.Index.open(path, "a", keep_generations=2) as index:
        change(index)
        index.commit()


def compact(path: Path) -> None:
    with bitsift.Index.open(path, "a", keep_generations=2) as index:
        index.compact()


def save(path: Path) -> None:
    index = bitsift.Index.load(path)
    change(index)
    index.save(path)


ACTIONS: dict[str, Callable[[Path], None]] = {"commit": commit, "compact": compact, "save": save}


def state(path: Path | str) -> State:
    index = bitsift.Index.load(path)
    generation = bitsift.storage.read_stored(path).generation
    return generation, index.ids.tolist(), index.codes.tobytes()


class Checker:
    """Opens what a power cut has left, and compares it with the states that there may be."""

    def __init__(self, may_be: list[State]) -> None:
        self.may_be = may_be
        self._seen: dict[frozenset[Any], State | str] = {}

    def __call__(self, files: Files) -> State | str:
        """Return the state, or what is wrong."""
        key = frozenset(files.items())
        if key not in self._seen:
            self._seen[key] = self._open(files)
        return self._seen[key]

    def _open(self, files: Files) -> State | str:
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                Path(folder, name).write_bytes(data)
            try:
                found = state(folder)
                for generation in bitsift.storage.read_stored(folder).manifest.kept:
                    bitsift.Index.open(folder, generation=generation)
                    bitsift.storage.read_stored(folder, generation=generation)
            except bitsift.IndexFileError as error:
                return str(error)
        return found if found in self.may_be else "another state"


def problem(checker: Checker, before: Files, events: list[Event]) -> str | None:
    """Return what a power cut may break, if it can."""
    new = checker.may_be[1]
    for n in range(len(events) + 1):
        for files in states_after(before, events[:n]):
            found = checker(files)
            if isinstance(found, str):
                return found
            if n == len(events) and found != new:
                return "it was not durable when the call returned"
    return None


def recorded(tmp_path: Path, name: str) -> tuple[Log, Checker]:
    """Do it to an index of three segments with removed rows."""
    path = tmp_path / "index"
    with bitsift.Index.open(path, "a", dim=8, scoring="hamming", store="int8") as index:
        index.fit(np.tile(VECTORS, (3, 1)))
        for first in (0, 10, 20):
            index.add(VECTORS[first : first + 10])
            index.remove(first + 7)
            index.commit()
    after = shutil.copytree(path, tmp_path / "after")
    ACTIONS[name](after)
    checker = Checker([state(path), state(after)])
    with pytest.MonkeyPatch.context() as patch:
        log = Log(patch, path)
        ACTIONS[name](path)
    return log, checker


pytestmark = pytest.mark.skipif(os.name != "posix", reason="folders are synced on POSIX alone")


@pytest.mark.parametrize(
    "name",
    ["commit", *(pytest.param(name, marks=pytest.mark.slow) for name in ("compact", "save"))],
)
def test_a_power_cut_leaves_one_of_two_states(tmp_path: Path, name: str) -> None:
    log, checker = recorded(tmp_path, name)
    assert problem(checker, log.before, log.events) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTIONS)
def test_no_sync_is_needless(tmp_path: Path, name: str) -> None:
    log, checker = recorded(tmp_path, name)
    syncs = [i for i, one in enumerate(log.events) if one.kind.startswith("sync")]
    assert len(syncs) >= 6
    for sync in syncs:
        without = log.events[:sync] + log.events[sync + 1 :]
        assert problem(checker, log.before, without) is not None, log.events[sync]
