# SPDX-License-Identifier: Apache-2.0
"""The manifest of an index folder: what it says, how it becomes bytes, and when bytes are refused.

Nothing here touches a file; ``FORMAT.md`` is the description for other implementations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from bitsift.encoding.correction import n_factors
from bitsift.quantization.integers import INTEGER_CODECS

FORMAT_NAME = "bitsift-index"
FORMAT_VERSION = 2
MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 20

# How the ``.npy`` header of each store spells its type.
STORE_DTYPES = {
    "float32": "<f4",
    "float16": "<f2",
    **{p.name: p.dtype.str for p in INTEGER_CODECS.values()},
}
ID_KINDS = ("automatic", "ascending", "arbitrary")
PARTS = (
    "codes", "ids", "originals", "threshold", "rotation", "correction",
    *(f"originals_{store}" for store in STORE_DTYPES),
    *(f"calibration_{store}" for store in INTEGER_CODECS),
)  # fmt: skip
_STORES_V1 = ((), ("float32",), ("float16",))

# Everything that a save creates under a name of its own, and so all that a later save may remove.
OWN_FILE = re.compile(rf"(?:{'|'.join(PARTS)})-[0-9a-f]{{32}}\.npy|manifest-[0-9a-f]{{32}}\.tmp")


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
    sha256 : str
        Digest of the whole file, in hexadecimal.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    n_bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What an index folder holds.

    Attributes
    ----------
    dim, metric, count
        As in the index.
    stores : tuple of str
        The stores of original vectors, in the index's order.
    threshold : float or None
        None: one threshold per dimension, in the file ``files["threshold"]``, or not fitted yet.
    ids : str
        ``"automatic"`` (0..count-1, no file), ``"ascending"`` or ``"arbitrary"``.
    files : dict of str to FileEntry
        By part, one of `PARTS`. An only store of floats is ``"originals"``, as in version 1.
    rule : str or None
        How the threshold was found, or is to be: one of `RULES`.
    rotate : bool
        Whether a rotation is wanted; if fitted, it is in the file ``files["rotation"]``.
    fitted : bool
        Whether the rule has been followed; True without a rule.
    normalized : bool
        Whether vectors are brought to length 1 before the threshold is subtracted.
    correction : bool
        Whether there are factors of each vector, in the file ``files["correction"]``.
    calibrations : dict of str to dict
        For each store of integers, what `Calibrator.state` gives first; n is 0 if not fitted.
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

    @property
    def version(self) -> int:
        """The lowest version of the format that can say all this."""
        beyond = self.rule or self.rotate or self.normalized or self.correction
        return 2 if beyond or self.stores not in _STORES_V1 else 1

    def part_of(self, store: str) -> str:
        """Return the name of the part with a store's vectors."""
        return "originals" if self.version == 1 else f"originals_{store}"

    def layout(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Give the dtype and shape of each part that such an index has a file for."""
        parts: dict[str, tuple[str, tuple[int, ...]]] = {
            "codes": ("|u1", (self.count, (self.dim + 7) // 8))
        }
        if self.ids != "automatic":
            parts["ids"] = ("<i8", (self.count,))
        for store in self.stores:
            columns = (
                INTEGER_CODECS[store].n_columns(self.dim) if store in INTEGER_CODECS else self.dim
            )
            parts[self.part_of(store)] = (STORE_DTYPES[store], (self.count, columns))
        if self.threshold is None and self.fitted:
            parts["threshold"] = ("<f4", (self.dim,))
        if self.rotate and self.fitted:
            n_flips = 3 if self.dim & (self.dim - 1) == 0 else 6
            parts["rotation"] = ("|u1", (n_flips, (self.dim + 7) // 8))
        if self.correction:
            centred = self.fitted and self.threshold != 0
            parts["correction"] = ("<u2", (self.count, n_factors(self.metric, centred)))
        for store, calibration in self.calibrations.items():
            if calibration["n"] > 0:
                parts[f"calibration_{store}"] = ("<f8", (2, self.dim))
        return parts
