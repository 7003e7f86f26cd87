# SPDX-License-Identifier: Apache-2.0
"""Writing and reading index folders that nothing has damaged."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitsift.core.errors import (
    IndexFileError,
    IndexNotFoundError,
    IndexWriteError,
    NotAnIndexError,
)
from bitsift.storage import npy_file, reader, row_checks, writer
from helpers.storage_samples import (
    assert_same,
    file_of,
    forge,
    manifest_of,
    named_by_manifest,
    names_of,
    part_of,
    put_manifest,
    sample,
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
        assert isinstance(array, np.memmap)
        assert array.flags.aligned
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


def test_missing_parents_are_created(tmp_path: Path) -> None:
    contents = sample()
    writer.write(tmp_path / "a" / "b" / "index", contents)
    assert_same(reader.read(tmp_path / "a" / "b" / "index"), contents)


def test_symlinked_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    contents = sample()
    writer.write(tmp_path / "link", contents)
    assert_same(reader.read(tmp_path / "link"), contents)
    assert_same(reader.read(tmp_path / "real"), contents)
    assert (tmp_path / "link").is_symlink()


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    contents = sample()
    writer.write("index", contents)
    writer.write(".//other/index", contents)
    assert_same(reader.read("index"), contents)
    assert_same(reader.read("other/index"), contents)


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


def test_errors_of_the_progress_function_are_its_own(tmp_path: Path) -> None:
    writer.write(tmp_path, sample(1, 8))

    def progress(done: int, total: int) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        reader.verify(tmp_path, progress=progress)


# ---- paths that hold something else


@pytest.mark.parametrize("use", [reader.read, reader.verify])
def test_nothing_there(tmp_path: Path, use: Any) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("none", "none/none", "file/none", "dangling"):
        with pytest.raises(IndexNotFoundError, match=name):
            use(tmp_path / name)
    with pytest.raises(IndexNotFoundError):
        use("")


@pytest.mark.parametrize("use", [reader.read, reader.verify])
def test_something_else_there(tmp_path: Path, use: Any) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "codes.npy").write_text("")
    os.mkfifo(tmp_path / "fifo")
    for name in ("file", "folder", "fifo"):
        with pytest.raises(NotAnIndexError, match=name):
            use(tmp_path / name)


def test_name_too_long_for_the_system(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 5000)
    with pytest.raises(IndexFileError, match="File name too long"):
        reader.read(path)
    with pytest.raises(IndexWriteError, match="File name too long"):
        writer.write(path, sample())


@pytest.mark.parametrize("use", [reader.read, reader.verify])
def test_paths_that_are_none(use: Any) -> None:
    with pytest.raises(TypeError, match="got bytes"):
        use(b"index")
    with pytest.raises(TypeError):
        use(3)
    with pytest.raises(ValueError, match="null character"):
        use("in\0dex")


def test_unreadable_files_are_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.write(tmp_path, sample(1, 8))
    real_open = os.open
    for refused in (tmp_path, *(file_of(tmp_path, part) for part in ("manifest", "ids"))):

        def refuse(path: Any, *args: Any, refused: Path = refused, **kwargs: Any) -> int:
            if Path(path).name == refused.name:
                raise PermissionError(13, "Permission denied", path)
            return real_open(path, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            for use in (reader.read, reader.verify):
                with pytest.raises(IndexFileError, match="Permission denied") as caught:
                    use(tmp_path)
                assert caught.value.path == str(refused)


def test_memory_that_does_not_suffice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.write(tmp_path, sample(1, 8))

    def refuse(*args: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("bitsift.storage.npy_file.np.empty", refuse)
    with pytest.raises(IndexFileError, match="mmap=True") as caught:
        reader.read(tmp_path)
    assert caught.value.path == str(file_of(tmp_path, "codes"))


@pytest.mark.parametrize("name", ["file", "file/index", "full", "foreign", "broken", "dangling"])
def test_paths_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "manifest.json").write_text('{"name": "app"}')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text('{"format": "bitsift-index", ')
    (tmp_path / "dangling").symlink_to("nowhere")
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(IndexWriteError, match=name.split("/", 1)[0]):
        writer.write(tmp_path / name, sample())
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("kind", ["symlink", "folder", "fifo"])
def test_manifest_that_is_no_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    writer.write(tmp_path / "index", sample())
    manifest = tmp_path / "index" / "manifest.json"
    manifest.rename(tmp_path / "elsewhere.json")
    if kind == "symlink":
        manifest.symlink_to("../elsewhere.json")
    elif kind == "folder":
        manifest.mkdir()
    else:
        os.mkfifo(manifest)
    before = names_of(tmp_path / "index")
    with pytest.raises(IndexWriteError, match=r"manifest\.json"):
        writer.write(tmp_path / "index", sample(seed=1))
    assert names_of(tmp_path / "index") == before


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_folder_where_nobody_may_create() -> None:
    with pytest.raises(IndexWriteError, match=r"/proc/bitsift-index: cannot be written: "):
        writer.write("/proc/bitsift-index", sample())


def test_failed_first_save_leaves_no_folder(tmp_path: Path) -> None:
    wrong = sample(3)
    wrong.codes[1] = 255
    with pytest.raises(ValueError, match="codes: row 1 has pad bits"):
        writer.write(tmp_path / "a" / "b", wrong)
    assert not names_of(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of POSIX systems")
def test_system_that_refuses_to_write_more(tmp_path: Path) -> None:
    contents = sample(10)
    writer.write(tmp_path, contents)
    before = names_of(tmp_path)
    script = (
        "import resource, sys, numpy as np\n"
        "from bitsift.storage import writer\n"
        "from bitsift.storage.contents import Contents\n"
        "from bitsift.core.errors import IndexWriteError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "codes = np.zeros((100_000, 4), np.uint8)\n"
        "contents = Contents(32, 'dot', 0.0, codes, None, {})\n"
        "try:\n"
        "    writer.write(sys.argv[1], contents)\n"
        "except IndexWriteError as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"{tmp_path}: cannot be written: File too large\n"
    assert names_of(tmp_path) == before
    assert_same(reader.read(tmp_path), contents)


# ---- contents that contradict themselves


def _array(*shape: int, dtype: str = "float32") -> np.ndarray[Any, Any]:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 0}, "dim: got 0"),
        ({"dim": 65537}, "dim: got 65537"),
        ({"dim": True}, "dim: got True"),
        ({"dim": 17}, r"codes: got dtype uint8 and shape \(7, 2\), expected .*\(7, 3\)"),
        ({"metric": "manhattan"}, "metric: got 'manhattan'"),
        ({"originals": {"bfloat16": _array(7, 13)}}, "store: got 'bfloat16'"),
        ({"originals": {"float16": _array(7, 13)}}, "originals: got dtype float32"),
        ({"originals": {"float32": None}}, "originals: got NoneType"),
        ({"originals": {"float32": _array(7, 12)}}, r"originals: .*shape \(7, 12\)"),
        ({"codes": _array(7, 2, dtype="int8")}, "codes: got dtype int8"),
        ({"codes": _array(6, 2, dtype="uint8")}, r"expected .*\(6,\)"),
        ({"codes": [[0, 0]]}, "codes: got list"),
        ({"ids": _array(7, dtype="int32")}, "ids: got dtype int32"),
        ({"ids": _array(7, dtype=">i8")}, "ids: got dtype"),
        ({"ids": _array(7, dtype="int64")}, "ids: 0 is there twice"),
        ({"ids": np.arange(-1, 6)}, "ids: row 0 has the negative id -1"),
        ({"ids": np.arange(7)[::-1], "ids_ascending": True}, "ids: row 1, id 5, is not above"),
        ({"threshold": float("nan")}, "threshold: got nan"),
        ({"threshold": float("inf")}, "threshold: got inf"),
        ({"threshold": _array(12)}, r"threshold: .*shape \(12,\)"),
        ({"threshold": _array(13, dtype="float64")}, "threshold: got dtype float64"),
        ({"threshold": np.float32([np.nan] * 13)}, "threshold: row 0 has a value that is not"),
        (
            {"originals": {"float32": np.full((7, 13), np.inf, "f4")}},
            "originals: row 0 has a value that is not",
        ),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    contents = sample(seed=3)
    writer.write(tmp_path, contents)
    before = names_of(tmp_path)
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        writer.write(tmp_path, replace(contents, **changes))
    assert not isinstance(caught.value, OSError)
    assert names_of(tmp_path) == before
    assert_same(reader.read(tmp_path), contents)


def test_a_newer_index_is_not_replaced(tmp_path: Path) -> None:
    manifest = b'{"format": "bitsift-index", "version": 3}'
    (tmp_path / "manifest.json").write_bytes(manifest)
    with pytest.raises(IndexWriteError, match=r"format version 3.*remove the folder first"):
        writer.write(tmp_path, sample(1, 8))
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    assert (tmp_path / "manifest.json").read_bytes() == manifest


def test_the_way_to_a_folder_through_a_link(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "outer" / "inner")
    monkeypatch.chdir(tmp_path)
    writer.write("link/../fresh/below", sample(1, 8))
    assert (tmp_path / "outer" / "fresh" / "below" / "manifest.json").exists()
    assert not (tmp_path / "fresh").exists()
