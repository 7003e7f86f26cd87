# SPDX-License-Identifier: Apache-2.0
"""Exceptions for faults of files and of the platform, and the category of warnings.

A mistake of the caller (a wrong shape, a negative ``k``) is a plain ValueError or TypeError.
"""

from __future__ import annotations

import os
import sys
import warnings

from bitsift.core.public import public

__all__ = [
    "BitsiftError",
    "BitsiftWarning",
    "CorruptIndexError",
    "DiskFullError",
    "IndexClosedError",
    "IndexExistsError",
    "IndexFileError",
    "IndexLockedError",
    "IndexNotFoundError",
    "IndexReadOnlyError",
    "IndexStaleError",
    "IndexWriteError",
    "NoLocksError",
    "NotAnIndexError",
    "UnsupportedIsaError",
    "UnsupportedVersionError",
    "warn",
]


@public
class BitsiftError(Exception):
    """Base class of errors whose cause is a file or the platform."""


@public
class BitsiftWarning(UserWarning):
    """The call did what it was asked, but the result is probably not what the caller wants."""


@public
class UnsupportedIsaError(BitsiftError, ValueError):
    """The named instruction set exists, but this processor or build does not support it."""


@public
class IndexFileError(BitsiftError):
    """An index folder, or a file in it, cannot be used.

    Attributes
    ----------
    path : str
        Path of the file or folder.
    reason : str
        What is wrong with it.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        self.path = os.fspath(path)
        self.reason = reason
        super().__init__(str(self))

    def __reduce__(self) -> tuple[type[IndexFileError], tuple[str, str]]:
        return type(self), (self.path, self.reason)

    def __str__(self) -> str:
        return f"{self.path or repr(self.path)}: {self.reason}"


@public
class IndexNotFoundError(IndexFileError, FileNotFoundError):
    """Nothing exists at the path."""


@public
class NotAnIndexError(IndexFileError):
    """Something exists at the path, but it is not a bitsift index."""


@public
class UnsupportedVersionError(IndexFileError):
    """The index has a format version that this release cannot read."""


@public
class CorruptIndexError(IndexFileError):
    """A file of the index is missing, truncated, changed or inconsistent with the manifest."""


@public
class IndexWriteError(IndexFileError, OSError):
    """The index cannot be written to the path."""


@public
class IndexLockedError(IndexWriteError):
    """Another writer of the same folder is not done; nothing was written."""


@public
class IndexExistsError(IndexWriteError, FileExistsError):
    """There is an index at the path, and a new one was asked for."""


@public
class DiskFullError(IndexWriteError):
    """The disk, or the user's part of it, has no room for the new files; nothing has changed."""


@public
class NoLocksError(IndexWriteError):
    """The file system has no locks, so that nothing would keep writers apart."""


@public
class IndexStaleError(IndexFileError):
    """The generation of an index that was asked for is not there, or not the newest one."""


@public
class IndexReadOnlyError(IndexFileError, ValueError):
    """An index that was opened to be read, or by another process, was to be changed."""


@public
class IndexClosedError(IndexFileError, ValueError):
    """An opened index is used after it was closed."""


def warn(message: str) -> None:
    """Warn, with the place of the call outside this package that led here."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, BitsiftWarning, stacklevel=level)


def _is_ours(module: object) -> bool:
    return isinstance(module, str) and module.split(".")[0] == "bitsift"
