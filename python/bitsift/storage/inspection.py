# SPDX-License-Identifier: Apache-2.0
"""What the command line asks about a folder beside opening it: is there an index, what manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bitsift.storage.manifest import MANIFEST_NAME, OWN_FILE, Manifest
from bitsift.storage.manifest_json import decode

__all__ = ["has_manifest", "is_vacant", "read_with_manifest"]

T = TypeVar("T")


def has_manifest(folder: Path) -> bool:
    """Say whether a folder holds a file with the name of a manifest."""
    return (folder / MANIFEST_NAME).exists()


def is_vacant(folder: Path) -> bool:
    """Say whether an existing folder holds nothing but what an interrupted first save left."""
    return all(OWN_FILE.fullmatch(child.name) for child in folder.iterdir())


def read_with_manifest(folder: Path, read: Callable[[], T]) -> tuple[T, Manifest, int]:
    """Return the result of `read`, with the manifest of the state that it read and its bytes.

    While another process saves to the folder, `read` is repeated until the manifest is the same
    before and after. An error of `read` ends the work: it says what is wrong with the folder.
    """
    while True:
        before = _manifest_bytes(folder)
        result = read()
        if _manifest_bytes(folder) == before:
            return result, decode(before, str(folder / MANIFEST_NAME)), len(before)


def _manifest_bytes(folder: Path) -> bytes:
    try:
        return (folder / MANIFEST_NAME).read_bytes()
    except OSError:
        return b""  # `read` says what is wrong.
