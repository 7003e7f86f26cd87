# SPDX-License-Identifier: Apache-2.0
"""The table: all arrays of an index, which grow together, and the snapshot of them for readers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core.arguments import Codes, Values
from bitsift.core.errors import BitsiftWarning, warn
from bitsift.core.interruptible import copied, counted
from bitsift.core.limits import LEAST_ROWS_FITTED, MAX_ID
from bitsift.core.segments import row_bytes
from bitsift.encoding.encoder import Columns, Encoder
from bitsift.index.fitting import NO_ROWS, Fitting, Grown
from bitsift.index.growable import GrowableArray, GrowableColumns
from bitsift.index.ids import IdTable, require_found
from bitsift.index.waiting import Waiting
from bitsift.quantization.few_rows import FewRows
from bitsift.retrieval.defaults import EXACT_DEFAULTS
from bitsift.retrieval.pipeline import Documents

__all__ = ["Snapshot", "Table"]

T = TypeVar("T")

_NONE = np.empty(0, np.int64)
# Where memory has to grow, rows are first made compact if more than a quarter of them is removed.
_MOST_ROWS_FOR_A_LIVE_ONE = 4 / 3


class _Repairing:
    """Keeps threads of a forked child apart while they repair what they inherited."""

    lock = threading.RLock()

    @classmethod
    def forget(cls) -> None:
        """Make a new lock: in the child, nobody would release the old one."""
        cls.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Repairing.forget)


class Snapshot(NamedTuple):
    """One state of a table, replaced as a whole. Nothing that it holds changes, but for `live`.

    Attributes
    ----------
    documents : Documents
        The rows, with the encoder that made them.
    fitting : Fitting
        How the threshold was found, or is to be. While it has `waiting`, `documents` are vectors
        that wait as floats, all of them live.
    ids : IdTable
        The ids of the rows, for look-ups.
    memory : GrowableColumns
        The rows once more, with the room behind them.
    few : FewRows
        Rows of small adds that wait for more, to be judged by what the stores lose of them.
    live : LiveRows
        The rows that have not been removed. Only removals from this state change it, not what later
        states do, so that no reader misses a vector which a later state has on another row.
        ``live.current()`` is a set that never changes: read it once for each operation.
    """

    documents: Documents
    fitting: Fitting
    ids: IdTable
    memory: GrowableColumns
    few: FewRows
    live: native.LiveRows

    @classmethod
    def of(
        cls,
        encoder: Encoder,
        fitting: Fitting,
        columns: Columns[NDArray[Any]],
        ids: IdTable,
        vectors: NDArray[np.float32] | None = None,
        *,
        are_mapped: bool = False,
    ) -> Snapshot:
        """Return the state with these rows, which have no room behind them.

        With `vectors`, which wait, there are no other rows.
        """
        fitting = fitting.of(encoder)
        if fitting.waiting is not None:
            if vectors is None:
                vectors = np.empty((0, encoder.dim), np.float32)
            grown = Grown.of_waiting(fitting, vectors)
            return cls.of_memory(grown.encoder, fitting, grown.memory, ids)
        memory = GrowableColumns.of(columns, are_mapped=are_mapped)
        return cls.of_memory(encoder, fitting, memory, ids)

    @classmethod
    def of_memory(
        cls,
        encoder: Encoder,
        fitting: Fitting,
        memory: GrowableColumns,
        ids: IdTable,
        few: FewRows = NO_ROWS,
        live: native.LiveRows | None = None,
    ) -> Snapshot:
        """Return the state with these rows; without `live`, all of them are."""
        tie_ids = None if ids.ascending else ids.stored
        defaults = fitting.defaults if fitting.waiting is None else EXACT_DEFAULTS
        documents = Documents(encoder, memory.rows(), ids.stored, tie_ids, defaults)
        if live is None:
            live = native.LiveRows(ids.n_rows)
        return cls(documents, fitting, ids, memory, few, live)

    @property
    def encoder(self) -> Encoder:
        """The encoder of the index, of which some part may not be fitted."""
        waiting = self.fitting.waiting
        return self.documents.encoder if waiting is None else waiting.encoder

    @property
    def nbytes(self) -> int:
        """Bytes of codes, originals, factors and ids of live rows."""
        codes, originals, factors = self.documents.columns
        arrays = (codes, *originals, factors, self.ids.stored)
        n = len(self.live)
        return sum(n * row_bytes(rows) for rows in arrays if rows is not None)

    @property
    def grown(self) -> Grown:
        """What an add makes anew."""
        return Grown(self.documents.encoder, self.fitting, self.memory, self.few)

    def with_rows(self, grown: Grown, ids: IdTable, live: native.LiveRows) -> Snapshot:
        """Return the state with other rows."""
        return Snapshot.of_memory(grown.encoder, grown.fitting, grown.memory, ids, grown.few, live)

    def difference_to(self, other: Snapshot) -> str | None:
        """Name what keeps rows of another table from being rows of this one; None if nothing does.

        Vectors that wait there are encoded here, so what is not known there does not differ.
        """
        ours, theirs, fitting = self.encoder, other.encoder, other.fitting
        if self.fitting.is_needed(ours) and not fitting.is_needed(theirs):
            return "being fitted, as this one is not yet"
        if fitting.is_pending:
            if (fitting.rule, fitting.rotate) != (self.fitting.rule, self.fitting.rotate):
                return f"threshold: {fitting.rule!r}, rotate={fitting.rotate}"
            theirs = replace(theirs, binarizer=ours.binarizer)
        return ours.differs_from(theirs)

    def apart(self) -> Snapshot:
        """Return the same rows for another table: the room behind them stays with this one."""
        snapshot = self._with_memory(self.memory.apart(), self.ids.stored)
        if self.fitting.waiting is not None:
            fitting = self.fitting.of(self.fitting.waiting.encoder)
            snapshot = snapshot._replace(fitting=fitting)
        return snapshot._replace(live=self.live.extended_to(self.ids.n_rows))

    def is_to_be_compact(self, n: int, replaced: NDArray[np.int64]) -> bool:
        """Say whether removed rows are to be dropped before `n` are added in place of others."""
        if self.fitting.waiting is not None:  # all rows are live: the index is fitted to them
            return len(replaced) > 0
        n_rows = self.ids.n_rows
        if self.memory.are_mapped:  # they are no memory to be had again
            return False
        return not self.memory.has_room(n) and n_rows > _MOST_ROWS_FOR_A_LIVE_ONE * len(self.live)

    def compact(self, without: NDArray[np.int64] = _NONE) -> Snapshot:
        """Return the live rows but some, in memory of their own; this if there are no others."""
        live = self.live.extended_to(self.ids.n_rows)
        live.remove(without)
        kept = live.current()
        if kept is None:
            return self
        rows = kept.numbers()
        memory, ids = self.memory.only(rows), self.ids.only(rows)
        return Snapshot.of_memory(self.documents.encoder, self.fitting, memory, ids, self.few)

    def copied(self) -> Snapshot:
        """Return the live rows in arrays of their own."""
        if self.live.current() is not None:
            return self.compact()
        return self._with_memory(
            self.memory.copied(), None if self.ids.stored is None else copied(self.ids.stored)
        )

    def _with_memory(self, memory: GrowableColumns, stored: NDArray[np.int64] | None) -> Snapshot:
        array = None if stored is None else GrowableArray(stored)
        ids = IdTable(
            self.ids.n_rows, array, ascending=self.ids.ascending, largest=self.ids.largest
        )
        return Snapshot.of_memory(self.documents.encoder, self.fitting, memory, ids, self.few)


class Table:
    """The rows of an index. One thread writes at a time; any number reads the snapshot.

    Reading takes no lock. A writer computes the next state aside and publishes it in one
    assignment; so whatever raises before, in it or in a signal handler, changes nothing.

    Attributes
    ----------
    snapshot : Snapshot
        What readers see. Read it once for each operation.
    identity : object
        Tells this table from all others, without keeping it.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        # A signal handler may write before `_writer` is set: its thread must not wait for itself.
        self._lock = threading.RLock()
        self._writer: int | None = None
        self._process = os.getpid()
        self.snapshot = snapshot
        self.identity = object()

    def place(self) -> dict[str, Any] | None:
        """Return where a pickle finds the rows, in plain values; None if it has to hold them."""
        return None

    def check(self, parsed: Codes | Values) -> None:
        """Raise unless these vectors can be added."""
        encoder, fitting = self.snapshot.encoder, self.snapshot.fitting
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

    def fit(self, sample: Values, threads: int = 0) -> None:
        """Fit what is not fitted to vectors of floats; rows that there are must be waiting."""
        rows, encoder = sample.rows, self.snapshot.encoder
        encoder.binarizer.check_width(sample, "sample")
        if sample.is_single or len(rows) == 0:
            shape = rows.shape[1:] if sample.is_single else rows.shape
            raise ValueError(
                f"sample must have shape (n, {encoder.dim}), n at least 1; got shape {shape}"
            )
        self._write_alone("fit", lambda: self._fit(rows, threads))

    def reserve(self, size: int) -> None:
        """Allocate memory for `size` rows in all."""
        self._write_alone("reserve", lambda: self._reserve(size))

    def append(
        self, parsed: Codes | Values, given_ids: NDArray[np.int64] | None, threads: int = 0
    ) -> NDArray[np.int64]:
        """Add vectors that were checked, all of them or, if anything raises, none; return ids."""
        return self._write_alone(
            "add", lambda: self._append(parsed, given_ids, threads, replaces=False)
        )

    def replace(
        self, parsed: Codes | Values, ids: NDArray[np.int64], threads: int = 0
    ) -> NDArray[np.int64]:
        """Add vectors in place of those that have their ids, in one publication; return ids."""
        return self._write_alone(
            "upsert", lambda: self._append(parsed, ids, threads, replaces=True)
        )

    def extend(self, other: Snapshot) -> NDArray[np.int64]:
        """Add the live rows of another table, as they are; return their ids."""
        return self._write_alone("extend", lambda: self._extend(other))

    def remove(self, ids: int | NDArray[np.int64], *, ignores_missing: bool) -> int:
        """Remove the vectors with these ids, all or none; return how many there were."""
        return self._write_alone("remove", lambda: self._remove(ids, ignores_missing))

    def compact(self) -> None:
        """Drop removed rows."""
        self._write_alone("compact", self._compact)

    def _write_alone(self, name: str, write: Callable[[], T]) -> T:
        """Call a method that publishes a state while no other thread does."""
        self.take_over()
        with self._lock:
            if self._writer is not None:
                raise RuntimeError(
                    f"{name} must be called while no other call of this thread is changing the "
                    "index; got a call inside of one, as from a signal handler, a finalizer or "
                    "another callback. Let it note what there is to do, and do that afterwards"
                )
            try:
                self._writer = threading.get_ident()
                return write()
            finally:
                self._writer = None

    def _fit(self, sample: NDArray[Any], threads: int) -> None:
        before = self.snapshot
        if before.fitting.waiting is None and len(before.live):
            raise ValueError(
                f"fit comes before the vectors are encoded, and the index has encoded "
                f"{len(before.live)}: make a new one, or fit it while it holds fewer than "
                f"{LEAST_ROWS_FITTED}"
            )
        if before.fitting.is_useless(before.encoder):
            warn(
                "fit(sample) does nothing: what it computes has been computed or given already. A "
                "new index can be fitted again"
            )
        if before.fitting.waiting is not None:
            live = before.live.extended_to(before.ids.n_rows)  # each state has its own
            self.snapshot = before.with_rows(before.grown.fitted(sample, threads), before.ids, live)

    def _reserve(self, size: int) -> None:
        documents, fitting, ids, memory, few, live = self.snapshot
        if fitting.waiting is not None:
            fitting.waiting.reserve(size)
            return
        memory = memory.reserved(size)
        self.snapshot = Snapshot.of_memory(documents.encoder, fitting, memory, ids, few, live)

    def _compact(self) -> None:
        self.snapshot = self.snapshot.compact()

    def _remove(self, ids: int | NDArray[np.int64], ignores_missing: bool) -> int:
        snapshot = self.snapshot
        if isinstance(ids, int):
            row = snapshot.ids.row_of(ids) if 0 <= ids <= MAX_ID else -1
            if snapshot.fitting.waiting is None:
                is_removed = row >= 0 and snapshot.live.remove_one(row)
                if not (is_removed or ignores_missing):
                    raise KeyError(f"id {ids} is not in the index")
                return int(is_removed)
            if row < 0:
                if not ignores_missing:
                    raise KeyError(f"id {ids} is not in the index")
                return 0
            ids = np.array([ids], np.int64)
        rows = snapshot.ids.rows_of(ids, snapshot.live.current())
        if not ignores_missing:
            require_found(ids, rows)
        if snapshot.fitting.waiting is None:
            return snapshot.live.remove(rows)
        self.snapshot = snapshot.compact(without=rows)
        return len(snapshot.live) - len(self.snapshot.live)

    def _append(
        self,
        parsed: Codes | Values,
        given_ids: NDArray[np.int64] | None,
        threads: int,
        *,
        replaces: bool,
    ) -> NDArray[np.int64]:
        before = self.snapshot
        n = len(parsed.rows)
        live_before = before.live.current()
        new_ids = before.ids.check(given_ids, n, live_before, may_be_known=replaces)
        if n == 0:
            return new_ids
        replaced = before.ids.rows_of(new_ids, live_before) if replaces else _NONE
        if before.is_to_be_compact(n, replaced):
            before, replaced = before.compact(without=replaced), _NONE
        self.snapshot = self._grow(before, parsed, new_ids, replaced, threads)
        return new_ids

    def _grow(
        self,
        before: Snapshot,
        parsed: Codes | Values,
        new_ids: NDArray[np.int64],
        replaced: NDArray[np.int64],
        threads: int,
    ) -> Snapshot:
        """Return a snapshot with vectors more, in place of some rows."""
        try:
            after = before.grown.with_vectors(parsed, threads)
        except BitsiftWarning:
            # Where warnings are errors, rows added before must not refuse each later add.
            self.snapshot = self.snapshot._replace(few=NO_ROWS)
            raise
        live = before.live.extended_to(before.ids.n_rows + len(new_ids))
        live.remove(replaced)
        return before.with_rows(after, before.ids.extended(new_ids, live.current()), live)

    def _extend(self, other: Snapshot) -> NDArray[np.int64]:
        before, others = self.snapshot, other.live.current()
        added = other.ids.of_rows(others)
        n = len(added)
        new_ids = before.ids.check(added, n, before.live.current())
        if n == 0:
            return new_ids
        if before.is_to_be_compact(n, _NONE):
            before = before.compact()
        if (different := before.difference_to(other)) is not None:
            raise ValueError(
                f"other must be an index of the same schema; it differs in {different}. Fit both "
                "to one sample, or make parts by copy.copy of an index that is fitted"
            )
        if other.fitting.waiting is not None:
            vectors = Values(Waiting.vectors_of(other.documents.columns), is_single=False)
            self.snapshot = self._grow(before, vectors, new_ids, _NONE, 0)
            return new_ids
        own = before.grown
        if own.fitting.waiting is not None:
            own = own.converted(other.fitting.defaults.scan, 0)
        numbers = counted(0, n) if others is None else others.numbers()
        memory = own.memory.with_room(n).with_rows(other.documents.columns, numbers)
        live = before.live.extended_to(before.ids.n_rows + n)
        ids = before.ids.extended(new_ids, live.current())
        self.snapshot = before.with_rows(own._replace(memory=memory), ids, live)
        return new_ids

    def take_over(self) -> None:
        """Free the lock in a forked child, where the thread that held it may not be."""
        if self._process != os.getpid():
            self._repair_after_fork()

    def _repair_after_fork(self) -> None:
        # The thread that held the lock is not in the child, unless it is the one that forked.
        # Found out by the next writer: a list of all tables would run code when one of them dies,
        # where an interrupt is lost.
        with _Repairing.lock:
            if self._process == os.getpid():  # another thread was faster
                return
            if self._writer != threading.get_ident():
                self._lock, self._writer = threading.RLock(), None
            self._process = os.getpid()


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
