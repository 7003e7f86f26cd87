# SPDX-License-Identifier: Apache-2.0
"""What a power cut may leave of a folder: a log of its changes, replayed to every state.

What was synced is there. Of what was not, any part may be missing, in any order: names that were
made, replaced or removed, each on its own, and bytes of files. POSIX promises no more; see
T. S. Pillai et al., "All File Systems Are Not Created Equal: On the Complexity of Crafting
Crash-Consistent Applications" (OSDI 2014), which made such logs of other programs.
"""

# ruff: noqa: PTH116, PTH119 (calls of the system are what this is about)

from __future__ import annotations

import itertools
import os
import random
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Files and folders have numbers of their own: the system gives those of removed ones again.
Names = dict[str, int]
Tree = dict[str, bytes | None]  # by path below the root: contents of files, None for folders


@dataclass(frozen=True, eq=False)
class Write:
    """Bytes at the end of a file."""

    file: int
    data: bytes


@dataclass(frozen=True, eq=False)
class Change:
    """Names of a folder that change together: those that go, and those that come."""

    folder: int
    gone: tuple[str, ...]
    come: tuple[tuple[str, int], ...]


@dataclass(frozen=True, eq=False)
class Sync:
    """What was written to a file, or the names in a folder, are on the disk."""

    number: int


Step = Write | Change | Sync


@dataclass(frozen=True)
class Log:
    """A tree of folders on the disk, and what was done to it.

    Attributes
    ----------
    folders : dict
        The names in each folder. Number 0 is the root.
    files : dict
        The bytes of each file.
    steps : sequence of Write, Change and Sync
        What was done then, in order.
    """

    folders: dict[int, Names]
    files: dict[int, bytes]
    steps: Sequence[Step]


@contextmanager
def recording(root: Path) -> Iterator[Log]:
    """Write down what this process does below a folder, by calls of `os`.

    What is there is taken for what is on the disk.
    """
    recorder = _Recorder(root)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "write", "fsync", "replace", "unlink", "mkdir", "rmdir"):
            patch.setattr(os, name, recorder.instead_of(name))
        yield recorder.log


def states(log: Log, most: int, rng: random.Random, first: int = 0) -> Iterator[tuple[bool, Tree]]:
    """Yield what a power cut after `first` or more steps may leave, and whether these were all.

    Each state comes once. At most `most` sets of names are chosen at each moment, and at most
    `most` contents of each.
    """
    seen = set()
    for n in range(first, len(log.steps) + 1):
        for tree in _states_after(log, n, most, rng):
            key = n == len(log.steps), tuple(sorted(tree.items()))
            if key not in seen:
                seen.add(key)
                yield key[0], tree


def lay_out(tree: Tree, root: Path) -> None:
    """Make the files and folders of a state in a new folder."""
    root.mkdir()
    for name, data in sorted(tree.items()):
        if data is None:
            (root / name).mkdir()
        else:
            (root / name).write_bytes(data)


class _Recorder:
    def __init__(self, root: Path) -> None:
        self._steps: list[Step] = []
        self._numbers: dict[int, int] = {}  # by those of the system
        self._count = itertools.count()
        paths = [root, *root.rglob("*")]
        for path in paths:
            self._new(path.stat())
        self.log = Log(
            {
                self._known(path.stat()): {
                    one.name: self._known(one.stat()) for one in path.iterdir()
                }
                for path in paths
                if path.is_dir()
            },
            {self._known(path.stat()): path.read_bytes() for path in paths if path.is_file()},
            self._steps,
        )

    def instead_of(self, name: str) -> Callable[..., Any]:
        real, note = getattr(os, name), getattr(self, name)

        def call(*args: Any, **options: Any) -> Any:
            return note(real, *args, **options)

        return call

    def open(self, real: Any, path: Any, flags: int, *mode: int, dir_fd: int | None = None) -> int:
        fd: int = real(path, flags, *mode, dir_fd=dir_fd)
        if flags & os.O_CREAT:
            assert flags & os.O_EXCL, "a file that may have been there is not written down"
            self._change(path, dir_fd, come=self._new(os.fstat(fd)))
        return fd

    def write(self, real: Any, fd: int, data: Any) -> int:
        n: int = real(fd, data)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            self._steps.append(Write(self._known(os.fstat(fd)), bytes(data[:n])))
        return n

    def fsync(self, real: Any, fd: int) -> None:
        real(fd)
        self._steps.append(Sync(self._known(os.fstat(fd))))

    def replace(
        self, real: Any, source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int
    ) -> None:
        assert src_dir_fd == dst_dir_fd
        number = self._known(os.stat(source, dir_fd=src_dir_fd))
        real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        self._change(target, dst_dir_fd, gone=source, come=number)

    def unlink(self, real: Any, path: str, *, dir_fd: int | None = None) -> None:
        real(path, dir_fd=dir_fd)
        self._change(path, dir_fd, gone=path)

    def mkdir(self, real: Any, path: str) -> None:
        real(path)
        number = self._new(os.stat(path))
        self._change(path, None, come=number)
        self._steps.append(Change(number, (), ()))  # a folder, though nothing is in it

    def rmdir(self, real: Any, path: str) -> None:
        real(path)
        self._change(path, None, gone=path)

    def _new(self, status: os.stat_result) -> int:
        number = self._numbers[status.st_ino] = next(self._count)
        return number

    def _known(self, status: os.stat_result) -> int:
        return self._numbers.get(status.st_ino, -1)  # what is elsewhere changes nothing here

    def _change(
        self, path: Any, dir_fd: int | None, *, gone: str | None = None, come: int | None = None
    ) -> None:
        parent, name = os.path.split(os.fspath(path).rstrip(os.sep))
        status = os.stat(parent or os.curdir) if dir_fd is None else os.fstat(dir_fd)
        self._steps.append(
            Change(
                self._known(status),
                () if gone is None else (os.path.basename(gone.rstrip(os.sep)),),
                () if come is None else ((name, come),),
            )
        )


def _states_after(log: Log, n: int, most: int, rng: random.Random) -> Iterator[Tree]:
    """Yield what may be there if the power goes after n steps."""
    synced, written = dict(log.files), dict(log.files)
    names = {folder: dict(entries) for folder, entries in log.folders.items()}
    pending: list[Change] = []
    for step in log.steps[:n]:
        if isinstance(step, Write):
            written[step.file] = written.get(step.file, b"") + step.data
        elif isinstance(step, Change):
            pending.append(step)
        else:
            synced[step.number] = written.get(step.number, b"")
            for change in pending:
                if change.folder == step.number:
                    _apply(names, change)
            pending = [change for change in pending if change.folder != step.number]
    for kept in _subsets(len(pending), most, rng):
        found = {folder: dict(entries) for folder, entries in names.items()}
        for i in kept:
            _apply(found, pending[i])
        yield from _contents(_reached(log, found), synced, written, most, rng)


def _apply(names: dict[int, Names], change: Change) -> None:
    entries = names.setdefault(change.folder, {})
    for name in change.gone:
        entries.pop(name, None)
    entries.update(change.come)


def _subsets(n: int, most: int, rng: random.Random) -> Iterator[tuple[int, ...]]:
    """Yield all sets of n numbers, or some: none, all, each alone, all but each, and others."""
    every = tuple(range(n))
    if 2**n <= most:
        for size in range(n + 1):
            yield from itertools.combinations(every, size)
        return
    yield from ((), every)
    for i in every:
        yield (i,)
        yield every[:i] + every[i + 1 :]
    for _ in range(most - 2 - 2 * n):
        yield tuple(i for i in every if rng.random() < 0.5)


def _reached(log: Log, names: dict[int, Names]) -> dict[str, int | None]:
    """Return what can be reached from the root: numbers of files, None for folders."""
    folders = {*names, *(step.folder for step in log.steps if isinstance(step, Change))}
    found: dict[str, int | None] = {}
    pending = [("", 0)]
    while pending:
        above, folder = pending.pop()
        for name, number in names.get(folder, {}).items():
            path = f"{above}{name}"
            found[path] = None if number in folders else number
            if number in folders:
                pending.append((f"{path}/", number))
    return found


def _contents(
    reached: dict[str, int | None],
    synced: dict[int, bytes],
    written: dict[int, bytes],
    most: int,
    rng: random.Random,
) -> Iterator[Tree]:
    """Yield the tree with what each file may hold: what was synced, all, a half, zeros."""
    folders: Tree = {path: None for path, number in reached.items() if number is None}
    choices: dict[str, list[bytes]] = {}
    for path, number in reached.items():
        if number is not None:
            sure, last = synced.get(number, b""), written.get(number, b"")
            half, zeros = last[: (len(sure) + len(last)) // 2], sure.ljust(len(last), b"\0")
            choices[path] = [sure] if sure == last else [sure, last, half, zeros]
    n = 1
    for some in choices.values():
        n *= len(some)
    if n <= most:
        chosen = list(itertools.product(*choices.values()))
    else:
        chosen = [tuple(some[i % len(some)] for some in choices.values()) for i in range(4)]
        for _ in range(most - 4):
            chosen.append(tuple(rng.choice(some) for some in choices.values()))
    for contents in chosen:
        yield {**folders, **dict(zip(choices, contents, strict=True))}
