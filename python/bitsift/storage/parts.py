# SPDX-License-Identifier: Apache-2.0
"""What contents become in a folder: a manifest, and an array for each part."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core import arguments
from bitsift.core.options import CANDIDATE_RULES, METRICS, SCORINGS, STORES
from bitsift.quantization.calibration import save_state
from bitsift.storage.contents import Contents
from bitsift.storage.manifest import Manifest

__all__ = ["parts_of", "schema_parts"]


def parts_of(
    contents: Contents, generation: int | None = None
) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    """Return a manifest without its files, and the array of each part."""
    manifest, arrays = _unchecked(contents, generation=generation)
    return manifest, _conforming(arrays, manifest)


def schema_parts(
    schema: Contents, fields: dict[str, Any]
) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    """Return the manifest of segments, with these fields, and the arrays that are not theirs.

    `schema` has no rows but those that wait.
    """
    manifest, arrays = _unchecked(schema, **fields)
    rows = manifest.row_layout(0).keys() - manifest.layout().keys()
    return manifest, _conforming({p: a for p, a in arrays.items() if p not in rows}, manifest)


def _unchecked(contents: Contents, **more: Any) -> tuple[Manifest, dict[str, Any]]:
    dim, threshold = arguments.check_dim(contents.dim), contents.threshold
    arguments.choice(contents.metric, "metric", METRICS)
    for store in contents.originals:
        arguments.choice(store, "store", STORES)
    arguments.choice(contents.scoring, "scoring", (None, *SCORINGS))
    arguments.choice(contents.candidates, "candidates", CANDIDATE_RULES)
    number, vectors = None, contents.vectors
    if threshold is not None and not isinstance(threshold, np.ndarray):
        number = float(threshold)
        if not math.isfinite(number):
            raise ValueError(f"threshold must be finite; got {number}")

    if contents.ids is None:
        ids = "automatic"
    else:
        ids = "ascending" if contents.ids_ascending else "arbitrary"
    states = {store: save_state(found) for store, found in contents.calibrators.items()}
    manifest = Manifest(
        dim,
        contents.metric,
        tuple(contents.originals),
        len(contents.codes),
        number,
        ids,
        {},
        rule=contents.rule,
        rotate=contents.rotate,
        fitted=threshold is not None,
        normalized=contents.normalized,
        correction=contents.factors is not None,
        calibrations={store: state[0] for store, state in states.items()},
        scoring=contents.scoring,
        candidates=contents.candidates,
        largest_id=contents.largest_id,
        pending=None if len(contents.codes) or vectors is None else len(vectors),
    )
    manifest = replace(manifest, **more)
    flips = contents.flips
    arrays = {
        "codes": contents.codes,
        "ids": contents.ids,
        "threshold": None if number is not None else threshold,
        "rotation": None if flips is None else np.packbits(flips > 0, axis=1),
        "correction": contents.factors,
        "vectors": vectors,
        **{manifest.part_of(store): array for store, array in contents.originals.items()},
        **{f"calibration_{store}": array for store, (_, array) in states.items()},
    }
    if manifest.pending is not None:  # there are no other rows
        none = manifest.row_layout(0).keys() - {"ids"}
        arrays = {part: array for part, array in arrays.items() if part not in none}
    return manifest, arrays


def _conforming(arrays: dict[str, Any], manifest: Manifest) -> dict[str, NDArray[Any]]:
    expected = manifest.layout()
    for part, array in arrays.items():
        if part not in expected:
            if array is not None:
                raise ValueError(f"{part} must be None; got an array")
            continue
        dtype, shape = expected[part]
        wanted = f"an array of dtype {np.dtype(dtype).name} and shape {shape}"
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{part} must be {wanted}; got {type(array).__name__}")
        if array.dtype != np.dtype(dtype).newbyteorder("=") or array.shape != shape:
            raise ValueError(
                f"{part} must be {wanted}; got dtype {array.dtype.name} and shape {array.shape}"
            )
    return {part: arrays[part] for part in expected}
