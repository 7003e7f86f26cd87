# SPDX-License-Identifier: Apache-2.0
"""``bitsift build``: a file of vectors into an index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

import bitsift
from bitsift.cli.console import progress_bar, spinner
from bitsift.cli.failure import InputError, one_line
from bitsift.cli.files.arrays import (
    Rows,
    check_finite,
    chunk_rows,
    evenly_spaced,
    native_copy,
    open_npy,
    open_rows,
)
from bitsift.core.errors import BitsiftError, NotAnIndexError
from bitsift.core.options import RULES, STORES, Rule, Store
from bitsift.encoding.originals import as_store_names
from bitsift.index.fitting import as_rule
from bitsift.storage.manifest import OWN_FILE

__all__ = ["SAMPLE", "BuildOptions", "build_index"]

Threshold = float | NDArray[Any] | Rule

SAMPLE = 65_536  # as many rows as the library fits a threshold to


@dataclass(frozen=True)
class BuildOptions:
    """What the command was told about the index."""

    metric: Literal["cosine", "dot", "l2"]
    store: str
    threshold: str
    rotate: bool
    correction: bool
    sample: int
    ids: Path | None
    dim: int | None
    force: bool


def build_index(vectors: Path, out: Path, options: BuildOptions) -> bitsift.Index:
    """Read `vectors` chunk by chunk, add them, and save the index at `out`.

    What has to be fitted is fitted first, to a sample of the whole file: its first rows alone may
    be unlike the others.

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
    store, threshold = _store(options.store), _threshold(options.threshold)
    rows = open_rows(vectors)
    if rows.dtype == np.uint8:
        _check_packed(vectors, rows, options, store, threshold)
    index = bitsift.Index(
        _dim(vectors, rows, options),
        metric=options.metric,
        store=store,
        threshold=threshold,
        rotate=options.rotate,
        correction=options.correction,
    )
    ids = None if options.ids is None else _ids(options.ids, len(rows))
    n = len(rows)
    if n and _has_to_be_fitted(index):
        with spinner("fitting"):
            _fit(index, vectors, rows, options.sample)
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


def _store(text: str) -> Store | tuple[Store, ...] | None:
    names = tuple(name.strip() for name in text.split(","))
    if names == ("none",):
        return None
    try:
        stores = cast("tuple[Store, ...]", as_store_names(names))
    except ValueError:
        raise InputError(
            f"--store {text!r}: wanted none, or one or several of {', '.join(STORES)}, each once; "
            "such as int8,float32"
        ) from None
    return stores if len(stores) > 1 else stores[0]


def _threshold(text: str) -> Threshold:
    if text in RULES:
        return as_rule(text)
    try:
        return float(text)
    except ValueError:
        pass
    path = Path(text)
    if not path.exists():
        raise InputError(
            f"--threshold {text!r}: is neither a number nor a .npy file, nor one of "
            f"{', '.join(RULES)}"
        )
    return np.array(open_npy(path))


def _check_packed(
    path: Path,
    rows: Rows,
    options: BuildOptions,
    store: Store | tuple[Store, ...] | None,
    threshold: Threshold,
) -> None:
    """Refuse what needs floats, for rows of packed bits."""
    columns = int(rows.shape[1])
    if store is not None or options.dim is None:
        raise InputError(
            f"{path}: holds uint8, which is packed bits: say --store none and --dim BITS "
            f"({columns} bytes a row hold up to {columns * 8} bits)"
        )
    if options.correction or isinstance(threshold, str):
        asks = "--correction" if options.correction else f"--threshold {threshold}"
        raise InputError(f"{path}: holds uint8, which is packed bits; {asks} needs float vectors")


def _dim(path: Path, rows: Rows, options: BuildOptions) -> int:
    columns = int(rows.shape[1])
    if rows.dtype == np.uint8 and options.dim is not None:
        wanted = (options.dim + 7) // 8
        if wanted != columns:
            raise InputError(
                f"{path}: has {columns} bytes a row; --dim {options.dim} takes {wanted}"
            )
        return options.dim
    if options.dim not in (None, columns):
        raise InputError(f"{path}: has {columns} columns; --dim says {options.dim}")
    if columns == 0:
        raise InputError(f"{path}: has shape {rows.shape}; wanted at least one column")
    return columns


def _has_to_be_fitted(index: bitsift.Index) -> bool:
    bounds = index.calibrators.values()
    return isinstance(index.threshold, str) or any(found.n == 0 for found in bounds)


def _fit(index: bitsift.Index, path: Path, rows: Rows, most: int) -> None:
    numbers = evenly_spaced(len(rows), most)
    sample = native_copy(rows[numbers])
    try:
        index.fit(sample)
    except ValueError as error:
        check_finite(path, numbers, sample)
        of_all = f"{len(sample)} of {len(rows)} rows: " if len(sample) < len(rows) else ""
        raise InputError(f"{path}: {of_all}{one_line(error)}") from error


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
        stop = start + len(chunk)
        check_finite(path, range(start, stop), chunk)
        if ids_path is not None and str(error).startswith("ids "):
            path = ids_path
        raise InputError(f"{path}: rows {start} to {stop - 1}: {one_line(error)}") from error
