# SPDX-License-Identifier: Apache-2.0
"""What the command line asks about a folder before it writes to it."""

# pathlib makes "." of "".
# ruff: noqa: PTH120

from __future__ import annotations

import os

from bitsift.core.errors import IndexFileError
from bitsift.core.handlers import is_of_system
from bitsift.storage.folder import Folder, as_path
from bitsift.storage.manifest import OWN_FILE
from bitsift.storage.manifest_file import read_manifest
from bitsift.storage.manifest_json import is_ours

__all__ = ["index_around", "is_vacant"]


def index_around(path: str | os.PathLike[str]) -> str | None:
    """Return the folder of the index that a path lies in, at any depth, or None."""
    inner = os.path.realpath(as_path(path))
    folder = os.path.dirname(inner)
    while folder != inner:
        if _is_index(folder):
            return folder
        inner, folder = folder, os.path.dirname(folder)
    return None


def _is_index(path: str) -> bool:
    """Say whether a folder has an index's manifest, valid or not; others use that name, too."""
    try:
        with Folder(path) as folder:
            return is_ours(read_manifest(folder), path)
    except IndexFileError:
        return False
    except OSError as error:
        if not is_of_system(error):
            raise
        return False


def is_vacant(path: str | os.PathLike[str]) -> bool:
    """Say whether an existing folder holds nothing but what an interrupted first save left."""
    with Folder(as_path(path)) as folder:
        return all(OWN_FILE.fullmatch(name) for name in folder.names())
