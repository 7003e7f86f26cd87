# SPDX-License-Identifier: Apache-2.0
"""Read an index from a folder, or verify it.

``FORMAT.md`` describes the format, and the duties of writers and readers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from bitsift.core.arguments import check_bool, check_progress, integer
from bitsift.core.errors import (
    CorruptIndexError,
)
from bitsift.core.floats import in_default_floats
from bitsift.core.handlers import call_raised, is_of_system
from bitsift.core.limits import MAX_ID
from bitsift.core.public import public
from bitsift.quantization.calibration import Calibrator, restore_state
from bitsift.storage.contents import Contents
from bitsift.storage.folder import Folder, as_path
from bitsift.storage.manifest import (
    Manifest,
    SegmentEntry,
)
from bitsift.storage.manifest_file import read_manifest
from bitsift.storage.npy_file import ArrayFile, row_chunks
from bitsift.storage.opened_files import SegmentFiles, opened_files, unreadable
from bitsift.storage.row_checks import find_duplicate, row_check
from bitsift.storage.stored import Stored, StoredSegment, removed_rows

__all__ = ["contents_of", "read", "read_newest", "read_stored", "verify"]


@in_default_floats
def read(path: str | os.PathLike[str], *, mmap: bool = False) -> Contents:
    """Open an index.

    Parameters
    ----------
    path : str or path-like
        The folder.
    mmap : bool
        False: read everything into memory and verify every checksum and every row. True: map the
        files that grow with the index, read-only; of these, verify structure and size alone (see
        `verify` for their contents). Opens in milliseconds whatever the size.

    Returns
    -------
    Contents

    Raises
    ------
    IndexNotFoundError
        There is nothing at the path.
    NotAnIndexError
        There is something else.
    UnsupportedVersionError
        The index is in a newer format.
    CorruptIndexError
        A file is missing, damaged or contradicts the manifest.
    IndexFileError
        The base of all these; itself if the system refuses to read a file.

    Notes
    -----
    Safe on folders from strangers: nothing is unpickled or evaluated, no link is followed out of
    the folder, and no more is allocated than the files fill. May run while another process saves
    to the folder: the result is one of its states, never a mixture. While mapped files are in use,
    they must not be truncated; `write` never does so.
    """
    return contents_of(read_stored(path, mmap=mmap))


@in_default_floats
def read_stored(
    path: str | os.PathLike[str],
    *,
    mmap: bool = False,
    generation: int | None = None,
    follow_links: bool = False,
) -> Stored:
    """Open an index as `read` does, its segments as they are; a generation, by default the newest.

    With `follow_links`, links in the folder to regular files anywhere are followed.

    Raises
    ------
    IndexStaleError
        The generation is not there.
    """
    with opened_files(
        as_path(path), generation=generation, maps=mmap, follow_links=follow_links
    ) as files:
        manifest = files.manifest
        ids = _IdChecks(manifest, path)
        segments = tuple(_segment(rows, manifest, ids) for rows in files.segments)
        if not mmap:
            ids.refuse_duplicates([partial(_live_ids, segment) for segment in segments])
        arrays = {part: file.load(row_check(part, manifest)) for part, file in files.shared.items()}
        if "ids" in arrays:  # of vectors that wait
            ids.path = files.shared["ids"].path
            ids.refuse_duplicates([partial(row_chunks, arrays["ids"])])
        calibrators = {
            store: _calibrator(manifest, files.shared, arrays, store)
            for store in manifest.calibrations
        }
    rows = {part: np.empty(shape, dtype) for part, (dtype, shape) in manifest.row_layout(0).items()}
    flips = arrays.get("rotation")
    if flips is not None:
        bits = np.unpackbits(flips, axis=1, count=manifest.dim)
        flips = bits.astype(np.float32) * 2 - 1
    schema = Contents(
        dim=manifest.dim,
        metric=manifest.metric,
        threshold=arrays.get("threshold", manifest.threshold),
        codes=rows["codes"],
        ids=None if manifest.ids == "automatic" else arrays.get("ids", rows["ids"]),
        originals={store: rows[manifest.part_of(store)] for store in manifest.stores},
        ids_ascending=manifest.ids != "arbitrary",
        rule=manifest.rule,
        rotate=manifest.rotate,
        flips=flips,
        normalized=manifest.normalized,
        factors=rows.get("correction"),
        calibrators=calibrators,
        scoring=manifest.scoring,
        candidates=manifest.candidates,
        vectors=arrays.get("vectors"),
        largest_id=manifest.largest_id,
    )
    return Stored(schema, segments, manifest, files.data)


def read_newest(path: str, *, follow_links: bool = False) -> bytes:
    """Return the bytes of the present manifest, by which states are told apart."""
    try:
        with Folder(path, follow_links=follow_links) as folder:
            return read_manifest(folder)
    except OSError as error:
        if not is_of_system(error):
            raise
        raise unreadable(path, error) from error


def contents_of(stored: Stored) -> Contents:
    """Return the rows that have not been removed, in one array for each part.

    A single segment without removed rows is not copied.
    """
    manifest = stored.manifest
    if manifest.pending is not None:
        return stored.schema

    def rows_of(part: str) -> NDArray[Any]:
        arrays = [
            array if segment.live is None else array[_is_live(segment)]
            for segment in stored.segments
            for array in (segment.ids if part == "ids" else segment.arrays[part],)
        ]
        dtype, shape = manifest.row_layout(0)[part]
        return arrays[0] if len(arrays) == 1 else np.concatenate([np.empty(shape, dtype), *arrays])

    has_ids = manifest.ids != "automatic" or any(one.live is not None for one in stored.segments)
    return replace(
        stored.schema,
        codes=rows_of("codes"),
        ids=rows_of("ids") if has_ids else None,
        originals={store: rows_of(manifest.part_of(store)) for store in manifest.stores},
        factors=rows_of("correction") if manifest.correction else None,
    )


def _segment(rows: SegmentFiles, manifest: Manifest, ids: _IdChecks) -> StoredSegment:
    """Return the rows of a segment; those that are not mapped are read and checked."""
    arrays = dict(rows.maps)
    live = None
    for part, file in rows.files.items():
        if part == "live":
            live = _load_live(file, rows.entry, manifest)
        elif part == "ids":
            arrays[part] = file.load(ids.check)
            ids.path = file.path
        else:
            arrays[part] = file.load(row_check(part, manifest))
    if "ids" not in rows.maps and rows.entry.first_id is not None:
        ids.pass_over(rows.entry)
    return StoredSegment(rows.entry, arrays, live)


def _load_live(file: ArrayFile, entry: SegmentEntry, manifest: Manifest) -> NDArray[np.uint8]:
    live = file.load(row_check("live", manifest))
    n_live, n_removed = int(np.unpackbits(live).sum()), len(removed_rows(live, entry.count))
    if (n_live, n_removed) != (entry.n_live, entry.count - entry.n_live):
        raise CorruptIndexError(
            file.path,
            f"live: it has {n_live} bits that are 1, expected {entry.n_live} among the first "
            f"{entry.count} bits and none after them",
        )
    return live


def _is_live(segment: StoredSegment) -> NDArray[np.bool_]:
    assert segment.live is not None
    return np.unpackbits(segment.live, count=len(segment)).view(np.bool_)


def _live_ids(segment: StoredSegment) -> Iterator[NDArray[Any]]:
    is_live, first = None if segment.live is None else _is_live(segment), 0
    for ids in row_chunks(segment.ids):
        yield ids if is_live is None else ids[is_live[first : first + len(ids)]]
        first += len(ids)


class _IdChecks:
    """The checks of ids through all segments.

    Attributes
    ----------
    path : str
        What errors name.
    """

    def __init__(self, manifest: Manifest, path: str | os.PathLike[str]) -> None:
        self._manifest = manifest
        self.path = as_path(path)
        self.check = row_check("ids", manifest)

    def pass_over(self, entry: SegmentEntry) -> None:
        """Check ids that follow each other, of which there is no file."""
        first = entry.first_id
        assert first is not None
        ends = np.unique(np.array([first, first + entry.count - 1], np.int64))
        if self._manifest.ids != "automatic" and entry.count:
            problem = self.check(ends, 0)
            if problem is not None:
                raise CorruptIndexError(self.path, problem)

    def refuse_duplicates(self, segments: Sequence[Callable[[], Iterator[NDArray[Any]]]]) -> None:
        """Refuse ids of which two rows have the same one."""
        if self._manifest.ids != "arbitrary" or not segments:
            return
        twice = find_duplicate(
            lambda: (ids for segment in segments for ids in segment()), self._manifest.n_vectors
        )
        if twice is not None:
            raise CorruptIndexError(self.path, f"ids: {twice} is there twice")


def _calibrator(
    manifest: Manifest, files: dict[str, ArrayFile], arrays: dict[str, NDArray[Any]], store: str
) -> Calibrator:
    state = manifest.calibrations[store]
    part = f"calibration_{store}"
    if part not in arrays:
        return restore_state(state, None)
    try:
        return restore_state(state, arrays[part])
    except ValueError as error:
        if not call_raised(error, "bitsift"):
            raise
        raise CorruptIndexError(files[part].path, f"{part}: {error}") from error


@public
@in_default_floats
def verify(
    path: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], None] | None = None,
    follow_links: bool = False,
    generation: SupportsIndex | None = None,
) -> None:
    """Check every byte of a saved index against its checksums, and every row, in bounded memory.

    These are the checks that :meth:`Index.load` makes without ``mmap`` and leaves out with it.
    Returns None if all is well.

    Parameters
    ----------
    path : str or path-like
        The folder.
    progress : callable, optional
        Called as ``progress(bytes_done, bytes_in_all)``: first with 0 done, at last with all.
    follow_links : bool
        As in :meth:`Index.load`.
    generation : int, optional
        A generation that the folder has kept, by default the newest one.

    Raises
    ------
    TypeError, ValueError
        `progress` is not callable, `follow_links` no bool, `generation` no integer of 0 or more.
    IndexStaleError
        The generation is not there.
    IndexFileError
        One of its kinds: :class:`IndexNotFoundError`, :class:`NotAnIndexError`,
        :class:`UnsupportedVersionError`, :class:`CorruptIndexError`. It names the file and what is
        wrong with it.

    Notes
    -----
    Vectors that wait to be encoded are checked as floats; that a store cannot hold one, by its
    range, :meth:`Index.load` alone finds.
    Costs one pass over the files, and over ids that do not ascend one more pass for each 16 M ids.
    Safe to call from many threads.
    """
    check_progress(progress)
    follow_links = check_bool(follow_links, "follow_links")
    if generation is not None:
        generation = integer(generation, "generation", 0, MAX_ID)
    with opened_files(as_path(path), generation=generation, follow_links=follow_links) as files:
        manifest = files.manifest
        total = sum(file.entry.n_bytes for file in files)
        done = 0

        def advance(n_bytes: int) -> None:
            nonlocal done
            done += n_bytes
            if progress is not None:
                progress(done, total)

        advance(0)
        arrays: dict[str, NDArray[Any]] = {}
        ids = _IdChecks(manifest, path)
        pieces = []
        for rows in files.segments:
            live = None
            for part, file in rows.files.items():
                if part == "live":
                    live = _load_live(file, rows.entry, manifest)
                    advance(file.entry.n_bytes)
                    continue
                if part == "ids":
                    ids.path = file.path
                file.verify(ids.check if part == "ids" else row_check(part, manifest), advance)
            if rows.entry.first_id is not None:
                ids.pass_over(rows.entry)
            pieces.append(partial(_live_ids_of_file, rows, live))
        ids.refuse_duplicates(pieces)
        for part, file in files.shared.items():
            if part.startswith("calibration_"):  # small, and checked as a whole below
                arrays[part] = file.load(row_check(part, manifest))
                advance(file.entry.n_bytes)
                continue
            file.verify(row_check(part, manifest), advance)
            if part == "ids":  # of vectors that wait
                ids.path = file.path
                ids.refuse_duplicates([file.chunks])
        for store in manifest.calibrations:
            _calibrator(manifest, files.shared, arrays, store)


def _live_ids_of_file(rows: SegmentFiles, live: NDArray[np.uint8] | None) -> Iterator[NDArray[Any]]:
    if "ids" in rows.files:
        first = 0
        is_live = None if live is None else np.unpackbits(live, count=rows.entry.count) == 1
        for ids in rows.files["ids"].chunks():
            yield ids if is_live is None else ids[is_live[first : first + len(ids)]]
            first += len(ids)
    else:
        yield from _live_ids(StoredSegment(rows.entry, {}, live))
