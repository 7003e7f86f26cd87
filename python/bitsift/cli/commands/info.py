# SPDX-License-Identifier: Apache-2.0
"""``bitsift info``, and the summary of ``bitsift build``: an index and the bytes it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bitsift.cli.console import human_bytes, key_values, print_json, ratio, stdout_console
from bitsift.cli.failure import reporting
from bitsift.cli.parameters import FollowLinks, IndexFolder, Json
from bitsift.storage import read_stored

__all__ = ["Description", "describe_index", "info", "print_description"]

# What a scan by Hamming distance does not use.
_CORRECTED = "yes, for: bitsift search --scoring asymmetric"
_CANDIDATES = {"by-position": "by position", "fixed": "four for each result"}


def info(index: IndexFolder, follow_links: FollowLinks = False, as_json: Json = False) -> None:
    """Describe an index: dimensions, metric, stores, threshold, and bytes."""
    with reporting(as_json):
        description = describe_index(index, follow_links=follow_links)
        if as_json:
            print_json(description.to_dict())
        else:
            print_description(description, stdout_console())


@dataclass(frozen=True)
class Description:
    """The properties of an index, and the bytes it takes.

    Attributes
    ----------
    threshold : float or list of float or None
        None if it is not fitted yet.
    scoring : str or None
        What a search scans with unless it says so; None if it is not decided yet.
    candidates : str
        The rule of how many candidates a search rescores.
    rule : str or None
        The rule that the threshold is fitted by; None if the threshold was given.
    bounds : dict of str to int
        For each integer store, the number of vectors that its bounds were fitted to; 0 if none.
    parts : dict of str to int
        Bytes of the file of each part, and of the manifest.
    bits_bytes, float32_bytes : int
        Bytes of the codes, and of the same vectors as float32.
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
    scoring: str | None
    candidates: str
    bounds: dict[str, int]
    format_version: int
    parts: dict[str, int]
    bits_bytes: int
    float32_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain values."""
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
            "scoring": self.scoring,
            "candidates": self.candidates,
            "bounds_fitted_to": self.bounds,
            "format_version": self.format_version,
            "bytes": {**self.parts, "total": sum(self.parts.values())},
            "memory": {
                "bits": self.bits_bytes,
                "float32": self.float32_bytes,
                "ratio": self.float32_bytes / self.bits_bytes if self.bits_bytes else None,
            },
        }


def describe_index(folder: Path, *, follow_links: bool = False) -> Description:
    """Open the index at `folder` by memory map and describe it; vectors are not read."""
    stored = read_stored(folder, mmap=True, follow_links=follow_links)
    schema, manifest = stored.schema, stored.manifest
    threshold = schema.threshold
    if threshold is not None:
        threshold = np.asarray(threshold, dtype=np.float32).tolist()
    stores = list(schema.originals)
    n = manifest.n_vectors
    parts: dict[str, int] = {}
    for files in (*(segment.files for segment in manifest.segments or ()), manifest.files):
        for part, entry in files.items():
            parts[part] = parts.get(part, 0) + entry.n_bytes
    return Description(
        path=folder,
        dim=schema.dim,
        count=n,
        metric=schema.metric,
        store=stores if len(stores) > 1 else stores[0] if stores else None,
        threshold=threshold,
        rule=schema.rule,
        rotate=schema.rotate,
        correction=manifest.correction,
        scoring=schema.scoring,
        candidates=schema.candidates,
        bounds={store: calibrator.n for store, calibrator in schema.calibrators.items()},
        format_version=manifest.version,
        parts={**parts, "manifest": len(stored.data)},
        bits_bytes=n * schema.codes.shape[1],
        float32_bytes=n * schema.dim * 4,
    )


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


def _correction_text(description: Description) -> str:
    if not description.correction:
        return "no"
    return _CORRECTED if description.scoring == "hamming" else "yes"


def print_description(description: Description, console: Console) -> None:
    """Print the properties as names and values."""
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
        ("correction", _correction_text(description)),
        ("scoring", description.scoring or "not decided yet"),
        ("candidates", _CANDIDATES[description.candidates]),
        ("format", f"version {description.format_version}"),
        ("memory", memory),
        ("files", human_bytes(sum(description.parts.values()))),
    ]
    pairs += [(f"  {name}", human_bytes(size)) for name, size in description.parts.items()]
    key_values(console, pairs)
