# SPDX-License-Identifier: Apache-2.0
"""Folders that take little of the disk and would take much memory: refused before they do."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.lib.format as npy_format
import pytest

import bitsift
from bitsift.core.errors import CorruptIndexError
from bitsift.index import persistence
from bitsift.storage import npy_file, reader, writer
from bitsift.storage.contents import Contents
from bitsift.storage.sparse import stored_bytes
from helpers.storage_samples import assert_same, change_manifest, file_of

pytestmark = pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="the system shows no holes")
HEADER_BYTES = 128


def sparse_index(path: Path, count: int) -> None:
    """Write an index of that many codes of zeros, of which the disk holds the header alone."""
    writer.write(path, Contents(8, "dot", 0.0, np.zeros((1, 1), np.uint8), None, {}))
    codes = file_of(path, "codes")
    text = codes.read_bytes().replace(b"(1, 1)", f"({count}, 1)".encode())
    codes.write_bytes(text[: HEADER_BYTES - 1].rstrip().ljust(HEADER_BYTES - 1) + b"\n")
    os.truncate(codes, HEADER_BYTES + count)

    def change(fields: dict[str, Any]) -> None:
        fields["count"] = count
        fields["files"]["codes"].update(shape=[count, 1], bytes=HEADER_BYTES + count)

    change_manifest(path, change)


def has_holes(path: Path) -> bool:
    """Say whether the file system of a folder keeps holes."""
    (path / "probe").touch()
    os.truncate(path / "probe", 1 << 20)
    return (path / "probe").stat().st_blocks == 0


@pytest.mark.parametrize("count", [1 << 30, 1 << 42])
def test_sparse_file_is_neither_loaded_nor_verified(tmp_path: Path, count: int) -> None:
    if not has_holes(tmp_path):
        pytest.skip("the file system keeps no holes")
    sparse_index(tmp_path / "index", count)
    path = file_of(tmp_path / "index", "codes")
    for use in (reader.read, reader.verify):
        tracemalloc.start()
        with pytest.raises(CorruptIndexError, match=r"sparse.*cp -r --sparse=never") as caught:
            use(tmp_path / "index")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert caught.value.path == str(path)
        assert peak < 8 << 20
    # A map takes no memory.
    assert reader.read(tmp_path / "index", mmap=True).codes.shape == (count, 1)


def test_ids_of_sparse_rows_take_no_memory(tmp_path: Path) -> None:
    """Those that only have a first one, and those of several segments."""
    if not has_holes(tmp_path):
        pytest.skip("the file system keeps no holes")
    count = 1 << 30
    for number, (ids, part) in enumerate([([5, 6], "codes"), ([5, 9], "ids")]):
        path = tmp_path / str(number)
        with bitsift.Index.open(path, "w-", dim=8, store=None, scoring="hamming") as index:
            for first in (0, 10):
                index.add(np.zeros((2, 8), np.bool_), ids=np.array(ids) + first)
                index.commit()

        def change(fields: dict[str, Any], path: Path = path) -> None:
            segment = fields["segments"][0]
            for entry in segment["files"].values():
                file, n_bytes = path / entry["name"], np.dtype(entry["dtype"]).itemsize * count
                with file.open("wb") as stream:
                    shape = (count, *entry["shape"][1:])
                    npy_format.write_array_header_1_0(
                        stream, {"descr": entry["dtype"], "fortran_order": False, "shape": shape}
                    )
                    n_bytes += stream.tell()
                os.truncate(file, n_bytes)
                entry.update(shape=[*shape], bytes=n_bytes)
            segment.update(count=count, live=count)
            fields["count"] = count + 2

        change_manifest(path, change)
        for mode in ("r", "a"):
            with pytest.raises(CorruptIndexError, match=r"sparse.*=never'$") as caught:
                bitsift.Index.open(path, mode)
            assert Path(caught.value.path).name.startswith(f"{part}-")


def test_ids_that_do_not_fit_into_memory() -> None:
    class Rows:
        def __len__(self) -> int:
            return 1 << 50

    stored: Any = SimpleNamespace(
        segments=(Rows(), Rows()), manifest=SimpleNamespace(ids="arbitrary")
    )
    with pytest.raises(bitsift.IndexFileError, match="18014398509481984 bytes, do not fit"):
        persistence._ids_of(stored, "index")


def test_zeros_that_are_there_are_loaded(tmp_path: Path) -> None:
    codes = np.zeros((8 << 20, 1), np.uint8)
    contents = Contents(8, "dot", 0.0, codes, None, {})
    writer.write(tmp_path, contents)
    assert_same(reader.read(tmp_path), contents)
    reader.verify(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="needs GNU cp")
def test_the_remedy_helps(tmp_path: Path) -> None:
    if not has_holes(tmp_path):
        pytest.skip("the file system keeps no holes")
    contents = Contents(8, "dot", 0.0, np.zeros((8 << 20, 1), np.uint8), None, {})
    writer.write(tmp_path / "index", contents)
    for name, when in (("sparse", "always"), ("whole", "never")):
        source = tmp_path / ("index" if name == "sparse" else "sparse")
        copy = ["cp", "-r", f"--sparse={when}", str(source), str(tmp_path / name)]
        subprocess.run(copy, check=True)
    with pytest.raises(CorruptIndexError, match="sparse"):
        reader.read(tmp_path / "sparse")
    assert_same(reader.read(tmp_path / "whole"), contents)


def test_runs_of_zeros_may_be_holes(tmp_path: Path) -> None:
    """A file of which a good part is stored is no trap, and small ones never are."""
    rng = np.random.default_rng(0)
    codes = np.zeros((16 << 20, 1), np.uint8)
    codes[: 2 << 20, 0] = rng.integers(1, 255, 2 << 20)
    small = np.zeros((1 << 20, 1), np.uint8)
    for name, array in (("large", codes), ("small", small)):
        contents = Contents(8, "dot", 0.0, array, None, {})
        writer.write(tmp_path / name, contents)
        path = file_of(tmp_path / name, "codes")
        data = path.read_bytes()
        path.unlink()
        with path.open("wb") as file:  # with holes where there are zeros
            for first in range(0, len(data), 4096):
                if any(page := data[first : first + 4096]):
                    file.seek(first)
                    file.write(page)
            file.truncate(len(data))
        assert_same(reader.read(tmp_path / name), contents)


class Extents:
    """A file as SEEK_DATA and SEEK_HOLE describe it, of a file system that stores few blocks."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        extents: list[tuple[int, int]],
        n_bytes: int,
        error: int = 0,
    ) -> None:
        self.extents, self.n_bytes, self.error = extents, n_bytes, error
        self.n_seeks = 0
        patch.setattr(os, "lseek", self.lseek)
        fields = [0] * 10
        fields[6] = n_bytes
        status = os.stat_result(fields, {"st_blocks": 0})
        patch.setattr(os, "fstat", lambda fd: status)

    def lseek(self, fd: int, place: int, whence: int) -> int:
        self.n_seeks += 1
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        for start, end in self.extents:
            if place < end:
                if whence == os.SEEK_DATA:
                    return max(start, place)
                return end
        if whence == os.SEEK_DATA:
            raise OSError(errno.ENXIO, "No such device or address")
        return self.n_bytes


@pytest.mark.parametrize(
    ("extents", "expected"),
    [
        ([], 0),
        ([(0, 1000)], 1000),
        ([(10, 20), (30, 50)], 30),
        ([(990, 1000)], 10),
        ([(0, 600), (700, 1000)], 600),  # enough
    ],
)
def test_extents_are_added_up(
    monkeypatch: pytest.MonkeyPatch, extents: list[tuple[int, int]], expected: int
) -> None:
    Extents(monkeypatch, extents, 1000)
    assert stored_bytes(0, 500) == expected


@pytest.mark.parametrize("error", [errno.EINVAL, errno.EOPNOTSUPP])
def test_system_that_cannot_tell(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    Extents(monkeypatch, [], 1000, error)
    assert stored_bytes(0, 500) == 1000


def test_system_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    Extents(monkeypatch, [], 1000, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        stored_bytes(0, 500)


def test_counting_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of many small extents could take hours."""
    n = 1 << 20
    extents = Extents(monkeypatch, [(8 * i, 8 * i + 1) for i in range(1000)], 8 * n)
    monkeypatch.setattr("bitsift.storage.sparse._MOST_EXTENTS", 100)
    assert stored_bytes(0, n) == 100
    assert extents.n_seeks == 200


def test_system_without_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    Extents(monkeypatch, [], 1000)
    monkeypatch.delattr(os, "SEEK_DATA")
    assert stored_bytes(0, 500) == 1000


def test_small_files_are_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = Contents(8, "dot", 0.0, np.zeros((100, 1), np.uint8), None, {})
    writer.write(tmp_path, contents)
    monkeypatch.delattr(npy_file, "stored_bytes")
    assert_same(reader.read(tmp_path), contents)
