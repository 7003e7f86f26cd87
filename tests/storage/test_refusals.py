# SPDX-License-Identifier: Apache-2.0
"""Saves in which system calls fail: a whole index stays, no file is left over."""

from __future__ import annotations

import errno
import itertools
import os
import stat
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitsift.core.errors import BitsiftWarning, IndexFileError, IndexWriteError
from bitsift.storage import npy_file, reader, writer
from bitsift.storage.contents import Contents
from bitsift.storage.folder import Folder
from helpers.cut_short import NEW, OLD, SMALL
from helpers.storage_samples import (
    assert_same,
    named_by_manifest,
    names_of,
)

pytestmark = pytest.mark.usefixtures("real_fsync")

REFUSABLE = (
    "open", "write", "fsync", "replace", "mkdir", "listdir", "unlink", "stat", "close",
)  # fmt: skip


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


def save_refused(path: Path, contents: Contents) -> tuple[str | None, list[str]]:
    """Save; return the message of the error, if there is one, and those of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            writer.write(path, contents)
        except IndexWriteError as error:
            return str(error), [str(warning.message) for warning in caught]
    assert {warning.category for warning in caught} <= {BitsiftWarning}
    return None, [str(warning.message) for warning in caught]


def test_one_refused_write_leaves_the_old_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = None
    refusals = Refusals(monkeypatch, ("write", "fsync", "replace"))
    n_errors, n_warnings, n_notes = 0, 0, 0
    for n in itertools.count(1):
        writer.write(tmp_path, OLD)
        before = names_of(tmp_path)
        refusals.arm(n, for_good=False)
        error, warned = save_refused(tmp_path, NEW)
        reached = refusals.count >= n
        refusals.disarm()
        if error is None:
            assert_same(reader.read(tmp_path), NEW)
            n_warnings += len(warned)
            n_notes += reached and not warned
        else:
            assert error == (
                f"{tmp_path}: cannot be written: No space left on device; the folder is as it was: "
                "make room and try again"
            )
            assert not warned
            assert names_of(tmp_path) == before
            assert_same(reader.read(tmp_path), OLD)
            n_errors += 1
        if not reached:
            break
    # Only the fsync after the replacement is a warning; only the note of the writer may be missing.
    assert (n_errors > 13, n_warnings, n_notes) == (True, 1, 1)


@pytest.mark.parametrize("for_good", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_any_refused_call_leaves_a_whole_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, for_good: bool
) -> None:
    """An error means the old index, none the new one; whatever fails, and however often."""
    refusals = Refusals(monkeypatch, REFUSABLE)
    warned_of = set()
    for n in itertools.count(1):
        writer.write(tmp_path, OLD)
        assert names_of(tmp_path) == named_by_manifest(tmp_path)
        refusals.arm(n, for_good=for_good)
        error, warned = save_refused(tmp_path, NEW)
        reached = refusals.count >= n
        refusals.disarm()
        assert_same(reader.read(tmp_path), NEW if error is None else OLD)
        warned_of |= {part for part in ("durable", "removed", "closed") if part in str(warned)}
        if not reached:
            break
    assert n > 20
    assert warned_of == {"durable", "removed", "closed"}


def test_replacement_that_is_denied_but_took_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system may repeat a rename, and say that the second one failed."""
    writer.write(tmp_path, OLD)
    real = os.replace

    def replace(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(os, "replace", replace)
    writer.write(tmp_path, NEW)
    assert_same(reader.read(tmp_path), NEW)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


def test_failure_after_which_the_manifest_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows which index is in place, so the files of both stay."""
    writer.write(tmp_path, OLD)
    with monkeypatch.context() as patch:

        def replace(*args: Any, **kwargs: Any) -> None:
            patch.setattr("bitsift.storage.writer.read_manifest", refuse)
            raise OSError(errno.EIO, "Input/output error")

        def refuse(folder: Any) -> bytes:
            raise IndexFileError(folder.path_of("manifest.json"), "cannot be read: it is gone")

        patch.setattr(os, "replace", replace)
        with pytest.raises(IndexWriteError, match="the files of both are kept: cannot be read"):
            writer.write(tmp_path, NEW)
    assert named_by_manifest(tmp_path) < names_of(tmp_path)
    assert_same(reader.read(tmp_path), OLD)
    writer.write(tmp_path, NEW)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


def test_index_that_is_not_known_to_be_durable_keeps_the_old_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut may bring the old manifest back: what it names must be there."""
    writer.write(tmp_path, OLD)
    old = {name: (tmp_path / name).read_bytes() for name in names_of(tmp_path)}
    with monkeypatch.context() as patch:
        n_replaced = 0
        real_replace, real_sync = os.replace, Folder.sync

        def replace(*args: Any, **kwargs: Any) -> None:
            nonlocal n_replaced
            real_replace(*args, **kwargs)
            n_replaced += 1

        def sync(folder: Folder) -> None:
            if n_replaced:
                raise OSError(errno.EIO, "Input/output error")
            real_sync(folder)

        patch.setattr(os, "replace", replace)
        patch.setattr(Folder, "sync", sync)
        with pytest.warns(BitsiftWarning, match="power cut may bring back the old one"):
            writer.write(tmp_path, NEW)
        assert_same(reader.read(tmp_path), NEW)
        # The next save removes them only after the present manifest is durable.
        with pytest.raises(IndexWriteError, match="Input/output error"):
            writer.write(tmp_path, NEW)
    (tmp_path / "manifest.json").write_bytes(old["manifest.json"])
    assert_same(reader.read(tmp_path), OLD)


def test_refused_first_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = Refusals(monkeypatch, ("write", "fsync", "replace", "open", "mkdir"))
    n_errors = 0
    for n in itertools.count(1):
        path = tmp_path / str(n) / "b"
        refusals.arm(n, for_good=False)
        error, _ = save_refused(path, SMALL)
        reached = refusals.count >= n
        refusals.disarm()
        if error is None:
            assert_same(reader.read(path), SMALL)
        else:
            n_errors += 1
            assert not (tmp_path / str(n)).exists()
        if not reached:
            break
    assert n_errors > 10


def test_partial_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real_write(fd, data[:7]))
    writer.write(tmp_path, OLD)
    assert_same(reader.read(tmp_path), OLD)


def test_what_another_process_writes_into_a_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(tmp_path, OLD)
    before = names_of(tmp_path)
    real_write_all = npy_file.write_all

    def write_twice(fd: int, data: memoryview) -> None:
        # As a forked child does, which shares the descriptor and its position.
        real_write_all(fd, data)
        real_write_all(fd, data)

    with monkeypatch.context() as patch:
        patch.setattr(npy_file, "write_all", write_twice)
        with pytest.raises(IndexWriteError, match="another process wrote to it meanwhile"):
            writer.write(tmp_path, NEW)
    assert names_of(tmp_path) == before
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
    monkeypatch.setattr("bitsift.storage.lock.fcntl.flock", flock)
    writer.write(tmp_path, OLD)
    writer.write(tmp_path, NEW)
    assert_same(reader.read(tmp_path), NEW)


def test_lock_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.write(tmp_path, OLD)

    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("bitsift.storage.lock.fcntl.flock", flock)
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
        if name_of(path) != "manifest":  # the note
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
        with pytest.warns(BitsiftWarning, match=r"Permission denied\) and 3 more; the next save"):
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
    with pytest.warns(BitsiftWarning, match=f"originals-{digits}.npy"):
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


@pytest.mark.parametrize("mmap", [False, True])
def test_close_that_fails_takes_nothing_from_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mmap: bool
) -> None:
    writer.write(tmp_path, OLD)
    real = os.close

    def close(fd: int) -> None:
        real(fd)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "close", close)
    assert_same(reader.read(tmp_path, mmap=mmap), OLD)
    reader.verify(tmp_path)
