# SPDX-License-Identifier: Apache-2.0
"""Descriptors of a save or a load: an interrupt loses none, a forked child shares none."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from bitsift.core.errors import IndexWriteError
from bitsift.storage import descriptor, lock, npy_file, reader, writer
from bitsift.storage.descriptor import Descriptor, read_at
from helpers.cut_short import NEW, OLD, SMALL, at_line
from helpers.storage_samples import assert_same, named_by_manifest, names_of

fcntl = pytest.importorskip("fcntl")

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


def is_free(some_lock: threading.RLock) -> bool:
    """Say whether no thread holds it."""
    answers: list[bool] = []

    def acquire() -> None:
        answers.append(some_lock.acquire(blocking=False))
        if answers[0]:
            some_lock.release()

    thread = threading.Thread(target=acquire)
    thread.start()
    thread.join()
    return answers[0]


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 29])
@pytest.mark.parametrize("action", ACTIONS)
def test_no_interrupt_leaves_a_descriptor_or_a_lock(
    tmp_path: Path, action: str, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    writer.write(tmp_path, OLD)
    gc.collect()  # what earlier tests left
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
        assert is_free(lock._opening), n
    assert n > 100
    writer.write(tmp_path, NEW, timeout=0)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


@pytest.mark.parametrize("n_calls", [60, pytest.param(10_000, marks=pytest.mark.slow)])
def test_signals_at_any_time_leave_a_folder_that_can_be_saved_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_calls: int
) -> None:
    """Real signals also come between two lines, and in places where Python drops exceptions."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    dropped: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda event: dropped.append(repr(event.object)))
    writer.write(tmp_path, OLD)
    gc.collect()
    before, seed = n_descriptors(), np.random.default_rng(0)
    n_signals = n_caught = 0
    is_armed = False

    def handler(*_: object) -> None:
        nonlocal n_signals
        if is_armed:
            n_signals += 1
            raise KeyboardInterrupt

    # Of other libraries, such as Hypothesis; Python drops what is raised in them.
    callbacks = gc.callbacks.copy()
    gc.callbacks.clear()
    replaced = signal.signal(signal.SIGALRM, handler)
    try:
        for n in range(n_calls):
            signal.setitimer(signal.ITIMER_REAL, seed.uniform(1e-5, 4e-3))
            try:
                is_armed = True
                ACTIONS[("save", "load")[n % 2]](tmp_path)
                is_armed = False
            except KeyboardInterrupt:
                is_armed = False
                n_caught += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, replaced)
        gc.callbacks.extend(callbacks)
    gc.collect()
    assert not dropped
    assert n_caught == n_signals
    assert n_descriptors() == before
    assert not lock._saving
    assert is_free(lock._opening)
    writer.write(tmp_path, NEW, timeout=0)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


def test_an_interrupt_right_after_the_system_call(tmp_path: Path) -> None:
    """What a profiler raises after ``os.open`` is what a signal handler raises there."""
    gc.collect()
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


def test_a_child_that_is_forked_while_a_save_waits_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(tmp_path, OLD)
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    children: list[int] = []

    def sleep(seconds: float) -> None:
        children.append(os.fork())
        if children != [0]:
            fcntl.flock(other, fcntl.LOCK_UN)

    monkeypatch.setattr("bitsift.storage.lock.time.sleep", sleep)
    status = 1
    try:
        writer.write(tmp_path, NEW)
        status = 0
    except IndexWriteError as error:
        status = 3 if "this process was forked" in str(error) else 1
    finally:
        if children == [0]:
            os._exit(status)
    os.close(other)
    assert status == 0
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 3
    assert_same(reader.read(tmp_path), NEW)


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


@pytest.mark.parametrize("has_preadv", [True, False])
def test_a_file_is_read_where_one_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_preadv: bool
) -> None:
    if not has_preadv:
        monkeypatch.delattr(os, "preadv", raising=False)
    (tmp_path / "file").write_bytes(b"0123456789")
    buffer = bytearray(b"------")
    with Descriptor(str(tmp_path / "file"), os.O_RDONLY) as file:
        assert read_at(file, memoryview(buffer)[:4], 2) == 4
        assert buffer == b"2345--"
        assert read_at(file, memoryview(buffer), 8) == 2
        assert buffer == b"8945--"
        assert read_at(file, memoryview(buffer), 10) == 0
        assert os.lseek(file.number, 0, os.SEEK_CUR) == 0


def test_a_descriptor_is_closed_once(tmp_path: Path) -> None:
    one = Descriptor(str(tmp_path), os.O_RDONLY)
    one.close()
    one.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        _ = one.number


@pytest.mark.parametrize("null", [os.devnull, "/nothing/here"])
def test_a_child_that_is_forked_loses_what_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, null: str
) -> None:
    private = Descriptor(str(tmp_path / "file"), os.O_WRONLY | os.O_CREAT, is_private=True)
    shared = Descriptor(str(tmp_path), os.O_RDONLY)
    number = private.number
    monkeypatch.setattr(os, "devnull", null)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.fstat(shared.number)
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.write(number, b"x")
            with pytest.raises(OSError, match="this process was forked"):
                _ = private.number
            private.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert os.write(private.number, b"x") == 1
    private.close()
    shared.close()


@pytest.mark.parametrize("null", [os.devnull, "/nothing/here"])
def test_what_is_lost_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, null: str
) -> None:
    """What a forked child does, here without a fork."""
    private = Descriptor(str(tmp_path / "file"), os.O_WRONLY | os.O_CREAT, is_private=True)
    shared = Descriptor(str(tmp_path), os.O_RDONLY)
    number = private.number
    monkeypatch.setattr(os, "devnull", null)
    descriptor._lose_private()
    os.fstat(shared.number)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(number, b"x")
    with pytest.raises(OSError, match="this process was forked"):
        _ = private.number
    private.close()
    shared.close()


def test_a_file_of_another_size_is_in_no_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a process writes to it that was forked by other means than Python's."""
    writer.write(tmp_path, OLD)
    real = descriptor.finish

    def finish(file: Descriptor, n_bytes: int, path: str) -> None:
        os.write(file.number, b"x")
        real(file, n_bytes, path)

    for module in ("npy_file", "manifest_file"):
        with monkeypatch.context() as patch:
            patch.setattr(f"bitsift.storage.{module}.finish", finish)
            with pytest.raises(IndexWriteError, match="another process wrote to it"):
                writer.write(tmp_path, NEW)
        assert_same(reader.read(tmp_path), OLD)
        assert names_of(tmp_path) == named_by_manifest(tmp_path)
