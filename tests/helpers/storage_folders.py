# SPDX-License-Identifier: Apache-2.0
"""Runners for the tests of storage: use a folder, damage a file, expect the error that names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from bitsift.core.errors import CorruptIndexError, IndexFileError
from bitsift.storage import reader
from helpers.storage_samples import PARTS_V1, PARTS_V3

USES: dict[str, Callable[[Path], Any]] = {
    "read": reader.read,
    "map": lambda path: reader.read(path, mmap=True),
    "verify": reader.verify,
}
# Every data file of the samples of versions 1 and 3; that of version 2 has no others.
FILES = [*((1, part) for part in PARTS_V1), *((3, part) for part in PARTS_V3)]
# Opening a memory map reads these files whole and leaves the others to verify.
READ_BY_MAP = (
    *("threshold", "rotation", "vectors"),
    *(part for part in PARTS_V3 if "calibration" in part),
)
# Damage at each place takes long: the quick run damages one in so many.
EVERY_OR_SOME = [pytest.param(1, marks=pytest.mark.slow, id="every"), pytest.param(17, id="17th")]

version_2 = pytest.mark.parametrize("version", [2])
version_3 = pytest.mark.parametrize("version", [3])


def refused(
    folder: Path,
    message: str,
    path: Path | None = None,
    uses: Iterable[str] = tuple(USES),
    kind: type[IndexFileError] = CorruptIndexError,
) -> None:
    """Expect that each use raises this error, about this file (by default, about the manifest)."""
    blamed = str(path or folder / "manifest.json")
    for use in uses:
        with pytest.raises(kind, match=message) as caught:
            USES[use](folder)
        assert type(caught.value) is kind
        assert caught.value.path == blamed
        assert blamed in str(caught.value)
        assert len(str(caught.value)) < 1000


def flip(path: Path, position: int, mask: int = 1) -> None:
    """Flip the bits of the mask in one byte of a file."""
    data = bytearray(path.read_bytes())
    data[position] ^= mask
    path.write_bytes(data)
