# SPDX-License-Identifier: Apache-2.0
"""``bitsift info`` and the summary of ``bitsift build``: what an index is and takes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import bitsift
from bitsift.cli.console import human_bytes, key_values, ratio
from bitsift.storage.manifest import MANIFEST_NAME
from bitsift.storage.manifest_json import decode

__all__ = ["Description", "describe_index", "print_description"]


@dataclass(frozen=True)
class Description:
    """An index in numbers.

    Attributes
    ----------
    threshold : float or list of float or None
        None if it is not fitted yet.
    rule : str or None
        How the threshold was found or is to be, if it was not given.
    bounds : dict of str to int
        For each store of integers, how many vectors its bounds were fitted to; 0 if not yet.
    parts : dict of str to int
        Bytes of the file of each part, and of the manifest.
    bits_bytes, float32_bytes : int
        What the codes take, and what the same vectors take as float32.
    """

    path: Path
    dim: int
    count: int
    metric: str
    store: str | list[str] | None
    threshold: float | list[float] | None
    rule: str | None
    rotate: bool
    correction: bool
    bounds: dict[str, int]
    format_version: int
    parts: dict[str, int]
    bits_bytes: int
    float32_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Give the same as plain values."""
        return {
            "path": str(self.path),
            "dim": self.dim,
            "count": self.count,
            "metric": self.metric,
            "store": self.store,
            "threshold": self.threshold,
            "threshold_rule": self.rule,
            "threshold_fitted": self.threshold is not None,
            "rotate": self.rotate,
            "correction": self.correction,
            "bounds_fitted_to": self.bounds,
            "format_version": self.format_version,
            "bytes": {**self.parts, "total": sum(self.parts.values())},
            "memory": {
                "bits": self.bits_bytes,
                "float32": self.float32_bytes,
                "ratio": self.float32_bytes / self.bits_bytes if self.bits_bytes else None,
            },
        }


def describe_index(folder: Path) -> Description:
    """Open the index at `folder` by memory map and describe it; vectors are not read."""
    index, data = _open(folder)
    manifest = decode(data, str(folder / MANIFEST_NAME))
    threshold = None
    if manifest.fitted:
        threshold = np.asarray(index.threshold, dtype=np.float32).tolist()
    return Description(
        path=folder,
        dim=index.dim,
        count=len(index),
        metric=index.metric,
        store=list(index.store) if isinstance(index.store, tuple) else index.store,
        threshold=threshold,
        rule=manifest.rule,
        rotate=manifest.rotate,
        correction=manifest.correction,
        bounds={store: found.n for store, found in index.calibrators.items()},
        format_version=json.loads(data)["version"],
        parts={part: entry.n_bytes for part, entry in manifest.files.items()}
        | {"manifest": len(data)},
        bits_bytes=index.codes.nbytes,
        float32_bytes=len(index) * index.dim * 4,
    )


def _open(folder: Path) -> tuple[bitsift.Index, bytes]:
    """Open the index, with the manifest that it was opened by, also while others save it."""
    while True:
        before = _manifest_bytes(folder)
        index = bitsift.Index.load(folder, mmap=True)
        if _manifest_bytes(folder) == before:
            return index, before


def _manifest_bytes(folder: Path) -> bytes:
    try:
        return (folder / MANIFEST_NAME).read_bytes()
    except OSError:
        return b""  # what is wrong, loading says


def _store_text(description: Description) -> str:
    store = description.store
    if store is None:
        return "none (bits alone)"
    texts = []
    for name in [store] if isinstance(store, str) else store:
        n = description.bounds.get(name)
        bounds = f"bounds fitted to {n:,} vectors" if n else "bounds not fitted yet"
        texts.append(name if n is None else f"{name} ({bounds})")
    return ", ".join(texts)


def _threshold_text(description: Description) -> str:
    threshold, rule = description.threshold, description.rule
    if threshold is None:
        return f"{rule}, not fitted yet"
    if isinstance(threshold, list):
        text = f"{min(threshold):g} to {max(threshold):g}, one a dimension"
    else:
        text = f"{threshold:g}"
    return text if rule is None else f"{text} ({rule}, fitted)"


def _rotate_text(description: Description) -> str:
    if not description.rotate and description.rule == "auto" and description.threshold is None:
        return "not chosen yet"
    return "yes" if description.rotate else "no"


def print_description(description: Description, console: Console) -> None:
    """Print names and values."""
    count = description.count
    bits, floats = description.bits_bytes, description.float32_bytes
    memory = (
        f"bits alone {human_bytes(bits)}, {ratio(floats, bits)} smaller than "
        f"{human_bytes(floats)} as float32"
    )
    pairs = [
        ("path", str(description.path)),
        ("vectors", f"{count:,} of {description.dim:,} dimensions"),
        ("metric", description.metric),
        ("store", _store_text(description)),
        ("threshold", _threshold_text(description)),
        ("rotation", _rotate_text(description)),
        ("correction", "yes" if description.correction else "no"),
        ("format", f"version {description.format_version}"),
        ("memory", memory),
        ("on disk", human_bytes(sum(description.parts.values()))),
    ]
    pairs += [(f"  {name}", human_bytes(size)) for name, size in description.parts.items()]
    key_values(console, pairs)
