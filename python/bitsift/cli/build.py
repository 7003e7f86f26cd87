# SPDX-License-Identifier: Apache-2.0
"""``bitsift build``: a file of vectors into an index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import bitsift
from bitsift.cli.arrays import Rows, check_finite, chunk_rows, native_copy, open_npy, open_rows
from bitsift.cli.failure import InputError, one_line
from bitsift.cli.output import progress_bar, spinner
from bitsift.errors import BitsiftError, NotAnIndexError
from bitsift.manifest import OWN_FILE

__all__ = ["BuildOptions", "build_index"]

Threshold = float | NDArray[Any]


@dataclass(frozen=True)
class BuildOptions:
    """What the command was told about the index."""

    metric: Literal["cosine", "dot", "l2"]
    store: Literal["float32", "float16"] | None
    threshold: str
    ids: Path | None
    dim: int | None
    force: bool


def build_index(vectors: Path, out: Path, options: BuildOptions) -> bitsift.Index:
    """Read `vectors` chunk by chunk, add them, and save the index at `out`.

    Parameters
    ----------
    vectors : Path
        ``.npy`` file of float rows, or of packed codes.
    out : Path
        Folder of the index. If there is something, it must be an index, and `force` be set.
    options : BuildOptions

    Raises
    ------
    InputError
        A file or an option does not fit; nothing has been written.
    """
    _check_target(out, options.force)
    rows = open_rows(vectors)
    index = bitsift.Index(
        _dim(vectors, rows, options),
        metric=options.metric,
        store=options.store,
        threshold=_threshold(options.threshold),
    )
    ids = None if options.ids is None else _ids(options.ids, len(rows))
    n = len(rows)
    index.reserve(n)
    with progress_bar("adding", n) as update:
        for start in range(0, n, chunk_rows(rows)):
            stop = min(start + chunk_rows(rows), n)
            chunk = native_copy(rows[start:stop])
            new_ids = None if ids is None else ids[start:stop]
            _add(index, (vectors, options.ids), start, chunk, new_ids)
            update(stop)
    with spinner("saving"):
        index.save(out)
    return index


def _check_target(out: Path, force: bool) -> None:
    if not out.exists():
        return
    if out.is_dir() and all(OWN_FILE.fullmatch(child.name) for child in out.iterdir()):
        return  # empty, or what a first save left that crashed
    if not out.is_dir():
        raise InputError(f"{out}: is a file; wanted a folder, new or empty")
    if not force:
        raise InputError(f"{out}: exists; --force replaces an index")
    try:
        bitsift.Index.load(out, mmap=True)
    except NotAnIndexError as error:
        raise InputError(f"{out}: is not a bitsift index; --force replaces nothing else") from error
    except BitsiftError:
        return  # an index, if a damaged one: replacing it is what --force is for


def _dim(path: Path, rows: Rows, options: BuildOptions) -> int:
    columns = int(rows.shape[1])
    if rows.dtype != np.uint8:
        if options.dim not in (None, columns):
            raise InputError(f"{path}: has {columns} columns; --dim says {options.dim}")
        if columns == 0:
            raise InputError(f"{path}: has shape {rows.shape}; wanted at least one column")
        return columns
    if options.store is not None or options.dim is None:
        raise InputError(
            f"{path}: holds uint8, which is packed bits: say --store none and --dim BITS "
            f"({columns} bytes a row hold up to {columns * 8} bits)"
        )
    if (options.dim + 7) // 8 != columns:
        raise InputError(
            f"{path}: has {columns} bytes a row; --dim {options.dim} takes {(options.dim + 7) // 8}"
        )
    return options.dim


def _threshold(text: str) -> Threshold:
    try:
        return float(text)
    except ValueError:
        pass
    path = Path(text)
    if not path.exists():
        raise InputError(f"--threshold {text}: is neither a number nor a .npy file")
    return np.array(open_npy(path))


def _ids(path: Path, n: int) -> NDArray[np.int64]:
    ids = open_npy(path)
    if ids.dtype.kind not in "iu":
        raise InputError(f"{path}: holds {ids.dtype}; wanted integers")
    if ids.shape != (n,):
        raise InputError(f"{path}: has shape {ids.shape}; wanted ({n},), one id a vector")
    if n and int(ids.max()) > np.iinfo(np.int64).max:
        raise InputError(f"{path}: holds {ids.max()}; ids are at most {np.iinfo(np.int64).max}")
    return ids.astype(np.int64)


def _add(
    index: bitsift.Index,
    paths: tuple[Path, Path | None],
    start: int,
    chunk: Rows,
    ids: NDArray[np.int64] | None,
) -> None:
    path, ids_path = paths
    try:
        index.add(chunk, ids)
    except ValueError as error:
        check_finite(path, start, chunk)
        if ids_path is not None and str(error).startswith("ids "):
            path = ids_path
        stop = start + len(chunk)
        raise InputError(f"{path}: rows {start} to {stop - 1}: {one_line(error)}") from error
