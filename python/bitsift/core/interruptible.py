# SPDX-License-Identifier: Apache-2.0
"""Long NumPy calls that a signal handler can end, such as that of Ctrl-C.

Python runs signal handlers in the main thread, between two steps of Python code. One NumPy call
over gigabytes holds them up until it returns. So such work is done in blocks. What has no blocks is
done by another thread, while the main thread waits where handlers run.
"""

from __future__ import annotations

import _thread
import errno
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = [
    "LostThreadError",
    "beside",
    "copied",
    "copy_into",
    "counted",
    "interruptibly",
    "take_into",
    "taken",
]

T = TypeVar("T")

# Sorting as many values takes some 30 ms.
_MANY_VALUES = 1 << 18
_BLOCK_BYTES = 1 << 23
# Where a lock cannot be interrupted, handlers run this often.
_SECONDS_BETWEEN_LOOKS = 0.05


class LostThreadError(OSError):
    """The call went on in the process from which this one was forked meanwhile, and only there."""


def beside(function: Callable[..., T], *args: Any, **options: Any) -> Callable[[], T]:
    """Begin ``function(*args, **options)`` on a thread of its own; return what waits for it.

    The function must release the GIL for most of its time. If nobody waits, it works on for nobody.
    Where the system, or the end of the process, refuses threads, the call is made before this
    returns.

    What waits raises `LostThreadError` in a child that was forked before the call ended.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Lock()
    done.acquire()
    process = os.getpid()
    settings = np.errstate(**np.geterr())

    def work() -> None:
        try:
            with settings:
                results.append(function(*args, **options))
        except BaseException as error:
            errors.append(error)
        finally:
            done.release()

    def wait() -> T:
        while not done.acquire(timeout=_SECONDS_BETWEEN_LOOKS):
            if os.getpid() != process:
                raise LostThreadError(
                    errno.ECANCELED, "this process was forked amid the call, whose thread it lacks"
                )
        if errors:
            raise errors.pop()
        return results.pop()

    try:
        # `threading.Thread.start` turns the exception of a handler into a KeyError of its own.
        _thread.start_new_thread(work, ())
    except RuntimeError as error:
        if "new thread" not in str(error):  # a handler's own error
            raise
        work()
    return wait


def interruptibly(n_values: int, function: Callable[..., T], *args: Any, **options: Any) -> T:
    """Return ``function(*args, **options)``, a call that takes long if `n_values` are many.

    The function must release the GIL, and change nothing that lives on. If a signal handler raises,
    the call ends at once, and the function, in a thread of its own, works on for nobody.
    """
    if n_values < _MANY_VALUES or threading.get_ident() != threading.main_thread().ident:
        return function(*args, **options)
    try:
        return beside(function, *args, **options)()
    except LostThreadError:
        return function(*args, **options)


def copy_into(out: NDArray[Any], rows: NDArray[Any]) -> None:
    """Copy rows into an array of the same shape, with NumPy's conversion of types."""
    if max(out.nbytes, rows.nbytes) <= _BLOCK_BYTES:
        out[...] = rows
        return
    for part in _parts(len(rows), max(out[:1].nbytes, rows[:1].nbytes)):
        out[part] = rows[part]


def copied(array: NDArray[Any], dtype: DTypeLike | None = None) -> NDArray[Any]:
    """Return a copy in C order, in another type if one is named."""
    out = np.empty(array.shape, array.dtype if dtype is None else dtype)
    copy_into(out, array)
    return out


def taken(array: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return a copy of some rows, ``array[rows]``; `rows` has one axis."""
    if len(rows) * array[:1].nbytes <= _BLOCK_BYTES:
        found: NDArray[Any] = array[rows]
        return found
    out = np.empty((len(rows), *array.shape[1:]), array.dtype)
    take_into(out, array, rows)
    return out


def take_into(out: NDArray[Any], array: NDArray[Any], rows: NDArray[np.int64]) -> None:
    """Copy some rows, ``array[rows]``, into an array of their shape."""
    for part in _parts(len(rows), array[:1].nbytes):
        out[part] = array[rows[part]]


def counted(begin: int, end: int) -> NDArray[np.int64]:
    """Return the integers from `begin` to `end` - 1."""
    if end - begin <= _MANY_VALUES:
        return np.arange(begin, end, dtype=np.int64)
    out = np.empty(end - begin, np.int64)
    for part in _parts(len(out), out.itemsize):
        out[part] = np.arange(begin + part.start, begin + part.stop, dtype=np.int64)
    return out


def _parts(n_rows: int, row_bytes: int) -> Iterator[slice]:
    """Yield the rows of each block."""
    step = max(1, _BLOCK_BYTES // max(1, row_bytes))
    for begin in range(0, n_rows, step):
        yield slice(begin, min(begin + step, n_rows))
