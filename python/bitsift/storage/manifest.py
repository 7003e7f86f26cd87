# SPDX-License-Identifier: Apache-2.0
"""The manifest of an index folder: its fields, and the names and shapes of the files.

Nothing here touches a file. ``FORMAT.md`` describes the format for other implementations.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from bitsift.core.options import FLOAT_STORES
from bitsift.encoding.correction import n_factors
from bitsift.encoding.rotation import n_flips
from bitsift.quantization.integers import INTEGER_CODECS

__all__ = [
    "FEATURES",
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "ID_KINDS",
    "LOCK_NOTE",
    "MANIFEST_NAME",
    "MAX_GENERATION",
    "MAX_MANIFEST_BYTES",
    "OWN_FILE",
    "FileEntry",
    "Manifest",
    "SegmentEntry",
    "array_name",
    "generation_name",
    "is_array_name",
    "new_token",
    "temporary_name",
]

FORMAT_NAME = "bitsift-index"
FORMAT_VERSION = 3
# What a manifest may require of a reader beyond version 3. What comes later has a name here, and
# fields and parts of its own.
FEATURES: tuple[str, ...] = ("largest_id", "generations", "segments", "pending")
MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 20
MAX_GENERATION = 2**63 - 1

# The type of each store, as a ``.npy`` header spells it.
_STORE_DTYPES = {
    "float32": "<f4",
    "float16": "<f2",
    **{p.name: p.dtype.str for p in INTEGER_CODECS.values()},
}
# By part, the type as a ``.npy`` header spells it, and the shape.
Layout: TypeAlias = dict[str, tuple[str, tuple[int, ...]]]
ID_KINDS = ("automatic", "ascending", "arbitrary")
_PARTS = (
    "codes", "ids", "originals", "threshold", "rotation", "correction", "vectors", "live",
    *(f"originals_{store}" for store in _STORE_DTYPES),
    *(f"calibration_{store}" for store in INTEGER_CODECS),
)  # fmt: skip
# The scoring and the rule of candidates of all indexes of versions 1 and 2.
_DEFAULTS_V2 = ("hamming", "fixed")
_STORES_V1 = ((), *((store,) for store in FLOAT_STORES))

_TOKEN = "[0-9a-f]{32}"
# All files that a save creates under names of its own, and so all that a later save may remove.
OWN_FILE = re.compile(
    rf"(?:{'|'.join(_PARTS)})-{_TOKEN}\.npy|manifest-{_TOKEN}\.tmp|manifest-(?:0|[1-9]\d{{0,18}})\.json",
    re.ASCII,
)


def new_token() -> str:
    """Return what makes the file names of one save unique."""
    return secrets.token_hex(16)


def array_name(part: str, token: str) -> str:
    """Return the name of the file of a part."""
    return f"{part}-{token}.npy"


def is_array_name(name: str, part: str) -> bool:
    """Say whether a file name is one of that part."""
    return re.fullmatch(rf"{part}-{_TOKEN}\.npy", name) is not None


def generation_name(generation: int) -> str:
    """Return the name of the manifest of a generation that is not the newest one."""
    return f"manifest-{generation}.json"


def temporary_name(token: str) -> str:
    """Return the name of a manifest until it replaces the one before."""
    return f"manifest-{token}.tmp"


# The note of the writer that holds the lock: a name that every release removes as one of its own.
LOCK_NOTE = temporary_name("0" * 32)


@dataclass(frozen=True)
class FileEntry:
    """What the manifest says of one ``.npy`` file.

    Attributes
    ----------
    name : str
        File name inside the folder.
    dtype : str
        Element type as the ``.npy`` header spells it, such as ``"<f4"``.
    shape : tuple of int
    n_bytes : int
        Size of the whole file.
    digest : str
        Of the whole file, in hexadecimal.
    algorithm : str
        Of the digest: one of `ALGORITHMS`.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    n_bytes: int
    digest: str
    algorithm: str = "sha256"


@dataclass(frozen=True)
class SegmentEntry:
    """What the manifest says of some rows that lie one behind the other.

    Attributes
    ----------
    count : int
        Number of rows, also removed ones.
    n_live : int
        Number of rows that have not been removed. If some have, the file ``files["live"]`` has a
        bit for each row.
    first_id : int or None
        The id of the first row, if each further one has the next id; else the ids are in the file
        ``files["ids"]``.
    files : dict of str to FileEntry
        By part.
    """

    count: int
    n_live: int
    first_id: int | None
    files: dict[str, FileEntry]


@dataclass(frozen=True)
class Manifest:
    """What an index folder holds.

    Attributes
    ----------
    dim, metric, count
        Those of the index; `count` is the number of its vectors.
    stores : tuple of str
        The stores of original vectors, in the index's order.
    threshold : float or None
        None if the file ``files["threshold"]`` has one for each dimension, or if it is not fitted.
    ids : str
        ``"automatic"`` (0..count-1, no file), ``"ascending"`` or ``"arbitrary"``.
    files : dict of str to FileEntry
        By part, one of `_PARTS`. The part of an only store, of floats, is ``"originals"``, as in
        version 1.
    rule : str or None
        How the threshold was computed, or is to be: one of `RULES`.
    rotate : bool
        Whether vectors are rotated. If fitted, the rotation is in the file ``files["rotation"]``.
    fitted : bool
        Whether the threshold is known; True without a rule.
    normalized : bool
        Whether vectors are scaled to length 1 before the threshold is subtracted.
    correction : bool
        Whether each vector has factors, in the file ``files["correction"]``.
    calibrations : dict of str to dict
        For each store of integers, what `Calibrator.state` gives first; n is 0 if not fitted.
    scoring : str or None
        What a search scans with unless it says so, one of `SCORINGS`; None if it is not decided,
        and the vectors are in the file ``files["vectors"]``, unless there are none.
    candidates : str
        The rule of how many candidates a search rescores, one of `CANDIDATE_RULES`.
    largest_id : int or None
        The largest id that there ever was, if its vector was removed.
    generation : int or None
        The number of commits that led to it; None if it was saved and not committed.
    kept : tuple of int
        Earlier generations that are still there, ascending.
    segments : tuple of SegmentEntry, or None
        The rows, if they are not all in one segment without removed ones, whose files are in
        `files`.
    pending : int or None
        The number of vectors that wait, in the file ``files["vectors"]``, until the index is fitted
        to them; `count` is 0. None if no vectors wait.
    """

    dim: int
    metric: str
    stores: tuple[str, ...]
    count: int
    threshold: float | None
    ids: str
    files: dict[str, FileEntry]
    rule: str | None = None
    rotate: bool = False
    fitted: bool = True
    normalized: bool = False
    correction: bool = False
    calibrations: dict[str, dict[str, Any]] = field(default_factory=dict)
    scoring: str | None = _DEFAULTS_V2[0]
    candidates: str = _DEFAULTS_V2[1]
    largest_id: int | None = None
    generation: int | None = None
    kept: tuple[int, ...] = ()
    segments: tuple[SegmentEntry, ...] | None = None
    pending: int | None = None

    @property
    def n_vectors(self) -> int:
        """The number of vectors: of those that are encoded, or of those that wait."""
        return self.count if self.pending is None else self.pending

    @property
    def features(self) -> tuple[str, ...]:
        """Those of `FEATURES` that a reader must know."""
        fields = (self.largest_id, self.generation, self.segments, self.pending)
        return tuple(name for name, one in zip(FEATURES, fields, strict=True) if one is not None)

    @property
    def version(self) -> int:
        """The lowest version of the format that has fields for all this."""
        if self.features or (self.scoring, self.candidates) != _DEFAULTS_V2:
            return 3
        beyond = self.rule or self.rotate or self.normalized or self.correction
        return 2 if beyond or self.stores not in _STORES_V1 else 1

    @property
    def algorithm(self) -> str:
        """The algorithm of the digests of files."""
        return "crc32c" if self.version > 2 else "sha256"

    def part_of(self, store: str) -> str:
        """Return the name of the part with a store's vectors."""
        return "originals" if self.version == 1 else f"originals_{store}"

    @property
    def rows(self) -> tuple[SegmentEntry, ...]:
        """The segments; a single one without removed rows if the manifest has no others."""
        if self.segments is not None:
            return self.segments
        if self.pending is not None:
            return ()
        parts = self.row_layout(self.count)
        first_id = 0 if self.ids == "automatic" else None
        files = {part: entry for part, entry in self.files.items() if part in parts}
        return (SegmentEntry(self.count, self.count, first_id, files),)

    @property
    def names(self) -> set[str]:
        """The names of the files with the arrays."""
        entries = [*self.files.values()]
        for segment in self.segments or ():
            entries += segment.files.values()
        return {entry.name for entry in entries}

    def row_layout(self, count: int) -> Layout:
        """Return the dtype and shape of each part that `count` rows with ids of their own have."""
        parts: Layout = {"codes": ("|u1", (count, (self.dim + 7) // 8)), "ids": ("<i8", (count,))}
        for store in self.stores:
            columns = (
                INTEGER_CODECS[store].n_columns(self.dim) if store in INTEGER_CODECS else self.dim
            )
            parts[self.part_of(store)] = (_STORE_DTYPES[store], (count, columns))
        if self.correction:
            centred = self.fitted and self.threshold != 0
            parts["correction"] = ("<u2", (count, n_factors(self.metric, centred)))
        return parts

    def segment_layout(self, count: int, n_live: int, first_id: int | None) -> Layout:
        """Return the dtype and shape of each part of such a segment."""
        parts = self.row_layout(count)
        if first_id is not None:
            del parts["ids"]
        if n_live < count:
            parts["live"] = ("|u1", ((count + 7) // 8,))
        return parts

    def layout(self) -> Layout:
        """Return the dtype and shape of each part in `files` of such an index."""
        parts: Layout = {}
        if self.pending is not None:
            if self.ids != "automatic":
                parts["ids"] = ("<i8", (self.pending,))
        elif self.segments is None:
            parts = self.segment_layout(
                self.count, self.count, 0 if self.ids == "automatic" else None
            )
        correction = parts.pop("correction", None)
        if self.threshold is None and self.fitted:
            parts["threshold"] = ("<f4", (self.dim,))
        if self.rotate and self.fitted:
            parts["rotation"] = ("|u1", (n_flips(self.dim), (self.dim + 7) // 8))
        if correction is not None:
            parts["correction"] = correction
        for store, calibration in self.calibrations.items():
            if calibration["n"] > 0:
                parts[f"calibration_{store}"] = ("<f8", (2, self.dim))
        if self.pending is not None or (self.scoring is None and self.count):
            parts["vectors"] = ("<f4", (self.n_vectors, self.dim))
        return parts
