# SPDX-License-Identifier: Apache-2.0
"""Saves amid which the power goes: the folder holds the old index or the new one."""

# ruff: noqa: PTH102 (pathlib's calls are not those of the system that are written down)

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bitsift.core.errors import IndexFileError, IndexNotFoundError, NotAnIndexError
from bitsift.storage import reader, writer
from helpers.cut_short import NEW, OLD
from helpers.power_loss import Log, Sync, lay_out, recording, states
from helpers.storage_samples import is_same

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors of folders are asked")
# A save over an index, and one that makes the folder and its parent.
SAVES = pytest.mark.parametrize("at", ["index", "a/b"])


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def recorded(disk: Path, at: str) -> Log:
    if at == "index":
        writer.write(disk / at, OLD)
    with recording(disk) as log:
        writer.write(disk / at, NEW)
    return log


def outcome(path: Path) -> str:
    """Name what is there."""
    try:
        found = reader.read(path)
    except (IndexNotFoundError, NotAnIndexError):
        return "nothing"
    except IndexFileError as error:
        return str(error)
    return "old" if is_same(found, OLD) else "new" if is_same(found, NEW) else "neither"


def outcomes(
    log: Log, at: str, scratch: Path, most: int, first: int = 0
) -> Iterator[tuple[bool, str]]:
    """Say whether the save had ended, and name what a power cut may leave then."""
    for is_done, tree in states(log, most, random.Random(0), first):
        lay_out(tree, scratch)
        found = outcome(scratch / at)
        shutil.rmtree(scratch)
        yield is_done, found


@SAVES
@pytest.mark.parametrize("most", [pytest.param(100, marks=pytest.mark.slow), 4])
def test_the_old_index_is_there_or_the_new_one(tmp_path, disk, at, most):
    before = "old" if at == "index" else "nothing"
    found = {*outcomes(recorded(disk, at), at, tmp_path / "scratch", most)}
    assert found == {(False, before), (False, "new"), (True, "new")}


@SAVES
@pytest.mark.parametrize(
    "part", [pytest.param(slice(None), marks=pytest.mark.slow, id="every"), slice(1, None, 6)]
)
def test_no_sync_may_be_left_out(tmp_path, disk, at, part):
    log = recorded(disk, at)
    syncs = [i for i, step in enumerate(log.steps) if isinstance(step, Sync)]
    assert len(syncs) > 6
    before = "old" if at == "index" else "nothing"
    fine = {(False, before), (False, "new"), (True, "new")}
    for i in syncs[part]:
        without = replace(log, steps=[*log.steps[:i], *log.steps[i + 1 :]])
        found = outcomes(without, at, tmp_path / str(i), 20, first=i)
        assert any(one not in fine for one in found), log.steps[i]


def test_states_of_a_new_file(disk):
    with recording(disk) as log:
        fd = os.open(str(disk / "a"), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(fd, b"1234")
        os.fsync(fd)
        os.write(fd, b"5678")
        os.close(fd)
    found = [tree for is_done, tree in states(log, 100, random.Random(0)) if is_done]
    contents = [b"1234", b"12345678", b"123456", b"1234\0\0\0\0"]
    assert found == [{}, *({"a": content} for content in contents)]


def test_states_of_a_replaced_and_a_removed_file(disk):
    for name in "ab":
        (disk / name).write_bytes(name.encode())
    folder = os.open(str(disk), os.O_RDONLY | os.O_DIRECTORY)
    with recording(disk) as log:
        os.replace("a", "b", src_dir_fd=folder, dst_dir_fd=folder)
        os.unlink("b", dir_fd=folder)
        os.mkdir(str(disk / "c"))
    os.close(folder)
    found = [tree for _, tree in states(log, 100, random.Random(0))]
    old, new = {"a": b"a", "b": b"b"}, {"b": b"a"}
    some = [old, new, {"a": b"a"}, {}]
    assert all(tree in found for tree in some)
    assert all({**tree, "c": None} in found for tree in some)
