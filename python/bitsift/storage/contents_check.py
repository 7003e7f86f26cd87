# SPDX-License-Identifier: Apache-2.0
"""The checks of a folder, for contents that come from elsewhere: from a pickle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.errors import CorruptIndexError
from bitsift.core.floats import in_default_floats
from bitsift.core.handlers import call_raised
from bitsift.core.interruptible import copied
from bitsift.quantization.calibration import restore_state, save_state
from bitsift.storage import manifest_json
from bitsift.storage.contents import Contents
from bitsift.storage.manifest import FileEntry, Manifest, array_name, new_token
from bitsift.storage.npy_file import row_chunks
from bitsift.storage.parts import parts_of
from bitsift.storage.row_checks import find_duplicate, row_check

__all__ = ["checked_contents", "checked_place", "refusing"]

# What values of other types raise.
_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@in_default_floats
def checked_contents(fields: dict[str, Any], source: str) -> Contents:
    """Return contents with these fields if they could be those of a folder.

    Arrays are copied only where the compiled core could not read them.

    Parameters
    ----------
    fields : dict
        The fields of `Contents`; any of them may be wrong.
    source : str
        Where they come from, for errors.

    Raises
    ------
    CorruptIndexError
        A field has a wrong type, or contradicts another one, or a row is wrong.

    Notes
    -----
    Costs a pass over the arrays, and over ids that do not ascend one for each 16 M of them.
    """
    with refusing(source):
        contents = Contents(**{name: _readable(value) for name, value in fields.items()})
        _check_fields(contents)
        manifest, arrays = parts_of(contents)
        _check_width(contents.flips, manifest.dim)
        _check_manifest(manifest, source)
        for part, array in arrays.items():
            _check_rows(part, array, manifest)
        return contents


def checked_place(fields: dict[str, Any], source: str) -> dict[str, Any]:
    """Return the fields of an index that is in a folder if their types are right."""
    types = {
        "path": str,
        "generation": int,
        "manifest": bytes,
        "follow_links": bool,
        "is_opened": bool,
    }
    found = {name: type(value) for name, value in fields.items()}
    if found != types or "\0" in fields["path"]:
        raise CorruptIndexError(source, "it is not an index: it has other fields than a folder's")
    return fields


@contextmanager
def refusing(source: str) -> Iterator[None]:
    """Turn what checks of a stranger's values raise into an error that names their source."""
    try:
        yield
    except _ERRORS as error:
        if not call_raised(error, "bitsift", "numpy", "json", methods=True):
            raise
        raise CorruptIndexError(source, f"it is not an index: {error}") from error


def _readable(value: Any) -> Any:
    """Return arrays, also those of a dictionary, as the compiled core reads them."""
    if isinstance(value, dict):
        return {name: _readable(one) for name, one in value.items()}
    if not isinstance(value, np.ndarray):
        return value
    array: NDArray[Any] = np.asarray(value)
    is_readable = array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative
    return array if is_readable else copied(array, array.dtype.newbyteorder("="))


def _check_fields(contents: Contents) -> None:
    """Check what a manifest cannot show, as it holds the numbers and names of other things."""
    # Others pass for numbers, and would take the place of what was checked.
    if type(contents.dim) is not int:
        raise TypeError(f"dim must be an integer, of type int; got {type(contents.dim).__name__}")
    threshold: Any = contents.threshold
    if not (threshold is None or type(threshold) is float or isinstance(threshold, np.ndarray)):
        got = type(threshold).__name__
        raise TypeError(f"threshold must be a float, an array or None; got {got}")
    if type(contents.ids_ascending) is not bool:
        raise TypeError(f"ids_ascending must be a bool; got {contents.ids_ascending!r}")
    if contents.ids is None and not contents.ids_ascending:
        raise ValueError("ids_ascending must be True without ids; got False")
    flips = contents.flips
    if flips is not None and not (flips.dtype == np.float32 and (np.abs(flips) == 1).all()):
        raise ValueError("flips must be +1 and -1, float32; got other values")
    for calibrator in contents.calibrators.values():
        restore_state(*save_state(calibrator))


def _check_width(flips: NDArray[np.float32] | None, dim: int) -> None:
    """Check what bytes of packed signs cannot show: how many signs are in the last one."""
    if flips is not None and flips.shape[1] != dim:
        raise ValueError(f"flips must have shape (n, {dim}); got shape {flips.shape}")


def _check_manifest(manifest: Manifest, source: str) -> None:
    """Write the manifest as if there were files, and read it: this checks each of its fields."""
    token = new_token()
    files = {
        part: FileEntry(array_name(part, token), dtype, shape, 1, "0" * 64, manifest.algorithm)
        for part, (dtype, shape) in manifest.layout().items()
    }
    manifest_json.decode(manifest_json.encode(replace(manifest, files=files)), source)


def _check_rows(part: str, array: NDArray[Any], manifest: Manifest) -> None:
    check, first = row_check(part, manifest), 0
    for rows in row_chunks(array):
        plain: NDArray[Any] = np.require(rows, requirements=["C", "A"])  # of a pickle, anything
        if (wrong := check(plain, first)) is not None:
            raise ValueError(wrong)
        first += len(rows)
    if part == "ids" and manifest.ids == "arbitrary":
        twice = find_duplicate(partial(row_chunks, array), len(array))
        if twice is not None:
            raise ValueError(f"ids: {twice} is there twice")
