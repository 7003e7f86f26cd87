# SPDX-License-Identifier: Apache-2.0
"""The same arrays in the files of bitsift, numpy and FAISS."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import bitsift

from .libraries import faiss
from .search import faiss_flat

Arrays = list[NDArray[Any]]


class Files(Protocol):
    """One library's way; `save` was called before `load` and `mmap`."""

    def save(self) -> None: ...

    def load(self) -> Any: ...

    def mmap(self) -> Any: ...

    def arrays(self, loaded: Any) -> Arrays:
        """Give what `load` or `mmap` returned as arrays: codes, then originals if there are."""
        ...


class BitsiftFiles:
    def __init__(self, index: bitsift.Index, path: Path) -> None:
        self._index = index
        self._path = path

    def save(self) -> None:
        self._index.save(self._path)

    def load(self) -> bitsift.Index:
        return bitsift.Index.load(self._path, isa=self._index.isa)

    def mmap(self) -> bitsift.Index:
        return bitsift.Index.load(self._path, mmap=True, isa=self._index.isa)

    def arrays(self, loaded: bitsift.Index) -> Arrays:
        return [loaded.codes] if loaded.store is None else [loaded.codes, loaded.get(loaded.ids)]


class NumpyFiles:
    """`durable` is numpy with a wait for the disk, as bitsift has it."""

    def __init__(self, arrays: Arrays, path: Path, *, durable: bool) -> None:
        self._arrays = arrays
        self._paths = [path.with_suffix(f".{i}.npy") for i in range(len(arrays))]
        self._durable = durable

    def save(self) -> None:
        for array, path in zip(self._arrays, self._paths, strict=True):
            with path.open("wb") as file:
                np.save(file, array)
                if self._durable:
                    file.flush()
                    os.fsync(file.fileno())

    def load(self) -> Arrays:
        return [np.load(path) for path in self._paths]

    def mmap(self) -> Arrays:
        return [np.load(path, mmap_mode="r") for path in self._paths]

    def arrays(self, loaded: Arrays) -> Arrays:
        return loaded


class FaissFiles:
    def __init__(self, codes: NDArray[np.uint8], path: Path) -> None:
        self._flat = faiss_flat(codes)
        self._path = str(path)
        self._shape = codes.shape

    def save(self) -> None:
        faiss.write_index_binary(self._flat, self._path)

    def load(self) -> Any:
        return faiss.read_index_binary(self._path)

    def mmap(self) -> Any:
        return faiss.read_index_binary(self._path, faiss.IO_FLAG_MMAP_IFC)

    def arrays(self, loaded: Any) -> Arrays:
        flat = faiss.downcast_IndexBinary(loaded)
        return [faiss.rev_swig_ptr(flat.xb.data(), flat.xb.size()).reshape(self._shape).copy()]
