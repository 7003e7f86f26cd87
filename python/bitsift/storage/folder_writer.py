# SPDX-License-Identifier: Apache-2.0
"""A folder that is open for writing: its lock, and the commits of one generation after another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.errors import (
    IndexExistsError,
    IndexFileError,
    IndexNotFoundError,
    IndexStaleError,
    IndexWriteError,
    NoLocksError,
    NotAnIndexError,
    warn,
)
from bitsift.core.handlers import call_raised, is_of_system
from bitsift.storage import folder as folders
from bitsift.storage import manifest_json
from bitsift.storage.contents import Contents
from bitsift.storage.folder import Folder, why
from bitsift.storage.lock import Lock
from bitsift.storage.manifest import (
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    FileEntry,
    Manifest,
    SegmentEntry,
    array_name,
    generation_name,
    new_token,
)
from bitsift.storage.manifest_file import read_manifest, write_manifest
from bitsift.storage.npy_file import ArrayFile, RowSource, write_array
from bitsift.storage.parts import schema_parts
from bitsift.storage.present import Present, look_into
from bitsift.storage.reader import read_stored
from bitsift.storage.row_checks import row_check
from bitsift.storage.stored import SegmentDraft, Stored, StoredSegment, packed_live
from bitsift.storage.writer import Replacement, refusal, unmake

__all__ = ["FolderWriter"]

_MAKE_TRIES = 100
_ALGORITHM = "crc32c"


class FolderWriter:
    """A folder that no other writer changes until it is closed.

    Parameters
    ----------
    path : str
    timeout : float or None
        Seconds to wait for another writer.
    is_made : bool
        Whether the folder is made if it is not there.
    is_new : bool
        Whether there must be no index yet.

    Attributes
    ----------
    path : str
    stored : Stored or None
        The state that the next commit starts from; None if there is none yet.

    Raises
    ------
    IndexNotFoundError, IndexExistsError, IndexLockedError, NoLocksError, IndexWriteError
    """

    def __init__(self, path: str, timeout: float | None, *, is_made: bool, is_new: bool) -> None:
        self.path = path
        self._pid = os.getpid()
        self._made: list[str] = []
        self._present = Present(None, None)
        try:
            self._open(timeout, is_made=is_made)
        except BaseException as error:
            if os.getpid() == self._pid:
                unmake(self._made)
            if isinstance(error, OSError) and is_of_system(error):
                raise refusal(path, error) from error
            raise
        try:
            if not self._lock.is_taken:
                raise NoLocksError(
                    path,
                    "its file system has no locks, so that nothing would keep writers apart: keep "
                    "the index on a local disk, or save it whole by Index.save",
                )
            self._present = look_into(self._folder)
            if is_new and self._present.data is not None:
                raise IndexExistsError(
                    path, 'there is an index already; mode="a" opens it, mode="w-" makes one'
                )
            self._lock.leave_note()
            self.stored = None if self._present.data is None else read_stored(path, mmap=True)
        except BaseException:
            self.close()
            raise

    def _open(self, timeout: float | None, *, is_made: bool) -> None:
        for n_left in reversed(range(_MAKE_TRIES)):
            try:
                if is_made:
                    self._made += folders.make(self.path)
                if not folders.is_folder(self.path):
                    raise IndexWriteError(self.path, "it is a file, expected a folder or nothing")
                self._folder = Folder(self.path)
            except FileNotFoundError as error:
                if not call_raised(error, "bitsift"):
                    raise
                if not is_made:
                    raise IndexNotFoundError(
                        self.path, "there is nothing here; dim= makes a new index"
                    ) from error
                if not n_left:
                    raise
                continue
            self._lock = Lock(self._folder, timeout)
            try:
                self._lock.__enter__()
                if self._folder.is_at_path() or not n_left:
                    return
            except BaseException:
                next(self._lock.closing, None)
                self._folder.close_quietly()
                raise
            self._release()

    def go_back(self, generation: int) -> None:
        """Make `stored` a generation that is kept; the next commit makes a newer one from it."""
        self.stored = read_stored(self.path, mmap=True, generation=generation)

    @property
    def generation(self) -> int:
        """The newest generation; 0 if there is none."""
        return self._present.generation or 0

    @property
    def is_at_newest(self) -> bool:
        """Whether `stored` is the state that readers open."""
        return self.stored is not None and self.stored.data == self._present.data

    def close(self) -> None:
        """Let others write; a second call does nothing, and so does one in a forked child."""
        if os.getpid() != self._pid:
            return
        self._release()
        if self._present.data is None:
            unmake(self._made)

    def _release(self) -> None:
        try:
            if self._lock.is_open:
                self._lock.__exit__(None, None, None)
        finally:
            next(self._lock.closing, None)
            self._folder.close_quietly()

    def commit(
        self,
        schema: Contents,
        fields: dict[str, Any],
        drafts: Sequence[SegmentDraft],
        *,
        n_generations: int,
        is_same_schema: bool,
    ) -> None:
        """Make a new generation, durably; `stored` is its state.

        Whatever is raised: if `stored` has not changed, neither has the folder.

        Parameters
        ----------
        schema : Contents
            All but the rows.
        fields : dict
            Those of the manifest that go by the rows: ids, largest_id.
        drafts : sequence of SegmentDraft
            The rows, in order.
        n_generations : int
            How many generations stay, the new one included.
        is_same_schema : bool
            Whether the schema is that of `stored`.
        """
        commit = _Commit(self._folder, self._present, self.stored)
        try:
            self._require_newest()
            commit.run(schema, fields, drafts, n_generations, is_same_schema=is_same_schema)
        except OSError as error:
            if not is_of_system(error):
                raise
            if not commit.is_done:
                raise refusal(self.path, error) from error
            commit.troubles.append(why(error))
        except IndexFileError as error:
            if isinstance(error, IndexWriteError | IndexStaleError):
                raise
            raise IndexWriteError(error.path, error.reason) from error
        finally:
            if commit.is_done:
                self.stored, self._present = commit.stored, commit.present
        for trouble in commit.troubles:
            warn(f"{self.path}: generation {self.generation} is in place, but {trouble}")

    def _require_newest(self) -> None:
        found = None
        try:
            found = read_manifest(self._folder)
        except NotAnIndexError:
            look_into(self._folder)  # raises if the folder is another program's by now
            if self._present.data is not None:
                raise IndexStaleError(
                    self.path,
                    f"its {MANIFEST_NAME} is gone, as if the folder had been removed: save the "
                    "index to another folder to keep it",
                ) from None
        if found != self._present.data:
            raise IndexStaleError(
                self.path,
                "another writer, which the lock does not reach, has changed it, or a commit was "
                "interrupted right after it had succeeded; close this index and open it again",
            )


class _Commit(Replacement):
    """One commit.

    Attributes
    ----------
    present, stored
        What is in the folder once it is done.
    """

    def __init__(self, folder: Folder, before: Present, stored: Stored | None) -> None:
        super().__init__()
        self._folder = folder
        self._before = before
        self._stored_before = stored
        self.present: Present
        self.stored: Stored

    def run(
        self,
        schema: Contents,
        fields: dict[str, Any],
        drafts: Sequence[SegmentDraft],
        n_generations: int,
        *,
        is_same_schema: bool,
    ) -> None:
        """Write everything, and replace the manifest."""
        before = self._before
        kept = dict(before.kept)
        if before.manifest is not None and before.data is not None:
            kept[before.generation or 0] = (before.manifest, before.data)
        kept = dict(sorted(kept.items())[max(0, len(kept) - n_generations + 1) :])
        n_live = sum(draft.count - len(draft.removed) for draft in drafts)
        manifest, shared = schema_parts(
            schema,
            {
                **fields,
                "count": n_live,
                "generation": before.next_generation(self._folder.path),
                "kept": tuple(kept),
                "segments": (),
            },
        )
        files: dict[str, FileEntry] = {}
        base = self._stored_before
        if is_same_schema and base is not None and base.manifest.version == manifest.version:
            files = {part: base.manifest.files[part] for part in shared}
            shared = {}
        token = new_token()
        shared_names = {part: array_name(part, token) for part in shared}
        segments = [_SegmentWriter(draft, manifest, base) for draft in drafts]
        copies = {
            generation_name(generation): data
            for generation, (_, data) in kept.items()
            if generation not in before.kept
        }
        new = {*shared_names.values(), *copies}
        after = {entry.name for entry in files.values()} | set(map(generation_name, kept))
        after.update(*(one.names for one, _ in kept.values()))
        for segment in segments:
            new.update(segment.names.values())
            after.update(entry.name for entry in segment.files.values())

        def write_files() -> bytes:
            for part, array in shared.items():
                dtype = manifest.layout()[part][0]
                files[part] = write_array(
                    self._folder,
                    shared_names[part],
                    array,
                    dtype,
                    row_check(part, manifest),
                    _ALGORITHM,
                )
            stored = tuple(segment.write(self._folder) for segment in segments)
            for name, data in copies.items():
                write_manifest(self._folder, name, data)
            whole = replace(manifest, files=files, segments=tuple(one.entry for one in stored))
            data = manifest_json.encode(whole)
            if len(data) > MAX_MANIFEST_BYTES:
                raise IndexWriteError(
                    self._folder.path,
                    f"the manifest of {len(stored)} segments and {len(kept)} kept generations "
                    f"would have {len(data)} bytes, at most {MAX_MANIFEST_BYTES} are possible; "
                    "call compact(), or keep fewer generations",
                )
            self.stored = Stored(schema, stored, whole, data)
            self.present = Present(data, whole, kept)
            return data

        self.replace(self._folder, write_files, new, before=before.names, after=after)


class _SegmentWriter:
    """Writes what is new of a segment.

    Attributes
    ----------
    files : dict of str to FileEntry
        What is there already, by part.
    names : dict of str to str
        Those of new files, by part.
    """

    def __init__(self, draft: SegmentDraft, manifest: Manifest, before: Stored | None) -> None:
        self._draft = draft
        self._manifest = manifest
        self._layout = manifest.segment_layout(
            draft.count, draft.count - len(draft.removed), draft.first_id
        )
        self.files: dict[str, FileEntry] = {}
        self._arrays: dict[str, NDArray[Any]] = {}
        self._live: NDArray[np.uint8] | None = None
        if draft.stored is not None:
            assert before is not None
            # Version 1 has another name for the part.
            renamed = {
                before.manifest.part_of(store): manifest.part_of(store) for store in manifest.stores
            }
            entry = draft.stored.entry
            self.files = {renamed.get(part, part): file for part, file in entry.files.items()}
            self._arrays = {
                renamed.get(part, part): array for part, array in draft.stored.arrays.items()
            }
            self._live = draft.stored.live
            if entry.count - entry.n_live != len(draft.removed):  # rows never come back
                self.files.pop("live", None)
        token = new_token()
        self.names = {
            part: array_name(part, new_token() if part == "live" else token)
            for part in self._layout
            if part not in self.files
        }

    def write(self, folder: Folder) -> StoredSegment:
        """Write the new files, durably, and map them."""
        draft, arrays = self._draft, self._arrays
        files = dict(self.files)
        for part, name in self.names.items():
            rows: NDArray[Any] | RowSource
            if part == "live":
                rows = self._live = packed_live(draft.removed, draft.count)
            else:
                rows = draft.rows[part]
            dtype = self._layout[part][0]
            check = row_check(part, self._manifest)
            files[part] = write_array(folder, name, rows, dtype, check, _ALGORITHM)
            if part != "live":
                file = ArrayFile(folder, files[part])
                try:
                    arrays[part] = file.map()
                finally:
                    file.close()
        entry = SegmentEntry(
            draft.count,
            draft.count - len(draft.removed),
            draft.first_id,
            {part: files[part] for part in self._layout},
        )
        return StoredSegment(entry, arrays, self._live)
