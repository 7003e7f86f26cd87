# SPDX-License-Identifier: Apache-2.0
"""Write an index to a folder: all of it or nothing."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core import arguments
from bitsift.core.errors import (
    CorruptIndexError,
    IndexFileError,
    IndexLockedError,
    IndexWriteError,
    NotAnIndexError,
    UnsupportedVersionError,
    warn,
)
from bitsift.core.floats import in_default_floats
from bitsift.core.handlers import call_raised, is_of_system, suppress_system_errors
from bitsift.core.options import CANDIDATE_RULES, METRICS, SCORINGS, STORES
from bitsift.quantization.calibration import save_state
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
from bitsift.storage.row_checks import find_duplicate, row_check

__all__ = ["parts_of", "write"]

# A writer that fails removes the folder that it made, also while others wait for its lock. They
# make it again; so often it is removed only where something else goes wrong.
_MAKE_TRIES = 100


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
    manifest, arrays = parts_of(contents)
    save = _Save(manifest, arrays)
    try:
        _make_and_save(folder_path, save, seconds)
    except OSError as error:
        if not is_of_system(error):
            raise
        if not save.is_done:
            raise IndexWriteError(folder_path, f"cannot be written: {why(error)}") from error
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
            _unmake(made)
        raise


def _unmake(made: list[str]) -> None:
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


def parts_of(contents: Contents) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    """Return a manifest without its files, and the array of each part."""
    dim, threshold = arguments.check_dim(contents.dim), contents.threshold
    arguments.choice(contents.metric, "metric", METRICS)
    for store in contents.originals:
        arguments.choice(store, "store", STORES)
    arguments.choice(contents.scoring, "scoring", (None, *SCORINGS))
    arguments.choice(contents.candidates, "candidates", CANDIDATE_RULES)
    number, vectors = None, contents.vectors
    if threshold is not None and not isinstance(threshold, np.ndarray):
        number = float(threshold)
        if not math.isfinite(number):
            raise ValueError(f"threshold must be finite; got {number}")

    if contents.ids is None:
        ids = "automatic"
    else:
        ids = "ascending" if contents.ids_ascending else "arbitrary"
    states = {store: save_state(found) for store, found in contents.calibrators.items()}
    manifest = Manifest(
        dim,
        contents.metric,
        tuple(contents.originals),
        len(contents.codes),
        number,
        ids,
        {},
        rule=contents.rule,
        rotate=contents.rotate,
        fitted=threshold is not None,
        normalized=contents.normalized,
        correction=contents.factors is not None,
        calibrations={store: state[0] for store, state in states.items()},
        scoring=contents.scoring,
        candidates=contents.candidates,
        largest_id=contents.largest_id,
        pending=None if len(contents.codes) or vectors is None else len(vectors),
    )
    flips = contents.flips
    arrays = {
        "codes": contents.codes,
        "ids": contents.ids,
        "threshold": None if number is not None else threshold,
        "rotation": None if flips is None else np.packbits(flips > 0, axis=1),
        "correction": contents.factors,
        "vectors": vectors,
        **{manifest.part_of(store): array for store, array in contents.originals.items()},
        **{f"calibration_{store}": array for store, (_, array) in states.items()},
    }
    return manifest, _conforming(arrays, manifest)


def _conforming(arrays: dict[str, Any], manifest: Manifest) -> dict[str, NDArray[Any]]:
    expected = manifest.layout()
    for part, array in arrays.items():
        if part not in expected:
            if array is not None:
                raise ValueError(f"{part} must be None; got an array")
            continue
        dtype, shape = expected[part]
        wanted = f"an array of dtype {np.dtype(dtype).name} and shape {shape}"
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{part} must be {wanted}; got {type(array).__name__}")
        if array.dtype != np.dtype(dtype).newbyteorder("=") or array.shape != shape:
            raise ValueError(
                f"{part} must be {wanted}; got dtype {array.dtype.name} and shape {array.shape}"
            )
    return {part: arrays[part] for part in expected}


class _Save:
    """One save to a folder that no other writer uses.

    Attributes
    ----------
    is_done : bool
        Whether the new index is in place. Nothing that happens then takes it away.
    troubles : list of str
        What failed after that.
    """

    def __init__(self, manifest: Manifest, arrays: dict[str, NDArray[Any]]) -> None:
        self._manifest = manifest
        self._arrays = arrays
        self._temporary = ""
        self._names: dict[str, str] = {}
        self.is_done = False
        self.troubles: list[str] = []

    def run(self, folder: Folder, lock: Lock) -> None:
        """Write everything, and replace the manifest; or raise, and leave the folder as it was."""
        # Not before the lock: a child that was forked until then saves, too, to names of its own.
        token = new_token()
        self._names = {part: array_name(part, token) for part in self._arrays}
        self._temporary = temporary_name(token)
        kept = _kept_names(folder)
        lock.leave_note()
        self._run(folder, kept if lock.is_taken else None)
        if not folder.is_at_path():
            self.troubles.append(
                "the path does not lead to it: the folder that was there when the save began holds "
                "it, and was renamed or removed meanwhile"
            )

    def _run(self, folder: Folder, kept: set[str] | None) -> None:
        # The files of writers that were killed would fill the disk, save by save. Without a lock
        # they may be those of a writer at work; without a readable manifest, those of the index.
        if kept is not None:
            _remove_leftovers(folder, kept)
        data = None
        try:
            data = self._write_files(folder)
            folder.replace(self._temporary, MANIFEST_NAME)
        except BaseException as error:
            # What is on disk decides, not which statement was reached: an interrupt may arrive
            # right after the replacement, and a network file system may deny one that took place.
            if not _is_in_place(folder, data):
                for name in (self._temporary, *self._names.values()):
                    with suppress_system_errors():
                        folder.remove(name)
                raise
            self.is_done = True
            if not is_of_system(error):
                raise  # the next save removes the old files
        self.is_done = True
        self._finish(folder)

    def _write_files(self, folder: Folder) -> bytes:
        """Write the data files and the temporary manifest, durably; return its bytes."""
        files = {}
        layout = self._manifest.layout()
        for part, array in self._arrays.items():
            check = row_check(part, self._manifest)
            if part == "ids" and self._manifest.ids == "arbitrary":
                twice = find_duplicate(partial(row_chunks, array), len(array))
                if twice is not None:
                    raise ValueError(f"ids must be unique; got {twice} more than once")
            files[part] = write_array(
                folder, self._names[part], array, layout[part][0], check, self._manifest.algorithm
            )
        data = manifest_json.encode(replace(self._manifest, files=files))
        write_manifest(folder, self._temporary, data)
        folder.sync()  # the names of the data must be durable before a manifest names them
        if not set(self._names.values()) <= set(folder.names()):
            raise IndexWriteError(
                folder.path,
                "another writer, which the lock does not reach, removed files of this save; let "
                "one machine at a time save to it",
            )
        return data

    def _finish(self, folder: Folder) -> None:
        """Make the new manifest durable, then remove what it does not name."""
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
                if _is_leftover(name, set(self._names.values())):
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


def _kept_names(folder: Folder) -> set[str] | None:
    """Return the names of the index to replace; none without an index, None if it is damaged.

    Raises
    ------
    IndexWriteError
        The folder holds something that must not be replaced.
    """
    try:
        old = read_manifest(folder)
    except NotAnIndexError:
        # A first save that crashed leaves files of ours without a manifest.
        foreign = [name for name in folder.names() if not OWN_FILE.fullmatch(name)]
        if foreign:
            raise IndexWriteError(
                folder.path,
                f"the folder holds {foreign[0]!r} and no bitsift index, expected an empty folder, "
                "an index or nothing",
            ) from None
        return set()
    except IndexFileError as error:
        raise IndexWriteError(error.path, error.reason) from error
    if not manifest_json.is_ours(old, folder.path):
        raise IndexWriteError(
            folder.path,
            f"its {MANIFEST_NAME} is not that of a bitsift index; remove the folder first if it "
            "is not needed",
        )
    try:
        manifest = manifest_json.decode(old, folder.path_of(MANIFEST_NAME))
    except UnsupportedVersionError as error:
        raise IndexWriteError(error.path, f"{error.reason}; remove the folder first") from error
    except CorruptIndexError:
        return None  # a damaged index may be replaced
    return {entry.name for entry in manifest.files.values()}


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
