# SPDX-License-Identifier: Apache-2.0
"""Files of vectors and ids that are added to an index; errors name the file and the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import bitsift
from bitsift.cli.console import progress_bar
from bitsift.cli.failure import InputError, one_line
from bitsift.cli.files.arrays import FileRows, check_finite, chunk_rows, native_copy, open_npy

__all__ = ["add_file", "read_ids"]


def read_ids(path: Path, n: int | None) -> NDArray[np.int64]:
    """Return the ids of a file: `n`, or any number without it."""
    ids = open_npy(path)
    if ids.dtype.kind not in "iu":
        raise InputError(f"{path}: ids must be integers; got {ids.dtype}")
    if n is None and ids.ndim != 1:
        raise InputError(f"{path}: ids must have shape (m,); got shape {ids.shape}")
    if n is not None and ids.shape != (n,):
        raise InputError(
            f"{path}: ids must have shape ({n},), one for each vector; got shape {ids.shape}"
        )
    largest = np.iinfo(np.int64).max
    if len(ids) and int(ids.max()) > largest:
        raise InputError(f"{path}: ids must be at most {largest}; got {ids.max()}")
    return ids.astype(np.int64)


def add_file(
    index: bitsift.Index,
    rows: FileRows,
    ids: NDArray[np.int64] | None,
    paths: tuple[Path, Path | None],
    *,
    replaces: bool = False,
) -> None:
    """Add all rows of a file, a chunk at a time; `paths` are those of the rows and of the ids."""
    n, step = len(rows), chunk_rows(rows)
    with progress_bar("adding", n) as update:
        for start in range(0, n, step):
            stop = min(start + step, n)
            chunk = native_copy(rows[start:stop])
            some = None if ids is None else ids[start:stop]
            try:
                if replaces and some is not None:
                    index.upsert(chunk, some)
                else:
                    index.add(chunk, some)
            except ValueError as error:
                check_finite(paths[0], range(start, stop), chunk)
                blamed = paths[1] if str(error).startswith("ids ") else None
                raise InputError(
                    f"{blamed or paths[0]}: rows {start} to {stop - 1}: {one_line(error)}"
                ) from error
            update(stop)
