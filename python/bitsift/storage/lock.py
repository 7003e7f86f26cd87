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

import errno
import math
import os
import random
import threading
import time
import weakref
from types import TracebackType

from bitsift.core.arguments import real
from bitsift.core.errors import CorruptIndexError, IndexLockedError
from bitsift.core.handlers import is_of_system, suppress_system_errors
from bitsift.storage.descriptor import Descriptor
from bitsift.storage.folder import NOT_SUPPORTED, Folder
from bitsift.storage.lock_note import holder, write_note
from bitsift.storage.manifest import LOCK_NOTE

__all__ = ["Lock", "check_timeout"]

try:
    import fcntl
except ImportError:  # nor are there descriptors of folders, so that nothing is locked
    fcntl = None  # type: ignore[assignment]

# Seconds between two tries to take the lock; and after a save for which others wait, enough for
# each of them to try twice.
_PAUSE, _PAUSE_FOR_OTHERS = 0.005, 0.015

# Another thread's fork waits while the descriptor of a lock is being opened: its child could not
# know it yet.
_opening = threading.RLock()
# The locks of this process, also those it waits for, by device, inode and thread. Only the thread
# itself adds and removes its own.
_saving: weakref.WeakValueDictionary[tuple[int, int, int], Lock] = weakref.WeakValueDictionary()


def check_timeout(timeout: float | None) -> float | None:
    """Return a caller's timeout in seconds; None means no limit."""
    if timeout is None:
        return None
    seconds = real(timeout, "timeout", "a number of seconds, or None for no limit")
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(
            f"timeout must be finite and at least 0, or None for no limit; got {seconds}"
        )
    return abs(seconds)  # -0.0 is 0


class Lock:
    """The lock of a folder for one save, and its note; held while the ``with`` block runs.

    A class and no generator: an interrupt between a generator's ``yield`` and the block would leave
    the lock taken. One at the first step of `__exit__` still would, as long as its traceback lives.
    So whoever takes the lock also calls ``next(lock.closing, None)`` in a ``finally``.

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
    closing : iterator
        ``next(closing, None)`` releases the lock, in one call into C.

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
        self._thread = threading.current_thread()  # a later thread may have the same number
        folder.make_private()
        with _opening:
            self._descriptor = folder.open_again()
        self.closing = iter(()) if self._descriptor is None else self._descriptor.closing
        self._note: Descriptor | None = None
        self._has_note = False  # or is about to have one

    def __enter__(self) -> Lock:
        other = _saving.get(self._key)
        if other is not None and other.is_open and other._thread is self._thread:
            raise IndexLockedError(
                self._folder.path,
                "this thread is saving to it already, or has it open for writing, so it cannot "
                "wait for itself; write to it after that, for example not in a signal handler",
            )
        try:
            _saving[self._key] = self
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
            others_wait = self._others_wait()
            self._remove_note()
        finally:
            self._release()
        if others_wait:
            time.sleep(_PAUSE_FOR_OTHERS)

    def leave_note(self) -> None:
        """Leave a note that says who saves, for the messages of others; no save fails for it."""
        self._has_note = True
        with suppress_system_errors():
            self._folder.remove(LOCK_NOTE)  # that of a writer that was killed
        with suppress_system_errors():
            self._note = self._folder.create(LOCK_NOTE)
            write_note(self._note)

    @property
    def is_open(self) -> bool:
        """Whether it has not been released, where there is one."""
        return self._descriptor is None or self._descriptor.is_open

    def _others_wait(self) -> bool:
        with suppress_system_errors():  # the file system may lock folders alone
            return self.is_taken and self._note is not None and not _try(self._note, fcntl.LOCK_EX)
        return False

    def _remove_note(self) -> None:
        if self._note is not None:
            self._note.close_quietly()
        if self._has_note:
            with suppress_system_errors():
                self._folder.remove(LOCK_NOTE)

    def _release(self) -> None:
        try:
            if self._descriptor is not None:
                # Closing is not enough: a child forked by other means than Python's has a copy.
                with suppress_system_errors():
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
    sign: Descriptor | None = None  # open while others are to see that this writer waits
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
                    f"{holder(folder)} writes to it, and did not end within {timeout:g} "
                    "seconds; try again when it has closed the index, or with a larger timeout",
                )
            sign = _show_that_one_waits(folder, sign)
            # Not in step with others that wait.
            time.sleep(min(left, _PAUSE * random.uniform(0.5, 1)))
    finally:
        if sign is not None:
            sign.close_quietly()


def _show_that_one_waits(folder: Folder, before: Descriptor | None) -> Descriptor | None:
    """Hold a shared lock on the present writer's note, if there is one; then let go of `before`."""
    try:
        note = folder.open(LOCK_NOTE, is_private=True)
        _try(note, fcntl.LOCK_SH)
    except (OSError, CorruptIndexError) as error:
        if isinstance(error, OSError) and not is_of_system(error):
            raise
        return None
    finally:
        if before is not None:
            before.close_quietly()
    return note


def _after_fork_in_child() -> None:
    try:
        _saving.clear()
    finally:
        _opening.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_opening.acquire,
        after_in_parent=_opening.release,
        after_in_child=_after_fork_in_child,
    )
