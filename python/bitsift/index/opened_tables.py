# SPDX-License-Identifier: Apache-2.0
"""Tables whose rows are in a folder: one that is read, one that is written, one that is closed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np

from bitsift.core.errors import IndexClosedError, IndexReadOnlyError, IndexStaleError
from bitsift.encoding.encoder import Encoder
from bitsift.index.drafts import Drafts, draft_segments
from bitsift.index.fitting import Fitting
from bitsift.index.growable import GrowableColumns
from bitsift.index.persistence import columns_of, from_stored, live_rows_of, to_contents
from bitsift.index.table import Snapshot, Table
from bitsift.retrieval.pipeline import Documents
from bitsift.storage.contents import Contents
from bitsift.storage.folder_writer import FolderWriter
from bitsift.storage.reader import read_newest, read_stored
from bitsift.storage.stored import Stored

__all__ = ["ClosedTable", "MappedTable", "ReaderTable", "WriterTable", "table_at"]

T = TypeVar("T")


class ReaderTable(Table):
    """A table that shows one generation of a folder until it is refreshed.

    Parameters
    ----------
    path : str
        Absolute.
    stored : Stored
        A generation of the folder.
    isa : str
        Instruction set.
    follow_links : bool
        Whether links in the folder are followed.

    Attributes
    ----------
    path : str
    """

    def __init__(self, path: str, stored: Stored, isa: str, *, follow_links: bool = False) -> None:
        super().__init__(_snapshot_of(stored, isa, path))
        self.path = path
        self._stored = stored
        self._follow_links = follow_links

    @property
    def generation(self) -> int:
        """The generation that it shows."""
        return self._stored.generation

    def place(self) -> dict[str, Any]:
        """Return path and generation."""
        return _place(self.path, self._stored, follow_links=self._follow_links, is_opened=True)

    def refresh(self) -> bool:
        """Show the newest generation; return whether it is another one."""
        self.take_over()
        with self._lock:
            follow_links = self._follow_links
            if read_newest(self.path, follow_links=follow_links) == self._stored.data:
                return False
            stored = read_stored(self.path, mmap=True, follow_links=follow_links)
            isa = self.snapshot.documents.encoder.isa
            self.snapshot, self._stored = _snapshot_of(stored, isa, self.path), stored
            return True

    def refuse(self, name: str) -> NoReturn:
        """Raise: a call of this name is for writers."""
        raise IndexReadOnlyError(
            self.path, f'{name} changes an index, and this one is open to be read; mode="a" writes'
        )

    def _write_alone(self, name: str, _write: Callable[[], T]) -> T:
        self.refuse(name)


class MappedTable(Table):
    """A table in memory whose first rows are mapped from a folder.

    Parameters
    ----------
    path : str
        Absolute.
    stored : Stored
        What it was mapped from.
    isa : str
        Instruction set.
    follow_links : bool
        Whether links in the folder are followed.
    """

    def __init__(self, path: str, stored: Stored, isa: str, *, follow_links: bool = False) -> None:
        super().__init__(_snapshot_of(stored, isa, path))
        self._place = _place(path, stored, follow_links=follow_links, is_opened=False)
        self._first = self.snapshot.live  # each later state has others
        self._n_first = len(self._first)

    def place(self) -> dict[str, Any] | None:
        """Return where the rows were mapped from, while nothing has changed."""
        live = self.snapshot.live
        return self._place if live is self._first and len(live) == self._n_first else None


class WriterTable(Table):
    """A table whose changes become generations of a folder.

    Parameters
    ----------
    folder : FolderWriter
    new : Snapshot or None
        The state without rows to begin with if ``folder.stored`` is None.
    isa : str
        Instruction set.
    n : int
        How many generations stay in the folder.

    Attributes
    ----------
    path : str
    is_closed : bool
        Whether others may write.
    """

    def __init__(self, folder: FolderWriter, new: Snapshot | None, isa: str, n: int) -> None:
        if folder.stored is not None:
            new = _snapshot_of(folder.stored, isa, folder.path)
        assert new is not None
        super().__init__(new)
        self.path = folder.path
        self.is_closed = False
        self._folder = folder
        self._n_generations = n
        self._owner = os.getpid()
        self._committed = _unchanging(new)
        self._adoption: _Adoption | None = None

    @property
    def generation(self) -> int:
        """The generation that was committed last, or that the rows were opened from."""
        return 0 if self._folder.stored is None else self._folder.stored.generation

    @property
    def is_changed(self) -> bool:
        """Whether there is something to commit, or to lose."""
        now, then = self.snapshot, self._committed
        if self._adoption is not None and self._folder.stored is not self._adoption.before:
            return False
        return not (
            now.ids.numbering is then.ids.numbering
            and now.ids.n_rows == then.ids.n_rows
            and len(now.live) == len(then.live)
            and self._has_same_schema(now)
        )

    @property
    def is_of_this_process(self) -> bool:
        """Whether this process opened it."""
        return os.getpid() == self._owner

    def place(self) -> NoReturn:
        """Raise: a second writer would have to wait for this one."""
        raise TypeError(
            f"an index that is open for writing, as {self.path}, cannot be pickled: commit, and "
            'pickle one that is opened with mode="r"'
        )

    def commit(self) -> int:
        """Make the present state durable and visible; return its generation."""
        return self._write_alone("commit", self._commit)

    def rollback(self) -> None:
        """Go back to the last commit."""
        self._write_alone("rollback", self._rollback)

    def close(self) -> bool:
        """Let others write, once no call changes the table; return whether changes are lost."""
        if not self.is_of_this_process:
            self.is_closed = True
            return False
        return super()._write_alone("close", self._close)

    def _write_alone(self, name: str, write: Callable[[], T]) -> T:
        if not self.is_of_this_process:
            raise IndexReadOnlyError(
                self.path,
                f"{name} must be called in the process that opened the index for writing; this one "
                "was forked from it, and may only search",
            )

        def write_once_adopted() -> T:
            if self.is_closed:  # by another thread, for which this one has waited
                raise _closed(self.path)
            self._adopt()
            return write()

        return super()._write_alone(name, write_once_adopted)

    def _close(self) -> bool:
        loses = not self.is_closed and self.is_changed
        self.is_closed = True  # an interrupt may follow: then another close ends it
        self._folder.close()
        return loses

    def _commit(self) -> int:
        if self.is_changed or not self._folder.is_at_newest:
            self._write_generation(compacts=False)
        return self._folder.generation

    def _compact(self) -> None:
        if self.is_changed:
            raise ValueError(
                "compact works on what is committed, and there are changes that are not: call "
                "commit() or rollback() first"
            )
        stored = self._folder.stored
        is_compact = stored is not None and (
            len(stored.segments) <= 1 and all(one.live is None for one in stored.segments)
        )
        if not (is_compact and self._folder.is_at_newest):
            self._write_generation(compacts=True)

    def _rollback(self) -> None:
        self.snapshot = self._committed.apart()
        self._committed = _unchanging(self.snapshot)

    def _write_generation(self, *, compacts: bool) -> None:
        snapshot, before = self.snapshot, self._folder.stored
        # Otherwise the table was made compact in memory.
        goes_on = before is not None and snapshot.ids.numbering is self._committed.ids.numbering
        segments = before.segments if before is not None and goes_on else ()
        live = snapshot.live.extended_to(snapshot.ids.n_rows).current()
        waits = snapshot.fitting.waiting is not None
        if waits:  # there are no segments of what is not encoded
            drafts = Drafts([], snapshot.ids, are_renumbered=False)
        else:
            drafts = draft_segments(
                snapshot.documents, snapshot.ids, live, segments, compacts=compacts
            )
        largest = drafts.ids.largest_removed
        kind = drafts.id_kind
        if waits:
            schema = to_contents(*snapshot[:3])
        else:
            schema = replace(
                _schema_of(snapshot.documents.encoder, snapshot.fitting),
                ids=None if kind == "automatic" else np.empty(0, np.int64),
                ids_ascending=kind != "arbitrary",
                largest_id=largest,
            )
        self._adoption = _Adoption(snapshot, drafts, before)
        try:
            self._folder.commit(
                schema,
                {"ids": kind, "largest_id": largest},
                drafts.segments,
                n_generations=self._n_generations,
                is_same_schema=not waits and self._has_same_schema(snapshot),
            )
        finally:
            self._adopt()

    def _adopt(self) -> None:
        """Publish what the last commit wrote as it is in the folder now, unless that was done.

        An interrupt may end it anywhere: then the next call that changes the table begins with it.
        """
        if self._adoption is None:
            return
        snapshot, drafts, before = self._adoption
        stored = self._folder.stored
        if stored is None or stored is before:  # the commit failed
            self._adoption = None
            return
        encoder = snapshot.documents.encoder
        if snapshot.fitting.waiting is not None:  # they stay in memory
            self._committed = _unchanging(snapshot)
            self._adoption = None
            return
        columns = [columns_of(segment, stored.manifest) for segment in stored.segments]
        memory = GrowableColumns.of_segments(columns or [encoder.empty_columns()], are_mapped=True)
        n_rows = sum(map(len, stored.segments))
        if drafts.are_renumbered:
            live = live_rows_of(stored.segments)
        else:
            live = snapshot.live.extended_to(n_rows)
        self.snapshot = Snapshot.of_memory(
            encoder, snapshot.fitting, memory, drafts.ids, snapshot.few, live
        )
        self._committed = _unchanging(self.snapshot)
        self._adoption = None

    def _has_same_schema(self, snapshot: Snapshot) -> bool:
        then = self._committed
        is_same = snapshot.documents.encoder is then.documents.encoder
        return is_same and snapshot.fitting is then.fitting


class ClosedTable(Table):
    """What is left of a table that was closed: every use raises."""

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    def snapshot(self) -> Snapshot:  # type: ignore[override]
        """Raise."""
        raise self.error()

    def place(self) -> NoReturn:
        """Raise."""
        raise self.error()

    def error(self) -> IndexClosedError:
        """Return what every call raises."""
        return _closed(self.path)

    def _write_alone(self, _name: str, _write: Callable[[], T]) -> T:
        raise self.error()


class _Adoption(NamedTuple):
    """A commit whose rows the table is to show as they are in the folder.

    Attributes
    ----------
    snapshot : Snapshot
        What was committed.
    drafts : Drafts
    before : Stored or None
        What was in the folder.
    """

    snapshot: Snapshot
    drafts: Drafts
    before: Stored | None


def _closed(path: str) -> IndexClosedError:
    return IndexClosedError(path, "the index has been closed; open it again")


def _place(path: str, stored: Stored, *, follow_links: bool, is_opened: bool) -> dict[str, Any]:
    return {
        "path": path,
        "generation": stored.generation,
        "manifest": stored.data,
        "follow_links": follow_links,
        "is_opened": is_opened,
    }


def table_at(place: dict[str, Any], isa: str) -> ReaderTable | MappedTable:
    """Return the table of a place that `Table.place` returned; raise if the folder has changed."""
    path, generation, follow_links = place["path"], place["generation"], place["follow_links"]
    stored = read_stored(path, mmap=True, generation=generation, follow_links=follow_links)
    if stored.data != place["manifest"]:
        raise IndexStaleError(
            path,
            f"its generation {generation} is another one than that which was pickled; pickle an "
            "index that is in memory, as Index.load gives without mmap=True, to keep its rows",
        )
    kind = ReaderTable if place["is_opened"] else MappedTable
    return kind(path, stored, isa, follow_links=follow_links)


def _snapshot_of(stored: Stored, isa: str, path: str) -> Snapshot:
    encoder, fitting, memory, ids, live = from_stored(stored, isa, path, are_mapped=True)
    return Snapshot.of_memory(encoder, fitting, memory, ids, live=live)


def _unchanging(snapshot: Snapshot) -> Snapshot:
    """Return a state from which later removals take nothing."""
    return snapshot._replace(live=snapshot.live.extended_to(snapshot.ids.n_rows))


def _schema_of(encoder: Encoder, fitting: Fitting) -> Contents:
    """Return all but the rows."""
    documents = Documents(encoder, encoder.empty_columns(), defaults=fitting.defaults)
    return to_contents(documents, fitting)
