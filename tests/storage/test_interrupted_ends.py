# SPDX-License-Identifier: Apache-2.0
"""What a save leaves behind that a signal handler interrupts, or that another one overtakes."""

from __future__ import annotations

import gc
import itertools
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bitsift.core.errors import BitsiftError, IndexLockedError
from bitsift.storage import reader, writer
from bitsift.storage.folder import Folder
from bitsift.storage.lock import Lock
from helpers.cut_short import NEW, OLD, SMALL, at_line
from helpers.storage_samples import assert_same, named_by_manifest, names_of

fcntl = pytest.importorskip("fcntl")


class Stop(BaseException):
    pass


def at_call(n: int, action: Callable[[], None], *, after_run: bool) -> None:
    """Act, and raise `Stop` at the start of the n-th function called (after the save ran)."""
    count = None if after_run else 0

    def returned(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        if event == "return":
            count = 0
        return returned

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        if after_run and frame.f_code is writer._Save.run.__code__:
            return returned
        if count is not None:
            count += 1
            if count == n:
                raise Stop
        return None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)


@pytest.mark.parametrize(("after_run", "step"), [(True, 1), (False, 23)])
def test_the_folder_can_be_saved_to_while_an_interrupt_of_a_save_is_handled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after_run: bool, step: int
) -> None:
    """The exception and its traceback hold what the interrupted frames hold."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr("bitsift.storage.lock._PAUSE_FOR_OTHERS", 0)
    for n in itertools.count(1, step):
        errors: list[BitsiftError] = []

        def save() -> None:
            try:
                writer.write(tmp_path, SMALL, timeout=0)
            except BitsiftError as error:
                errors.append(error)  # noqa: B023 (called in this round)

        try:
            at_call(n, lambda: writer.write(tmp_path, SMALL), after_run=after_run)
            break
        except Stop:
            thread = threading.Thread(target=save)
            thread.start()
            thread.join()
            save()
        assert not errors, n
    assert n > 5
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


@pytest.mark.parametrize("step", [pytest.param(5, marks=pytest.mark.slow), 23])
@pytest.mark.parametrize("action", [reader.read, reader.verify, lambda p: writer.write(p, SMALL)])
def test_no_descriptor_waits_for_the_cyclic_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: Callable[[Path], Any], step: int
) -> None:
    """An interrupted call has no cycle of references that holds one."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    writer.write(tmp_path, OLD)

    def n_open() -> int:
        return sum(1 for _ in Path("/dev/fd").iterdir())

    def interrupt() -> None:
        raise Stop

    gc.collect()
    gc.disable()
    try:
        before = n_open()
        for n in itertools.count(1, step):
            try:
                at_line(n, interrupt, lambda: action(tmp_path))
                break
            except Stop:
                pass
            assert (n, n_open()) == (n, before)
    finally:
        gc.enable()


def test_a_first_save_that_gives_up_leaves_the_folder_to_the_one_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "a" / "index", writer.folders.make
    fds: list[int] = []

    def make(text: str) -> list[str]:
        made = real(text)
        fds.append(os.open(text, os.O_RDONLY))  # another writer
        fcntl.flock(fds[0], fcntl.LOCK_EX)
        return made

    with monkeypatch.context() as patch:
        patch.setattr(writer.folders, "make", make)
        with pytest.raises(IndexLockedError):
            writer.write(path, NEW, timeout=0)
    assert path.is_dir()
    os.close(fds[0])
    writer.write(path, NEW, timeout=0)
    assert_same(reader.read(path), NEW)


@pytest.mark.parametrize("moment", ["opened", "locked"])
def test_a_folder_that_another_first_save_removes_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The other one made it, failed, and removed it with its parent."""
    path = tmp_path / "a" / "index"
    removed: list[Path] = []

    def remove() -> None:
        if not removed:
            removed.extend([path, path.parent])
            path.rmdir()
            path.parent.rmdir()

    real_is_folder, real_enter = writer.folders.is_folder, Lock.__enter__

    def is_folder(text: str) -> bool:
        remove()
        return real_is_folder(text)

    def enter(one: Lock) -> Lock:
        remove()
        return real_enter(one)

    if moment == "opened":
        monkeypatch.setattr(writer.folders, "is_folder", is_folder)
    else:
        monkeypatch.setattr(Lock, "__enter__", enter)
    writer.write(path, NEW, timeout=0)
    assert removed
    assert_same(reader.read(path), NEW)
    assert names_of(path) == named_by_manifest(path)


def test_a_failed_first_save_removes_what_it_made_while_it_holds_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "a" / "index", writer.folders.unmake
    refused: list[bool] = []

    def unmake(made: list[str]) -> None:
        with Folder(str(path)) as folder, pytest.raises(IndexLockedError), Lock(folder, 0):
            pass
        refused.append(True)
        real(made)

    def fail(*arguments: Any) -> None:
        raise Stop

    monkeypatch.setattr(writer.folders, "unmake", unmake)
    monkeypatch.setattr(writer, "write_manifest", fail)
    with pytest.raises(Stop):
        writer.write(path, NEW)
    assert refused == [True]
    assert not list(tmp_path.iterdir())
