# SPDX-License-Identifier: Apache-2.0
"""What an index holds, as the contents of a folder and back."""

from __future__ import annotations

import numpy as np

from bitsift.encoding.binarizer import Binarizer
from bitsift.encoding.encoder import Recipe
from bitsift.encoding.originals import VectorFormat
from bitsift.index.fitting import Fitting
from bitsift.index.ids import IdTable
from bitsift.index.table import Holdings
from bitsift.storage.contents import Contents

__all__ = ["contents_of", "holdings_of"]


def contents_of(held: Holdings) -> Contents:
    """Return what goes into a folder; no array is copied."""
    rows, recipe, fitting = held.published
    binarizer = rows.binarizer
    return Contents(
        dim=binarizer.dim,
        metric=recipe.metric,
        threshold=None if fitting.is_pending else binarizer.threshold,
        codes=np.asarray(rows.codes),
        ids=None if rows.ids is None else np.asarray(rows.ids),
        originals={
            kept.name: np.asarray(array)
            for kept, array in zip(rows.formats, rows.originals, strict=True)
        },
        ids_ascending=rows.tie_ids is None,
        rule=fitting.rule,
        rotate=fitting.rotate or binarizer.is_rotated,
        flips=binarizer.flips if binarizer.is_rotated else None,
        normalized=binarizer.normalized,
        factors=None if rows.factors is None else np.asarray(rows.factors),
        calibrators={
            kept.name: kept.calibrator for kept in rows.formats if kept.calibrator is not None
        },
    )


def holdings_of(contents: Contents, isa: str) -> Holdings:
    """Return what a folder's contents are in an index."""
    dim = contents.dim
    pending = contents.threshold is None
    binarizer = Binarizer(
        dim,
        0.0 if contents.threshold is None else contents.threshold,
        isa,
        flips=contents.flips,
        normalized=contents.normalized,
    )
    formats = tuple(
        VectorFormat(name, dim, contents.calibrators.get(name)) for name in contents.originals
    )
    return Holdings(
        Recipe(binarizer, formats, contents.metric, contents.factors is not None),
        Fitting(contents.rule, contents.rotate, is_done=contents.rule is not None and not pending),  # type: ignore[arg-type]
        codes=contents.codes,
        originals=list(contents.originals.values()),
        factors=contents.factors,
        ids=IdTable(len(contents.codes), contents.ids, ascending=contents.ids_ascending),
    )
