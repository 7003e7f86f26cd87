# SPDX-License-Identifier: Apache-2.0
"""A folder of an index as one run of bytes: an uncompressed zip archive of its files.

The data of each member begin at a multiple of 64 bytes. ``numpy.load`` opens the archive as an
``.npz``.
"""

from __future__ import annotations

import io
import shutil
import struct
import zipfile
from pathlib import Path

from bitsift.core.errors import CorruptIndexError, NotAnIndexError
from bitsift.storage.manifest import MANIFEST_NAME, OWN_FILE

__all__ = ["SOURCE", "packed", "unpack"]

# What errors call the place of the bytes.
SOURCE = "<bytes>"

_ALIGN = 64
_CHUNK_BYTES = 1 << 20
_LOCAL_HEADER_BYTES = 30
# The header of an extra field that only fills, as the tools of Android write it.
_FILLER = 0xD935
_ENCRYPTED = 1
_DATE = (1980, 1, 1, 0, 0, 0)


def packed(folder: str) -> bytes:
    """Return the files of a folder of an index that nobody changes meanwhile."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(Path(folder).iterdir()):
            info = zipfile.ZipInfo(path.name, _DATE)
            info.file_size = path.stat().st_size
            begin = buffer.tell() + _LOCAL_HEADER_BYTES + len(path.name)
            info.extra = _filler(begin, info.file_size)
            with archive.open(info, "w") as member, path.open("rb") as file:
                shutil.copyfileobj(file, member, _CHUNK_BYTES)
    return buffer.getvalue()


def unpack(data: bytes | bytearray | memoryview, folder: str) -> None:
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
            _check(members, len(view), folder)
            for member in members:
                path = Path(folder, member.filename)
                with archive.open(member) as source, path.open("xb") as file:
                    shutil.copyfileobj(source, file, _CHUNK_BYTES)
    except zipfile.BadZipFile as error:
        if bytes(view[:2]) != b"PK":
            raise NotAnIndexError(folder, "it is not what Index.to_bytes returned") from error
        raise CorruptIndexError(folder, f"it is damaged: {error}") from error
    except (NotImplementedError, EOFError, struct.error, UnicodeDecodeError) as error:
        raise CorruptIndexError(folder, f"it is damaged: {error}") from error


def _filler(begin: int, n_bytes: int) -> bytes:
    """Return the extra field after which data begin at a multiple of `_ALIGN` bytes."""
    # zipfile puts a field of 20 bytes before it for sizes beyond 32 bits.
    begin += 4 + (20 if n_bytes * 1.05 > zipfile.ZIP64_LIMIT else 0)
    n = -begin % _ALIGN
    return struct.pack("<HH", _FILLER, n) + bytes(n)


def _check(members: list[zipfile.ZipInfo], n_bytes: int, folder: str) -> None:
    names = [member.filename for member in members]
    if MANIFEST_NAME not in names:
        raise NotAnIndexError(folder, f"it has no {MANIFEST_NAME}: Index.to_bytes did not make it")
    for member in members:
        name = member.filename
        if name != MANIFEST_NAME and not OWN_FILE.fullmatch(name):
            raise CorruptIndexError(folder, f"it has {name!a:.80}, which is no file of an index")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & _ENCRYPTED:
            raise CorruptIndexError(folder, f"{name} is compressed or encrypted, expected neither")
    if len({*names}) != len(names):
        raise CorruptIndexError(folder, "it has two files of one name")
    total = sum(member.file_size for member in members)
    if total > n_bytes:
        raise CorruptIndexError(folder, f"its files have {total} bytes, and it has {n_bytes}")
