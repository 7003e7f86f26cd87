# SPDX-License-Identifier: Apache-2.0
"""Mapped indexes: no descriptor, no copy, and the mapping ends with its last view."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import bitsift
from bitsift.core import native
from bitsift.core.errors import IndexFileError
from bitsift.storage import reader, writer
from helpers.storage_samples import (
    assert_same,
    everything,
    file_of,
    sample,
    some_vectors,
)

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


def n_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def is_mapped(path: Path) -> bool:
    return str(path) in Path("/proc/self/maps").read_text()


@on_linux
@pytest.mark.parametrize("kind", ["sample", "everything"])
def test_no_descriptor_is_kept(tmp_path: Path, kind: str) -> None:
    if kind == "sample":
        writer.write(tmp_path, sample())
    else:
        everything().save(tmp_path)
    before = n_descriptors()
    indexes = [bitsift.Index.load(tmp_path, mmap=True) for _ in range(20)]
    assert n_descriptors() == before
    assert is_mapped(file_of(tmp_path, "codes"))
    queries = some_vectors(3)
    assert (
        len({index.search(queries, 3, scoring="hamming").ids.tobytes() for index in indexes}) == 1
    )
    assert n_descriptors() == before


@on_linux
def test_mapping_ends_with_its_last_view(tmp_path: Path) -> None:
    writer.write(tmp_path, sample(100, 64))
    path = file_of(tmp_path, "codes")
    contents = reader.read(tmp_path, mmap=True)
    view = contents.codes[3:7, 1:].T
    expected = view.copy()
    del contents
    gc.collect()
    path.unlink()
    assert is_mapped(path)
    np.testing.assert_array_equal(view, expected)
    del view
    gc.collect()
    assert not is_mapped(path)


@on_linux
def test_search_reads_the_map_itself(tmp_path: Path) -> None:
    everything(500).save(tmp_path)
    index = bitsift.Index.load(tmp_path, mmap=True)
    assert is_mapped(file_of(tmp_path, "originals_ternary"))
    mapped = reader.read(tmp_path, mmap=True)
    for array in (mapped.codes, *mapped.originals.values(), mapped.factors):
        assert array is not None
        assert not array.flags.owndata
        assert np.shares_memory(array, array[:1])
    queries = some_vectors(5)
    loaded = bitsift.Index.load(tmp_path)
    np.testing.assert_array_equal(
        index.search(queries, 5, scoring="hamming").ids,
        loaded.search(queries, 5, scoring="hamming").ids,
    )


def test_nobody_writes_through_a_map(tmp_path: Path) -> None:
    writer.write(tmp_path, sample())
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    contents = reader.read(tmp_path, mmap=True)
    for array in (contents.codes, contents.ids, contents.originals["float32"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag to True"):
            array.flags.writeable = True
        with pytest.raises((ValueError, TypeError, BufferError)):
            memoryview(array).cast("B")[0] = 0
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_vectors_are_added_to_a_mapped_index(tmp_path: Path) -> None:
    everything().save(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    index = bitsift.Index.load(tmp_path, mmap=True)
    index.add(some_vectors(9, seed=3))
    index.save(tmp_path / "more")
    assert len(bitsift.Index.load(tmp_path / "more")) == 16
    assert {path: path.read_bytes() for path in before} == before


def test_every_header_leaves_its_data_aligned(tmp_path: Path) -> None:
    everything().save(tmp_path)
    contents = reader.read(tmp_path, mmap=True)
    for array in (contents.codes, contents.ids, contents.factors, *contents.originals.values()):
        assert array is not None
        assert array.ctypes.data % 64 == 0
    assert_same(contents, reader.read(tmp_path))


def test_map_that_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.write(tmp_path, sample())

    def refuse(descriptor: int, n_bytes: int) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(native, "map_file", refuse)
    with pytest.raises(IndexFileError, match="cannot be mapped: Cannot allocate memory") as caught:
        reader.read(tmp_path, mmap=True)
    assert caught.value.path == str(file_of(tmp_path, "codes"))


def test_descriptors_that_cannot_be_mapped(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        native.map_file(-1, 10)
    ends = os.pipe()
    try:
        with pytest.raises(OSError, match="No such device"):
            native.map_file(ends[0], 10)
    finally:
        os.close(ends[0])
        os.close(ends[1])
    with pytest.raises(ValueError, match="at least one byte"):
        native.map_file(0, 0)
