# SPDX-License-Identifier: Apache-2.0
"""Damaged data files: each is a typed error that names the file, and never another answer."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from bitsift.core.errors import CorruptIndexError, IndexFileError
from bitsift.storage import npy_file, reader, writer
from helpers.laws import few_or_many, try_law
from helpers.storage_folders import (
    EVERY_OR_SOME,
    FILES,
    READ_BY_MAP,
    USES,
    flip,
    refused,
    version_2,
)
from helpers.storage_samples import (
    PARTS_V1,
    PARTS_V2,
    PARTS_V3,
    copy,
    file_of,
    is_same,
    manifest_of,
    put_file,
    sample,
)

ALL_FILES = ("manifest", *PARTS_V1)


@pytest.mark.parametrize(("version", "parts"), [(1, PARTS_V1), (2, PARTS_V2), (3, PARTS_V3)])
def test_the_samples_have_every_part(whole: Path, parts: tuple[str, ...]) -> None:
    assert set(manifest_of(whole)["files"]) == set(parts)


@pytest.mark.parametrize(("version", "part"), FILES)
@pytest.mark.parametrize("n_left", [0, 5, 9, 50, 127, 128, 129, -1])
def test_truncated(damaged: Path, part: str, n_left: int) -> None:
    path = file_of(damaged, part)
    os.truncate(path, n_left if n_left >= 0 else path.stat().st_size - 1)
    refused(damaged, r"it has \d+ bytes, expected \d+", path)


@pytest.mark.parametrize(("version", "part"), FILES)
@pytest.mark.parametrize("n_more", [1, 64, 1 << 40])
def test_extended(damaged: Path, part: str, n_more: int) -> None:
    path = file_of(damaged, part)
    os.truncate(path, path.stat().st_size + n_more)
    refused(damaged, r"it has \d+ bytes, expected \d+", path)


@pytest.mark.parametrize(("version", "part"), FILES)
def test_deleted(damaged: Path, part: str) -> None:
    path = file_of(damaged, part)
    path.unlink()
    refused(damaged, r"missing, though manifest\.json names it", path)


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
def test_not_a_regular_file(damaged: Path, part: str, kind: str, message: str, use: str) -> None:
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
    refused(damaged, f"it is {message}, expected a regular file", path, [use])


@pytest.mark.parametrize("part", ["manifest", "codes"])
@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_file_that_changes_after_the_check(
    damaged: Path, part: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The open file is checked again: its name may have pointed to another file before."""
    path = file_of(damaged, part)
    path.rename(damaged.parent / "moved")
    path.symlink_to(damaged.parent / "moved") if kind == "link" else os.mkfifo(path)
    regular = (damaged.parent / "moved").stat()
    real_stat = os.stat

    def stale(name: Any, **kwargs: Any) -> os.stat_result:
        return regular if name == path.name else real_stat(name, **kwargs)

    monkeypatch.setattr(os, "stat", stale)
    refused(damaged, "expected a regular file", path, ["read"])


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


@version_2
@pytest.mark.parametrize("pair", list(zip(PARTS_V2, PARTS_V2[3:], strict=False)))
def test_swapped_files_of_version_2(damaged: Path, pair: tuple[str, str]) -> None:
    first, second = (file_of(damaged, part) for part in pair)
    data = first.read_bytes(), second.read_bytes()
    assert data[0] != data[1]
    first.write_bytes(data[1])
    second.write_bytes(data[0])
    for use in ("read", "verify"):
        with pytest.raises(CorruptIndexError) as caught:
            USES[use](damaged)
        assert caught.value.path in (str(first), str(second))


@pytest.mark.parametrize("use", ["read", "verify"])
def test_swapped_with_the_same_size(tmp_path: Path, use: str) -> None:
    """Files of two indexes that differ in their vectors alone."""
    writer.write(tmp_path / "a", sample(seed=1))
    writer.write(tmp_path / "b", sample(seed=2))
    shutil.copy(file_of(tmp_path / "b", "codes"), file_of(tmp_path / "a", "codes"))
    refused(tmp_path / "a", "sha256 .*, expected ", file_of(tmp_path / "a", "codes"), [use])


@pytest.mark.parametrize("step", EVERY_OR_SOME)
@pytest.mark.parametrize(("version", "part"), FILES)
def test_flipped_bytes(damaged: Path, part: str, step: int) -> None:
    path = file_of(damaged, part)
    uses = USES if part in READ_BY_MAP else ("read", "verify")
    for position in range(0, path.stat().st_size, step):
        mask = 1 << position % 8
        flip(path, position, mask)
        refused(damaged, ".", path, uses)
        flip(path, position, mask)
    reader.verify(damaged)


@pytest.mark.parametrize("part", ["codes", "ids", "originals"])
def test_map_leaves_contents_to_verify(damaged: Path, part: str) -> None:
    flip(file_of(damaged, part), -1, 0x10)
    reader.read(damaged, mmap=True)
    refused(damaged, "contents are damaged", file_of(damaged, part), ["verify"])


def test_map_checks_the_thresholds(damaged: Path) -> None:
    flip(file_of(damaged, "threshold"), -1)
    refused(damaged, "contents are damaged", file_of(damaged, "threshold"), ["map"])


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
    refused(damaged, r"it ends \d+ bytes before its contents do", path, [use])


def test_file_that_is_cut_before_it_is_mapped(
    damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(damaged, "codes")
    real = npy_file.ArrayFile.map

    def cut(self: Any) -> Any:
        os.truncate(path, 100)
        return real(self)

    monkeypatch.setattr(npy_file.ArrayFile, "map", cut)
    with pytest.raises(IndexFileError, match="it has 100 bytes, expected 142") as caught:
        reader.read(damaged, mmap=True)
    assert caught.value.path == str(path)


@pytest.mark.parametrize("use", ["read", "verify"])
def test_disk_that_fails(damaged: Path, use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_at(*args: Any) -> int:
        raise OSError(5, "Input/output error")

    real = npy_file.ArrayFile._scan

    def fail(self: Any, *args: Any) -> None:
        monkeypatch.setattr(npy_file, "read_at", read_at)
        real(self, *args)

    monkeypatch.setattr(npy_file.ArrayFile, "_scan", fail)
    with pytest.raises(IndexFileError, match="cannot be read: Input/output error") as caught:
        USES[use](damaged)
    assert caught.value.path == str(file_of(damaged, "codes"))


@few_or_many(50, 300)
def test_random_damage_never_gives_another_answer(
    whole_folders: dict[int, Path], n_examples: int
) -> None:
    index = whole_folders[1]
    expected = reader.read(index)

    def law(data: st.DataObject) -> None:
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

    try_law(law, n_examples, data=st.data())


@few_or_many(50, 150)
def test_random_files_are_refused(whole_folders: dict[int, Path], n_examples: int) -> None:
    """The manifest agrees with the junk's size and digest."""
    index = whole_folders[1]

    def law(part: str, junk: bytes) -> None:
        folder = copy(index, index.parent / "junk")
        put_file(folder, part, junk or b"\0")
        for use in USES.values():
            with pytest.raises(CorruptIndexError) as caught:
                use(folder)
            assert caught.value.path == str(file_of(folder, part))
        assert manifest_of(folder)["files"][part]["bytes"] >= 1

    try_law(law, n_examples, part=st.sampled_from(PARTS_V1), junk=st.binary(max_size=300))
