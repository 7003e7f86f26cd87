# SPDX-License-Identifier: Apache-2.0
"""An index as a folder holds it, or is to hold it: its schema, and the rows of each segment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.interruptible import counted
from bitsift.storage.contents import Contents
from bitsift.storage.manifest import Manifest, SegmentEntry
from bitsift.storage.npy_file import RowSource

__all__ = ["SegmentDraft", "Stored", "StoredSegment", "packed_live", "removed_rows"]


@dataclass(frozen=True, eq=False)
class StoredSegment:
    """The rows of a segment, mapped or in memory.

    Attributes
    ----------
    entry : SegmentEntry
        What the manifest says of it.
    arrays : dict of str to array
        By part, one row a vector, also of those that were removed.
    live : (ceil(count / 8),) uint8 array, or None
        A bit for each row, 1 if it has not been removed; None if none has.
    """

    entry: SegmentEntry
    arrays: dict[str, NDArray[Any]]
    live: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return self.entry.count

    @property
    def ids(self) -> NDArray[np.int64]:
        """The id of each row."""
        first = self.entry.first_id
        return self.arrays["ids"] if first is None else counted(first, first + len(self))


@dataclass(frozen=True, eq=False)
class Stored:
    """One state of an index.

    Attributes
    ----------
    schema : Contents
        All but the rows: arrays of rows have none.
    segments : tuple of StoredSegment
        The rows, in order of addition.
    manifest : Manifest
    data : bytes
        Those of the manifest.
    """

    schema: Contents
    segments: tuple[StoredSegment, ...]
    manifest: Manifest
    data: bytes

    @property
    def generation(self) -> int:
        """The generation; 0 if the folder was saved and not committed."""
        return self.manifest.generation or 0


@dataclass(frozen=True, eq=False)
class SegmentDraft:
    """A segment of the next generation.

    Attributes
    ----------
    count : int
        Number of rows, also removed ones.
    removed : ndarray of int64
        The numbers, in the segment, of those that were removed.
    first_id : int or None
        As in `SegmentEntry`.
    stored : StoredSegment or None
        The segment, if its rows are in the folder.
    rows : dict of str to RowSource
        The rows by part, if they are not.
    """

    count: int
    removed: NDArray[np.int64]
    first_id: int | None
    stored: StoredSegment | None
    rows: dict[str, RowSource]


def removed_rows(live: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
    """Return the numbers of the rows whose bit is 0."""
    return np.flatnonzero(np.unpackbits(live, count=count) == 0).astype(np.int64)


def packed_live(removed: NDArray[np.int64], count: int) -> NDArray[np.uint8]:
    """Return a bit for each row, 0 for those with these numbers."""
    is_live = np.ones(count, np.bool_)
    is_live[removed] = False
    return np.packbits(is_live)
