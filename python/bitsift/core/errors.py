# SPDX-License-Identifier: Apache-2.0
"""Exceptions for what a file or the platform did wrong, and the category of warnings.

A caller's own mistake (a wrong shape, a negative ``k``) is a plain ``ValueError`` or ``TypeError``.
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
    "IndexFileError",
    "IndexNotFoundError",
    "IndexWriteError",
    "NotAnIndexError",
    "UnsupportedIsaError",
    "UnsupportedVersionError",
    "warn",
]


@public
class BitsiftError(Exception):
    """Base of every error that is the fault of a file or of the platform."""


@public
class BitsiftWarning(UserWarning):
    """What was asked for is done, but is likely not what is wanted."""


@public
class UnsupportedIsaError(BitsiftError, ValueError):
    """The named instruction set exists, but this processor or build does not have it."""


@public
class IndexFileError(BitsiftError):
    """An index folder, or a file in it, cannot be used.

    Attributes
    ----------
    path : str
        The file or folder at fault.
    reason : str
        What is wrong with it.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        self.path = os.fspath(path)
        self.reason = reason
        super().__init__(f"{self.path}: {reason}")

    def __reduce__(self) -> tuple[type[IndexFileError], tuple[str, str]]:
        return type(self), (self.path, self.reason)

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@public
class IndexNotFoundError(IndexFileError, FileNotFoundError):
    """There is nothing at the path."""


@public
class NotAnIndexError(IndexFileError):
    """The path holds something, but not a bitsift index."""


@public
class UnsupportedVersionError(IndexFileError):
    """The index was written in a format version that this release cannot read."""


@public
class CorruptIndexError(IndexFileError):
    """A file of the index is missing, truncated, altered or inconsistent with the manifest."""


@public
class IndexWriteError(IndexFileError, OSError):
    """The index cannot be written at the path."""


def warn(message: str) -> None:
    """Warn at the line outside of this package that led here, however deep inside this is."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, BitsiftWarning, stacklevel=level)


def _is_ours(module: object) -> bool:
    return isinstance(module, str) and module.split(".")[0] == "bitsift"
