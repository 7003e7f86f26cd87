# SPDX-License-Identifier: Apache-2.0
"""The lock that keeps writers of one folder apart, and the note that says who holds it.

The lock is an exclusive ``flock`` on the folder, as ``FORMAT.md`` describes it. It has a descriptor
of its own, which no forked child keeps: the system frees the lock when the writer dies, even if a
process that it has forked lives on.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import numbers
import os
import platform
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from bitsift.core.errors import IndexFileError, IndexLockedError
from bitsift.storage.folder import NOT_SUPPORTED, Folder, write_all
from bitsift.storage.manifest import LOCK_NOTE

__all__ = ["check_timeout", "locked", "noted"]

try:
    import fcntl
except ImportError:  # nor are there descriptors of folders, so that nothing is locked
    fcntl = None  # type: ignore[assignment]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02
_MAX_NOTE_BYTES = 4096
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

# Forks wait while a lock's descriptor is being opened and entered here, so that none is missed.
_guard = threading.RLock()
_open: dict[int, Folder] = {}  # by the descriptor of the lock
# The folders that a thread saves to: (device, inode, thread). Only the thread itself adds and
# removes its own, so no lock is needed.
_saving: set[tuple[int, int, int]] = set()


def check_timeout(timeout: object) -> float | None:
    """Return a caller's timeout in seconds; None means no limit."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, numbers.Real):
        raise TypeError(
            "timeout must be a number of seconds, or None for no limit; got "
            f"{type(timeout).__name__}"
        )
    try:
        seconds = float(timeout)
    except OverflowError:
        seconds = math.inf
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(
            f"timeout must be finite and at least 0, or None for no limit; got {seconds}"
        )
    return seconds


@contextlib.contextmanager
def locked(folder: Folder, timeout: float | None) -> Iterator[bool]:
    """Keep other writers out of a folder; wait for them for at most `timeout` seconds.

    Yields whether there is a lock; there is none where the system has none. A child that is forked
    meanwhile has neither the lock nor the folder.

    Raises
    ------
    IndexLockedError
        Another writer held the lock all the time; or this thread holds it, which saves to the same
        folder further up its stack, as when a signal handler has interrupted it.
    OSError
        The system refuses.
    """
    key = (*folder.identity(), threading.get_ident())
    if key in _saving:
        raise IndexLockedError(
            folder.path,
            "this thread is saving to it already, so it cannot wait for itself; save to it after "
            "that, for example not in a signal handler",
        )
    try:
        _saving.add(key)
        with _lock_of(folder) as fd:
            yield fd is not None and _acquire(fd, folder, timeout)
    finally:
        _saving.discard(key)


@contextlib.contextmanager
def noted(folder: Folder) -> Iterator[None]:
    """Leave a note that says who saves, for the messages of others; no save fails for it."""
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    note = {"pid": os.getpid(), "host": platform.node(), "since": since}
    try:
        with contextlib.suppress(OSError):
            folder.remove(LOCK_NOTE)  # that of a writer that was killed
        with contextlib.suppress(OSError):
            fd = folder.create(LOCK_NOTE)
            try:
                write_all(fd, memoryview(json.dumps(note).encode("ascii")))
            finally:
                os.close(fd)
        yield
    finally:
        with contextlib.suppress(OSError):
            folder.remove(LOCK_NOTE)


@contextlib.contextmanager
def _lock_of(folder: Folder) -> Iterator[int | None]:
    """Open a descriptor to lock, which a forked child closes at once."""
    with _guard:
        fd = folder.open_again()
        if fd is not None:
            _open[fd] = folder
    try:
        yield fd
    finally:
        # In a forked child it is closed already, and its number may be another file's.
        if fd is not None and _open.get(fd) is folder:
            # Closing is not enough: a child forked by other means than Python's has a copy.
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)
            with _guard:
                del _open[fd]
                os.close(fd)


def _acquire(fd: int, folder: Folder, timeout: float | None) -> bool:
    """Take the lock; return whether there is one. Signals are handled between tries."""
    deadline = None if timeout is None else time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in NOT_SUPPORTED:
                return False
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
        else:
            return True
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise IndexLockedError(
                    folder.path,
                    f"{_holder(folder)} is saving to it, and did not end within {timeout:g} "
                    "seconds; save again later, or with a larger timeout",
                )
            pause = min(pause, left)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _holder(folder: Folder) -> str:
    """Name the process that holds the lock, as its note says, if there is a believable one."""
    try:
        with folder.open(LOCK_NOTE) as file:
            note = json.loads(file.read(_MAX_NOTE_BYTES))
        pid, host, since = note["pid"], note["host"], note["since"]
        is_note = type(pid) is int and pid > 0 and len(host) < 256 and _TIME.fullmatch(since)
        if is_note and (host != platform.node() or _is_alive(pid)):
            return f"process {pid} on {host!a} (since {since})"
    except (OSError, IndexFileError, ValueError, TypeError, KeyError, RecursionError):
        pass  # without a note, or with a damaged one
    return "another process"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 only asks
    except PermissionError:  # another user's process
        return True
    except (OSError, OverflowError):
        return False
    return True


def _before_fork() -> None:
    _guard.acquire()


def _after_fork_in_parent() -> None:
    _guard.release()


def _after_fork_in_child() -> None:
    for fd, folder in _open.items():
        with contextlib.suppress(OSError):
            os.close(fd)
        folder.abandon()
    _open.clear()
    _saving.clear()
    _guard.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
