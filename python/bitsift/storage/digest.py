# SPDX-License-Identifier: Apache-2.0
"""Digests of files: what tells a damaged file from the one that was written."""

from __future__ import annotations

import hashlib
from typing import Protocol

import numpy as np

import bitsift.core.native as native
from bitsift.core.isa import resolve_isa

__all__ = ["ALGORITHMS", "Digest", "new_digest"]

# Of versions 1 and 2 of the format, and of version 3.
ALGORITHMS = ("sha256", "crc32c")
_BYTES_OF_CHECKSUM = 1 << 20


class Digest(Protocol):
    """The digest of bytes that come one behind the other, in any division."""

    def update(self, data: bytes | memoryview) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """Return the digest of all, 64 hexadecimal digits."""


class _Checksums:
    """The SHA-256 of the CRC-32C of each MiB of a file, as little-endian uint32.

    A processor computes the checksums as fast as it reads memory. They find damage, and no forgery,
    nor does any digest that lies beside its file.
    """

    def __init__(self) -> None:
        self._checksums = native.Checksums(_BYTES_OF_CHECKSUM, resolve_isa(None))

    def update(self, data: bytes | memoryview) -> None:
        self._checksums.add(np.frombuffer(data, np.uint8), 1)

    def hexdigest(self) -> str:
        values = np.array(self._checksums.values(), "<u4")
        return hashlib.sha256(values.tobytes()).hexdigest()


def new_digest(algorithm: str) -> Digest:
    """Return the digest of no bytes by one of `ALGORITHMS`."""
    return _Checksums() if algorithm == "crc32c" else hashlib.sha256()
