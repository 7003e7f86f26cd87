# SPDX-License-Identifier: Apache-2.0
"""Write an index to a folder: all of it or nothing."""

from __future__ import annotations

import contextlib
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
    IndexWriteError,
    NotAnIndexError,
    UnsupportedVersionError,
)
from bitsift.core.options import METRICS, STORES
from bitsift.quantization.calibration import save_state
from bitsift.storage import folder as folders
from bitsift.storage import manifest_json
from bitsift.storage.contents import Contents
from bitsift.storage.folder import Folder, as_path, why
from bitsift.storage.manifest import (
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


def write(path: str | os.PathLike[str], contents: Contents) -> None:
    """Save an index; a crash at any point leaves the old index at the path, or the new one.

    Parameters
    ----------
    path : str or path-like
        The folder; created, with its parents, if it is missing. It must be empty or hold an index,
        which may be the one that `contents` is mapped from.
    contents : Contents
        Arrays may have any strides; none is copied whole.

    Raises
    ------
    IndexWriteError
        The path holds something else, or the system refuses. The old index is unchanged, and no
        new file is left behind; but if the last `fsync` fails, and the old manifest cannot be put
        back, the new index stays, and files of both.
    ValueError, TypeError
        The contents contradict each other. Nothing was changed.

    Notes
    -----
    Writers to one folder wait for each other where the platform has ``flock``. Readers never wait.
    The disk must have room for the old index and the new one.
    """
    folder_path = as_path(path)
    manifest, arrays = parts_of(contents)
    try:
        made = folders.make(folder_path)
        try:
            if not folders.is_folder(folder_path):
                raise IndexWriteError(folder_path, "it is a file, expected a folder or nothing")
            with Folder(folder_path) as folder, folder.locked():
                _save(folder, manifest, arrays)
        except BaseException:
            folders.unmake(made)
            raise
    except IndexFileError:
        raise
    except OSError as error:
        raise IndexWriteError(folder_path, f"cannot be written: {why(error)}") from error


def parts_of(contents: Contents) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    """Return a manifest without its files, and the array of each part."""
    dim, threshold = arguments.check_dim(contents.dim), contents.threshold
    arguments.choice(contents.metric, "metric", METRICS)
    for store in contents.originals:
        arguments.choice(store, "store", STORES)
    number = None
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
    )
    flips = contents.flips
    arrays = {
        "codes": contents.codes,
        "ids": contents.ids,
        "threshold": None if number is not None else threshold,
        "rotation": None if flips is None else np.packbits(flips > 0, axis=1),
        "correction": contents.factors,
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


def _save(folder: Folder, manifest: Manifest, arrays: dict[str, NDArray[Any]]) -> None:
    old = _replaceable(folder)
    token = new_token()
    temporary = temporary_name(token)
    names = {part: array_name(part, token) for part in arrays}
    data = None
    try:
        files = {}
        for part, array in arrays.items():
            check = row_check(part, manifest)
            if part == "ids" and manifest.ids == "arbitrary":
                twice = find_duplicate(partial(row_chunks, array), len(array))
                if twice is not None:
                    raise ValueError(f"ids must be unique; got {twice} more than once")
            dtype = manifest.layout()[part][0]
            files[part] = write_array(folder, names[part], array, dtype, check)
        data = manifest_json.encode(replace(manifest, files=files))
        write_manifest(folder, temporary, data)
        folder.sync()  # the names of the data must be durable before a manifest names them
        folder.replace(temporary, MANIFEST_NAME)
        folder.sync()
    except BaseException:
        if data is None or _restored(folder, old, data):
            for name in (temporary, *names.values()):
                with contextlib.suppress(OSError):
                    folder.remove(name)
        raise
    # The new index is in place. Old files that cannot be removed now, such as mapped ones on
    # Windows, are left to the next save.
    with contextlib.suppress(OSError):
        for name in folder.names():
            if OWN_FILE.fullmatch(name) and name not in names.values():
                with contextlib.suppress(OSError):
                    folder.remove(name)


def _replaceable(folder: Folder) -> bytes | None:
    """Return the bytes of the manifest to replace, or None if there is none."""
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
        return None
    except IndexFileError as error:
        raise IndexWriteError(error.path, error.reason) from error
    if not manifest_json.is_ours(old, folder.path):
        raise IndexWriteError(
            folder.path,
            f"its {MANIFEST_NAME} is not that of a bitsift index; remove the folder first if it "
            "is not needed",
        )
    try:
        manifest_json.decode(old, folder.path_of(MANIFEST_NAME))
    except UnsupportedVersionError as error:
        raise IndexWriteError(error.path, f"{error.reason}; remove the folder first") from error
    except CorruptIndexError:
        pass  # a damaged index may be replaced
    return old


def _restored(folder: Folder, old: bytes | None, new: bytes) -> bool:
    """Put the old manifest back if the new one replaced it; say whether the old one is in place.

    What is on disk decides, not which statement the save had reached: an interrupt may arrive
    between the replacement and the next statement.
    """
    try:
        if _current(folder) != new:
            return True
        if old is None:
            folder.remove(MANIFEST_NAME)
        else:
            temporary = temporary_name(new_token())
            write_manifest(folder, temporary, old)
            folder.replace(temporary, MANIFEST_NAME)
        folder.sync()
    except (OSError, IndexFileError):
        return False  # the new index, which is complete, must keep its files
    return True


def _current(folder: Folder) -> bytes | None:
    try:
        return read_manifest(folder)
    except NotAnIndexError:
        return None
