# SPDX-License-Identifier: Apache-2.0
"""Descriptors of a save or a load: an interrupt loses none, a forked child shares none."""

from __future__ import annotations

import gc
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bitsift.core.errors import IndexWriteError
from bitsift.storage import descriptor, lock, npy_file, reader, writer
from bitsift.storage.descriptor import Descriptor
from helpers.cut_short import NEW, OLD, SMALL, at_line
from helpers.storage_samples import assert_same, named_by_manifest, names_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="descriptors of folders, and forks")

ACTIONS: dict[str, Callable[[Path], Any]] = {
    "save": lambda path: writer.write(path, SMALL),
    "load": reader.read,
    "verify": reader.verify,
}


def n_descriptors() -> int:
    """Count the descriptors that are open, without opening one."""
    n = 0
    for number in range(256):
        try:
            os.fstat(number)
        except OSError:
            continue
        n += 1
    return n


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 7])
@pytest.mark.parametrize("action", ACTIONS)
def test_no_interrupt_leaves_a_descriptor_or_a_lock(
    tmp_path: Path, action: str, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    writer.write(tmp_path, OLD)
    before = n_descriptors()

    def interrupt() -> None:
        raise KeyboardInterrupt

    for n in itertools.count(1, step):
        try:
            at_line(n, interrupt, lambda: ACTIONS[action](tmp_path))
            break
        except KeyboardInterrupt:
            pass
        if n_descriptors() != before:
            gc.collect()  # the frames of the traceback
        assert (n, n_descriptors()) == (n, before)
        assert not lock._saving, n
    assert n > 100
    writer.write(tmp_path, NEW, timeout=0)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


def test_an_interrupt_right_after_the_system_call(tmp_path: Path) -> None:
    """What a profiler raises after ``os.open`` is what a signal handler raises there."""
    before = n_descriptors()
    depth = 0

    def profile(frame: FrameType, event: str, function: Any) -> None:
        nonlocal depth
        if event == "c_return" and getattr(function, "__name__", "") == "extend":
            depth += 1
            raise KeyboardInterrupt

    def opened() -> None:
        Descriptor(str(tmp_path), os.O_RDONLY)

    sys.setprofile(profile)
    try:
        with pytest.raises(KeyboardInterrupt):
            opened()
    finally:
        sys.setprofile(None)
    assert depth == 1
    gc.collect()
    assert n_descriptors() == before


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_child_that_is_forked_while_a_file_is_written_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int, place: str
) -> None:
    """As by a signal handler that forks; the file has several chunks."""
    writer.write(tmp_path, OLD)
    monkeypatch.setattr(npy_file, "_CHUNK_BYTES", 16)
    real = os.write
    children: list[int] = []
    count = 0

    def write(fd: int, data: memoryview) -> int:
        nonlocal count
        count += 1
        if count == n + 1 and place == "before":  # the first one writes the note
            children.append(os.fork())
        done = real(fd, data)
        if count == n + 1 and place == "after":
            children.append(os.fork())
        return done

    monkeypatch.setattr(os, "write", write)
    status = 1
    try:
        writer.write(tmp_path, NEW)
        status = 0
    except IndexWriteError as error:
        if "forked" in str(error) or "Bad file descriptor" in str(error):
            status = 3
    finally:
        if children == [0]:
            os._exit(status)
    assert status == 0
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 3
    monkeypatch.undo()
    reader.verify(tmp_path)
    assert_same(reader.read(tmp_path), NEW)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


def test_a_child_that_is_forked_before_the_lock_saves_to_files_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = lock.Lock
    children: list[int] = []

    def fork(*arguments: Any) -> Any:
        children.append(os.fork())
        return real(*arguments)

    monkeypatch.setattr(writer, "Lock", fork)
    status = 1
    try:
        writer.write(tmp_path, NEW)
        status = 0
    finally:
        if children == [0]:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    assert_same(reader.read(tmp_path), NEW)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


@pytest.mark.parametrize("action", ["load", "verify"])
def test_a_child_that_is_forked_while_a_file_is_read_reads_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    writer.write(tmp_path, NEW)
    real = npy_file.ArrayFile._scan
    children: list[int] = []

    def fork(*arguments: Any) -> None:
        if not children:
            children.append(os.fork())
        real(*arguments)

    monkeypatch.setattr(npy_file.ArrayFile, "_scan", fork)
    status = 1
    try:
        ACTIONS[action](tmp_path)
        status = 0
    finally:
        if children == [0]:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0


def test_a_file_of_another_size_is_in_no_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a process writes to it that was forked by other means than Python's."""
    writer.write(tmp_path, OLD)
    real = descriptor.finish

    def finish(file: Descriptor, n_bytes: int, name: str) -> None:
        os.write(file.number, b"x")
        real(file, n_bytes, name)

    for module in ("npy_file", "manifest_file"):
        with monkeypatch.context() as patch:
            patch.setattr(f"bitsift.storage.{module}.finish", finish)
            with pytest.raises(IndexWriteError, match="another process wrote to it"):
                writer.write(tmp_path, NEW)
        assert_same(reader.read(tmp_path), OLD)
        assert names_of(tmp_path) == named_by_manifest(tmp_path)
