# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.lib.format as npy_format
from numpy.typing import NDArray

from bitsift.cli.failure import InputError
from bitsift.storage.manifest import MANIFEST_NAME

__all__ = ["check_outfile", "replacing", "save_arrays", "save_text"]


def check_outfile(path: Path, *, force: bool = True) -> None:
    """Refuse a path that could not be written here, or should not."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; wanted a file to write")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    if os.path.lexists(path):
        if path.is_symlink() or not path.is_file():
            raise InputError(f"{path}: is not a regular file; wanted a new file, or one to replace")
        if not force:
            raise InputError(f"{path}: exists; --force replaces it")
    if (path.parent / MANIFEST_NAME).exists():
        raise InputError(f"{path}: is inside an index; wanted a file elsewhere")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {path.parent} cannot be written to")


@contextmanager
def replacing(path: Path, *, force: bool = True) -> Iterator[Path]:
    """Yield a path beside `path` to write to; what is there at the end takes its place.

    Parameters
    ----------
    path : Path
        A new file, or a regular one to replace.
    force : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    InputError
        The path is none to write. What was there is unchanged.
    """
    check_outfile(path, force=force)
    partial = path.with_name(f".bitsift-{secrets.token_hex(16)}.tmp")
    try:
        yield partial
        check_outfile(path, force=force)  # writing took a while
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def save_arrays(path: Path, arrays: dict[str, NDArray[Any]], *, force: bool = True) -> None:
    """Write arrays by name as an ``.npz`` archive, as :func:`replacing` does."""
    # As numpy.savez does it, which in older versions leaves the archive open if it fails.
    with (
        replacing(path, force=force) as partial,
        partial.open("xb") as file,
        zipfile.ZipFile(file, "w") as archive,
    ):
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy_format.write_array(member, array, allow_pickle=False)


def save_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, as :func:`replacing` does."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
