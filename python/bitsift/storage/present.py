# SPDX-License-Identifier: Apache-2.0
"""What a writer finds in a folder before it changes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from bitsift.core.errors import (
    CorruptIndexError,
    IndexFileError,
    IndexWriteError,
    NotAnIndexError,
    UnsupportedVersionError,
)
from bitsift.storage import manifest_json
from bitsift.storage.folder import Folder
from bitsift.storage.manifest import (
    MANIFEST_NAME,
    MAX_GENERATION,
    OWN_FILE,
    Manifest,
    generation_name,
)
from bitsift.storage.manifest_file import read_manifest

__all__ = ["Present", "look_into"]


@dataclass(frozen=True)
class Present:
    """What there is in a folder.

    Attributes
    ----------
    data : bytes or None
        The manifest's; None if there is none.
    manifest : Manifest or None
        None if there is none, or if it is damaged.
    kept : dict of int to (Manifest, bytes)
        Those of earlier generations, by generation.
    """

    data: bytes | None
    manifest: Manifest | None
    kept: dict[int, tuple[Manifest, bytes]] = field(default_factory=dict)

    @property
    def names(self) -> set[str] | None:
        """The names of the files of the index; none without one, None if it is damaged."""
        if self.manifest is None:
            return set() if self.data is None else None
        older = (kept.names for kept, _ in self.kept.values())
        return self.manifest.names.union(*older, map(generation_name, self.kept))

    @property
    def generation(self) -> int | None:
        """The generation of the index, if it has one."""
        return None if self.manifest is None else self.manifest.generation

    def next_generation(self, path: str) -> int:
        """Return the number of the next one, or raise `IndexWriteError`."""
        last = self.generation or 0
        if last == MAX_GENERATION:
            raise IndexWriteError(
                path, f"no generation follows {last}: save the index to another folder"
            )
        return last + 1


def look_into(folder: Folder) -> Present:
    """Return what is in a folder that a writer may change.

    Raises
    ------
    IndexWriteError
        The folder holds something that must not be replaced.
    """
    try:
        data = read_manifest(folder)
    except NotAnIndexError:
        # A first save that crashed leaves files of ours without a manifest.
        foreign = [name for name in folder.names() if not OWN_FILE.fullmatch(name)]
        if foreign:
            raise IndexWriteError(
                folder.path,
                f"the folder holds {foreign[0]!r} and no bitsift index, expected an empty folder, "
                "an index or nothing",
            ) from None
        return Present(None, None)
    except IndexFileError as error:
        raise IndexWriteError(error.path, error.reason) from error
    if not manifest_json.is_ours(data, folder.path):
        raise IndexWriteError(
            folder.path,
            f"its {MANIFEST_NAME} is not that of a bitsift index; remove the folder first if it "
            "is not needed",
        )
    try:
        manifest = manifest_json.decode(data, folder.path_of(MANIFEST_NAME))
    except UnsupportedVersionError as error:
        raise IndexWriteError(error.path, f"{error.reason}; remove the folder first") from error
    except CorruptIndexError:
        return Present(data, None)  # a damaged index may be replaced
    return Present(data, manifest, _kept(folder, manifest))


def _kept(folder: Folder, manifest: Manifest) -> dict[int, tuple[Manifest, bytes]]:
    """Return the earlier generations that can be read; a damaged one is not there."""
    kept = {}
    for generation in manifest.kept:
        name = generation_name(generation)
        try:
            data = read_manifest(folder, name)
            older = manifest_json.decode(data, folder.path_of(name))
            if (older.generation or 0) == generation:
                kept[generation] = older, data
        except IndexFileError:
            continue
    return kept
