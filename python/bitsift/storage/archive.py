# SPDX-License-Identifier: Apache-2.0
"""A folder of an index as one run of bytes: an uncompressed zip archive of its files.

The data of each member begin at a multiple of 64 bytes. ``numpy.load`` opens the archive as an
``.npz``.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile

from bitsift.core.errors import CorruptIndexError, NotAnIndexError
from bitsift.storage.manifest import MANIFEST_NAME, OWN_FILE

__all__ = ["SOURCE", "packed", "unpack"]

# What errors call the place of the bytes.
SOURCE = "<bytes>"

_ALIGN = 64
_LOCAL_HEADER_BYTES = 30
# The header of an extra field that only fills, as the tools of Android write it.
_FILLER = 0xD935
_ENCRYPTED = 1
_DATE = (1980, 1, 1, 0, 0, 0)


def packed(path: str) -> bytes:
    """Return the files of a folder of an index that nobody changes meanwhile."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name in sorted(os.listdir(path)):  # noqa: PTH208
            info = zipfile.ZipInfo(name, _DATE)
            data = os.path.join(path, name)  # noqa: PTH118
            info.file_size = os.path.getsize(data)  # noqa: PTH202
            info.extra = _filler(buffer.tell() + _LOCAL_HEADER_BYTES + len(name), info.file_size)
            with archive.open(info, "w") as member, open(data, "rb") as file:  # noqa: PTH123
                while chunk := file.read(1 << 20):
                    member.write(chunk)
    return buffer.getvalue()


def unpack(data: bytes | bytearray | memoryview, path: str) -> None:
    """Write the members of an archive to an empty folder.

    Raises
    ------
    NotAnIndexError
        It is no archive, or one without a manifest.
    CorruptIndexError
        It is damaged, or has a member that is none of an index, or one that would take more room
        than the archive.
    """
    view = memoryview(data).cast("B")
    try:
        with zipfile.ZipFile(io.BytesIO(view)) as archive:
            members = archive.infolist()
            _check(members, len(view))
            for member in members:
                with (
                    archive.open(member) as source,
                    open(os.path.join(path, member.filename), "xb") as file,  # noqa: PTH118, PTH123
                ):
                    while chunk := source.read(1 << 20):
                        file.write(chunk)
    except zipfile.BadZipFile as error:
        if bytes(view[:2]) != b"PK":
            raise NotAnIndexError(SOURCE, "it is not what Index.to_bytes returned") from error
        raise CorruptIndexError(SOURCE, f"it is damaged: {error}") from error
    except (NotImplementedError, EOFError, struct.error, UnicodeDecodeError) as error:
        raise CorruptIndexError(SOURCE, f"it is damaged: {error}") from error


def _filler(begin: int, n_bytes: int) -> bytes:
    """Return the extra field after which data begin at a multiple of `_ALIGN` bytes."""
    # zipfile puts a field of 20 bytes before it for sizes beyond 32 bits.
    begin += 4 + (20 if n_bytes * 1.05 > zipfile.ZIP64_LIMIT else 0)
    n = -begin % _ALIGN
    return struct.pack("<HH", _FILLER, n) + bytes(n)


def _check(members: list[zipfile.ZipInfo], n_bytes: int) -> None:
    names = [member.filename for member in members]
    if MANIFEST_NAME not in names:
        raise NotAnIndexError(SOURCE, f"it has no {MANIFEST_NAME}: Index.to_bytes did not make it")
    for member in members:
        name = member.filename
        if name != MANIFEST_NAME and not OWN_FILE.fullmatch(name):
            raise CorruptIndexError(SOURCE, f"it has {name!a:.80}, which is no file of an index")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & _ENCRYPTED:
            raise CorruptIndexError(SOURCE, f"{name} is compressed or encrypted, expected neither")
    if len({*names}) != len(names):
        raise CorruptIndexError(SOURCE, "it has two files of one name")
    total = sum(member.file_size for member in members)
    if total > n_bytes:
        raise CorruptIndexError(SOURCE, f"its files have {total} bytes, and it has {n_bytes}")
