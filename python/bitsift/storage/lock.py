# SPDX-License-Identifier: Apache-2.0
"""The lock that keeps writers of one folder apart, and the note that says who holds it.

The lock is an exclusive ``flock`` on the folder, as ``FORMAT.md`` describes it. It has a descriptor
of its own, which no forked child keeps: the system frees the lock when the writer dies, even if a
process that it has forked lives on.

``flock`` tried again and again is unfair: a writer that saves in a loop would take the lock back
before those who wait try next. So a writer that waits holds a shared lock on the note, and a writer
that finds one there pauses after its save.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import numbers
import os
import platform
import random
import re
import threading
import time
import weakref
from datetime import UTC, datetime
from types import TracebackType

from bitsift.core.errors import IndexFileError, IndexLockedError
from bitsift.storage.descriptor import Descriptor, write_all
from bitsift.storage.folder import NOT_SUPPORTED, Folder
from bitsift.storage.manifest import LOCK_NOTE

__all__ = ["Lock", "check_timeout"]

try:
    import fcntl
except ImportError:  # nor are there descriptors of folders, so that nothing is locked
    fcntl = None  # type: ignore[assignment]

# Seconds between two tries to take the lock, and after a save for which others wait.
_PAUSE, _PAUSE_FOR_OTHERS = 0.002, 0.01
_MAX_NOTE_BYTES = 4096
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

# The locks of this process, also those it waits for, by device, inode and thread. Only the thread
# itself adds and removes its own.
_saving: weakref.WeakValueDictionary[tuple[int, int, int], Lock] = weakref.WeakValueDictionary()


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
        seconds = math.inf if timeout == abs(timeout) else -math.inf
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(
            f"timeout must be finite and at least 0, or None for no limit; got {seconds}"
        )
    return seconds


class Lock:
    """The lock of a folder for one save, and its note; held while the ``with`` block runs.

    A class and no generator: an interrupt between a generator's ``yield`` and the block would leave
    the lock taken.

    Parameters
    ----------
    folder : Folder
        A child that is forked while the block runs has neither the lock nor the folder.
    timeout : float or None
        Seconds to wait for other writers; None for no limit.

    Attributes
    ----------
    is_taken : bool
        Whether there is a lock; there is none where the system has none.

    Raises
    ------
    IndexLockedError
        Another writer held the lock all the time; or this thread holds it, which saves to the same
        folder further up its stack, as when a signal handler has interrupted it.
    OSError
        The system refuses.
    """

    def __init__(self, folder: Folder, timeout: float | None) -> None:
        self.is_taken = False
        self._folder = folder
        self._timeout = timeout
        self._key = (*folder.identity(), threading.get_ident())
        self._descriptor: Descriptor | None = None
        self._note: Descriptor | None = None
        self._has_note = False  # or is about to have one

    def __enter__(self) -> Lock:
        if self._key in _saving:
            raise IndexLockedError(
                self._folder.path,
                "this thread is saving to it already, so it cannot wait for itself; save to it "
                "after that, for example not in a signal handler",
            )
        try:
            _saving[self._key] = self
            self._folder.make_private()
            self._descriptor = self._folder.open_again()
            self.is_taken = self._descriptor is not None and _take(
                self._descriptor, self._folder, self._timeout
            )
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            others_wait = self._remove_note()
        finally:
            self._release()
        if others_wait:
            time.sleep(_PAUSE_FOR_OTHERS)

    def leave_note(self) -> None:
        """Leave a note that says who saves, for the messages of others; no save fails for it."""
        since = datetime.now(UTC).strftime(_TIME_FORMAT)
        note = {"pid": os.getpid(), "host": platform.node(), "since": since}
        self._has_note = True
        with contextlib.suppress(OSError):
            self._folder.remove(LOCK_NOTE)  # that of a writer that was killed
        with contextlib.suppress(OSError):
            self._note = self._folder.create(LOCK_NOTE)
            write_all(self._note, memoryview(json.dumps(note).encode("ascii")))

    def _remove_note(self) -> bool:
        """Remove the note; return whether others wait."""
        others_wait = False
        if self._note is not None:
            with contextlib.suppress(OSError):
                others_wait = self.is_taken and not _try(self._note, fcntl.LOCK_EX)
            self._note.close_quietly()
        if self._has_note:
            with contextlib.suppress(OSError):
                self._folder.remove(LOCK_NOTE)
        return others_wait

    def _release(self) -> None:
        try:
            if self._descriptor is not None:
                # Closing is not enough: a child forked by other means than Python's has a copy.
                with contextlib.suppress(OSError):
                    fcntl.flock(self._descriptor.number, fcntl.LOCK_UN)
                self._descriptor.close()
        finally:
            if _saving.get(self._key) is self:
                del _saving[self._key]


def _try(descriptor: Descriptor, kind: int) -> bool:
    """Try to lock a file or folder; return whether it is locked now."""
    try:
        fcntl.flock(descriptor.number, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return False
    return True


def _take(descriptor: Descriptor, folder: Folder, timeout: float | None) -> bool:
    """Take the lock; return whether there is one. Signals are handled between tries."""
    deadline = None if timeout is None else time.monotonic() + timeout
    waiting: Descriptor | None = None  # open while others are to see that this writer waits
    try:
        while True:
            try:
                if _try(descriptor, fcntl.LOCK_EX):
                    return True
            except OSError as error:
                if error.errno in NOT_SUPPORTED:
                    return False
                raise
            left = math.inf if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise IndexLockedError(
                    folder.path,
                    f"{_holder(folder)} is saving to it, and did not end within {timeout:g} "
                    "seconds; save again later, or with a larger timeout",
                )
            waiting = _show_that_one_waits(folder, waiting)
            # Not in step with others that wait.
            time.sleep(min(left, _PAUSE * random.uniform(0.5, 1)))
    finally:
        if waiting is not None:
            waiting.close_quietly()


def _show_that_one_waits(folder: Folder, before: Descriptor | None) -> Descriptor | None:
    """Hold a shared lock on the note of the writer at work, if there is one; let go of `before`."""
    if before is not None:
        before.close_quietly()
    try:
        note = folder.open(LOCK_NOTE)
        note.is_private = True
        _try(note, fcntl.LOCK_SH)
    except (OSError, IndexFileError):
        return None
    return note


def _holder(folder: Folder) -> str:
    """Name the process that holds the lock, as its note says, if there is a believable one."""
    try:
        with folder.open(LOCK_NOTE) as file:
            note = json.loads(os.read(file.number, _MAX_NOTE_BYTES))
        pid, host, since = note["pid"], note["host"], note["since"]
        is_note = type(pid) is int and pid > 0 and type(host) is str and len(host) < 256
        is_note = is_note and _TIME.fullmatch(since) is not None
        datetime.strptime(since, _TIME_FORMAT)  # refuses dates that do not exist
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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_saving.clear)
