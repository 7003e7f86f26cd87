# SPDX-License-Identifier: Apache-2.0
"""An index as a folder of ``.npy`` files and one manifest that is replaced atomically.

The format, and what writers and readers owe each other, is in ``FORMAT.md``.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import folder as folders
from . import manifest as manifests
from .arrayfile import ArrayFile, row_chunks, write_all, write_array
from .calibration import Calibrator, MinMaxCalibrator, RollingCalibrator
from .errors import (
    CorruptIndexError,
    IndexFileError,
    IndexNotFoundError,
    IndexWriteError,
    NotAnIndexError,
    UnsupportedVersionError,
)
from .folder import Folder, why
from .manifest import FORMAT_VERSION, MANIFEST_NAME, MAX_MANIFEST_BYTES, Manifest
from .row_checks import find_duplicate, row_check

__all__ = ["FORMAT_VERSION", "Contents", "read", "verify", "write"]

# A try fails only if a whole save, its fsyncs included, fits between reading the manifest and
# opening the files that it names.
_READ_TRIES = 100
# Parts that grow with the index; the others are small, and always read and checked.
_MAPPED = ("codes", "ids", "originals", "correction")


@dataclass(frozen=True, eq=False)
class Contents:
    """Everything an index folder holds.

    Attributes
    ----------
    dim : int
        Dimensions, 1 to 65536.
    metric : str
        ``"cosine"``, ``"dot"`` or ``"l2"``.
    threshold : float, (dim,) float32 array, or None
        None if it is to be found by the rule.
    codes : (n, ceil(dim / 8)) uint8 array
        Packed bits, pad bits zero.
    ids : (n,) int64 array or None
        Unique and not negative; None stands for 0 to n-1.
    originals : dict of str to array
        By store. Floats have shape (n, dim) and are finite.
    ids_ascending : bool
        Whether the ids are strictly ascending; with ``ids=None`` they are.
    rule : {"half-mean", "mean", "median", "auto"} or None
        How the threshold was found, or is to be.
    rotate : bool
        Whether vectors are rotated, or are to be.
    flips : (n_flips, dim) float32 array of +1 and -1, or None
        The rotation.
    normalized : bool
        Whether vectors are brought to length 1 before the threshold is subtracted.
    factors : (n, 1 or 2) uint16 array, or None
        The correction.
    calibrators : dict of str to Calibrator
        By store of integers.
    """

    dim: int
    metric: str
    threshold: float | NDArray[np.float32] | None
    codes: NDArray[np.uint8]
    ids: NDArray[np.int64] | None
    originals: dict[str, NDArray[Any]]
    ids_ascending: bool = True
    rule: str | None = None
    rotate: bool = False
    flips: NDArray[np.float32] | None = None
    normalized: bool = False
    factors: NDArray[np.uint16] | None = None
    calibrators: dict[str, Calibrator] = field(default_factory=dict)


def write(path: str | os.PathLike[str], contents: Contents) -> None:
    """Save an index; a crash at any point leaves the old index at the path, or the new one.

    Parameters
    ----------
    path : str or path-like
        The folder. Created, with its parents, if it is missing. It must be empty or hold an index,
        also the one that ``contents`` is mapped from.
    contents : Contents
        Any strides; no array is copied whole.

    Raises
    ------
    IndexWriteError
        The path holds something else, or the system refuses; the old index is unchanged, and
        nothing new is left behind.
    ValueError, TypeError
        The contents contradict each other; nothing was changed.

    Notes
    -----
    Writers to one folder wait for each other where the platform has ``flock``. Readers never
    wait. Needs room for the old index and the new one.
    """
    folder_path = _as_path(path)
    manifest, arrays = _parts(contents)
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
    except OSError as exc:
        raise IndexWriteError(folder_path, f"cannot be written: {why(exc)}") from exc


def read(path: str | os.PathLike[str], *, mmap: bool = False) -> Contents:
    """Open an index.

    Parameters
    ----------
    path : str or path-like
        The folder.
    mmap : bool
        False: read everything into memory and verify every checksum and every row. True: map the
        files, read-only; structure and sizes are verified, and the thresholds, but not the
        contents of the other files (see `verify`). Opens in milliseconds whatever the size.

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
    Safe on folders from anywhere: nothing is unpickled or evaluated, no link is followed out of
    the folder, and nothing is allocated that the files do not fill. May run while another process
    saves to the folder: the result is one of its states, never a mixture. Mapped files must not
    be truncated while they are in use, which `write` never does.
    """
    with _opened(_as_path(path)) as (manifest, files):
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
    return Contents(
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
    )


def _calibrator(
    manifest: Manifest, files: dict[str, ArrayFile], arrays: dict[str, NDArray[Any]], store: str
) -> Calibrator:
    state = manifest.calibrations[store]
    if state["n"] == 0:
        return _unfitted(state)
    part = f"calibration_{store}"
    try:
        return Calibrator.from_state(state, arrays[part])
    except ValueError as exc:
        raise CorruptIndexError(files[part].path, f"{part}: {exc}") from exc


def verify(
    path: str | os.PathLike[str], *, progress: Callable[[int, int], None] | None = None
) -> None:
    """Check every byte of a saved index against its checksums, and every row, in bounded memory.

    What :meth:`Index.load` checks without ``mmap``, and leaves out with it. Returns None if all is
    well.

    Parameters
    ----------
    path : str or path-like
        The folder.
    progress : callable, optional
        Called as ``progress(bytes_done, bytes_in_all)``, first with 0 and last with all.

    Raises
    ------
    IndexFileError
        One of its kinds: :class:`IndexNotFoundError`, :class:`NotAnIndexError`,
        :class:`UnsupportedVersionError`, :class:`CorruptIndexError`; names the file and what is
        wrong with it.

    Notes
    -----
    Costs one pass over the files, and over ids that are not ascending one more for each 16 M.
    """
    with _opened(_as_path(path)) as (manifest, files):
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
            if part.startswith("calibration_"):  # small, and judged as a whole
                arrays[part] = file.load(row_check(part, manifest))
                advance(file.entry.n_bytes)
                continue
            file.verify(row_check(part, manifest), advance)
            if part == "ids" and manifest.ids == "arbitrary":
                _refuse_duplicates(file, file.chunks)
        for store in manifest.calibrations:
            _calibrator(manifest, files, arrays, store)


def _as_path(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"path: got {type(text).__name__}, expected str or os.PathLike[str]")
    if "\0" in text:
        raise ValueError(f"path: got {text!r}, expected no null character")
    return text


# ---- reading


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tuple[Manifest, dict[str, ArrayFile]]]:
    """Open the files of one state of the index, with sizes and headers verified."""
    try:
        if not folders.is_folder(path):
            raise NotAnIndexError(path, "it is a file, expected a folder")
        folder = Folder(path)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise IndexNotFoundError(path, "there is nothing here") from exc
    except OSError as exc:
        raise IndexFileError(path, f"cannot be read: {why(exc)}") from exc
    with contextlib.ExitStack() as stack:
        stack.enter_context(folder)
        data = _manifest_bytes(folder)
        for _ in range(_READ_TRIES):
            manifest = manifests.decode(data, folder.path_of(MANIFEST_NAME))
            files: dict[str, ArrayFile] = {}
            with contextlib.ExitStack() as attempt:
                try:
                    for part in manifest.files:
                        files[part] = _array_file(folder, manifest, part)
                        attempt.callback(files[part].close)
                except FileNotFoundError as exc:
                    before, data = data, _manifest_bytes(folder)
                    if data == before:
                        missing = folder.path_of(manifest.files[part].name)
                        raise CorruptIndexError(
                            missing, f"the file is missing, though {MANIFEST_NAME} names it"
                        ) from exc
                    continue  # a save removed it: read the new manifest's files
                stack.push(attempt.pop_all())
            yield manifest, files
            return
        raise IndexFileError(path, f"it was replaced {_READ_TRIES} times while it was read")


def _array_file(folder: Folder, manifest: Manifest, part: str) -> ArrayFile:
    entry = manifest.files[part]
    try:
        return ArrayFile(folder, entry)
    except (FileNotFoundError, IndexFileError):
        raise
    except OSError as exc:
        raise IndexFileError(folder.path_of(entry.name), f"cannot be read: {why(exc)}") from exc


def _manifest_bytes(folder: Folder) -> bytes:
    path = folder.path_of(MANIFEST_NAME)
    try:
        with folder.open(MANIFEST_NAME) as file:
            data = b""
            while len(data) <= MAX_MANIFEST_BYTES and (chunk := file.read(1 << 16)):
                data += chunk
    except FileNotFoundError as exc:
        raise NotAnIndexError(
            folder.path, f"the folder holds no {MANIFEST_NAME}, so it is no bitsift index"
        ) from exc
    except IndexFileError:
        raise
    except OSError as exc:
        raise IndexFileError(path, f"cannot be read: {why(exc)}") from exc
    if len(data) > MAX_MANIFEST_BYTES:
        raise CorruptIndexError(path, f"it has more than {MAX_MANIFEST_BYTES} bytes")
    return data


def _refuse_duplicates(file: ArrayFile, chunks: Callable[[], Iterable[NDArray[Any]]]) -> None:
    twice = find_duplicate(chunks, file.entry.shape[0])
    if twice is not None:
        raise CorruptIndexError(file.path, f"ids: {twice} is there twice")


# ---- writing


def _parts(contents: Contents) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    """Name the arrays that go into files, with a manifest that lacks the files yet."""
    dim, threshold = contents.dim, contents.threshold
    if type(dim) is not int or not 1 <= dim <= manifests.MAX_DIM:
        raise ValueError(f"dim: got {dim!r}, expected an int from 1 to {manifests.MAX_DIM}")
    if contents.metric not in manifests.METRICS:
        raise ValueError(f"metric: got {contents.metric!r}, expected one of {manifests.METRICS}")
    for store in contents.originals:
        if store not in manifests.STORES:
            raise ValueError(f"store: got {store!r}, expected one of {[*manifests.STORES]}")
    number = None
    if threshold is not None and not isinstance(threshold, np.ndarray):
        number = float(threshold)
        if not math.isfinite(number):
            raise ValueError(f"threshold: got {number}, expected a finite number")

    if contents.ids is None:
        ids = "automatic"
    else:
        ids = "ascending" if contents.ids_ascending else "arbitrary"
    states = {store: _state(found) for store, found in contents.calibrators.items()}
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


def _state(calibrator: Calibrator) -> tuple[dict[str, Any], NDArray[np.float64] | None]:
    if calibrator.n > 0:
        return calibrator.state()
    if isinstance(calibrator, RollingCalibrator):
        return {"kind": "rolling", "n_std": calibrator.n_std, "n": 0}, None
    return {"kind": "min_max", "n_std": None, "n": 0}, None


def _unfitted(state: dict[str, Any]) -> Calibrator:
    return RollingCalibrator(state["n_std"]) if state["kind"] == "rolling" else MinMaxCalibrator()


def _conforming(arrays: dict[str, Any], manifest: Manifest) -> dict[str, NDArray[Any]]:
    expected = manifest.layout()
    for part, array in arrays.items():
        if part not in expected:
            if array is not None:
                raise ValueError(f"{part}: got an array, expected None")
            continue
        dtype, shape = expected[part]
        wanted = f"an array of dtype {np.dtype(dtype).name} and shape {shape}"
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{part}: got {type(array).__name__}, expected {wanted}")
        if array.dtype != np.dtype(dtype).newbyteorder("=") or array.shape != shape:
            raise ValueError(
                f"{part}: got dtype {array.dtype.name} and shape {array.shape}, expected {wanted}"
            )
    return {part: arrays[part] for part in expected}


def _save(folder: Folder, manifest: Manifest, arrays: dict[str, NDArray[Any]]) -> None:
    old = _replaceable(folder)
    token = secrets.token_hex(16)
    temporary = f"manifest-{token}.tmp"
    names = {part: f"{part}-{token}.npy" for part in arrays}
    data = None
    try:
        files = {}
        for part, array in arrays.items():
            check = row_check(part, manifest)
            if part == "ids" and manifest.ids == "arbitrary":
                twice = find_duplicate(partial(row_chunks, array), len(array))
                if twice is not None:
                    raise ValueError(f"ids: {twice} is there twice")
            dtype = manifest.layout()[part][0]
            files[part] = write_array(folder, names[part], array, dtype, check)
        data = manifests.encode(replace(manifest, files=files))
        _write_manifest(folder, temporary, data)
        folder.sync()  # the names of the data must be durable before a manifest names them
        folder.replace(temporary, MANIFEST_NAME)
        folder.sync()
    except BaseException:
        if data is None or _restored(folder, old, data):
            for name in (temporary, *names.values()):
                with contextlib.suppress(OSError):
                    folder.remove(name)
        raise
    # The new index stands; what cannot be removed now, as files that are mapped on Windows, is
    # left to the next save.
    with contextlib.suppress(OSError):
        for name in folder.names():
            if manifests.OWN_FILE.fullmatch(name) and name not in names.values():
                with contextlib.suppress(OSError):
                    folder.remove(name)


def _replaceable(folder: Folder) -> bytes | None:
    """Return the bytes of the manifest to replace, None if the folder is as good as empty."""
    try:
        old = _manifest_bytes(folder)
    except NotAnIndexError:
        # Files of ours without a manifest are what a first save left that crashed.
        foreign = [name for name in folder.names() if not manifests.OWN_FILE.fullmatch(name)]
        if foreign:
            raise IndexWriteError(
                folder.path,
                f"the folder holds {foreign[0]!r} and no bitsift index, expected an empty folder, "
                "an index or nothing",
            ) from None
        return None
    except IndexFileError as exc:
        raise IndexWriteError(exc.path, exc.reason) from exc
    if not manifests.is_ours(old, folder.path):
        raise IndexWriteError(
            folder.path,
            f"its {MANIFEST_NAME} is not that of a bitsift index; remove the folder first if it "
            "is not needed",
        )
    try:
        manifests.decode(old, folder.path_of(MANIFEST_NAME))
    except UnsupportedVersionError as exc:
        raise IndexWriteError(exc.path, f"{exc.reason}; remove the folder first") from exc
    except CorruptIndexError:
        pass  # a damaged index may be replaced
    return old


def _restored(folder: Folder, old: bytes | None, new: bytes) -> bool:
    """Put the old manifest back if the new one took its place; say whether the old one stands.

    What is on disk decides, not how far the save seemed to be: an interrupt may arrive between
    the replacement and the next statement.
    """
    try:
        if _current(folder) != new:
            return True
        if old is None:
            folder.remove(MANIFEST_NAME)
        else:
            temporary = f"manifest-{secrets.token_hex(16)}.tmp"
            _write_manifest(folder, temporary, old)
            folder.replace(temporary, MANIFEST_NAME)
        folder.sync()
    except (OSError, IndexFileError):
        return False  # the new index, which is complete, must keep its files
    return True


def _current(folder: Folder) -> bytes | None:
    try:
        return _manifest_bytes(folder)
    except NotAnIndexError:
        return None


def _write_manifest(folder: Folder, name: str, data: bytes) -> None:
    fd = folder.create(name)
    try:
        write_all(fd, memoryview(data))
        os.fsync(fd)
    finally:
        os.close(fd)
