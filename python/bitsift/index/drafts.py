# SPDX-License-Identifier: Apache-2.0
"""What a commit makes of the rows of a table: which segments stay, and which are written anew.

A segment belongs to a class by its number of rows: from 1, 4, 16, ... Segments are in order of
addition, and their classes never ascend: a segment that is followed by one of a higher class is
merged with it. There are at most eight of a class; more are merged. So a row is written once for
each class, and there are few segments. Removed rows stay, masked, until they are many: to drop them
gives all later rows other numbers, for which the table of ids is made anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core.segments import Rows
from bitsift.index.ids import IdTable
from bitsift.retrieval.pipeline import Documents
from bitsift.storage.npy_file import RowSource
from bitsift.storage.stored import SegmentDraft, StoredSegment

__all__ = ["Drafts", "draft_segments", "merged"]

_MOST_OF_A_CLASS = 8
# Removed rows of segments that have more than a quarter of them are dropped when they are more than
# this share of all rows.
_LEAST_SHARE_DROPPED = 1 / 32
_ROWS_AT_A_TIME = 1 << 20


@dataclass(frozen=True, eq=False)
class Drafts:
    """The segments of the next generation.

    Attributes
    ----------
    segments : list of SegmentDraft
    ids : IdTable
        The ids of their rows.
    are_renumbered : bool
        Whether rows have other numbers than in the table.
    """

    segments: list[SegmentDraft]
    ids: IdTable
    are_renumbered: bool

    @property
    def id_kind(self) -> str:
        """The kind of the ids, as a manifest names it."""
        if self.ids.stored is None:
            begin = 0
            for segment in self.segments:
                if segment.first_id != begin:  # there is a file of ids that became numbers of rows
                    return "ascending"
                begin += segment.count
            return "automatic"
        return "ascending" if self.ids.ascending else "arbitrary"


@dataclass(frozen=True, eq=False)
class _Part:
    """Rows `begin` to `end` - 1 of a table: a stored segment, or those after the last one."""

    begin: int
    end: int
    removed: NDArray[np.int64]
    stored: StoredSegment | None
    is_dropped: bool = False

    @property
    def has_many_removed(self) -> bool:
        """Whether more than a quarter of the rows were removed."""
        return 4 * len(self.removed) > self.end - self.begin

    @property
    def count(self) -> int:
        """How many rows are written."""
        return self.end - self.begin - (len(self.removed) if self.is_dropped else 0)

    @property
    def kept(self) -> NDArray[np.int64] | None:
        """The numbers of the rows that are written; None for all."""
        if not (self.is_dropped and len(self.removed)):
            return None
        return np.setdiff1d(np.arange(self.begin, self.end), self.removed, assume_unique=True)


def draft_segments(
    documents: Documents,
    ids: IdTable,
    live: native.RowSet | None,
    stored: tuple[StoredSegment, ...],
    *,
    compacts: bool = False,
) -> Drafts:
    """Return the segments of the next generation, by the policy of this module.

    Parameters
    ----------
    documents : Documents
        All rows; they begin with those of `stored`.
    ids : IdTable
        Of all rows.
    live : RowSet or None
        The rows that have not been removed; None for all.
    stored : tuple of StoredSegment
        The segments that are in the folder.
    compacts : bool
        Whether all rows become one segment, without removed ones.
    """
    parts = _dropped(_parts(ids.n_rows, stored, live), drops_all=compacts)
    groups = [parts] if compacts else _grouped(parts)
    numbers = [
        np.arange(part.begin, part.end) if part.kept is None else part.kept for part in parts
    ]
    are_renumbered = any(part.kept is not None for part in parts)
    if are_renumbered:
        ids = ids.only(np.concatenate(numbers))
    segments, begin = [], 0
    for group in groups:
        segment = _draft(group, documents, ids, begin)
        if segment is not None:
            segments.append(segment)
            begin += segment.count
    return Drafts(segments, ids, are_renumbered)


def merged(counts: list[int]) -> list[int]:
    """Return how many segments of these sizes, one behind the other, become each new one."""
    groups = [(count, 1) for count in counts]
    while True:
        classes = [_class_of(count) for count, _ in groups]
        merge = None
        for place, (one, other) in enumerate(pairwise(classes)):
            if one < other:
                merge = slice(place, place + 2)  # the last such place
        if merge is None:
            for size in sorted(set(classes)):
                first, n = classes.index(size), classes.count(size)
                if n > _MOST_OF_A_CLASS:
                    merge = slice(first, first + n)
                    break
        if merge is None:
            return [n for _, n in groups]
        some = groups[merge]
        groups[merge] = [(sum(count for count, _ in some), sum(n for _, n in some))]


def _class_of(count: int) -> int:
    return (max(count, 1).bit_length() - 1) // 2


def _parts(
    n_rows: int, stored: tuple[StoredSegment, ...], live: native.RowSet | None
) -> list[_Part]:
    parts, begin = [], 0
    for segment in stored:
        end = begin + len(segment)
        parts.append(_Part(begin, end, _removed(begin, end, live), segment))
        begin = end
    if begin < n_rows:
        parts.append(_Part(begin, n_rows, _removed(begin, n_rows, live), None))
    return parts


def _removed(begin: int, end: int, live: native.RowSet | None) -> NDArray[np.int64]:
    """Return the numbers of removed rows."""
    if live is None:
        return np.empty(0, np.int64)
    removed = []
    for first in range(begin, end, _ROWS_AT_A_TIME):
        last = min(first + _ROWS_AT_A_TIME, end)
        is_removed = np.ones(last - first, np.bool_)
        is_removed[live.numbers(first, last) - first] = False
        removed.append(np.flatnonzero(is_removed).astype(np.int64) + first)
    return np.concatenate(removed)


def _dropped(parts: list[_Part], *, drops_all: bool) -> list[_Part]:
    """Decide which parts lose their removed rows."""
    n_removed = sum(len(part.removed) for part in parts if part.has_many_removed)
    drops = n_removed > _LEAST_SHARE_DROPPED * sum(part.count for part in parts)
    return [
        replace(part, is_dropped=drops_all or (drops and part.has_many_removed)) for part in parts
    ]


def _grouped(parts: list[_Part]) -> list[list[_Part]]:
    groups, begin = [], 0
    for n in merged([part.count for part in parts]):
        groups.append(parts[begin : begin + n])
        begin += n
    return groups


def _draft(
    group: list[_Part], documents: Documents, ids: IdTable, begin: int
) -> SegmentDraft | None:
    """Return the segment of these parts, whose first row gets the number `begin`."""
    count = sum(part.count for part in group)
    if count == 0:
        return None
    removed, before = [np.empty(0, np.int64)], 0
    for part in group:
        if not part.is_dropped:
            removed.append(part.removed - part.begin + before)
        before += part.count
    stored = group[0].stored if len(group) == 1 and not group[0].is_dropped else None
    first_id = stored.entry.first_id if stored is not None else _first_id(ids, begin, count)
    rows: dict[str, RowSource] = {}
    if stored is None:
        columns, encoder = documents.columns, documents.encoder
        by_part: dict[str, Rows | None] = {"codes": columns.codes, "correction": columns.factors}
        for name, originals in zip(encoder.store_names, columns.originals, strict=True):
            by_part[f"originals_{name}"] = originals
        rows = {
            part: _source(all_rows, group)
            for part, all_rows in by_part.items()
            if all_rows is not None
        }
        if first_id is None:
            assert ids.stored is not None
            rows["ids"] = RowSource([(ids.stored[begin : begin + count], None)])
    return SegmentDraft(count, np.concatenate(removed), first_id, stored, rows)


def _first_id(ids: IdTable, begin: int, count: int) -> int | None:
    """Return the first of some ids if each further one is the next integer."""
    if ids.stored is None:
        return begin
    some = ids.stored[begin : begin + count]
    first = int(some[0])
    if int(some[-1]) - first != count - 1 or not (some[1:] - some[:-1] == 1).all():
        return None
    return first


def _source(rows: Rows, group: list[_Part]) -> RowSource:
    """Return the rows of some parts."""
    arrays: list[NDArray[Any]] = rows.arrays if isinstance(rows, native.Segments) else [rows]
    pieces: list[tuple[NDArray[Any], NDArray[np.int64] | None]] = []
    for part in group:
        kept, first = part.kept, 0
        for array in arrays:
            begin, end = max(part.begin, first), min(part.end, first + len(array))
            if begin < end:
                if kept is None:
                    pieces.append((array[begin - first : end - first], None))
                else:
                    some = kept[np.searchsorted(kept, begin) : np.searchsorted(kept, end)]
                    pieces.append((array, some - first))
            first += len(array)
    return RowSource(pieces)
