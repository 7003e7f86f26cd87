# SPDX-License-Identifier: Apache-2.0
"""The table: all arrays of an index, which grow together, and the snapshot of them for readers."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitsift.core.arguments import Codes, Values
from bitsift.core.errors import warn
from bitsift.encoding.encoder import Columns, Encoder
from bitsift.index.fitting import Fitting, warn_of_poor_bits
from bitsift.index.growable import GrowableArray
from bitsift.index.ids import IdTable
from bitsift.retrieval.pipeline import Documents

__all__ = ["Snapshot", "Table"]

_living: weakref.WeakSet[Table] = weakref.WeakSet()


def _repair_after_fork() -> None:
    for table in list(_living):
        table._repair_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_repair_after_fork)


class Snapshot(NamedTuple):
    """One state of a table, replaced as a whole.

    Attributes
    ----------
    documents : Documents
        The rows, with the encoder that made them.
    fitting : Fitting
        How the threshold was found, or is to be.
    """

    documents: Documents
    fitting: Fitting


class Table:
    """The rows of an index. One thread writes at a time; any number reads the snapshot.

    Attributes
    ----------
    snapshot : Snapshot
        What readers see. Read it once for each operation.
    """

    def __init__(
        self, encoder: Encoder, fitting: Fitting, columns: Columns, ids: IdTable | None = None
    ) -> None:
        self._lock = threading.Lock()
        self._encoder, self._fitting = encoder, fitting
        self._ids = IdTable() if ids is None else ids
        self._set_columns(columns)
        self._publish()
        _living.add(self)

    def check(self, parsed: Codes | Values) -> None:
        """Raise unless these vectors can be added."""
        documents, fitting = self.snapshot
        encoder = documents.encoder
        # uint8 numbers, one a dimension, get the message about their width.
        if isinstance(parsed, Codes) and (parsed.rows.shape[1] != encoder.dim or encoder.dim == 1):
            _refuse_bits("packed codes (uint8)", encoder, fitting)
        encoder.binarizer.check_width(parsed, "vectors")
        if isinstance(parsed, Values) and parsed.are_bits:
            _refuse_bits("bool", encoder, fitting)
        if encoder.binarizer.is_rotated and (isinstance(parsed, Codes) or parsed.are_bits):
            warn(
                "rotate=True does nothing to bits, but rotates float queries: only the codes of an "
                "index that rotates too fit them"
            )

    def fit(self, sample: Values) -> None:
        """Fit what is not fitted to vectors of floats; the table must have no rows."""
        rows, encoder = sample.rows, self.snapshot.documents.encoder
        encoder.binarizer.check_width(sample, "sample")
        if sample.is_single or len(rows) == 0:
            shape = rows.shape[1:] if sample.is_single else rows.shape
            raise ValueError(
                f"sample must have shape (n, {encoder.dim}), n at least 1; got shape {shape}"
            )
        with self._lock:
            n = len(self._codes)
            if n:
                raise ValueError(f"fit comes before the first add; the index holds {n} vectors")
            if self._fitting.is_useless(self._encoder):
                warn(
                    "fit(sample) does nothing: what it computes has been computed or given "
                    "already. A new index can be fitted again"
                )
            try:
                self._fit(rows)
                self._publish()
            except BaseException:
                self._roll_back()
                raise

    def reserve(self, size: int) -> None:
        """Allocate memory for `size` rows in all."""
        with self._lock:
            for array in self._arrays():
                array.reserve(size)

    def append(
        self, parsed: Codes | Values, given_ids: NDArray[np.int64] | None
    ) -> NDArray[np.int64]:
        """Add vectors that were checked, all of them or, if anything raises, none; return ids."""
        rows = parsed.rows
        with self._lock:
            new_ids = self._ids.check(given_ids, len(rows))
            if len(rows) == 0:
                return new_ids
            try:
                self._write(parsed)
                self._ids.append(new_ids)
                for array in self._arrays():
                    array.commit(len(rows))
                self._publish()
            except BaseException:  # KeyboardInterrupt may come between any two of these
                self._roll_back()
                raise
        return new_ids

    def find_ids(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], Documents]:
        """Return the row of each id, -1 where there is none, and the documents of that moment."""
        with self._lock:
            return self._ids.rows_of(ids), self.snapshot.documents

    def _set_columns(self, columns: Columns) -> None:
        self._codes = GrowableArray(columns.codes)
        self._originals = [GrowableArray(originals) for originals in columns.originals]
        self._factors = None if columns.factors is None else GrowableArray(columns.factors)

    def _arrays(self) -> list[GrowableArray]:
        arrays = [self._codes, *self._originals]
        return arrays if self._factors is None else [*arrays, self._factors]

    def _publish(self) -> None:
        """Let readers see the present state."""
        columns = Columns(
            self._codes.rows,
            tuple(originals.rows for originals in self._originals),
            None if self._factors is None else self._factors.rows,
        )
        ids = self._ids.stored
        documents = Documents(self._encoder, columns, ids, None if self._ids.ascending else ids)
        self.snapshot = Snapshot(documents, self._fitting)

    def _roll_back(self) -> None:
        """Return to the snapshot."""
        documents, self._fitting = self.snapshot
        self._encoder = documents.encoder
        n, factors = len(documents), documents.columns.factors
        if factors is not None and n == 0:
            self._factors = GrowableArray(factors)  # fitting may have changed their number a row
        for array in self._arrays():
            array.truncate(n)
        self._ids = IdTable(n, documents.ids, ascending=documents.tie_ids is None)

    def _repair_after_fork(self) -> None:
        # The thread that held the lock, perhaps in the middle of an append, is not in the child.
        self._lock = threading.Lock()
        self._roll_back()

    def _fit(self, sample: NDArray[Any]) -> None:
        self._encoder, self._fitting = self._fitting.fit(self._encoder, sample)
        if self._factors is not None:
            self._factors = GrowableArray(np.empty((0, self._encoder.n_factors), np.uint16))

    def _write(self, parsed: Codes | Values) -> None:
        """Write rows behind the others, to be committed; fit first what is not fitted."""
        rows = parsed.rows
        is_first = len(self._codes) == 0
        stores_before = self._encoder.stores
        if self._fitting.is_needed(self._encoder):
            self._fit(rows)
        n = len(rows)
        columns = Columns(
            self._codes.next_rows(n),
            tuple(originals.next_rows(n) for originals in self._originals),
            None if self._factors is None else self._factors.next_rows(n),
        )
        if isinstance(parsed, Codes):
            columns.codes[:] = rows
            return
        self._encoder.encode_into(columns, rows)
        self._encoder.warn_of_losses(rows, stores_before)
        if is_first and self._fitting.rule is None and not parsed.are_bits:
            warn_of_poor_bits(rows, columns.codes, self._encoder)


def _refuse_bits(what: str, encoder: Encoder, fitting: Fitting) -> None:
    """Raise if an index cannot take vectors as bits."""
    if encoder.stores:
        names = encoder.store_names
        needs = f"store={names[0] if len(names) == 1 else names!r} keeps original vectors"
        remedy = "make the index with store=None"
    elif encoder.corrected:
        needs = "correction=True computes it from original vectors"
        remedy = "make the index without"
    elif fitting.is_pending:
        needs = f"threshold={fitting.rule!r} has to be fitted to vectors first"
        remedy = "fit the index to a sample of them"
    else:
        return
    raise TypeError(f"got {what}, but {needs}: add float vectors, or {remedy}")
