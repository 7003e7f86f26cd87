# SPDX-License-Identifier: Apache-2.0
"""What a signal handler raises in one certain function passes; the system's error there is told.

A signal at every step of a call, in tests/core/test_handler_errors.py, meets these places by
chance alone: the functions are short.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitsift.core.errors import IndexFileError, IndexLockedError
from bitsift.storage import (
    inspection,
    lock,
    lock_note,
    manifest_json,
    npy_file,
    opened_files,
    reader,
    writer,
)
from bitsift.storage.contents import Contents
from helpers.storage_samples import sample

SMALL = sample(2, 8)
LARGE = Contents(8, "dot", 0.0, np.zeros((5 << 20, 1), np.uint8), None, {})


def wait_for_a_lock(path: Path) -> None:
    """Ask for a folder's lock that this process holds by another descriptor."""
    held = os.open(path, os.O_RDONLY)
    try:
        lock.fcntl.flock(held, lock.fcntl.LOCK_EX)
        (path / lock.LOCK_NOTE).write_text(
            f'{{"pid": {os.getpid()}, "host": "{os.uname().nodename}", '
            '"since": "2026-01-31T23:59:59Z"}'
        )
        writer.write(path, SMALL, timeout=0.05)
    finally:
        os.close(held)


PLACES: dict[str, tuple[Any, str, type[Exception], Callable[[Path], Any]]] = {
    "holes of a file": (npy_file, "stored_bytes", TimeoutError, reader.verify),
    "a file is opened": (opened_files, "_array_file", FileNotFoundError, reader.read),
    "a manifest is parsed": (manifest_json, "_parse", RecursionError, reader.read),
    "whose manifest it is": (
        manifest_json,
        "_parse",
        RecursionError,
        lambda path: inspection.index_around(path / "x.npy"),
    ),
    "a manifest is looked for": (
        inspection,
        "read_manifest",
        TimeoutError,
        lambda path: inspection.index_around(path / "x.npy"),
    ),
    "a note is read": (lock_note.json, "loads", ValueError, wait_for_a_lock),
    "a process is looked for": (lock_note.os, "kill", TimeoutError, wait_for_a_lock),
    "a note is locked": (lock, "_show_that_one_waits", TimeoutError, wait_for_a_lock),
}


@pytest.mark.parametrize("place", PLACES)
def test_it_passes(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, kind, call = PLACES[place]
    writer.write(tmp_path, LARGE if place == "holes of a file" else SMALL)
    error = kind("of the handler")

    def handled(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module, name, handled)
    with pytest.raises(kind, match="of the handler") as caught:
        call(tmp_path)
    assert caught.value is error


def test_the_system_s_error_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    writer.write(tmp_path, LARGE)
    monkeypatch.setattr(npy_file, "stored_bytes", fails)
    with pytest.raises(IndexFileError, match=r"codes-.* cannot be read: Input/output error"):
        reader.verify(tmp_path)


def test_a_note_that_cannot_be_read_names_nobody(tmp_path: Path) -> None:
    writer.write(tmp_path, SMALL)
    with pytest.raises(IndexLockedError, match=f"process {os.getpid()} on"):
        wait_for_a_lock(tmp_path)


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "Input/output error"), TimeoutError("of the handler")]
)
def test_made_folders_of_a_save_that_fails_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    """Even if they cannot be locked; not if a handler raises once more."""

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(writer, "Lock", fails)
    with pytest.raises((IndexFileError, TimeoutError)):
        writer.write(tmp_path / "a" / "b", SMALL)
    assert (tmp_path / "a").exists() == (error.errno is None)
