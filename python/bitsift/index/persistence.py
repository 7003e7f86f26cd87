# SPDX-License-Identifier: Apache-2.0
"""Convert a table to `Contents`, which storage writes, and back; so storage knows no index."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.floats import in_default_floats
from bitsift.core.segments import joined
from bitsift.encoding.binarizer import Binarizer
from bitsift.encoding.encoder import Columns, Encoder
from bitsift.encoding.originals import Originals
from bitsift.index.fitting import Fitting
from bitsift.index.growable import GrowableArray
from bitsift.index.ids import IdTable
from bitsift.retrieval.defaults import DEFAULTS, SearchDefaults
from bitsift.retrieval.pipeline import Documents
from bitsift.storage.contents import Contents

__all__ = ["from_contents", "to_contents"]


def to_contents(
    documents: Documents, fitting: Fitting, id_table: IdTable | None = None
) -> Contents:
    """Return what goes into a folder; segments are joined, no other array is copied.

    `id_table` knows of ids that were removed.
    """
    encoder, columns, vectors = documents.encoder, documents.columns, None
    if fitting.waiting is not None:
        encoder = fitting.waiting.encoder
        if len(documents):
            vectors = fitting.waiting.vectors_of(columns)
        columns = encoder.empty_columns()
    binarizer = encoder.binarizer
    return Contents(
        dim=encoder.dim,
        metric=encoder.metric,
        threshold=None if fitting.is_pending else binarizer.threshold,
        codes=joined(columns.codes),
        ids=None if documents.ids is None else np.asarray(documents.ids),
        originals={
            store.name: joined(originals)
            for store, originals in zip(encoder.stores, columns.originals, strict=True)
        },
        ids_ascending=documents.tie_ids is None,
        rule=fitting.rule,
        rotate=fitting.rotate or binarizer.is_rotated,
        flips=binarizer.flips if binarizer.is_rotated else None,
        normalized=binarizer.normalized,
        factors=None if columns.factors is None else joined(columns.factors),
        calibrators={
            store.name: store.calibrator for store in encoder.stores if store.calibrator is not None
        },
        scoring=fitting.scoring,
        candidates=fitting.defaults.candidates,
        vectors=vectors,
        largest_id=None if id_table is None else id_table.largest_removed,
    )


@in_default_floats
def from_contents(
    contents: Contents, isa: str
) -> tuple[Encoder, Fitting, Columns[NDArray[Any]], IdTable, NDArray[np.float32] | None]:
    """Return the parts of the state of a table, as `Snapshot.of` takes them; copies no array."""
    pending = contents.threshold is None
    binarizer = Binarizer(
        contents.dim,
        0.0 if contents.threshold is None else contents.threshold,
        isa,
        flips=contents.flips,
        normalized=contents.normalized,
    )
    stores = tuple(
        Originals(name, contents.dim, contents.calibrators.get(name)) for name in contents.originals
    )
    corrected = contents.factors is not None
    encoder = Encoder(binarizer, stores, contents.metric, corrected)  # type: ignore[arg-type]
    is_done = contents.rule is not None and not pending
    scan = DEFAULTS.scan if contents.scoring is None else contents.scoring
    defaults = SearchDefaults(scan, contents.candidates)  # type: ignore[arg-type]
    fitting = Fitting(
        contents.rule,  # type: ignore[arg-type]
        contents.rotate,
        is_done,
        defaults=defaults,
        is_decided=contents.scoring is not None,
    )
    columns = Columns(contents.codes, tuple(contents.originals.values()), contents.factors)
    stored = None if contents.ids is None else GrowableArray(contents.ids)
    ids = IdTable(
        len(contents.codes if contents.vectors is None else contents.vectors),
        stored,
        ascending=contents.ids_ascending,
        largest=contents.largest_id,
    )
    return encoder, fitting, columns, ids, contents.vectors
