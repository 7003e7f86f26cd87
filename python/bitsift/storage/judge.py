# SPDX-License-Identifier: Apache-2.0
"""What tells whether a file is right: its digest, and the checks of its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.interruptible import beside
from bitsift.core.threads import available_threads
from bitsift.storage.digest import new_digest

__all__ = ["Judge", "bytes_of"]


# Takes some rows and the number of the first; returns what is wrong with one of them, or None.
Check = Callable[[NDArray[Any], int], "str | None"]


class Judge:
    """The digest of a file and the checks of its rows, a chunk at a time.

    Beside its caller, which reads or writes meanwhile, if the file has several chunks and there are
    several threads.
    """

    def __init__(self, algorithm: str, header: bytes, check: Check, *, is_long: bool) -> None:
        self.digest = new_digest(algorithm)
        self.digest.update(header)
        self._check = check
        self._begin = beside if is_long and available_threads() > 1 else _at_once
        self._wait: Callable[[], str | None] = _no_problem
        self._problem: str | None = None

    def take(self, rows: NDArray[Any], first: int) -> None:
        """Begin with the next rows, of which the first has this number; end with those before."""
        self.problem()
        self._wait = self._begin(self._judge, rows, first)

    def problem(self) -> str | None:
        """Return what is wrong with the first wrong row so far, when all have been judged."""
        wait, self._wait = self._wait, _no_problem
        problem = wait()
        self._problem = self._problem or problem
        return self._problem

    def _judge(self, rows: NDArray[Any], first: int) -> str | None:
        self.digest.update(bytes_of(rows))
        return None if self._problem else self._check(rows, first)


def bytes_of(rows: NDArray[Any]) -> memoryview:
    """Return the bytes of contiguous rows."""
    return rows.reshape(-1).view(np.uint8).data


def _no_problem() -> None:
    return None


def _at_once(function: Callable[..., str | None], *args: Any) -> Callable[[], str | None]:
    result = function(*args)
    return lambda: result
