# SPDX-License-Identifier: Apache-2.0
"""Read an index from a folder, or verify it.

``FORMAT.md`` describes the format, and the duties of writers and readers.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.arguments import check_progress
from bitsift.core.errors import (
    CorruptIndexError,
    IndexFileError,
    IndexNotFoundError,
    NotAnIndexError,
)
from bitsift.core.floats import in_default_floats
from bitsift.core.handlers import call_raised, is_of_system
from bitsift.core.public import public
from bitsift.quantization.calibration import Calibrator, restore_state
from bitsift.storage import folder as folders
from bitsift.storage import manifest_json
from bitsift.storage.contents import Contents
from bitsift.storage.folder import Folder, as_path, why
from bitsift.storage.manifest import MANIFEST_NAME, Manifest
from bitsift.storage.manifest_file import read_manifest
from bitsift.storage.npy_file import ArrayFile, row_chunks
from bitsift.storage.row_checks import find_duplicate, row_check

__all__ = ["read", "read_with_manifest", "verify"]

# An attempt fails only if another process completes a whole save, with its fsyncs, between the
# reading of the manifest and the opening of the files that it names.
_READ_TRIES = 100
# Parts that grow with the index. The others are small: they are always read and checked.
_MAPPED = ("codes", "ids", "originals", "correction")


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
    return read_with_manifest(path, mmap=mmap)[0]


def read_with_manifest(
    path: str | os.PathLike[str], *, mmap: bool = False
) -> tuple[Contents, Manifest, int]:
    """Open an index as `read` does; return its manifest, too, and the bytes that this has."""
    with _opened(as_path(path)) as (manifest, files, n_bytes):
        arrays: dict[str, NDArray[Any]] = {}
        for part, file in files.items():
            if mmap and part.startswith(_MAPPED):
                arrays[part] = file.map()
                continue
            arrays[part] = file.load(row_check(part, manifest))
            if part == "ids" and manifest.ids == "arbitrary":
                _refuse_duplicates(file, partial(row_chunks, arrays[part]))
        calibrators = {
            store: _calibrator(manifest, files, arrays, store) for store in manifest.calibrations
        }
    flips = arrays.get("rotation")
    if flips is not None:
        bits = np.unpackbits(flips, axis=1, count=manifest.dim)
        flips = bits.astype(np.float32) * 2 - 1
    contents = Contents(
        dim=manifest.dim,
        metric=manifest.metric,
        threshold=arrays.get("threshold", manifest.threshold),
        codes=arrays["codes"],
        ids=arrays.get("ids"),
        originals={store: arrays[manifest.part_of(store)] for store in manifest.stores},
        ids_ascending=manifest.ids != "arbitrary",
        rule=manifest.rule,
        rotate=manifest.rotate,
        flips=flips,
        normalized=manifest.normalized,
        factors=arrays.get("correction"),
        calibrators=calibrators,
        scoring=manifest.scoring,
        candidates=manifest.candidates,
        vectors=arrays.get("vectors"),
        largest_id=manifest.largest_id,
    )
    return contents, manifest, n_bytes


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
    path: str | os.PathLike[str], *, progress: Callable[[int, int], None] | None = None
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

    Raises
    ------
    TypeError
        `progress` is not callable.
    IndexFileError
        One of its kinds: :class:`IndexNotFoundError`, :class:`NotAnIndexError`,
        :class:`UnsupportedVersionError`, :class:`CorruptIndexError`. It names the file and what is
        wrong with it.

    Notes
    -----
    Costs one pass over the files, and over ids that do not ascend one more pass for each 16 M ids.
    Safe to call from many threads.
    """
    check_progress(progress)
    with _opened(as_path(path)) as (manifest, files, _):
        total = sum(file.entry.n_bytes for file in files.values())
        done = 0

        def advance(n_bytes: int) -> None:
            nonlocal done
            done += n_bytes
            if progress is not None:
                progress(done, total)

        advance(0)
        arrays: dict[str, NDArray[Any]] = {}
        for part, file in files.items():
            if part.startswith("calibration_"):  # small, and checked as a whole below
                arrays[part] = file.load(row_check(part, manifest))
                advance(file.entry.n_bytes)
                continue
            file.verify(row_check(part, manifest), advance)
            if part == "ids" and manifest.ids == "arbitrary":
                _refuse_duplicates(file, file.chunks)
        for store in manifest.calibrations:
            _calibrator(manifest, files, arrays, store)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tuple[Manifest, dict[str, ArrayFile], int]]:
    """Open the files of one state of an index; their sizes and headers are verified.

    Yields the manifest, the files by part, and how many bytes the manifest has.
    """
    try:
        if not folders.is_folder(path):
            raise NotAnIndexError(path, "it is a file, expected a folder")
        folder = Folder(path)
    except OSError as error:
        if not is_of_system(error):
            raise
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise IndexNotFoundError(path, "there is nothing here") from error
        raise IndexFileError(path, f"cannot be read: {why(error)}") from error
    files: dict[str, ArrayFile] = {}
    # No ExitStack: it makes a cycle of an error and its traceback, which would keep files open.
    try:
        manifest, n_bytes = _open_files(folder, files)
        yield manifest, files, n_bytes
    finally:
        _close(files)
        folder.close_quietly()


def _open_files(folder: Folder, files: dict[str, ArrayFile]) -> tuple[Manifest, int]:
    """Open the files into a dictionary; return the manifest and how many bytes that has."""
    data = read_manifest(folder)
    for _ in range(_READ_TRIES):
        manifest = manifest_json.decode(data, folder.path_of(MANIFEST_NAME))
        try:
            for part in manifest.files:
                files[part] = _array_file(folder, manifest, part)
            return manifest, len(data)
        except FileNotFoundError as error:
            if not is_of_system(error):
                raise
            before, data = data, read_manifest(folder)
            if data == before:
                missing = folder.path_of(manifest.files[part].name)
                raise CorruptIndexError(
                    missing, f"the file is missing, though {MANIFEST_NAME} names it"
                ) from error
        _close(files)  # a save removed one: open the files of the new manifest
        files.clear()
    raise IndexFileError(folder.path, f"it was replaced {_READ_TRIES} times while it was read")


def _close(files: dict[str, ArrayFile]) -> None:
    for file in files.values():
        file.close()


def _array_file(folder: Folder, manifest: Manifest, part: str) -> ArrayFile:
    entry = manifest.files[part]
    try:
        return ArrayFile(folder, entry)
    except OSError as error:
        if not is_of_system(error) or error.errno == errno.ENOENT:
            raise
        raise IndexFileError(folder.path_of(entry.name), f"cannot be read: {why(error)}") from error


def _refuse_duplicates(file: ArrayFile, chunks: Callable[[], Iterable[NDArray[Any]]]) -> None:
    twice = find_duplicate(chunks, file.entry.shape[0])
    if twice is not None:
        raise CorruptIndexError(file.path, f"ids: {twice} is there twice")
