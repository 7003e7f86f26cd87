# SPDX-License-Identifier: Apache-2.0
"""An index that is open in a folder."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Literal, Self, SupportsIndex

import numpy as np

from bitsift.core import arguments
from bitsift.core.errors import NotAnIndexError, warn
from bitsift.core.floats import in_default_floats
from bitsift.core.isa import resolve_isa
from bitsift.index.opened_tables import ClosedTable, ReaderTable, WriterTable
from bitsift.index.table import Table
from bitsift.storage.folder import as_path
from bitsift.storage.folder_writer import FolderWriter
from bitsift.storage.lock import check_timeout
from bitsift.storage.reader import read_stored

__all__ = ["Openable"]

OpenMode = Literal["r", "a", "w-"]

_MODES = ("r", "a", "w-")
_MOST_GENERATIONS = 1 << 16


class Openable:
    """The base of `Index` that opens folders."""

    _table: Table
    _store_is_name: bool

    @classmethod
    @in_default_floats
    def open(
        cls,
        path: str | os.PathLike[str],
        mode: OpenMode = "r",
        *,
        dim: SupportsIndex | None = None,
        timeout: float | None = 60.0,
        generation: SupportsIndex | None = None,
        keep_generations: SupportsIndex = 1,
        isa: str | None = None,
        follow_links: bool = False,
        **options: Any,
    ) -> Self:
        """Open an index in a folder, to read it or to write commits.

        Parameters
        ----------
        path : path-like
            The folder.
        mode : {"r", "a", "w-"}
            ``"r"`` reads: the index stays what it is until :meth:`refresh`. ``"a"`` reads and
            writes, and makes the index if it is not there, for which `dim` is needed. ``"w-"``
            makes the index, and raises if there is one.
        dim : int, optional
            Dimensions of a new index.
        timeout : float, optional
            Seconds to wait while another process or thread writes to the folder; None waits without
            limit. Readers never wait.
        generation : int, optional
            A generation that the folder has kept, by default the newest one. With ``"a"``, the next
            commit makes a newer one from it.
        keep_generations : int
            How many generations a commit leaves in the folder, the new one included; at least 1.
        isa : str, optional
            Instruction set, as in :class:`Index`.
        follow_links : bool
            As in :meth:`load`; for mode ``"r"`` alone.
        **options
            Those of :class:`Index`, for a new index. An index that is there must have been made
            with the same ones.

        Returns
        -------
        Index
            An index whose rows are mapped from the folder, and a context manager, which closes it.
            Of a subclass as by :meth:`load`.

        Raises
        ------
        IndexNotFoundError
            There is nothing at the path, and no `dim`.
        IndexExistsError
            There is an index, and the mode is ``"w-"``.
        IndexLockedError
            Another writer did not end in time; the error names its process.
        IndexStaleError
            The generation is not there.
        NoLocksError
            The file system has no locks, so that nothing keeps writers apart.
        IndexFileError
            Another one of its kinds, as by :meth:`load`.
        TypeError, ValueError
            Arguments that are none of these, or contradict the index that is there.

        Notes
        -----
        Opens in milliseconds; ids that lie in several segments are copied, 8 bytes a vector. A
        folder has one writer at a time, by a lock that ends with its process, and any number of
        readers. A reader pickles as its path and generation. A writer does not pickle, and a
        process that is forked from it may only search. Folders that :meth:`save` wrote, of any
        version, open too; the first commit names their files.

        Examples
        --------
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> with bitsift.Index.open(folder, "a", dim=8) as index:
        ...     ids = index.add(numpy.eye(3, 8, dtype="float32"))
        ...     generation = index.commit()
        >>> bitsift.Index.open(folder).ids
        array([0, 1, 2])
        """
        arguments.choice(mode, "mode", _MODES)
        where = os.path.abspath(as_path(path))  # noqa: PTH100 (pathlib makes "." of "")
        if not as_path(path):
            where = ""
        seconds = check_timeout(timeout)
        if generation is not None:
            generation = arguments.integer(generation, "generation", 0, 2**63 - 1)
        n = arguments.integer(keep_generations, "keep_generations", 1, _MOST_GENERATIONS)
        level = resolve_isa(isa)
        follow_links = arguments.check_bool(follow_links, "follow_links")
        if mode == "r":
            if dim is not None or options:
                given = "dim" if dim is not None else next(iter(options))
                raise TypeError(
                    f'{given} is for a new index; got it with mode="r", which makes none'
                )
            stored = read_stored(where, mmap=True, generation=generation, follow_links=follow_links)
            return cls._around(ReaderTable(where, stored, level, follow_links=follow_links), isa)
        if follow_links:
            raise TypeError(f'follow_links is for mode="r"; got it with mode="{mode}"')
        if mode == "w-" and (dim is None or generation is not None):
            raise TypeError('mode="w-" makes a new index: it needs dim, and takes no generation')
        # Made first: it refuses wrong options before anything is locked or made.
        make: Any = cls
        new: Self | None = None if dim is None else make(dim, isa=isa, **options)
        folder = FolderWriter(where, seconds, is_made=dim is not None, is_new=mode == "w-")
        try:
            if folder.stored is None:
                if new is None:
                    raise NotAnIndexError(where, "it has no index; dim= makes a new one")
                if generation is not None:
                    raise ValueError(f"generation must be None for a new index; got {generation}")
                new._table = WriterTable(folder, new._table.snapshot, level, n)
                return new
            if generation is not None:
                folder.go_back(generation)
            index = cls._around(WriterTable(folder, None, level, n), isa)
            if new is not None:
                _refuse_difference(index, new, options)
            return index
        except BaseException:
            folder.close()
            raise

    @property
    def generation(self) -> int | None:
        """The generation of an opened index: that of its last commit, or of what it reads.

        0 for a folder that :meth:`save` wrote, and for a new one; None for an index in memory.
        """
        table = self._table
        return table.generation if isinstance(table, ReaderTable | WriterTable) else None

    @in_default_floats
    def commit(self) -> int:
        """Make all changes since the last commit durable, and visible to others, at once.

        Returns
        -------
        int
            The generation; each commit has a greater one. That of the last commit if nothing has
            changed.

        Raises
        ------
        DiskFullError
            There is no room. Folder and index are as before, and another try may follow.
        IndexWriteError
            The system refuses. Folder and index are as before.
        IndexReadOnlyError, IndexClosedError
            The index is not open for writing.
        ValueError
            It is an index in memory alone, for which there is :meth:`save`.
        RuntimeError
            As in :meth:`add`.

        Warns
        -----
        BitsiftWarning
            The commit is in place, but something failed after it, as in :meth:`save`.

        Notes
        -----
        A crash at any moment leaves the last commit or this one. It writes what was added, in a
        segment of its own, and which rows were removed. Segments that have become many are merged,
        and those of which more than a quarter was removed are written anew; so a vector is written
        a few times. What was added is mapped from the folder from then on, not kept in memory.
        Searches go on; other calls that change the index wait.
        """
        return self._writer("commit").commit()

    def rollback(self) -> None:
        """Discard all changes since the last commit.

        Raises
        ------
        IndexReadOnlyError, IndexClosedError, ValueError, RuntimeError
            As in :meth:`commit`.
        """
        self._writer("rollback").rollback()

    @in_default_floats
    def refresh(self) -> bool:
        """Read the newest generation.

        Returns
        -------
        bool
            Whether there was a newer one. A writer has the newest one always: False.

        Raises
        ------
        IndexFileError
            As by :meth:`load`; the index is unchanged.
        IndexClosedError, ValueError
            As in :meth:`commit`.

        Notes
        -----
        Searches that have begun go on with what they read. Costs what opening does.
        """
        table = self._opened("refresh")
        if not (isinstance(table, ReaderTable) and table.refresh()):
            return False
        # Another index may have been saved there.
        self._store_is_name = len(table.snapshot.encoder.stores) == 1
        return True

    def close(self) -> None:
        """Close an opened index: every later call raises `IndexClosedError`, but another close.

        For an index in memory it does nothing.

        Raises
        ------
        RuntimeError
            As in :meth:`add`.

        Warns
        -----
        BitsiftWarning
            There were changes that were not committed; they are lost.

        Notes
        -----
        Searches in other threads that have begun go on; for a call that changes the index it waits.
        The end of a ``with`` block closes the index, too.
        """
        self._close(warns=True)

    def __repr__(self) -> str:
        table = self._table
        if isinstance(table, ClosedTable):  # debuggers show it
            return f"<closed {type(self).__name__} of {table.path}>"
        return super().__repr__()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Whoever gets the error knows that the work was not done.
        self._close(warns=error is None)

    def _close(self, *, warns: bool) -> None:
        table = self._table
        if not isinstance(table, ReaderTable | WriterTable):
            return
        loses = False
        try:
            if isinstance(table, WriterTable):
                loses = table.close()
        finally:
            if isinstance(table, ReaderTable) or table.is_closed:
                self._table = ClosedTable(table.path)
        if loses and warns:
            warn(
                f"{table.path}: closed without commit(); what was changed since generation "
                f"{table.generation} is lost"
            )

    @classmethod
    def _around(cls, table: Table, isa: str | None) -> Self:
        make: Any = cls
        index: Self = make._loaded(table.snapshot, isa)
        index._table = table
        return index

    def _opened(self, name: str) -> ReaderTable | WriterTable:
        table = self._table
        if isinstance(table, ClosedTable):
            raise table.error()
        if not isinstance(table, ReaderTable | WriterTable):
            raise ValueError(
                f"{name} needs an index that Index.open has opened; this one is in memory alone: "
                "save it, or open a folder and extend that by it"
            )
        return table

    def _writer(self, name: str) -> WriterTable:
        table = self._opened(name)
        if isinstance(table, ReaderTable):
            table.refuse(name)
        return table


def _refuse_difference(found: Any, new: Any, options: dict[str, Any]) -> None:
    """Raise if an index that is there was made with other options than those given."""
    rule = found._table.snapshot.fitting.rule
    pairs = {
        "dim": (found.dim, new.dim),
        "metric": (found.metric, new.metric),
        "store": (found.store, new.store),
        "correction": (found.correction, new.correction),
        "rotate": (found.rotate, new.rotate or (rule == "auto" and found.rotate)),
        "scoring": (found.scoring, new.scoring or found.scoring),
        "threshold": (found.threshold, new.threshold),
    }
    if isinstance(new.threshold, str):
        pairs["threshold"] = (rule, new.threshold)
    for name, (ours, theirs) in pairs.items():
        if (name == "dim" or name in options) and not np.array_equal(ours, theirs):
            raise ValueError(
                f"{name} must be {ours!r}, as of the index that is there, or left out; got "
                f"{theirs!r}"
            )
