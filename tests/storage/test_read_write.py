# SPDX-License-Identifier: Apache-2.0
"""Writing and reading index folders that nothing has damaged."""

from __future__ import annotations

import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bitsift
from bitsift.core.errors import (
    IndexFileError,
)
from bitsift.index.persistence import to_contents
from bitsift.storage import npy_file, reader, row_checks, writer
from helpers.storage_samples import (
    STORES,
    assert_same,
    file_of,
    forge,
    manifest_of,
    named_by_manifest,
    names_of,
    part_of,
    put_manifest,
    sample,
    some_vectors,
)


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("n", [0, 1, 7])
@pytest.mark.parametrize("ids", ["automatic", "ascending", "arbitrary"])
@pytest.mark.parametrize("threshold", ["number", "array"])
@pytest.mark.parametrize("store", [None, "float32", "float16"])
def test_round_trip(
    tmp_path: Path, store: str | None, threshold: str, ids: str, n: int, mmap: bool
) -> None:
    contents = sample(n, store=store, threshold=threshold, ids=ids)
    writer.write(tmp_path / "index", contents)
    assert_same(reader.read(tmp_path / "index", mmap=mmap), contents)
    reader.verify(tmp_path / "index")
    assert names_of(tmp_path / "index") == named_by_manifest(tmp_path / "index")


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("dim", [1, 7, 8, 9, 64, 65536])
def test_round_trip_of_dims_and_metrics(tmp_path: Path, dim: int, metric: str) -> None:
    contents = sample(3, dim, metric=metric)
    writer.write(tmp_path, contents)
    assert_same(reader.read(tmp_path), contents)
    assert_same(reader.read(tmp_path, mmap=True), contents)


@pytest.mark.parametrize("dim", [1, 8, 16, 17, 384])
@pytest.mark.parametrize("n", [0, 1])
def test_round_trip_of_every_part(tmp_path: Path, dim: int, n: int) -> None:
    index = bitsift.Index(dim, store=STORES, threshold="mean", rotate=True, correction=True)
    index.fit(some_vectors(120, dim))
    index.add(some_vectors(n, dim))
    index.save(tmp_path)
    bitsift.verify(tmp_path)
    for mmap in (False, True):
        found = reader.read(tmp_path, mmap=mmap)
        assert_same(found, to_contents(*index._table.snapshot[:2]))


@pytest.mark.parametrize("threshold", [0.0, -0.0, 0.1, -3e38, 5e-324, float(np.float32(0.1)), 3])
def test_number_threshold_is_exact(tmp_path: Path, threshold: float) -> None:
    writer.write(tmp_path, replace(sample(), threshold=threshold))
    found = reader.read(tmp_path).threshold
    assert isinstance(found, float)
    assert found.hex() == float(threshold).hex()


def test_numpy_alone_opens_every_part(tmp_path: Path) -> None:
    for n in (0, 5):
        contents = sample(n)
        writer.write(tmp_path, contents)
        for part in ("codes", "ids", "originals", "threshold"):
            array = np.load(file_of(tmp_path, part), mmap_mode="r", allow_pickle=False)
            np.testing.assert_array_equal(array, part_of(contents, part))
            entry = manifest_of(tmp_path)["files"][part]
            assert (entry["bytes"] - array.nbytes) % 64 == 0


def test_mapped_arrays_are_read_only_maps(tmp_path: Path) -> None:
    writer.write(tmp_path, sample(1, 8))
    contents = reader.read(tmp_path, mmap=True)
    for array in (contents.codes, contents.ids, contents.originals["float32"]):
        assert array.flags.aligned
        assert not array.flags.owndata
        assert not array.flags.writeable
    writer.write(tmp_path, sample(0))
    assert not reader.read(tmp_path, mmap=True).codes.flags.writeable


def test_map_opens_at_once_whatever_the_size(tmp_path: Path) -> None:
    """A sparse file of 64 GiB: nothing of it is read or allocated."""
    contents = sample(1, 8, store=None, ids="automatic", threshold="number")
    forge(tmp_path, contents)
    n = 1 << 36
    path = file_of(tmp_path, "codes")
    header = path.read_bytes()[:-1].replace(b"(1, 1)", b"(%d, 1)" % n)
    header = header[:-1].rstrip(b" ").ljust(127) + b"\n"
    path.write_bytes(header)
    os.truncate(path, 128 + n)
    fields = manifest_of(tmp_path)
    fields["count"] = n
    fields["files"]["codes"].update(shape=[n, 1], bytes=128 + n)
    put_manifest(tmp_path, fields)
    assert reader.read(tmp_path, mmap=True).codes.shape == (n, 1)
    path.unlink()


@pytest.mark.parametrize("npy_version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("n", [0, 4])
def test_other_writers_are_read(tmp_path: Path, npy_version: tuple[int, int], n: int) -> None:
    contents = sample(n)
    forge(tmp_path, contents, npy_version=npy_version)
    assert_same(reader.read(tmp_path), contents)
    assert_same(reader.read(tmp_path, mmap=True), contents)
    reader.verify(tmp_path)


@pytest.mark.parametrize("chunk_bytes", [1, 40, 200])
def test_chunks_make_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    contents = sample(23)
    writer.write(tmp_path / "whole", contents)
    monkeypatch.setattr(npy_file, "_CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(row_checks, "_IDS_AT_A_TIME", 5)
    writer.write(tmp_path / "chunked", contents)
    for part in ("codes", "ids", "originals", "threshold"):
        whole, chunked = (file_of(tmp_path / name, part) for name in ("whole", "chunked"))
        assert whole.read_bytes() == chunked.read_bytes()
    assert_same(reader.read(tmp_path / "whole"), contents)
    reader.verify(tmp_path / "whole")


def test_any_strides_are_written(tmp_path: Path) -> None:
    wide = sample(14, 26)
    vectors = wide.originals["float32"]
    assert isinstance(wide.ids, np.ndarray)
    contents = replace(
        sample(7),
        codes=wide.codes[::-2, :2] & np.uint8([255, 248]),
        ids=wide.ids[::2],
        originals={"float32": np.asfortranarray(vectors[:7, ::2])},
        threshold=vectors[0, ::-2],
    )
    contents.codes.flags.writeable = False
    writer.write(tmp_path, contents)
    assert_same(reader.read(tmp_path), contents)


def test_nothing_is_copied_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy_file, "_CHUNK_BYTES", 1 << 15)
    monkeypatch.setattr(row_checks, "_IDS_AT_A_TIME", 1 << 10)
    n = 1 << 16
    codes = np.zeros((2 * n, 32), np.uint8)[::2]
    ids = np.arange(n, dtype=np.int64)[::-1]
    contents = replace(
        sample(0, 256, store=None, threshold="number"), codes=codes, ids=ids, ids_ascending=False
    )
    tracemalloc.start()
    try:
        writer.write(tmp_path, contents)
        reader.verify(tmp_path)
        reader.read(tmp_path, mmap=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < ids.nbytes
    assert peak < codes.nbytes // 4


def test_save_over_the_folder_that_is_mapped(tmp_path: Path) -> None:
    contents = sample(50)
    writer.write(tmp_path, contents)
    mapped = reader.read(tmp_path, mmap=True)
    for _ in range(3):
        writer.write(tmp_path, mapped)
        assert_same(mapped, contents)
        assert_same(reader.read(tmp_path), contents)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


def test_save_replaces_another_kind_of_index(tmp_path: Path) -> None:
    writer.write(tmp_path, sample(1, 8))
    (tmp_path / "notes.txt").write_text("mine")
    smaller = sample(2, 5, store=None, ids="automatic", threshold="number")
    writer.write(tmp_path, smaller)
    assert_same(reader.read(tmp_path), smaller)
    assert names_of(tmp_path) == {*named_by_manifest(tmp_path), "notes.txt"}


def test_verify_reports_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy_file, "_CHUNK_BYTES", 64)
    writer.write(tmp_path, sample(30))
    calls: list[tuple[int, int]] = []
    reader.verify(tmp_path, progress=lambda done, total: calls.append((done, total)))
    total = sum(entry["bytes"] for entry in manifest_of(tmp_path)["files"].values())
    done = [call[0] for call in calls]
    assert {call[1] for call in calls} == {total}
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, total)
    assert len(done) > 10


@pytest.mark.parametrize("version", [1, 2])
def test_progress_counts_every_byte(whole: Path) -> None:
    total = sum(entry["bytes"] for entry in manifest_of(whole)["files"].values())
    calls: list[tuple[int, int]] = []
    bitsift.verify(whole, progress=lambda *done: calls.append(done))
    assert calls[0] == (0, total)
    assert calls[-1] == (total, total)
    assert calls == sorted(calls)


def test_errors_of_the_progress_function_are_its_own(tmp_path: Path) -> None:
    writer.write(tmp_path, sample(1, 8))

    def progress(done: int, total: int) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        reader.verify(tmp_path, progress=progress)


def test_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.write(tmp_path, sample(1, 8))

    refuse = f"{{0!s:>{1 << 62}}}".format  # compiled, as `empty` is
    monkeypatch.setattr("bitsift.storage.npy_file.np.empty", refuse)
    with pytest.raises(IndexFileError, match="mmap=True") as caught:
        reader.read(tmp_path)
    assert caught.value.path == str(file_of(tmp_path, "codes"))
