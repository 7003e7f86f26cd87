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
from bitsift.cli.output import human_bytes, key_values, ratio
from bitsift.manifest import MANIFEST_NAME, decode

__all__ = ["Description", "describe_index", "print_description"]


@dataclass(frozen=True)
class Description:
    """An index in numbers.

    Attributes
    ----------
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
    threshold: float | list[float]
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
    threshold = np.asarray(index.threshold, dtype=np.float32).tolist()
    files = decode(data, str(folder / MANIFEST_NAME)).files
    return Description(
        path=folder,
        dim=index.dim,
        count=len(index),
        metric=index.metric,
        store=list(index.store) if isinstance(index.store, tuple) else index.store,
        threshold=threshold,
        format_version=json.loads(data)["version"],
        parts={part: entry.n_bytes for part, entry in files.items()} | {"manifest": len(data)},
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


def _store_text(store: str | list[str] | None) -> str:
    if store is None:
        return "none (bits alone)"
    return store if isinstance(store, str) else ", ".join(store)


def print_description(description: Description, console: Console) -> None:
    """Print names and values."""
    count = description.count
    threshold = description.threshold
    bits, floats = description.bits_bytes, description.float32_bytes
    memory = (
        f"bits alone {human_bytes(bits)}, {ratio(floats, bits)} smaller than "
        f"{human_bytes(floats)} as float32"
    )
    pairs = [
        ("path", str(description.path)),
        ("vectors", f"{count:,} of {description.dim:,} dimensions"),
        ("metric", description.metric),
        ("store", _store_text(description.store)),
        (
            "threshold",
            f"{min(threshold):g} to {max(threshold):g}, one a dimension"
            if isinstance(threshold, list)
            else f"{threshold:g}",
        ),
        ("format", f"version {description.format_version}"),
        ("memory", memory),
        ("on disk", human_bytes(sum(description.parts.values()))),
    ]
    pairs += [(f"  {name}", human_bytes(size)) for name, size in description.parts.items()]
    key_values(console, pairs)
