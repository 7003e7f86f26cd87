# SPDX-License-Identifier: Apache-2.0
"""The manifest as a file in a folder."""

from __future__ import annotations

import errno

from bitsift.core.errors import CorruptIndexError, IndexFileError, NotAnIndexError
from bitsift.core.handlers import is_of_system
from bitsift.storage.descriptor import finish, read_at, write_all
from bitsift.storage.folder import Folder, why
from bitsift.storage.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES

__all__ = ["read_manifest", "write_manifest"]


def read_manifest(folder: Folder, name: str = MANIFEST_NAME) -> bytes:
    """Return the bytes of a folder's manifest, at most `MAX_MANIFEST_BYTES`.

    `name` is another one for that of an earlier generation.
    """
    path = folder.path_of(name)
    try:
        file = folder.open(name)
        try:
            data, chunk = b"", memoryview(bytearray(1 << 16))
            while len(data) <= MAX_MANIFEST_BYTES and (n := read_at(file, chunk, len(data))):
                data += chunk[:n]
        finally:
            file.close_quietly()
    except OSError as error:
        if not is_of_system(error):
            raise
        if error.errno == errno.ENOENT:
            raise NotAnIndexError(
                folder.path, f"the folder holds no {name}, so it is no bitsift index"
            ) from error
        raise IndexFileError(path, f"cannot be read: {why(error)}") from error
    if len(data) > MAX_MANIFEST_BYTES:
        raise CorruptIndexError(path, f"it has more than {MAX_MANIFEST_BYTES} bytes")
    return data


def write_manifest(folder: Folder, name: str, data: bytes) -> None:
    """Create a file of that name with the bytes of a manifest, and make it durable."""
    with folder.create(name) as file:
        write_all(file, memoryview(data))
        finish(file, len(data), folder.path_of(name))
