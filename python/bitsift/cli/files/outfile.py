# SPDX-License-Identifier: Apache-2.0
"""Output files, written whole or not at all."""

from __future__ import annotations

import os
import secrets
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.lib.format as npy_format
from numpy.typing import NDArray

from bitsift.cli.failure import InputError
from bitsift.core.handlers import call_raised
from bitsift.storage import index_around

__all__ = [
    "check_distinct",
    "check_outfile",
    "refuse_inside_index",
    "replacing",
    "save_arrays",
    "save_text",
]


def check_outfile(
    path: Path, *, force: bool, inputs: Sequence[Path | None] = (), suffix: str = ""
) -> None:
    """Refuse a path that cannot be written, or must not be.

    Parameters
    ----------
    path : Path
    force : bool
        Whether an existing file may be replaced.
    inputs : sequence of Path or None
        Files that the command reads; none of them may be replaced, by any of its names.
    suffix : str
        How the name must end, where programs choose a reader by it; "" allows any.
    """
    if path.is_dir():
        raise InputError(f"{path}: the output must be a file; got a folder")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist")
    if os.path.lexists(path):
        if path.is_symlink() or not path.is_file():
            raise InputError(
                f"{path}: the output must be a regular file; got a link, a pipe or a device. "
                "--json prints to standard output"
            )
        for source in inputs:
            if source is not None and _is_same(path, source):
                raise InputError(f"{path}: the output must not replace the input {source}")
    refuse_inside_index(path)
    if not force and os.path.lexists(path):
        raise InputError(f"{path}: already exists; --force replaces it")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {path.parent} cannot be written to")
    if suffix and path.suffix.lower() != suffix:
        raise InputError(f"{path}: the name must end in {suffix}; got {path.suffix!r}")


def refuse_inside_index(path: Path) -> None:
    """Refuse an output that would lie in the folder of an index, at any depth."""
    if (index := index_around(path)) is not None:
        raise InputError(f"{path}: the output must lie outside the index {index}")


def check_distinct(outputs: Sequence[Path | None]) -> None:
    """Refuse two outputs to one file."""
    seen: set[str] = set()
    for path in outputs:
        if path is not None:
            if (real := os.path.realpath(path)) in seen:
                raise InputError(f"{path}: each output must be a file of its own; got it twice")
            seen.add(real)


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError as error:  # the other is not there, which its reader will say
        if not call_raised(error, "pathlib", "os"):
            raise
        return False


@contextmanager
def replacing(path: Path, *, force: bool) -> Iterator[Path]:
    """Yield a temporary path beside `path`; the file written there takes the place of `path`.

    Parameters
    ----------
    path : Path
        A new file, or a regular one to replace.
    force : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        The path cannot be written. An existing file is unchanged.
    """
    check_outfile(path, force=force)
    partial = path.with_name(f".bitsift-{secrets.token_hex(16)}.tmp")
    try:
        yield partial
        check_outfile(path, force=force)  # Another process may have written there meanwhile.
        partial.replace(path)
    except OSError as error:
        if error.errno is None:  # it is not the system's
            raise
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def save_arrays(path: Path, arrays: dict[str, NDArray[Any]], *, force: bool) -> None:
    """Write arrays by name as an ``.npz`` archive, as :func:`replacing` does."""
    # Written as numpy.savez does, which in older versions leaves the archive open if it fails.
    with (
        replacing(path, force=force) as partial,
        partial.open("xb") as file,
        zipfile.ZipFile(file, "w") as archive,
    ):
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy_format.write_array(member, array, allow_pickle=False)


def save_text(path: Path, text: str, *, force: bool) -> None:
    """Write a text file in UTF-8, as :func:`replacing` does; escape what UTF-8 cannot encode."""
    with replacing(path, force=force) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
