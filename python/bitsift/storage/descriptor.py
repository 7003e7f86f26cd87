# SPDX-License-Identifier: Apache-2.0
"""Descriptors that no interrupt loses, and what a save opens is no forked child's.

A signal handler may raise after any call from Python code, also between ``os.open`` and the
assignment of what it returns. And it may fork: its child returns into the same calls, with the same
files at the same positions.
"""

from __future__ import annotations

import errno
import os
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from itertools import filterfalse
from types import TracebackType
from typing import Any

from bitsift.core.errors import IndexWriteError
from bitsift.core.handlers import suppress_system_errors

__all__ = ["Descriptor", "finish", "read_at", "write_all"]

_all: set[weakref.ref[Descriptor]] = set()
_referent: Callable[[Any], object] = weakref.ref.__call__


class Descriptor:
    """A descriptor of a file or a folder, open until it is closed or collected.

    Parameters
    ----------
    path : str
    flags : int
        As in `os.open`.
    dir_fd : int, optional
        The folder to which the path is relative.
    is_private : bool
        Whether a forked child loses it. Otherwise the child has a copy that shares its position;
        so it has if another thread forks while this one opens it.

    Attributes
    ----------
    is_private : bool
    closing : iterator
        ``next(closing, None)`` closes it, in one call into C; a second one does nothing.
    """

    def __init__(
        self, path: str, flags: int, *, dir_fd: int | None = None, is_private: bool = False
    ) -> None:
        self.is_private = is_private
        self._is_lost = False
        self._numbers: list[int] = []  # the one number, or none
        # Calls into C alone open and keep the number, and close it when the object is collected: no
        # signal is handled in between, as it would be in a method `__del__`, where Python drops
        # what a handler raises.
        opening = map(partial(os.open, dir_fd=dir_fd), (path,), (flags,), (0o666,))
        self.closing: Iterator[None] = map(os.close, map(list.pop, filter(None, (self._numbers,))))
        _all.difference_update(list(filterfalse(_referent, _all.copy())))  # those collected
        _all.add(weakref.ref(self, partial(next, self.closing)))
        self._numbers.extend(opening)

    def __enter__(self) -> Descriptor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def number(self) -> int:
        """The number by which the system knows it.

        Raises
        ------
        OSError
            It is closed, or it is that of another process, from which this one was forked.
        """
        if self._is_lost:
            raise OSError(errno.EBADF, "this process was forked from the one that saves")
        if not self._numbers:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._numbers[0]

    @property
    def is_open(self) -> bool:
        """Whether it has not been closed."""
        return bool(self._numbers)

    def close(self) -> None:
        """Close it; a second call does nothing."""
        next(self.closing, None)

    def close_quietly(self) -> None:
        """Close it; after reading, what has been read is right whatever the system says."""
        with suppress_system_errors():
            self.close()

    def _lose(self) -> None:
        """Take it from a forked child, in the middle of whatever the child's thread was doing."""
        self._is_lost = True
        for number in self._numbers:
            # The number stays taken until it is closed: a write to it that has begun must not go to
            # a file that the child opens.
            try:
                null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
                os.dup2(null, number, inheritable=False)
                os.close(null)
            except OSError:
                self.close_quietly()


def read_at(descriptor: Descriptor, buffer: memoryview, position: int) -> int:
    """Read bytes from a position of a file into `buffer`; return how many, 0 at the file's end.

    It needs no position that a forked child would share.
    """
    if hasattr(os, "preadv"):
        return os.preadv(descriptor.number, [buffer], position)
    data = os.pread(descriptor.number, len(buffer), position)
    buffer[: len(data)] = data
    return len(data)


def write_all(descriptor: Descriptor, data: memoryview) -> None:
    """Write all of `data`, in as many calls as the system needs."""
    while len(data):
        data = data[os.write(descriptor.number, data) :]


def finish(descriptor: Descriptor, n_bytes: int, path: str) -> None:
    """Make a file durable that was written once; it must have as many bytes as were written."""
    os.fsync(descriptor.number)
    found = os.fstat(descriptor.number).st_size
    if found != n_bytes:
        raise IndexWriteError(
            path,
            f"it has {found} bytes, expected {n_bytes}: another process wrote to it meanwhile; let "
            "only bitsift write to the folder, and save again",
        )


def _lose_private() -> None:
    for descriptor in [one() for one in _all.copy()]:
        if descriptor is not None and descriptor.is_private:
            descriptor._lose()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_lose_private)
