# SPDX-License-Identifier: Apache-2.0
"""The manifest as a file in a folder."""

from __future__ import annotations

import os

from bitsift.core.errors import CorruptIndexError, IndexFileError, NotAnIndexError
from bitsift.storage.folder import Folder, why, write_all
from bitsift.storage.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES

__all__ = ["read_manifest", "write_manifest"]


def read_manifest(folder: Folder) -> bytes:
    """Return the bytes of a folder's manifest, at most `MAX_MANIFEST_BYTES`."""
    path = folder.path_of(MANIFEST_NAME)
    try:
        with folder.open(MANIFEST_NAME) as file:
            data = b""
            while len(data) <= MAX_MANIFEST_BYTES and (chunk := file.read(1 << 16)):
                data += chunk
    except FileNotFoundError as error:
        raise NotAnIndexError(
            folder.path, f"the folder holds no {MANIFEST_NAME}, so it is no bitsift index"
        ) from error
    except IndexFileError:
        raise
    except OSError as error:
        raise IndexFileError(path, f"cannot be read: {why(error)}") from error
    if len(data) > MAX_MANIFEST_BYTES:
        raise CorruptIndexError(path, f"it has more than {MAX_MANIFEST_BYTES} bytes")
    return data


def write_manifest(folder: Folder, name: str, data: bytes) -> None:
    """Create a file of that name with the bytes of a manifest, and make it durable."""
    fd = folder.create(name)
    try:
        write_all(fd, memoryview(data))
        os.fsync(fd)
    finally:
        os.close(fd)
