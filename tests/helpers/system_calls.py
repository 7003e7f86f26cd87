# SPDX-License-Identifier: Apache-2.0
"""Calls of the system that storage makes, traced, and failed one at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

# Those by which a folder is read and changed.
NAMES = (
    "open", "write", "fsync", "replace", "unlink", "listdir", "stat", "fstat", "preadv", "mkdir",
    "rmdir",
)  # fmt: skip
# Those that a full disk refuses while files are written.
CHANGING = ("write", "fsync")


class Calls:
    """Counts calls while it is armed; the n-th of them fails, or writes half of its bytes.

    Attributes
    ----------
    names : list of str
        The calls since it was armed, in order.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._fails_at = 0
        self._number: int | None = errno.EIO
        self._is_armed = False

    @contextmanager
    def failing(self, n: int, number: int | None) -> Iterator[Calls]:
        """Let the n-th call fail with this error number; None for a write that is cut short."""
        self.names, self._fails_at, self._number, self._is_armed = [], n, number, True
        try:
            yield self
        finally:
            self._is_armed = False

    def called(self, name: str, real: Any, args: Any, options: Any) -> Any:
        """Do the call, or fail."""
        if not self._is_armed:
            return real(*args, **options)
        self.names.append(name)
        if len(self.names) == self._fails_at:
            if self._number is None:
                if name == "write" and len(args[1]) > 1:
                    return real(args[0], args[1][: len(args[1]) // 2])
                return real(*args, **options)
            raise OSError(self._number, os.strerror(self._number))
        return real(*args, **options)


def traced(patch: pytest.MonkeyPatch) -> Calls:
    """Put the calls in the place of those of `os`."""
    calls = Calls()
    for name in NAMES:
        if hasattr(os, name):
            patch.setattr(os, name, _wrapped(calls, name, getattr(os, name)))
    # `os.open in os.supports_dir_fd` was asked when the package was imported.
    return calls


def _wrapped(calls: Calls, name: str, real: Any) -> Any:
    def call(*args: Any, **options: Any) -> Any:
        return calls.called(name, real, args, options)

    return call
