# SPDX-License-Identifier: Apache-2.0
"""Saves in which system calls fail: a whole index stays, no file is left over."""

from __future__ import annotations

import errno
import itertools
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitsift.core.errors import IndexFileError, IndexWriteError
from bitsift.storage import reader, writer
from helpers.cut_short import NEW, OLD, SMALL
from helpers.storage_samples import (
    assert_same,
    is_same,
    named_by_manifest,
    names_of,
)

pytestmark = pytest.mark.usefixtures("real_fsync")

REFUSABLE = ("open", "write", "fsync", "replace", "mkdir", "listdir", "unlink", "stat")


class Refusals:
    """Lets the n-th system call fail, or all from the n-th on."""

    def __init__(self, patch: pytest.MonkeyPatch, calls: tuple[str, ...]) -> None:
        self.count = 0
        self.first = sys.maxsize
        self.last = sys.maxsize
        for call in calls:
            patch.setattr(os, call, self._wrapped(getattr(os, call)))

    def arm(self, n: int, *, for_good: bool) -> None:
        self.count = 0
        self.first, self.last = n, sys.maxsize if for_good else n

    def disarm(self) -> None:
        self.first = sys.maxsize

    def _wrapped(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.first <= self.count <= self.last:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args, **kwargs)

        return call


def test_one_refused_write_leaves_the_old_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(tmp_path, OLD)
    before = names_of(tmp_path)
    refusals = Refusals(monkeypatch, ("write", "fsync", "replace"))
    for n in itertools.count(1):
        refusals.arm(n, for_good=False)
        try:
            writer.write(tmp_path, NEW)
        except IndexWriteError as error:
            message = str(error)
        else:
            break
        finally:
            refusals.disarm()
        assert message == f"{tmp_path}: cannot be written: No space left on device"
        assert names_of(tmp_path) == before
        assert_same(reader.read(tmp_path), OLD)
    assert_same(reader.read(tmp_path), NEW)
    assert n > 15


@pytest.mark.parametrize("for_good", [False, True])
def test_any_refused_call_leaves_a_whole_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, for_good: bool
) -> None:
    refusals = Refusals(monkeypatch, REFUSABLE)
    for n in itertools.count(1):
        writer.write(tmp_path, OLD)
        assert names_of(tmp_path) == named_by_manifest(tmp_path)
        refusals.arm(n, for_good=for_good)
        failed = False
        try:
            writer.write(tmp_path, NEW)
        except IndexWriteError:
            failed = True
        finally:
            reached = refusals.count >= n
            refusals.disarm()
        found = reader.read(tmp_path)
        if not is_same(found, OLD):
            assert_same(found, NEW)
        if not failed:
            assert_same(found, NEW)
        elif not for_good:
            assert_same(found, OLD)
        if not reached:
            break
    assert n > 20


def test_refused_first_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = Refusals(monkeypatch, ("write", "fsync", "replace", "open", "mkdir"))
    for n in itertools.count(1):
        refusals.arm(n, for_good=False)
        try:
            writer.write(tmp_path / "a" / "b", SMALL)
        except IndexWriteError:
            assert not names_of(tmp_path)
        else:
            break
    refusals.disarm()
    assert_same(reader.read(tmp_path / "a" / "b"), SMALL)
    assert n > 10


def test_partial_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real_write(fd, data[:7]))
    writer.write(tmp_path, OLD)
    assert_same(reader.read(tmp_path), OLD)


def test_file_system_without_locks_and_folder_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_fsync = os.fsync

    def fsync(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real_fsync(fd)

    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr("bitsift.storage.folder.fcntl.flock", flock)
    writer.write(tmp_path, OLD)
    writer.write(tmp_path, NEW)
    assert_same(reader.read(tmp_path), NEW)


def test_lock_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.write(tmp_path, OLD)

    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("bitsift.storage.folder.fcntl.flock", flock)
    with pytest.raises(IndexWriteError, match="Input/output error"):
        writer.write(tmp_path, NEW)
    assert_same(reader.read(tmp_path), OLD)


def test_order_of_what_is_made_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file before its name, and its name before the manifest that lists it."""
    events: list[str] = []
    real_open, real_fsync, real_replace, real_unlink = os.open, os.fsync, os.replace, os.unlink
    opened: dict[int, str] = {}

    def name_of(path: Any) -> str:
        return Path(path).name.split("-")[0]

    def spy_open(path: Any, *args: Any, **kwargs: Any) -> int:
        fd = real_open(path, *args, **kwargs)
        opened[fd] = "folder" if Path(path) == tmp_path else name_of(path)
        return fd

    def spy_fsync(fd: int) -> None:
        events.append(f"fsync {opened[fd]}")
        real_fsync(fd)

    def spy_replace(source: Any, target: Any, **kwargs: Any) -> None:
        events.append(f"replace {name_of(target)}")
        real_replace(source, target, **kwargs)

    def spy_unlink(path: Any, **kwargs: Any) -> None:
        events.append("unlink")
        real_unlink(path, **kwargs)

    writer.write(tmp_path, OLD)
    monkeypatch.setattr(os, "open", spy_open)
    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    monkeypatch.setattr(os, "unlink", spy_unlink)
    writer.write(tmp_path, NEW)
    assert events == [
        *(f"fsync {part}" for part in ("codes", "ids", "originals", "threshold", "manifest")),
        "fsync folder",
        "replace manifest.json",
        "fsync folder",
        *["unlink"] * 4,
    ]


def test_what_cannot_be_removed_is_left_to_the_next_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(tmp_path, OLD)
    before = names_of(tmp_path)
    with monkeypatch.context() as patch:

        def refuse(path: Any, **kwargs: Any) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        patch.setattr(os, "unlink", refuse)
        writer.write(tmp_path, NEW)
    assert before < names_of(tmp_path)
    assert_same(reader.read(tmp_path), NEW)
    writer.write(tmp_path, OLD)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


def test_only_files_of_ours_are_removed(tmp_path: Path) -> None:
    writer.write(tmp_path, OLD)
    digits = "0123456789abcdef" * 2
    ours = {f"codes-{digits}.npy", f"threshold-{digits}.npy", f"manifest-{digits}.tmp"}
    foreign = {
        "codes.npy",
        "codes-1.npy",
        f"codes-{digits}.npz",
        f"codes-{digits.upper()}.npy",
        f"mycodes-{digits}.npy",
        f"codes-{digits}.npy.bak",
        f"manifest-{digits}.json",
        ".hidden",
    }
    for name in ours | foreign:
        (tmp_path / name).write_text("")
    (tmp_path / f"ids-{digits}.npy").symlink_to(tmp_path.parent)
    (tmp_path / f"originals-{digits}.npy").mkdir()
    writer.write(tmp_path, NEW)
    kept = names_of(tmp_path) - named_by_manifest(tmp_path)
    assert kept == foreign | {f"originals-{digits}.npy"}
    assert_same(reader.read(tmp_path), NEW)


def test_leftovers_alone_are_as_good_as_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / f"codes-{'0' * 32}.npy").write_text("")
    with pytest.raises(IndexFileError):
        reader.read(tmp_path)
    writer.write(tmp_path, OLD)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)
