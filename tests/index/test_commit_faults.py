# SPDX-License-Identifier: Apache-2.0
"""Commits in which a call of the system fails: the folder is as before, or as after."""

from __future__ import annotations

import errno
import itertools
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bitsift
from helpers.cut_short import at_line
from helpers.storage_folders import EVERY_OR_SOME
from helpers.system_calls import CHANGING, Calls, traced

DIM = 9
OPTIONS: dict[str, Any] = {"store": "int8", "correction": True, "scoring": "hamming"}
VECTORS = np.random.default_rng(0).standard_normal((200, DIM)).astype(np.float32)
State = tuple[list[int], bytes, bytes]
FAILURES = [
    pytest.param(errno.EIO, id="error"),
    pytest.param(errno.ENOSPC, id="full"),
    pytest.param(None, id="short"),
]


def add(index: bitsift.Index) -> None:
    index.add(VECTORS[100:120])


def change(index: bitsift.Index) -> None:
    index.upsert(VECTORS[100:110], ids=[1, 2, 3, 50, 60, 70, 900, 901, 800, 40])
    index.remove([5, 7])


def refit(index: bitsift.Index) -> None:
    index.remove(index.ids)


CHANGES: dict[str, Callable[[bitsift.Index], None]] = {"add": add, "change": change, "all": refit}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an index of three segments, removed rows and a kept generation."""
    path = tmp_path_factory.mktemp("index") / "index"
    with bitsift.Index.open(path, "a", dim=DIM, keep_generations=2, **OPTIONS) as index:
        index.fit(VECTORS)
        index.add(VECTORS[:80])
        index.commit()
        index.add(VECTORS[80:90], ids=range(100, 110))
        index.remove([4, 6])
        index.commit()
        index.upsert(VECTORS[90:92], ids=[100, 3000])
        index.commit()
    return path


def state_of(path: Path) -> State:
    bitsift.verify(path)
    return state(bitsift.Index.load(path))


def state(index: bitsift.Index) -> State:
    return index.ids.tolist(), index.codes.tobytes(), index.get(index.ids).tobytes()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return traced(monkeypatch)


@pytest.mark.parametrize("step", EVERY_OR_SOME)
@pytest.mark.parametrize("number", FAILURES)
@pytest.mark.parametrize("name", CHANGES)
def test_each_call_of_a_commit_fails(
    tmp_path: Path, folder: Path, calls: Calls, name: str, number: int | None, step: int
) -> None:
    before = state_of(folder)
    outcomes = set()
    for n in itertools.count(1, step):
        path = tmp_path / str(n)
        shutil.copytree(folder, path)
        with bitsift.Index.open(path, "a", keep_generations=2) as index:
            reader = bitsift.Index.open(path)
            CHANGES[name](index)
            after = state(index)
            failed = None
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", bitsift.BitsiftWarning)
                with calls.failing(n, number) as made:
                    try:
                        index.commit()
                    except bitsift.IndexFileError as error:
                        failed = error
            assert state(index) == after  # nothing in memory is lost
            found = state_of(path)
            assert found in ((before, after) if failed else (after,))
            outcomes.add((failed is None, found == after))
            if failed:
                assert isinstance(failed, bitsift.IndexWriteError)
                if number == errno.ENOSPC and made.names[n - 1] in CHANGING:
                    assert isinstance(failed, bitsift.DiskFullError)
            assert state(reader) == before
            index.commit()  # another try
            assert state_of(path) == after
            index.remove(int(index.ids[0])) if len(index) else index.add(VECTORS[:1])
            index.commit()  # it removes what could not be removed before
            assert {*index_files(path)} == {*path.iterdir()} - {note(path)}
        shutil.rmtree(path)
        if n > len(made.names):
            break
    assert n > 20
    assert (True, True) in outcomes
    assert number is None or (False, False) in outcomes


def index_files(path: Path) -> set[Path]:
    """Give the files that manifests name, and the manifests."""
    manifest = bitsift.storage.read_stored(path).manifest
    names = {"manifest.json", *manifest.names}
    for generation in manifest.kept:
        names.add(f"manifest-{generation}.json")
        names |= bitsift.storage.read_stored(path, generation=generation).manifest.names
    return {path / name for name in names}


def note(path: Path) -> Path:
    return path / f"manifest-{'0' * 32}.tmp"


@pytest.mark.parametrize("step", EVERY_OR_SOME)
@pytest.mark.parametrize("number", FAILURES)
def test_each_call_of_a_compaction_fails(
    tmp_path: Path, folder: Path, calls: Calls, number: int | None, step: int
) -> None:
    expected = state_of(folder)
    for n in itertools.count(1, step):
        path = tmp_path / str(n)
        shutil.copytree(folder, path)
        with bitsift.Index.open(path, "a") as index, warnings.catch_warnings():
            warnings.simplefilter("ignore", bitsift.BitsiftWarning)
            with calls.failing(n, number) as made, suppress(bitsift.IndexFileError):
                index.compact()
            assert state(index) == state_of(path) == expected
            index.compact()
            assert len(bitsift.storage.read_stored(path).segments) == 1
            assert state(index) == state_of(path) == expected
        shutil.rmtree(path)
        if n > len(made.names):
            break


def test_each_call_of_a_refresh_fails(tmp_path: Path, folder: Path, calls: Calls) -> None:
    path = tmp_path / "index"
    shutil.copytree(folder, path)
    reader = bitsift.Index.open(path, generation=2)
    before, after = state(reader), state_of(path)
    assert before != after
    for n in itertools.count(1):
        with calls.failing(n, errno.EIO) as made:
            try:
                assert reader.refresh()
            except bitsift.IndexFileError:
                assert state(reader) == before
            else:
                assert n > len(made.names)
                break
    assert n > 10
    assert state(reader) == after


def test_what_a_commit_calls(tmp_path: Path, folder: Path, calls: Calls) -> None:
    """Every file is synced before the manifest is replaced, and so are the folder's names."""
    path = tmp_path / "index"
    shutil.copytree(folder, path)
    with bitsift.Index.open(path, "a") as index, calls.failing(0, None) as made:
        index.add(VECTORS[:1])
        index.commit()
        changes = [name for name in made.names if name in ("write", "fsync", "replace", "unlink")]
    files = ["write", "write", "fsync"] * 3  # codes, int8, correction: header and rows
    assert changes[: len(files)] == files
    assert changes[len(files) :][:5] == ["write", "fsync", "fsync", "replace", "fsync"]
    assert {*changes[len(files) + 5 :]} <= {"unlink"}


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", [pytest.param(13, marks=pytest.mark.slow), 211])
def test_an_interrupted_commit_can_be_followed_by_another(
    tmp_path: Path, folder: Path, step: int
) -> None:
    before = state_of(folder)
    outcomes = set()
    for n in itertools.count(1, step):
        path = tmp_path / str(n)
        shutil.copytree(folder, path)
        with bitsift.Index.open(path, "a", keep_generations=2) as index:
            change(index)
            after = state(index)
            is_interrupted = False
            try:
                at_line(n, interrupt, index.commit)
            except KeyboardInterrupt:
                is_interrupted = True
            assert state(index) == after
            found = state_of(path)
            assert found in ((before, after) if is_interrupted else (after,))
            outcomes.add(found == after)
            try:
                index.commit()
                index.remove(int(index.ids[0]))
                index.commit()
            except bitsift.IndexStaleError:  # it was interrupted as it had just succeeded
                assert found == after
                index.rollback()
            else:
                assert state_of(path) == state(index)
        with bitsift.Index.open(path, "a", timeout=0):
            pass
        shutil.rmtree(path)
        if not is_interrupted:
            break
    assert outcomes == {False, True}
