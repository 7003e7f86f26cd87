# SPDX-License-Identifier: Apache-2.0
"""The files of one state of an index, all open at once."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from bitsift.core.errors import (
    CorruptIndexError,
    IndexFileError,
    IndexNotFoundError,
    IndexStaleError,
    NotAnIndexError,
)
from bitsift.core.handlers import is_of_system
from bitsift.storage import folder as folders
from bitsift.storage import manifest_json
from bitsift.storage.folder import Folder, why
from bitsift.storage.manifest import (
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    SegmentEntry,
    generation_name,
)
from bitsift.storage.manifest_file import read_manifest
from bitsift.storage.npy_file import ArrayFile

__all__ = ["IndexFiles", "SegmentFiles", "opened_files", "unreadable"]

# An attempt fails only if another process completes a whole save, with its fsyncs, between the
# reading of the manifest and the opening of the files that it names.
_READ_TRIES = 100
# Parts that grow with the index. The others are small: they are always read and checked.
_MAPPED = ("codes", "ids", "originals", "correction")


@dataclass(frozen=True, eq=False)
class SegmentFiles:
    """The open files of a segment, by part, and the arrays that are mapped already."""

    entry: SegmentEntry
    files: dict[str, ArrayFile] = field(default_factory=dict)
    maps: dict[str, NDArray[Any]] = field(default_factory=dict)


class IndexFiles:
    """The open files of one state of an index; their sizes and headers are verified.

    Attributes
    ----------
    manifest : Manifest
    data : bytes
        Those of the manifest.
    shared : dict of str to ArrayFile
        The files that do not belong to a segment, by part.
    segments : list of SegmentFiles
    """

    def __init__(self) -> None:
        self.manifest: Manifest
        self.data = b""
        self.shared: dict[str, ArrayFile] = {}
        self.segments: list[SegmentFiles] = []

    def __iter__(self) -> Iterator[ArrayFile]:
        yield from self.shared.values()
        for rows in self.segments:
            yield from rows.files.values()

    def open(self, folder: Folder, data: bytes, manifest: Manifest, *, maps: bool) -> None:
        """Open the files that a manifest names, or raise `FileNotFoundError`.

        Files that are mapped are closed at once: there may be more than a process may open.
        """
        self.manifest, self.data = manifest, data
        self.shared, self.segments = {}, []
        for entry in manifest.rows:
            rows = SegmentFiles(entry)
            self.segments.append(rows)
            fills_memory = _part_that_fills_memory(manifest, entry)
            for part in entry.files:
                rows.files[part] = _array_file(folder, entry.files[part])
                if maps and part.startswith(_MAPPED):
                    if part == fills_memory:
                        rows.files[part].refuse_holes(is_mapped=True)
                    rows.maps[part] = rows.files[part].map()
                    rows.files.pop(part).close()
        in_segments = manifest.row_layout(0)
        for part, file in manifest.files.items():
            if manifest.pending is not None or part not in in_segments:
                self.shared[part] = _array_file(folder, file)

    def close(self) -> None:
        """Close all files."""
        for file in self:
            file.close()


@contextlib.contextmanager
def opened_files(
    path: str, *, generation: int | None = None, maps: bool = False, follow_links: bool = False
) -> Iterator[IndexFiles]:
    """Open the files of one state of an index."""
    try:
        if not folders.is_folder(path):
            raise NotAnIndexError(path, "it is a file, expected a folder")
        folder = Folder(path, follow_links=follow_links)
    except OSError as error:
        if not is_of_system(error):
            raise
        raise unreadable(path, error) from error
    files = IndexFiles()
    # No ExitStack: it makes a cycle of an error and its traceback, which would keep files open.
    try:
        _open_files(folder, files, generation, maps=maps)
        yield files
    finally:
        files.close()
        folder.close_quietly()


def _part_that_fills_memory(manifest: Manifest, entry: SegmentEntry) -> str | None:
    """Return the part by whose rows ids take memory though files are mapped."""
    if manifest.ids == "automatic":
        return None
    if entry.first_id is not None:
        return "codes"
    return "ids" if len(manifest.rows) > 1 else None


def unreadable(path: str, error: OSError) -> IndexFileError:
    """Return what is raised where the system does not open a folder."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return IndexNotFoundError(path, "there is nothing here")
    return IndexFileError(path, f"cannot be read: {why(error)}")


def _open_files(folder: Folder, files: IndexFiles, generation: int | None, *, maps: bool) -> None:
    """Open the files of the newest state, or of another generation."""
    data = read_manifest(folder)
    for _ in range(_READ_TRIES):
        manifest = manifest_json.decode(data, folder.path_of(MANIFEST_NAME))
        name, of_generation = MANIFEST_NAME, data
        try:
            if generation not in (None, manifest.generation or 0):
                if generation not in manifest.kept:
                    there = ", ".join(map(str, (*manifest.kept, manifest.generation or 0)))
                    raise IndexStaleError(
                        folder.path,
                        f"generation {generation} is not there any more, or not yet; there are: "
                        f"{there}. Open another one, or let the writer keep more of them",
                    )
                name = generation_name(generation)
                of_generation = _read_kept(folder, name)
                manifest = manifest_json.decode(of_generation, folder.path_of(name))
                if (manifest.generation or 0) != generation:
                    raise CorruptIndexError(
                        folder.path_of(name),
                        f"it is the manifest of generation {manifest.generation or 0}",
                    )
            files.open(folder, of_generation, manifest, maps=maps)
            return
        except FileNotFoundError as error:
            if not is_of_system(error):
                raise
            before, data = data, read_manifest(folder)
            if data == before:
                missing = folder.path_of(str(error.filename or name))
                raise CorruptIndexError(
                    missing, f"the file is missing, though {name} names it"
                ) from error
        files.close()  # a save removed one: open the files of the new manifest
    raise IndexFileError(folder.path, f"it was replaced {_READ_TRIES} times while it was read")


def _read_kept(folder: Folder, name: str) -> bytes:
    try:
        return read_manifest(folder, name)
    except NotAnIndexError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from error


def _array_file(folder: Folder, entry: FileEntry) -> ArrayFile:
    try:
        return ArrayFile(folder, entry)
    except OSError as error:
        if not is_of_system(error):
            raise
        if error.errno == errno.ENOENT:
            raise FileNotFoundError(error.errno, error.strerror, entry.name) from error
        raise IndexFileError(folder.path_of(entry.name), f"cannot be read: {why(error)}") from error
