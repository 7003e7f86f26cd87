# SPDX-License-Identifier: Apache-2.0
"""Locks of writers: who waits, how long, what is said, and who never holds one."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bitsift
from bitsift.core.errors import IndexLockedError, IndexWriteError
from bitsift.storage import lock, reader, writer
from bitsift.storage.folder import Folder
from bitsift.storage.lock_note import holder
from bitsift.storage.manifest import LOCK_NOTE, OWN_FILE
from helpers.cut_short import NEW, OLD
from helpers.storage_samples import assert_same, named_by_manifest, names_of

fcntl = pytest.importorskip("fcntl")

# Saves to a folder and stops inside, when it has the lock and has written a file.
STOPPED = """
import os, sys, time
from bitsift.storage import writer
from helpers.cut_short import NEW

def stop(*arguments):
    {inside}
    print("inside", flush=True)
    time.sleep(600)

writer.write_manifest = stop
writer.write(sys.argv[1], NEW)
"""


def start_stopped(path: Path, inside: str = "pass") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED.format(inside=inside), str(path)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    return process


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Give a process that is saving to `tmp_path`, which holds `OLD`, and does not end."""
    writer.write(tmp_path, OLD)
    process = start_stopped(tmp_path)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("timeout", [0, 0.05, np.float32(0.05), Decimal("0.05")])
def test_a_save_waits_no_longer_than_it_is_told(
    tmp_path: Path, held: subprocess.Popen[str], timeout: float
) -> None:
    before = names_of(tmp_path)
    index = bitsift.Index(8)
    with pytest.raises(IndexLockedError) as caught:
        index.save(tmp_path, timeout=timeout)
    assert f"process {held.pid} on " in str(caught.value)
    assert "(since 2" in str(caught.value)
    assert f"did not end within {timeout:g} seconds" in str(caught.value)
    assert caught.value.path == str(tmp_path)
    assert isinstance(caught.value, IndexWriteError)
    assert names_of(tmp_path) == before
    assert_same(reader.read(tmp_path), OLD)  # readers never wait


def test_a_timeout_of_minus_0_is_0() -> None:
    assert str(lock.check_timeout(-0.0)) == "0.0"


def test_a_save_goes_on_when_the_other_is_killed(
    tmp_path: Path, held: subprocess.Popen[str]
) -> None:
    threading.Timer(0.1, held.kill).start()
    writer.write(tmp_path, NEW, timeout=None)
    assert_same(reader.read(tmp_path), NEW)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


@pytest.mark.parametrize(
    "inside",
    [
        "os.fork() or (os.closerange(0, 3), time.sleep(600))",
        pytest.param(
            "import multiprocessing; multiprocessing.get_context('fork')"
            ".Process(target=time.sleep, args=(600,)).start()",
            marks=pytest.mark.slow,  # it is a fork, too
        ),
        "import subprocess; subprocess.Popen(['sleep', '600'], stdout=-3, close_fds=False)",
        "os.posix_spawn('/bin/sleep', ['sleep', '600'], {}, "
        "file_actions=[(os.POSIX_SPAWN_CLOSE, 1)])",
    ],
    ids=["fork", "multiprocessing", "subprocess", "posix_spawn"],
)
def test_no_child_keeps_the_lock_of_a_killed_writer(tmp_path: Path, inside: str) -> None:
    writer.write(tmp_path, OLD)
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED.format(inside=inside), str(tmp_path)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"
        with pytest.raises(IndexLockedError):
            writer.write(tmp_path, NEW, timeout=0)
        process.kill()
        process.wait()
        writer.write(tmp_path, NEW, timeout=30)
        os.killpg(process.pid, 0)  # the child lives on
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
    assert_same(reader.read(tmp_path), NEW)


def test_a_child_that_is_forked_inside_a_save_cannot_go_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(tmp_path, OLD)
    real = writer.write_manifest
    children: list[int] = []

    def fork(*arguments: Any) -> None:
        children.append(os.fork())
        real(*arguments)

    monkeypatch.setattr(writer, "write_manifest", fork)
    try:
        writer.write(tmp_path, NEW)
    except IndexWriteError:
        os._exit(0 if children == [0] else 1)
    finally:
        if children == [0]:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    assert_same(reader.read(tmp_path), NEW)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


def test_a_forked_child_can_save_while_its_parent_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent's thread saves to the folder; the child's is another one, and may wait."""
    real = writer.write_manifest
    status = []

    def fork(*arguments: Any) -> None:
        if not status:
            child = os.fork()
            if child == 0:
                monkeypatch.undo()
                try:
                    writer.write(tmp_path, NEW, timeout=0)
                except IndexLockedError as error:
                    os._exit(0 if f"process {os.getppid()} on" in str(error) else 1)
                finally:
                    os._exit(2)
            status.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        real(*arguments)

    monkeypatch.setattr(writer, "write_manifest", fork)
    writer.write(tmp_path, OLD)
    assert status == [0]


def test_a_signal_handler_does_not_wait_for_its_own_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, errors = bitsift.Index(8), []
    real = writer.write_manifest

    def handler(*_: object) -> None:
        index.save(tmp_path / "other")
        with pytest.raises(IndexLockedError, match="this thread is saving to it already") as caught:
            index.save(tmp_path / "index" / ".." / "index", timeout=None)
        errors.append(caught.value)

    def interrupted(*arguments: Any) -> None:
        if arguments[0].path == str(tmp_path / "index"):
            signal.raise_signal(signal.SIGUSR1)
        real(*arguments)

    monkeypatch.setattr(writer, "write_manifest", interrupted)
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        index.save(tmp_path / "index")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(errors) == 1
    for name in ("index", "other"):
        bitsift.verify(tmp_path / name)
    monkeypatch.undo()
    index.save(tmp_path / "index")


def test_threads_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, go_on = threading.Event(), threading.Event()
    real = writer.write_manifest

    def wait(*arguments: Any) -> None:
        inside.set()
        assert go_on.wait(600)
        real(*arguments)

    monkeypatch.setattr(writer, "write_manifest", wait)
    thread = threading.Thread(target=writer.write, args=(tmp_path, OLD))
    thread.start()
    assert inside.wait(600)
    try:
        with pytest.raises(IndexLockedError, match=f"process {os.getpid()} on"):
            writer.write(tmp_path, NEW, timeout=0.01)
    finally:
        threading.Timer(0.05, go_on.set).start()
        writer.write(tmp_path, NEW, timeout=600)
        thread.join()
    assert_same(reader.read(tmp_path), NEW)


def test_ctrl_c_ends_the_waiting(tmp_path: Path, held: subprocess.Popen[str]) -> None:
    pid = os.getpid()
    timer = threading.Timer(0.2, os.kill, (pid, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        writer.write(tmp_path, NEW, timeout=600)
    timer.join()
    assert_same(reader.read(tmp_path), OLD)
    assert not lock._saving


@pytest.mark.parametrize(
    ("timeout", "error", "message"),
    [
        (-1, ValueError, "timeout must be finite and at least 0, or None for no limit; got -1.0"),
        (float("nan"), ValueError, "got nan"),
        (float("inf"), ValueError, "got inf"),
        (10**400, ValueError, "got inf"),
        (Fraction(10**400), ValueError, "got inf"),
        (-(10**400), ValueError, "got -inf"),
        ("60", TypeError, "must be a number of seconds, or None for no limit; got str"),
        (True, TypeError, "got bool"),
        (1j, TypeError, "got complex"),
    ],
)
def test_bad_timeouts(tmp_path: Path, timeout: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        bitsift.Index(8).save(tmp_path / "index", timeout=timeout)
    assert not names_of(tmp_path)


# The note


@pytest.mark.parametrize(
    "note",
    [
        b"", b"{", b"[" * 4000, b"null", b"[1]", b'"x"', b"\xff", b"{}",
        b'{"pid": "1", "host": "h", "since": "2026-01-01T00:00:00Z"}',
        b'{"pid": -1, "host": "h", "since": "2026-01-01T00:00:00Z"}',
        b'{"pid": 1, "host": 2, "since": "2026-01-01T00:00:00Z"}',
        b'{"pid": 1, "host": "h", "since": "\\u001b[2J"}',
        json.dumps({"pid": 1, "host": ["h"], "since": "2026-01-01T00:00:00Z"}).encode(),
        json.dumps({"pid": 1, "host": "h", "since": "2026-02-30T00:00:00Z"}).encode(),
        json.dumps({"pid": 1, "host": "h", "since": "2026-01-01T25:00:00Z"}).encode(),
        json.dumps({"pid": 1, "host": "h", "since": "\uff12026-01-01T00:00:00Z"}).encode(),
        json.dumps({"pid": 1, "host": "x" * 300, "since": "2026-01-01T00:00:00Z"}).encode(),
        json.dumps({"pid": 2**22 + 5, "host": os.uname().nodename,
                    "since": "2026-01-01T00:00:00Z"}).encode(),
        json.dumps({"pid": 10**30, "host": os.uname().nodename,
                    "since": "2026-01-01T00:00:00Z"}).encode(),
        b'{"pid": ' + b"9" * 4000 + b', "host": "h", "since": "2026-01-01T00:00:00Z"}',
        None, "link", "fifo",
    ],
)  # fmt: skip
def test_notes_that_say_nothing(tmp_path: Path, note: Any) -> None:
    """A note is only believed; a missing, damaged or old one never stands in the way."""
    path = tmp_path / LOCK_NOTE
    if note == "link":
        path.symlink_to("/dev/zero")
    elif note == "fifo":
        os.mkfifo(path)
    elif note is not None:
        path.write_bytes(note)
    fd = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with pytest.raises(IndexLockedError, match="another process writes to it"):
        writer.write(tmp_path, NEW, timeout=0)
    os.close(fd)
    writer.write(tmp_path, NEW)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


def test_a_host_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    note = {"pid": 7, "host": "\x1b[2J", "since": "2026-01-01T00:00:00Z"}
    (tmp_path / LOCK_NOTE).write_text(json.dumps(note))
    with Folder(str(tmp_path)) as folder:
        assert holder(folder) == r"process 7 on '\x1b[2J' (since 2026-01-01T00:00:00Z)"


def test_a_writer_lets_those_go_first_who_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It pauses after its save, but not where nobody waits."""
    pauses: list[float] = []
    waits, real_sleep, real_write = threading.Event(), time.sleep, writer.write_manifest
    main = threading.get_ident()

    def sleep(seconds: float) -> None:
        if threading.get_ident() == main:
            pauses.append(seconds)
        else:
            waits.set()
        real_sleep(seconds)

    def wait(*arguments: Any) -> None:
        if threading.get_ident() == main:
            thread.start()
            assert waits.wait(600)
        real_write(*arguments)

    monkeypatch.setattr("bitsift.storage.lock.time.sleep", sleep)
    writer.write(tmp_path, OLD)
    assert not pauses
    thread = threading.Thread(target=writer.write, args=(tmp_path, NEW))
    monkeypatch.setattr(writer, "write_manifest", wait)
    writer.write(tmp_path, OLD)
    assert pauses == [lock._PAUSE_FOR_OTHERS]
    thread.join()
    assert_same(reader.read(tmp_path), NEW)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


def test_others_see_all_the_time_that_a_writer_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks for the note of the writer at work again and again, and never lets go in between."""
    (tmp_path / LOCK_NOTE).touch()
    writers = os.open(tmp_path / LOCK_NOTE, os.O_WRONLY)
    with Folder(str(tmp_path)) as folder:
        sign = lock._show_that_one_waits(folder, None)
        real = folder.open

        def look(name: str, **options: Any) -> Any:
            with pytest.raises(BlockingIOError):
                fcntl.flock(writers, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return real(name, **options)

        monkeypatch.setattr(folder, "open", look)
        sign = lock._show_that_one_waits(folder, sign)
        with pytest.raises(BlockingIOError):
            fcntl.flock(writers, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (tmp_path / LOCK_NOTE).unlink()
        assert lock._show_that_one_waits(folder, sign) is None
        fcntl.flock(writers, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(writers)


def test_every_release_takes_the_note_for_a_file_of_its_own() -> None:
    assert OWN_FILE.fullmatch(LOCK_NOTE)


def test_no_descriptor_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def descriptors() -> set[str]:
        return {path.name for path in Path("/proc/self/fd").iterdir()}

    if not Path("/proc/self/fd").exists():
        pytest.skip("/proc is Linux's")
    before = descriptors()
    for contents in (OLD, NEW):
        writer.write(tmp_path, contents)
    fd = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with pytest.raises(IndexLockedError):
        writer.write(tmp_path, OLD, timeout=0)
    os.close(fd)
    assert descriptors() == before


@pytest.mark.slow
def test_many_forks_while_threads_save(tmp_path: Path) -> None:
    """Children that live on never hold up the saves, whenever they were forked."""
    stop = threading.Event()

    def save() -> None:
        while not stop.is_set():
            writer.write(tmp_path, NEW, timeout=60)

    thread = threading.Thread(target=save)
    thread.start()
    context = multiprocessing.get_context("fork")
    children = []
    try:
        for _ in range(100):
            children.append(context.Process(target=time.sleep, args=(600,)))
            children[-1].start()
    finally:
        stop.set()
        thread.join()
    try:
        fd = os.open(tmp_path, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(fd)
    finally:
        for child in children:
            child.kill()
            child.join()
