# SPDX-License-Identifier: Apache-2.0
"""The manifest as a file in a folder: its bytes, and the path of the folder."""

from __future__ import annotations

import os

from bitsift.core.errors import CorruptIndexError, IndexFileError, NotAnIndexError
from bitsift.storage.folder import Folder, why
from bitsift.storage.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES

__all__ = ["as_path", "manifest_bytes"]


def as_path(path: str | os.PathLike[str]) -> str:
    """Return a path as a string, or raise."""
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"path: got {type(text).__name__}, expected str or os.PathLike[str]")
    if "\0" in text:
        raise ValueError(f"path: got {text!r}, expected no null character")
    return text


def manifest_bytes(folder: Folder) -> bytes:
    """Read the manifest of a folder, at most `MAX_MANIFEST_BYTES` of it."""
    path = folder.path_of(MANIFEST_NAME)
    try:
        with folder.open(MANIFEST_NAME) as file:
            data = b""
            while len(data) <= MAX_MANIFEST_BYTES and (chunk := file.read(1 << 16)):
                data += chunk
    except FileNotFoundError as exc:
        raise NotAnIndexError(
            folder.path, f"the folder holds no {MANIFEST_NAME}, so it is no bitsift index"
        ) from exc
    except IndexFileError:
        raise
    except OSError as exc:
        raise IndexFileError(path, f"cannot be read: {why(exc)}") from exc
    if len(data) > MAX_MANIFEST_BYTES:
        raise CorruptIndexError(path, f"it has more than {MAX_MANIFEST_BYTES} bytes")
    return data
