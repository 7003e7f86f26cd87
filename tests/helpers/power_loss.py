# SPDX-License-Identifier: Apache-2.0
"""A log of what a writer does to a folder, and the states in which a power cut may leave it.

What was written to a file is on the disk once the file was synced; before that any part of it may
be. A name that was made, moved or removed is so on the disk once the folder was synced; before that
each of these may have happened or not, in any order. A rename happens or does not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

Files = dict[str, bytes]


class Event(NamedTuple):
    """One call: "create", "write", "sync", "sync folder", "rename" or "unlink"."""

    kind: str
    name: str = ""
    other: str = ""
    inode: int = -1
    data: bytes = b""


class Log:
    """Records the calls of a writer in one folder.

    Attributes
    ----------
    events : list of Event
    before : dict of str to bytes
        The files of the folder when it began.
    """

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self.before: Files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.events: list[Event] = []
        self._folder = folder
        self._inodes: dict[int, int] = {}
        self._n_inodes = 0
        for name in ("open", "write", "fsync", "replace", "unlink"):
            patch.setattr(os, name, self._wrapped(getattr(self, f"_{name}"), getattr(os, name)))

    def _wrapped(self, record: Any, real: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            result = real(*args, **options)
            record(result, *args)
            return result

        return call

    def _open(self, fd: int, path: str, flags: int, *_: Any) -> None:
        self._inodes.pop(fd, None)
        if flags & os.O_CREAT:
            self._inodes[fd] = self._n_inodes
            self.events.append(Event("create", Path(path).name, inode=self._n_inodes))
            self._n_inodes += 1

    def _write(self, n: int, fd: int, data: Any) -> None:
        if fd in self._inodes:
            self.events.append(Event("write", inode=self._inodes[fd], data=bytes(data)[:n]))

    def _fsync(self, _: None, fd: int) -> None:
        if fd in self._inodes:
            self.events.append(Event("sync", inode=self._inodes[fd]))
        else:
            self.events.append(Event("sync folder"))

    def _replace(self, _: None, source: str, target: str) -> None:
        self.events.append(Event("rename", source, target))

    def _unlink(self, _: None, path: str) -> None:
        self.events.append(Event("unlink", Path(path).name))


def states_after(before: Files, events: list[Event]) -> Iterator[Files]:
    """Yield what a power cut may leave once these calls have been made."""
    last_sync = max((i for i, one in enumerate(events) if one.kind == "sync folder"), default=-1)
    names = [(i, one) for i, one in enumerate(events) if one.kind in ("create", "rename", "unlink")]
    sure = [one for i, one in names if i < last_sync]
    open_ones = [one for i, one in names if i > last_sync]
    choices = [open_ones, []]
    for i in range(len(open_ones)):
        choices += [open_ones[:i] + open_ones[i + 1 :], [open_ones[i]], open_ones[:i]]
    for data in ("lost", "half", "all"):
        contents = _contents(events, data)
        for chosen in choices:
            yield _folder_of(before, names, [*sure, *chosen], contents)


def _contents(events: list[Event], unsynced: str) -> dict[int, bytes]:
    written: dict[int, bytes] = {}
    synced: dict[int, int] = {}
    for one in events:
        if one.kind == "create":
            written[one.inode], synced[one.inode] = b"", 0
        elif one.kind == "write":
            written[one.inode] += one.data
        elif one.kind == "sync":
            synced[one.inode] = len(written[one.inode])
    kept = {}
    for inode, data in written.items():
        n = synced[inode]
        end = {"lost": n, "half": (n + len(data)) // 2, "all": len(data)}[unsynced]
        kept[inode] = data[:end]
    return kept


def _folder_of(
    before: Files,
    names: list[tuple[int, Event]],
    happened: list[Event],
    contents: dict[int, bytes],
) -> Files:
    # What a rename moves is what had the name when it was called.
    sources: dict[int, bytes] = {}
    now: dict[str, bytes] = dict(before)
    for _, one in names:
        if one.kind == "create":
            now[one.name] = contents[one.inode]
        elif one.kind == "rename":
            sources[id(one)] = now.pop(one.name)
            now[one.other] = sources[id(one)]
        else:
            now.pop(one.name, None)
    files = dict(before)
    for one in happened:
        if one.kind == "create":
            files[one.name] = contents[one.inode]
        elif one.kind == "rename":
            files.pop(one.name, None)
            files[one.other] = sources[id(one)]
        else:
            files.pop(one.name, None)
    return files
