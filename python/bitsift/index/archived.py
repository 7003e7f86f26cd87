# SPDX-License-Identifier: Apache-2.0
"""An index as bytes, for what has no folders: a database, an object store, a message."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Self

from bitsift.core.errors import IndexFileError, IndexWriteError
from bitsift.core.floats import in_default_floats
from bitsift.core.handlers import is_of_system
from bitsift.storage.folder import why

__all__ = ["Archived"]


class Archived:
    """The base of `Index` that becomes bytes, and comes from bytes."""

    @in_default_floats
    def to_bytes(self) -> bytes:
        """Return the index as bytes, for :meth:`from_bytes`.

        Returns
        -------
        bytes
            An uncompressed zip archive of the files that :meth:`save` writes, each at a multiple of
            64 bytes. ``numpy.load`` opens it as an ``.npz``.

        Raises
        ------
        IndexWriteError
            The system refuses the temporary folder in which the files are made.

        Notes
        -----
        Takes the time of :meth:`save` and of a copy, room for the files in the temporary folder,
        and memory for the bytes. Safe to call from many threads.
        """
        from bitsift.storage import archive  # noqa: PLC0415 (zipfile takes long to import)

        index: Any = self
        try:
            with tempfile.TemporaryDirectory(prefix="bitsift-") as folder:
                index.save(folder)
                return archive.packed(folder)
        except OSError as error:
            if isinstance(error, IndexFileError) or not is_of_system(error):
                raise
            raise IndexWriteError(
                tempfile.gettempdir(), f"a temporary folder cannot be used: {why(error)}"
            ) from error

    @classmethod
    @in_default_floats
    def from_bytes(cls, data: bytes | bytearray | memoryview, *, isa: str | None = None) -> Self:
        """Return the index of bytes that :meth:`to_bytes` returned.

        Parameters
        ----------
        data : bytes-like
            They may be from strangers: nothing is unpickled, and all is checked as by :meth:`load`.
        isa : str, optional
            Instruction set, as in :class:`Index`.

        Returns
        -------
        Index
            In memory. Of a subclass as by :meth:`load`.

        Raises
        ------
        TypeError
            It is not bytes-like.
        NotAnIndexError, UnsupportedVersionError, CorruptIndexError
            It is no index, one of a newer format, or damaged.
        IndexFileError
            The system refuses the temporary folder into which the files are put.

        Notes
        -----
        Takes the time of :meth:`load` and of two copies, room for the files in the temporary
        folder, and memory for a copy. Safe to call from many threads.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data must be bytes-like; got {type(data).__name__}")
        from bitsift.storage import archive  # noqa: PLC0415 (zipfile takes long to import)

        make: Any = cls
        folder = ""
        try:
            with tempfile.TemporaryDirectory(prefix="bitsift-") as folder:
                archive.unpack(data, folder)
                index: Self = make.load(folder, isa=isa)
                return index
        except IndexFileError as error:
            # The name of the temporary folder says nothing to anybody.
            inner = os.path.relpath(error.path, folder)
            place = archive.SOURCE if inner == os.curdir else f"{archive.SOURCE}: {inner}"
            raise type(error)(place, error.reason) from None
        except OSError as error:
            if not is_of_system(error):
                raise
            raise IndexFileError(
                tempfile.gettempdir(), f"a temporary folder cannot be used: {why(error)}"
            ) from error
