# SPDX-License-Identifier: Apache-2.0
"""One ``.npy`` file of an index: written, read and hashed in chunks, never evaluated.

The header is matched against a pattern and compared with the manifest as text. So no literal of an
untrusted file is parsed, no dtype is made from it, and it does not decide how much is allocated.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.lib.format as npy_format
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core.errors import CorruptIndexError, IndexFileError
from bitsift.core.handlers import call_raised, is_of_system
from bitsift.core.memory import aligned_array, bytes_to_align
from bitsift.storage.descriptor import Descriptor, finish, read_at, write_all
from bitsift.storage.folder import Folder, why
from bitsift.storage.judge import Judge, bytes_of
from bitsift.storage.manifest import FileEntry
from bitsift.storage.row_checks import RowCheck
from bitsift.storage.sparse import stored_bytes

__all__ = ["ArrayFile", "RowSource", "row_chunks", "write_array"]

_CHUNK_BYTES = 8 << 20  # so large that the time of Python code vanishes
_ALIGN = 64
# A file may be this much larger than its data on the disk, see `ArrayFile.load`; beyond the first
# number of bytes it is refused. Codes and vectors have few pages of zeros.
_MOST_UNBACKED_BYTES = 4 << 20
_MOST_BYTES_PER_STORED_BYTE = 16
_MAX_HEADER_BYTES = 4096
_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}
_HEADER = re.compile(
    rb"\{\s*'descr'\s*:\s*'([^'\\]+)'\s*,"
    rb"\s*'fortran_order'\s*:\s*(True|False)\s*,"
    rb"\s*'shape'\s*:\s*\(([0-9, ]*)\)(?:\s*,)?\s*\}\s*"
)


class ArrayFile:
    """A ``.npy`` file whose size and header agree with the manifest, open until it is closed.

    Parameters
    ----------
    folder : Folder
    entry : FileEntry
        What the manifest says of the file.

    Raises
    ------
    FileNotFoundError
        There is no file of that name.
    CorruptIndexError
        It is no regular file, or its size or header differs from the entry.
    OSError
        It cannot be read.
    """

    def __init__(self, folder: Folder, entry: FileEntry) -> None:
        self.path = folder.path_of(entry.name)
        self.entry = entry
        self.dtype = np.dtype(entry.dtype)
        self._position = 0
        self._file: Descriptor = folder.open(entry.name)
        try:
            n_bytes = os.fstat(self._file.number).st_size
            if n_bytes != entry.n_bytes:
                raise self._corrupt(f"it has {n_bytes} bytes, expected {entry.n_bytes}")
            self._header = self._read_header()
            data_bytes = math.prod(entry.shape) * self.dtype.itemsize
            if len(self._header) + data_bytes != n_bytes:
                raise self._corrupt(
                    f"its data are {n_bytes - len(self._header)} bytes long, expected {data_bytes} "
                    f"for dtype {entry.dtype} and shape {entry.shape}"
                )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; arrays from `map` stay valid."""
        self._file.close_quietly()

    def map(self) -> NDArray[Any]:
        """Map the data, read-only, without reading them and without a descriptor."""
        if 0 in self.entry.shape:
            empty: NDArray[Any] = np.empty(self.entry.shape, self.dtype)
            empty.flags.writeable = False
            return empty
        try:
            n_bytes = os.fstat(self._file.number).st_size
            if n_bytes < self.entry.n_bytes:
                raise self._corrupt(f"it has {n_bytes} bytes, expected {self.entry.n_bytes}")
            # From its start: the system maps whole pages, and the header is shorter than one.
            whole = native.map_file(self._file.number, self.entry.n_bytes)
        except OSError as error:
            if not is_of_system(error):
                raise
            raise IndexFileError(self.path, f"cannot be mapped: {why(error)}") from error
        return whole[len(self._header) :].view(self.dtype).reshape(self.entry.shape)

    def load(self, check: RowCheck) -> NDArray[Any]:
        """Read the data into memory; verify the digest of the file and every row."""
        self.refuse_holes()
        shape = self.entry.shape
        try:
            memory = np.empty(bytes_to_align(shape, self.dtype), np.uint8)
        except MemoryError as error:
            if not call_raised(error):
                raise
            raise IndexFileError(
                self.path,
                f"its {self.entry.n_bytes} bytes do not fit into memory; mmap=True maps them",
            ) from error
        rows = aligned_array(memory, shape, self.dtype)
        self._scan(check, rows, lambda _: None)
        return rows

    def verify(self, check: RowCheck, advance: Callable[[int], None]) -> None:
        """Verify the digest and every row in bounded memory.

        Parameters
        ----------
        check : RowCheck
        advance : callable
            Called with the number of bytes that were read since the last call.
        """
        self.refuse_holes()
        self._scan(check, None, advance)

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Read the data again from their start; each chunk is valid until the next one."""
        self._position = len(self._header)
        buffer: NDArray[Any] = np.empty(self._chunk_shape(), self.dtype)
        for first in range(0, self.entry.shape[0], len(buffer)):
            rows = buffer[: self.entry.shape[0] - first]
            self._fill(bytes_of(rows))
            yield rows

    def _scan(
        self, check: RowCheck, into: NDArray[Any] | None, advance: Callable[[int], None]
    ) -> None:
        n_rows = self.entry.shape[0]
        shape = self._chunk_shape()
        # Two, for one is judged while the next chunk is read.
        buffers: list[NDArray[Any]] = []
        if into is None:
            buffers = [np.empty(shape, self.dtype) for _ in range(2 if n_rows > shape[0] else 1)]
        judge = Judge(self.entry.algorithm, self._header, check, is_long=n_rows > shape[0])
        advance(len(self._header))
        for i, first in enumerate(range(0, n_rows, shape[0])):
            rows = buffers[i % 2][: n_rows - first] if into is None else into[first:][: shape[0]]
            data = bytes_of(rows)
            self._fill(data)
            judge.take(rows, first)
            advance(len(data))
        problem = judge.problem()
        digest = judge.digest
        # A wrong digest is reported first: the file was damaged, not written wrongly.
        if digest.hexdigest() != self.entry.digest:
            raise self._corrupt(
                f"its contents are damaged: {self.entry.algorithm} {digest.hexdigest()}, "
                f"expected {self.entry.digest}"
            )
        if problem is not None:
            raise self._corrupt(problem)

    def refuse_holes(self, *, is_mapped: bool = False) -> None:
        """Refuse a file that would fill memory, or take hours to read, from nearly no data."""
        if self.entry.n_bytes <= _MOST_UNBACKED_BYTES:
            return
        needed = self.entry.n_bytes // _MOST_BYTES_PER_STORED_BYTE
        try:
            n_stored = stored_bytes(self._file.number, needed)
        except OSError as error:
            if not is_of_system(error):
                raise
            raise IndexFileError(self.path, f"cannot be read: {why(error)}") from error
        if n_stored < needed:
            more = "" if is_mapped else ", or map it"
            raise self._corrupt(
                f"it is sparse: of its {self.entry.n_bytes} bytes the disk holds {n_stored}; if "
                f"that is meant, copy the folder with 'cp -r --sparse=never'{more}"
            )

    def _chunk_shape(self) -> tuple[int, ...]:
        n_rows, *row = self.entry.shape
        return (min(max(n_rows, 1), _rows_per_chunk(row, self.dtype.itemsize)), *row)

    def _read_header(self) -> bytes:
        head = self._read(8)
        if head[:6] != _MAGIC:
            raise self._corrupt(f"it starts with {head[:6]!r}, expected {_MAGIC!r} as in .npy")
        if head[6:] not in _LENGTH_BYTES:
            raise self._corrupt(
                f"its .npy version is {head[6]}.{head[7]}, expected 1.0, 2.0 or 3.0"
            )
        length = self._read(_LENGTH_BYTES[head[6:]])
        n_bytes = int.from_bytes(length, "little")
        total = len(head) + len(length) + n_bytes
        if total > _MAX_HEADER_BYTES or total % _ALIGN:
            raise self._corrupt(
                f"its header is {total} bytes long, expected a multiple of {_ALIGN} "
                f"up to {_MAX_HEADER_BYTES}"
            )
        text = self._read(n_bytes)
        match = _HEADER.fullmatch(text)
        if match is None:
            raise self._corrupt(f"its .npy header is no plain array's: {text[:80]!r}")
        dtype, fortran, shape = (field.decode("latin-1") for field in match.groups())
        if dtype != self.entry.dtype:
            raise self._corrupt(f"its dtype is {dtype!r}, expected {self.entry.dtype!r}")
        if fortran != "False":
            raise self._corrupt("its order is Fortran's, expected rows one after the other")
        if shape.replace(" ", "").rstrip(",") != ",".join(map(str, self.entry.shape)):
            raise self._corrupt(f"its shape is ({shape[:80]}), expected {self.entry.shape}")
        return head + length + text

    def _read(self, n_bytes: int) -> bytes:
        buffer = bytearray(n_bytes)
        self._fill(memoryview(buffer))
        return bytes(buffer)

    def _fill(self, buffer: memoryview) -> None:
        while len(buffer):
            try:
                n_bytes = read_at(self._file, buffer, self._position)
            except OSError as error:
                if not is_of_system(error):
                    raise
                raise IndexFileError(self.path, f"cannot be read: {why(error)}") from error
            if not n_bytes:
                raise self._corrupt(f"it ends {len(buffer)} bytes before its contents do")
            self._position += n_bytes
            buffer = buffer[n_bytes:]

    def _corrupt(self, reason: str) -> CorruptIndexError:
        return CorruptIndexError(self.path, reason)


class RowSource:
    """Rows of several arrays, one behind the other, perhaps only some of them.

    Parameters
    ----------
    arrays : sequence of (array, numbers or None)
        Arrays of rows, at least one; and the numbers of those that count, ascending.

    Attributes
    ----------
    shape : tuple of int
        As if they were in one array.
    """

    def __init__(self, arrays: Sequence[tuple[NDArray[Any], NDArray[np.int64] | None]]) -> None:
        self._arrays = arrays
        n_rows = sum(len(array if numbers is None else numbers) for array, numbers in arrays)
        self.shape: tuple[int, ...] = (n_rows, *arrays[0][0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Yield arrays of at most `_CHUNK_BYTES` each."""
        for array, numbers in self._arrays:
            if numbers is None:
                yield from row_chunks(array)
            else:
                step = _rows_per_chunk(array.shape[1:], array.itemsize)
                for first in range(0, len(numbers), step):
                    yield array[numbers[first : first + step]]


def write_array(
    folder: Folder,
    name: str,
    array: NDArray[Any] | RowSource,
    dtype: str,
    check: RowCheck,
    algorithm: str,
) -> FileEntry:
    """Create a ``.npy`` file from an array and make it durable.

    Parameters
    ----------
    folder : Folder
    name : str
        Must not exist in the folder.
    array : ndarray or RowSource
        Any strides; copied a chunk at a time at most.
    dtype : str
        The type to store, as the ``.npy`` header spells it.
    check : RowCheck
        The rows must pass it.
    algorithm : str
        Of the digest, one of `ALGORITHMS`.

    Returns
    -------
    FileEntry

    Raises
    ------
    ValueError
        A row does not pass.
    OSError
        The file cannot be written; what has been written stays.
    """
    head = io.BytesIO()
    shape = tuple(int(extent) for extent in array.shape)
    npy_format.write_array_header_1_0(
        head, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    header = head.getvalue()
    n_data_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    judge = Judge(algorithm, header, check, is_long=n_data_bytes > _CHUNK_BYTES)
    n_bytes = len(header)
    first = 0
    with folder.create(name) as file:
        write_all(file, memoryview(header))
        for view in row_chunks(array):
            rows: NDArray[Any] = np.ascontiguousarray(view, dtype=dtype)
            judge.take(rows, first)
            write_all(file, bytes_of(rows))
            problem = judge.problem()
            if problem is not None:
                raise ValueError(problem)
            first += len(rows)
            n_bytes += rows.nbytes
        finish(file, n_bytes, folder.path_of(name))
    return FileEntry(name, dtype, shape, n_bytes, judge.digest.hexdigest(), algorithm)


def row_chunks(array: NDArray[Any] | RowSource) -> Iterator[NDArray[Any]]:
    """Yield views of an array of at most `_CHUNK_BYTES` each."""
    if isinstance(array, RowSource):
        yield from array.chunks()
        return
    step = _rows_per_chunk(array.shape[1:], array.itemsize)
    for first in range(0, len(array), step):
        yield array[first : first + step]


def _rows_per_chunk(row: tuple[int, ...] | list[int], itemsize: int) -> int:
    return max(1, _CHUNK_BYTES // (math.prod(row) * itemsize))
