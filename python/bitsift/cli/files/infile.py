# SPDX-License-Identifier: Apache-2.0
"""Input files: regular ones, opened without waiting for anybody."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from bitsift.cli.failure import InputError
from bitsift.core.handlers import call_raised

__all__ = ["open_regular", "read_bytes", "read_text"]

# A FIFO that takes the file's place after it was looked at is not waited for.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_MOST_BYTES = 1 << 26


def open_regular(path: Path, kind: str) -> BinaryIO:
    """Open a file to read; its name may be a link.

    Parameters
    ----------
    path : Path
    kind : str
        What the file should be, for errors, such as ``".npy"``.

    Raises
    ------
    InputError
        There is none, or it is a folder, a pipe or a device; or the system refuses.
    """
    try:
        _must_be_regular(path, path.stat().st_mode, kind)  # opening some devices has effects
        file = os.fdopen(os.open(path, _READ | getattr(os, "O_BINARY", 0)), "rb")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        if not call_raised(error, "pathlib", "os"):
            raise
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        _must_be_regular(path, os.fstat(file.fileno()).st_mode, kind)
    except BaseException:
        file.close()
        raise
    return file


def read_bytes(path: Path, kind: str) -> bytes:
    """Read a file of at most 64 MiB, as :func:`open_regular` opens it."""
    with open_regular(path, kind) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise InputError(f"{path}: the input must have at most {_MOST_BYTES} bytes; got more")
    return data


def read_text(path: Path, kind: str) -> str:
    """Read a text file in UTF-8, as :func:`read_bytes` does."""
    data = read_bytes(path, kind)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the input must be text in UTF-8: {error}") from error


def _must_be_regular(path: Path, mode: int, kind: str) -> None:
    if not stat.S_ISREG(mode):
        got = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise InputError(f"{path}: the input must be a {kind} file; got {got}")
