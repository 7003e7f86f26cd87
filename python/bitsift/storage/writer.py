# SPDX-License-Identifier: Apache-2.0
"""Write an index to a folder: all of it or nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from bitsift.core.errors import (
    DiskFullError,
    IndexFileError,
    IndexLockedError,
    IndexWriteError,
    NotAnIndexError,
    warn,
)
from bitsift.core.floats import in_default_floats
from bitsift.core.handlers import call_raised, is_of_system, suppress_system_errors
from bitsift.storage import folder as folders
from bitsift.storage import manifest_json
from bitsift.storage.contents import Contents
from bitsift.storage.folder import Folder, as_path, why
from bitsift.storage.lock import Lock, check_timeout
from bitsift.storage.manifest import (
    LOCK_NOTE,
    MANIFEST_NAME,
    OWN_FILE,
    Manifest,
    array_name,
    new_token,
    temporary_name,
)
from bitsift.storage.manifest_file import read_manifest, write_manifest
from bitsift.storage.npy_file import row_chunks, write_array
from bitsift.storage.parts import parts_of
from bitsift.storage.present import look_into
from bitsift.storage.row_checks import find_duplicate, row_check

__all__ = ["Replacement", "refusal", "unmake", "write"]

# A writer that fails removes the folder that it made, also while others wait for its lock. They
# make it again; so often it is removed only where something else goes wrong.
_MAKE_TRIES = 100
_DISK_IS_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


@in_default_floats
def write(
    path: str | os.PathLike[str], contents: Contents, *, timeout: float | None = 60.0
) -> None:
    """Save an index; a crash at any point leaves the old index at the path, or the new one.

    Parameters
    ----------
    path : str or path-like
        The folder; created, with its parents, if it is missing. It must be empty or hold an index,
        which may be the one that `contents` is mapped from.
    contents : Contents
        Arrays may have any strides; none is copied whole.
    timeout : float or None
        Seconds to wait for another writer to end; None for no limit.

    Raises
    ------
    IndexLockedError
        Another writer did not end in time, or this thread is saving to the folder already.
    IndexWriteError
        The path holds something else, or the system refuses.
    ValueError, TypeError
        The contents contradict each other.

    Warns
    -----
    BitsiftWarning
        The new index is in place, but the system could not make its name durable, remove the files
        of the old one, or close the folder; or the folder was renamed or removed meanwhile.

    Notes
    -----
    Until the new manifest takes the old one's place, any error leaves the old index unchanged and
    no new file. From then on the new index stands: what the system refuses is a warning; an
    interrupt is still raised.
    Writers to one folder wait for each other where the platform has ``flock``, in no fixed order.
    One that finds others waiting lets them go first. Readers never wait.
    The disk must have room for the old index and the new one.
    """
    folder_path, seconds = as_path(path), check_timeout(timeout)
    save = _Save(contents)
    try:
        _make_and_save(folder_path, save, seconds)
    except OSError as error:
        if not is_of_system(error):
            raise
        if not save.is_done:
            raise refusal(folder_path, error) from error
        save.troubles.append(f"the folder could not be closed: {why(error)}")
    for trouble in save.troubles:
        warn(f"{folder_path}: the new index is in place, but {trouble}")


def _make_and_save(path: str, save: _Save, timeout: float | None) -> None:
    made: list[str] = []
    pid = os.getpid()
    try:
        for n_left in reversed(range(_MAKE_TRIES)):
            try:
                made += folders.make(path)
                if not folders.is_folder(path):
                    raise IndexWriteError(path, "it is a file, expected a folder or nothing")
                folder = Folder(path)
            except FileNotFoundError as error:
                if not call_raised(error, "bitsift") or not n_left:
                    raise
                continue
            with folder:
                lock = Lock(folder, timeout)
                try:
                    with lock:
                        if folder.is_at_path() or not n_left:
                            save.run(folder, lock)
                            return
                finally:
                    next(lock.closing, None)  # should a handler have raised in `Lock.__exit__`
    except BaseException:
        if os.getpid() == pid:  # a forked child that comes here leaves its parent's folders
            unmake(made)
        raise


def refusal(path: str, error: OSError) -> IndexWriteError:
    """Return what a writer raises where the system refuses, before anything has changed."""
    if error.errno in _DISK_IS_FULL:
        return DiskFullError(
            path,
            f"cannot be written: {why(error)}; the folder is as it was: make room and try again",
        )
    return IndexWriteError(path, f"cannot be written: {why(error)}")


def unmake(made: list[str]) -> None:
    """Remove the empty folders that a save made, but not from under another writer."""
    if not made:
        return
    try:
        with Folder(made[-1]) as folder, Lock(folder, 0):
            folders.unmake(made)
    except IndexLockedError:
        pass
    except OSError as error:
        if not is_of_system(error):
            raise
        folders.unmake(made)  # it is gone, or cannot be locked


class Replacement:
    """One replacement of the manifest of a folder that no other writer uses.

    Attributes
    ----------
    is_done : bool
        Whether the new manifest is in place. Nothing that happens then takes it away.
    troubles : list of str
        What failed after that.
    """

    def __init__(self) -> None:
        self.is_done = False
        self.troubles: list[str] = []

    def replace(
        self,
        folder: Folder,
        write_files: Callable[[], bytes],
        new: set[str],
        *,
        before: set[str] | None,
        after: set[str],
    ) -> None:
        """Write everything, and replace the manifest; or raise, and leave the folder as it was.

        Parameters
        ----------
        folder : Folder
        write_files : callable
            Writes the new files, durably; returns the bytes of the manifest.
        new : set of str
            The names of these files.
        before : set of str or None
            The names of the files of the index to be replaced. Others are removed first: files of
            writers that were killed would fill the disk. None if they must be left: without a lock
            they may be those of a writer at work, without a readable manifest those of the index.
        after : set of str
            The names of older files that stay.
        """
        if before is not None:
            _remove_leftovers(folder, before)
        temporary = temporary_name(new_token())
        data = None
        try:
            data = write_files()
            write_manifest(folder, temporary, data)
            folder.sync()  # the names of the data must be durable before a manifest names them
            if not new <= set(folder.names()):
                raise IndexWriteError(
                    folder.path,
                    "another writer, which the lock does not reach, removed files of this save; "
                    "let one machine at a time save to it",
                )
            folder.replace(temporary, MANIFEST_NAME)
        except BaseException as error:
            # What is on disk decides, not which statement was reached: an interrupt may arrive
            # right after the replacement, and a network file system may deny one that took place.
            if not _is_in_place(folder, data):
                for name in (temporary, *new):
                    with suppress_system_errors():
                        folder.remove(name)
                raise
            self.is_done = True
            if not is_of_system(error):
                raise  # the next save removes the old files
        self.is_done = True
        self._finish(folder, new | after)
        if not folder.is_at_path():
            self.troubles.append(
                "the path does not lead to it: the folder that was there when the save began holds "
                "it, and was renamed or removed meanwhile"
            )

    def _finish(self, folder: Folder, kept: set[str]) -> None:
        """Make the new manifest durable, then remove what is not kept."""
        try:
            folder.sync()
        except OSError as error:
            if not is_of_system(error):
                raise
            # A power cut may bring back the old manifest: its files are left to the next save.
            self.troubles.append(
                f"the system could not make it durable ({why(error)}): a power cut may bring back "
                "the old one"
            )
            return
        left = []
        try:
            for name in folder.names():
                if _is_leftover(name, kept):
                    try:
                        folder.remove(name)
                    except OSError as error:
                        if not is_of_system(error):
                            raise
                        left.append(f"{name} ({why(error)})")
        except OSError as error:
            if not is_of_system(error):
                raise
            left.append(f"({why(error)})")
        if left:
            more = f" and {len(left) - 1} more" if left[1:] else ""
            self.troubles.append(
                f"files of earlier ones could not be removed: {left[0]}{more}; the next save tries "
                "again"
            )


class _Save(Replacement):
    """One save of an index in one segment."""

    def __init__(self, contents: Contents) -> None:
        super().__init__()
        self._contents = contents
        self._manifest, self._arrays = parts_of(contents)

    def run(self, folder: Folder, lock: Lock) -> None:
        """Write everything, and replace the manifest; or raise, and leave the folder as it was."""
        # Not before the lock: a child that was forked until then saves, too, to names of its own.
        token = new_token()
        present = look_into(folder)
        if present.generation is not None:  # no number may stand for two states
            generation = present.next_generation(folder.path)
            self._manifest, self._arrays = parts_of(self._contents, generation)
        manifest = self._manifest
        names = {part: array_name(part, token) for part in self._arrays}
        lock.leave_note()
        self.replace(
            folder,
            lambda: self._write_files(folder, manifest, names),
            set(names.values()),
            before=present.names if lock.is_taken else None,
            after=set(),
        )

    def _write_files(self, folder: Folder, manifest: Manifest, names: dict[str, str]) -> bytes:
        """Write the data files, durably; return the bytes of the manifest."""
        files = {}
        layout = manifest.layout()
        for part, array in self._arrays.items():
            check = row_check(part, manifest)
            if part == "ids" and manifest.ids == "arbitrary":
                twice = find_duplicate(partial(row_chunks, array), len(array))
                if twice is not None:
                    raise ValueError(f"ids must be unique; got {twice} more than once")
            files[part] = write_array(
                folder, names[part], array, layout[part][0], check, manifest.algorithm
            )
        return manifest_json.encode(replace(manifest, files=files))


def _is_leftover(name: str, kept: set[str]) -> bool:
    return name != LOCK_NOTE and name not in kept and OWN_FILE.fullmatch(name) is not None


def _remove_leftovers(folder: Folder, kept: set[str]) -> None:
    """Remove files of earlier writers that no manifest names."""
    left = [name for name in folder.names() if _is_leftover(name, kept)]
    if not left:
        return
    # The manifest that does not name them must be durable first; its writer may have failed to.
    folder.sync()
    for name in left:
        with suppress_system_errors():
            folder.remove(name)


def _is_in_place(folder: Folder, data: bytes | None) -> bool:
    """Say whether the folder's manifest is this one.

    Raises
    ------
    IndexWriteError
        It cannot be read.
    """
    if data is None:  # there was none yet to replace the old one
        return False
    try:
        return read_manifest(folder) == data
    except NotAnIndexError:
        return False
    except IndexFileError as error:
        raise IndexWriteError(
            error.path,
            "the save failed, and the manifest cannot be read to see whether the new index is in "
            f"place; the files of both are kept: {error.reason}",
        ) from error
