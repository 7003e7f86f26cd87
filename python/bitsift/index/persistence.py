# SPDX-License-Identifier: Apache-2.0
"""Convert the parts of a table to what storage writes and reads; so storage knows no index."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core.errors import IndexFileError
from bitsift.core.floats import in_default_floats
from bitsift.core.handlers import call_raised
from bitsift.core.interruptible import copy_into
from bitsift.core.segments import joined
from bitsift.encoding.binarizer import Binarizer
from bitsift.encoding.encoder import Columns, Encoder
from bitsift.encoding.originals import Originals
from bitsift.index.fitting import Fitting, Grown
from bitsift.index.growable import GrowableArray, GrowableColumns
from bitsift.index.ids import IdTable
from bitsift.retrieval.defaults import DEFAULTS, SearchDefaults
from bitsift.retrieval.pipeline import Documents
from bitsift.storage.contents import Contents
from bitsift.storage.contents_check import refusing
from bitsift.storage.manifest import Manifest
from bitsift.storage.stored import Stored, StoredSegment, removed_rows

__all__ = ["columns_of", "from_contents", "from_stored", "live_rows_of", "to_contents"]


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


def from_stored(
    stored: Stored, isa: str, path: str, *, are_mapped: bool
) -> tuple[Encoder, Fitting, GrowableColumns, IdTable, native.LiveRows]:
    """Return the parts of the state with these rows; only ids of several segments are copied.

    `path` is what errors name.
    """
    encoder, fitting, empty, ids, vectors = from_contents(stored.schema, isa)
    fitting = fitting.of(encoder)
    if fitting.waiting is not None:
        if vectors is None:
            vectors = np.empty((0, encoder.dim), np.float32)
        with refusing(path):  # vectors are encoded once more
            grown = Grown.of_waiting(fitting, vectors)
        given = ids.stored is None or len(ids.stored) == len(vectors)
        if not given:  # an older folder, with vectors beside its segments
            ids = IdTable(
                len(vectors),
                _ids_of(stored, path),
                ascending=ids.ascending,
                largest=stored.schema.largest_id,
            )
        return grown.encoder, fitting, grown.memory, ids, native.LiveRows(len(vectors))
    columns = [columns_of(segment, stored.manifest) for segment in stored.segments]
    memory = GrowableColumns.of_segments(columns or [empty], are_mapped=are_mapped)
    n_rows = sum(map(len, stored.segments))
    table = IdTable(
        n_rows, _ids_of(stored, path), ascending=ids.ascending, largest=stored.schema.largest_id
    )
    return encoder, fitting, memory, table, live_rows_of(stored.segments)


def columns_of(segment: StoredSegment, manifest: Manifest) -> Columns[NDArray[Any]]:
    """Return the rows of a segment."""
    arrays = segment.arrays
    stores = tuple(arrays[manifest.part_of(store)] for store in manifest.stores)
    return Columns(arrays["codes"], stores, arrays.get("correction"))


def live_rows_of(segments: tuple[StoredSegment, ...]) -> native.LiveRows:
    """Return which rows of segments, one behind the other, have not been removed."""
    live, begin = native.LiveRows(sum(map(len, segments))), 0
    for segment in segments:
        if segment.live is not None:
            live.remove(removed_rows(segment.live, len(segment)) + begin)
        begin += len(segment)
    return live


def _ids_of(stored: Stored, path: str) -> GrowableArray | None:
    segments = stored.segments
    if stored.manifest.ids == "automatic" or not segments:
        return None
    n_rows, begin = sum(map(len, segments)), 0
    try:
        if len(segments) == 1:
            return GrowableArray(segments[0].ids)
        ids = np.empty(n_rows, np.int64)
    except MemoryError as error:
        if not call_raised(error, "bitsift"):
            raise
        raise IndexFileError(
            path, f"the ids of its {n_rows} rows, {8 * n_rows} bytes, do not fit into memory"
        ) from error
    for segment in segments:
        copy_into(ids[begin : begin + len(segment)], segment.ids)
        begin += len(segment)
    return GrowableArray(ids)
