# SPDX-License-Identifier: Apache-2.0
"""Damaged data files: each is a typed error that names the file, and never another answer."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsift.core.errors import CorruptIndexError, IndexFileError
from bitsift.storage import manifest_json, npy_file, reader, row_checks, writer
from helpers.storage_samples import (
    PARTS,
    assert_same,
    copy,
    file_of,
    forge,
    is_same,
    manifest_of,
    part_of,
    put_file,
    sample,
)

USES: dict[str, Callable[[Path], Any]] = {
    "read": reader.read,
    "map": lambda path: reader.read(path, mmap=True),
    "verify": reader.verify,
}
ALL_FILES = ("manifest", *PARTS)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with every file that there can be; not to be changed."""
    path = tmp_path_factory.mktemp("storage") / "index"
    writer.write(path, sample())
    return path


@pytest.fixture
def damaged(index: Path, tmp_path: Path) -> Path:
    """Give a copy that a test may damage."""
    return copy(index, tmp_path / "index")


def refused(folder: Path, use: str, path: Path, message: str) -> None:
    with pytest.raises(CorruptIndexError, match=message) as caught:
        USES[use](folder)
    assert caught.value.path == str(path)
    assert str(path) in str(caught.value)


def flip(path: Path, position: int, mask: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= mask
    path.write_bytes(data)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("n_left", [0, 5, 9, 50, 127, 128, 129, -1])
def test_truncated(damaged: Path, part: str, n_left: int, use: str) -> None:
    path = file_of(damaged, part)
    os.truncate(path, n_left if n_left >= 0 else path.stat().st_size - 1)
    refused(damaged, use, path, r"it has \d+ bytes, expected \d+")


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("n_more", [1, 64, 1 << 40])
def test_extended(damaged: Path, part: str, n_more: int, use: str) -> None:
    path = file_of(damaged, part)
    os.truncate(path, path.stat().st_size + n_more)
    refused(damaged, use, path, r"it has \d+ bytes, expected \d+")


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("part", PARTS)
def test_deleted(damaged: Path, part: str, use: str) -> None:
    path = file_of(damaged, part)
    path.unlink()
    refused(damaged, use, path, r"missing, though manifest\.json names it")


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("part", ALL_FILES)
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("link", "a symbolic link"),
        ("dangling", "a symbolic link"),
        ("folder", "a folder"),
        ("fifo", "a FIFO"),
        ("device", "a device"),
    ],
)
def test_no_regular_file(damaged: Path, part: str, kind: str, message: str, use: str) -> None:
    path = file_of(damaged, part)
    path.rename(damaged.parent / "moved")
    if kind == "link":
        path.symlink_to(damaged.parent / "moved")
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        try:
            os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))
        except PermissionError:
            path.symlink_to("/dev/zero")
            message = "a symbolic link"
    refused(damaged, use, path, f"it is {message}, expected a regular file")


@pytest.mark.parametrize("part", ["manifest", "codes"])
@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_file_that_changes_after_the_look(
    damaged: Path, part: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was opened is looked at again: the first look may be of another file."""
    path = file_of(damaged, part)
    path.rename(damaged.parent / "moved")
    path.symlink_to(damaged.parent / "moved") if kind == "link" else os.mkfifo(path)
    regular = (damaged.parent / "moved").stat()
    real_stat = os.stat

    def stale(name: Any, **kwargs: Any) -> os.stat_result:
        return regular if name == path.name else real_stat(name, **kwargs)

    monkeypatch.setattr(os, "stat", stale)
    refused(damaged, "read", path, "expected a regular file")


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("pair", [("codes", "ids"), ("ids", "originals"), ("codes", "threshold")])
def test_swapped(damaged: Path, pair: tuple[str, str], use: str) -> None:
    first, second = (file_of(damaged, part) for part in pair)
    data = first.read_bytes(), second.read_bytes()
    first.write_bytes(data[1])
    second.write_bytes(data[0])
    with pytest.raises(CorruptIndexError) as caught:
        USES[use](damaged)
    assert caught.value.path in (str(first), str(second))


@pytest.mark.parametrize("use", ["read", "verify"])
def test_swapped_with_the_same_size(tmp_path: Path, use: str) -> None:
    """The files of two indexes that differ in nothing but what they hold."""
    writer.write(tmp_path / "a", sample(seed=1))
    writer.write(tmp_path / "b", sample(seed=2))
    shutil.copy(file_of(tmp_path / "b", "codes"), file_of(tmp_path / "a", "codes"))
    refused(tmp_path / "a", use, file_of(tmp_path / "a", "codes"), "sha256 .*, expected ")


@pytest.mark.parametrize("part", PARTS)
def test_every_flipped_byte_of_a_data_file(damaged: Path, part: str) -> None:
    path = file_of(damaged, part)
    for position in range(path.stat().st_size):
        flip(path, position)
        for use in ("read", "verify"):
            refused(damaged, use, path, ".")
        flip(path, position)
    reader.verify(damaged)


def test_every_flipped_bit_of_the_manifest(index: Path) -> None:
    path = file_of(index, "manifest")
    data = bytearray(path.read_bytes())
    expected = manifest_json.decode(bytes(data), str(path))
    blamed = set()
    for position in range(len(data)):
        for bit in range(8):
            data[position] ^= 1 << bit
            try:
                found = manifest_json.decode(bytes(data), str(path))
            except IndexFileError as error:
                blamed.add(error.path)
            else:  # white space alone
                assert found == expected
            data[position] ^= 1 << bit
    assert blamed == {str(path)}


@pytest.mark.parametrize("part", ["codes", "ids", "originals"])
def test_map_leaves_contents_to_verify(damaged: Path, part: str) -> None:
    flip(file_of(damaged, part), -1, 0x10)
    reader.read(damaged, mmap=True)
    refused(damaged, "verify", file_of(damaged, part), "contents are damaged")


def test_map_checks_the_thresholds(damaged: Path) -> None:
    flip(file_of(damaged, "threshold"), -1)
    refused(damaged, "map", file_of(damaged, "threshold"), "contents are damaged")


# ---- headers; size and digest are mended, so that nothing but the header is wrong


def replaced_header(data: bytes, old: bytes, new: bytes) -> bytes:
    header = data[10:128].rstrip(b" \n").replace(old, new)
    assert header != data[10:128].rstrip(b" \n")
    return data[:10] + header.ljust(117) + b"\n" + data[128:]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"'|u1'", b"'|O'", r"dtype is '\|O', expected '\|u1'"),
        (b"'|u1'", b"'|i1'", r"dtype is '\|i1', expected '\|u1'"),
        (b"'|u1'", b"'>u1'", "dtype is '>u1'"),
        (b"'|u1'", b"[('a', '|u1')]", r"\.npy header is no plain array's"),
        (b"'|u1'", b"__import__('os').abort()", r"\.npy header is no plain array's"),
        (b"'|u1'", b"'\xff'", "dtype is 'ÿ'"),
        (b"False", b"True", "order is Fortran's"),
        (b"False", b"0", r"\.npy header is no plain array's"),
        (b"(7, 2)", b"(2, 7)", r"shape is \(2, 7\), expected \(7, 2\)"),
        (b"(7, 2)", b"(14,)", r"shape is \(14,\)"),
        (b"(7, 2)", b"()", r"shape is \(\)"),
        (b"(7, 2)", b"(9999999999999999, 2)", "shape is "),
        (b"(7, 2)", b"(7, -2)", r"\.npy header is no plain array's"),
        (b"(7, 2)", b"[7, 2]", r"\.npy header is no plain array's"),
        (b"(7, 2)", b"(7,, 2)", "shape is "),
        (b"'shape'", b"'shade'", r"\.npy header is no plain array's"),
        (b"}", b"", r"\.npy header is no plain array's"),
        (b"{", b"-" * 30, r"\.npy header is no plain array's"),
    ],
)
def test_headers(damaged: Path, old: bytes, new: bytes, message: str, use: str) -> None:
    path = file_of(damaged, "codes")
    put_file(damaged, "codes", replaced_header(path.read_bytes(), old, new))
    refused(damaged, use, path, message)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("start", "data", "message"),
    [
        (0, b"\x93NUMPX", "it starts with"),
        (0, b"PK\x03\x04", "it starts with"),
        (6, b"\x04\x00", r"\.npy version is 4\.0, expected 1\.0, 2\.0 or 3\.0"),
        (6, b"\x01\x01", r"\.npy version is 1\.1"),
        (6, b"\x02\x00\xff\xff\xff\xff", "header is 4294967307 bytes long"),
        (8, b"\xff\xff", "header is 65545 bytes long, expected a multiple of 64"),
        (8, b"\x77\x00", "header is 129 bytes long"),
        (8, b"\x36\x00", r"\.npy header is no plain array's"),
        (8, b"\xb6\x00", "it ends 50 bytes before its contents do"),
    ],
)
def test_starts(damaged: Path, start: int, data: bytes, message: str, use: str) -> None:
    path = file_of(damaged, "codes")
    whole = path.read_bytes()
    put_file(damaged, "codes", whole[:start] + data + whole[start + len(data) :])
    refused(damaged, use, path, message)


@pytest.mark.parametrize("use", USES)
def test_header_that_ends_elsewhere(damaged: Path, use: str) -> None:
    """A longer header that takes the data for its padding."""
    path = file_of(damaged, "originals")
    data = path.read_bytes()
    longer = data[:8] + (128 + 64 - 10).to_bytes(2, "little") + data[10:128]
    put_file(damaged, "originals", longer + b" " * 63 + b"\n" + data[128 + 64 :])
    refused(damaged, use, path, r"its data are \d+ bytes long, expected \d+")


@pytest.mark.parametrize("use", USES)
def test_spaces_without_end(damaged: Path, use: str) -> None:
    path = file_of(damaged, "codes")
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (7, 2)"
    header = b"\x93NUMPY\x01\x00" + (4096 - 10).to_bytes(2, "little") + text.ljust(4096 - 10)
    put_file(damaged, "codes", header + path.read_bytes()[128:])
    refused(damaged, use, path, r"\.npy header is no plain array's")


class _Bomb:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return exec, ("import sys; sys.bitsift_unpickled = True",)


@pytest.mark.parametrize("use", USES)
def test_nothing_is_unpickled(damaged: Path, use: str) -> None:
    path = file_of(damaged, "codes")
    np.save(path, np.array([_Bomb()], dtype=object), allow_pickle=True)
    put_file(damaged, "codes", path.read_bytes())
    refused(damaged, use, path, r"dtype is '\|O'")
    put_file(damaged, "codes", pickle.dumps(_Bomb()))
    refused(damaged, use, path, "it starts with")
    assert not hasattr(sys, "bitsift_unpickled")


@pytest.mark.parametrize("use", ["read", "verify"])
def test_file_that_is_cut_while_it_is_read(
    damaged: Path, use: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(damaged, "originals")
    real = npy_file.ArrayFile._scan

    def cut(self: Any, *args: Any) -> None:
        os.truncate(path, 200)
        real(self, *args)

    monkeypatch.setattr(npy_file.ArrayFile, "_scan", cut)
    refused(damaged, use, path, r"it ends \d+ bytes before its contents do")


def test_file_that_is_cut_before_it_is_mapped(
    damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(damaged, "codes")
    real = npy_file.ArrayFile.map

    def cut(self: Any) -> Any:
        os.truncate(path, 100)
        return real(self)

    monkeypatch.setattr(npy_file.ArrayFile, "map", cut)
    with pytest.raises(IndexFileError, match="cannot be mapped") as caught:
        reader.read(damaged, mmap=True)
    assert caught.value.path == str(path)


@pytest.mark.parametrize("use", ["read", "verify"])
def test_disk_that_fails(damaged: Path, use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class FailingFile(io.FileIO):
        def readinto(self, buffer: Any) -> int:
            raise OSError(5, "Input/output error")

    real = npy_file.ArrayFile._scan

    def fail(self: Any, *args: Any) -> None:
        self._file.close()
        self._file = FailingFile(self.path)
        real(self, *args)

    monkeypatch.setattr(npy_file.ArrayFile, "_scan", fail)
    with pytest.raises(IndexFileError, match="cannot be read: Input/output error") as caught:
        USES[use](damaged)
    assert caught.value.path == str(file_of(damaged, "codes"))


# ---- files that are whole, with contents that no index has


def _with(array: Any, position: Any, value: Any) -> Any:
    changed = array.copy()
    changed[position] = value
    return changed


WRONG_CONTENTS = {
    "pad": ("codes", lambda a: _with(a, (5, 1), a[5, 1] | 4), "row 5 has pad bits"),
    "negative": ("ids", lambda a: _with(a, 4, -1), "row 4 has the negative id -1"),
    "twice": ("ids", lambda a: _with(a, 6, a[0]), "is there twice"),
    "nan": ("originals", lambda a: _with(a, (3, 12), np.nan), "row 3 has a value"),
    "inf": ("originals", lambda a: _with(a, (6, 0), -np.inf), "row 6 has a value"),
    "threshold": ("threshold", lambda a: _with(a, 12, np.inf), "row 12 has a value"),
}


@pytest.mark.parametrize("chunk_bytes", [1, 100, 1 << 20])
@pytest.mark.parametrize("use", ["read", "verify"])
@pytest.mark.parametrize("store", ["float32", "float16"])
@pytest.mark.parametrize("wrong", WRONG_CONTENTS)
def test_contents(
    tmp_path: Path,
    wrong: str,
    store: str,
    use: str,
    chunk_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(npy_file, "_CHUNK_BYTES", chunk_bytes)
    part, change, message = WRONG_CONTENTS[wrong]
    contents = sample(store=store)
    changed: Any = change(part_of(contents, part))
    if part == "originals":
        changed = {store: changed}
    forge(tmp_path, replace(contents, **{part: changed}))
    refused(tmp_path, use, file_of(tmp_path, part), message)


@pytest.mark.parametrize("chunk_bytes", [8, 24, 1 << 20])
@pytest.mark.parametrize("use", ["read", "verify"])
@pytest.mark.parametrize(
    ("ids", "row"),
    [
        ([5, 4, 6, 7, 8, 9, 10], 1),
        ([0, 1, 2, 2, 3, 4, 5], 3),
        ([0, 1, 2, 3, 4, 2**63 - 1, 6], 6),
        ([2**63 - 1, 1, 2, 3, 4, 5, 6], 1),
    ],
)
def test_ids_said_to_ascend(
    tmp_path: Path,
    ids: list[int],
    row: int,
    use: str,
    chunk_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(npy_file, "_CHUNK_BYTES", chunk_bytes)
    forge(tmp_path, replace(sample(ids="ascending"), ids=np.array(ids)))
    refused(tmp_path, use, file_of(tmp_path, "ids"), f"row {row}, id {ids[row]}, is not above")


def test_largest_ids(tmp_path: Path) -> None:
    top = 2**63 - 1
    for ids in ([top - 3, top - 2, top - 1, top], [top, 0, top - 1, 5]):
        contents = sample(4, ids="arbitrary")
        contents = replace(contents, ids=np.array(ids), ids_ascending=ids[0] != top)
        writer.write(tmp_path, contents)
        assert_same(reader.read(tmp_path), contents)
        reader.verify(tmp_path)


@settings(deadline=None, max_examples=200)
@given(
    ids=st.lists(st.integers(0, 30) | st.integers(2**63 - 20, 2**63 - 1), max_size=60),
    n_at_a_time=st.integers(1, 20),
    step=st.integers(1, 20),
)
def test_duplicates_are_found(ids: list[int], n_at_a_time: int, step: int) -> None:
    array = np.array(ids, dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_checks, "_IDS_AT_A_TIME", n_at_a_time)
        found = row_checks.find_duplicate(
            lambda: (array[first : first + step] for first in range(0, len(array), step)),
            len(array),
        )
    if len(set(ids)) == len(ids):
        assert found is None
    else:
        assert ids.count(found) > 1  # type: ignore[arg-type]


# ---- anything, anywhere


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_random_damage_never_gives_another_answer(index: Path, data: st.DataObject) -> None:
    expected = reader.read(index)
    folder = copy(index, index.parent / "flipped")
    for _ in range(data.draw(st.integers(1, 4))):
        path = file_of(index, data.draw(st.sampled_from(ALL_FILES)))
        position = data.draw(st.integers(0, path.stat().st_size - 1))
        flip(folder / path.name, position, data.draw(st.integers(1, 255)))
    outcomes = []
    for use in (reader.read, reader.verify):
        try:
            found = use(folder)
        except IndexFileError as error:
            outcomes.append(str(error))
        else:
            outcomes.append("whole")
            assert found is None or is_same(found, expected)
    assert outcomes[0] == outcomes[1]
    try:
        mapped = reader.read(folder, mmap=True)
    except IndexFileError:
        assert outcomes[0] != "whole"
    else:
        assert mapped.codes.shape == expected.codes.shape


@settings(deadline=None, max_examples=150)
@given(part=st.sampled_from(PARTS), junk=st.binary(max_size=300))
def test_random_files_are_refused(index: Path, part: str, junk: bytes) -> None:
    """The manifest agrees with the junk's size and digest."""
    folder = copy(index, index.parent / "junk")
    put_file(folder, part, junk or b"\0")
    for use in USES.values():
        with pytest.raises(CorruptIndexError) as caught:
            use(folder)
        assert caught.value.path == str(file_of(folder, part))
    assert manifest_of(folder)["files"][part]["bytes"] >= 1
