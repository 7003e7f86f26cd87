# SPDX-License-Identifier: Apache-2.0
"""What the command line asks about a folder before it writes to it; no file is opened."""

# pathlib makes "." of "".
# ruff: noqa: PTH118

from __future__ import annotations

import os

from bitsift.storage.folder import Folder, as_path
from bitsift.storage.manifest import MANIFEST_NAME, OWN_FILE

__all__ = ["has_manifest", "is_vacant"]


def has_manifest(path: str | os.PathLike[str]) -> bool:
    """Say whether a folder holds something with the name of a manifest."""
    return os.path.lexists(os.path.join(as_path(path), MANIFEST_NAME))


def is_vacant(path: str | os.PathLike[str]) -> bool:
    """Say whether an existing folder holds nothing but what an interrupted first save left."""
    with Folder(as_path(path)) as folder:
        return all(OWN_FILE.fullmatch(name) for name in folder.names())
