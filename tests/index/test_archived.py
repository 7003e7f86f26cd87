# SPDX-License-Identifier: Apache-2.0
"""``Index.to_bytes`` and ``Index.from_bytes``: what comes back, and what is refused."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any

import numpy as np
import pytest

import bitsift

VECTORS = np.random.default_rng(0).standard_normal((1200, 24)).astype(np.float32)


def filled(**options: Any) -> bitsift.Index:
    index = bitsift.Index(24, **options)
    index.add(VECTORS, ids=np.random.default_rng(1).permutation(5000)[:1200])
    return index


@pytest.fixture(scope="module")
def data() -> bytes:
    return filled(scoring="hamming").to_bytes()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"store": None},
        {"store": ["int8", "float32"], "threshold": "median", "correction": True},
        {"metric": "l2", "rotate": True, "store": "ternary"},
    ],
    ids=str,
)
def test_it_comes_back(options: dict[str, Any]) -> None:
    index = filled(**options)
    index.remove(index.ids[::7].copy())
    for data in (index.to_bytes(), bytearray(index.to_bytes()), memoryview(index.to_bytes())):
        other = bitsift.Index.from_bytes(data)
        assert repr(other) == repr(index)
        assert other.ids.tolist() == index.ids.tolist()
        assert other.codes.tobytes() == index.codes.tobytes()
        found, wanted = other.search(VECTORS[:9], 5), index.search(VECTORS[:9], 5)
        assert found.ids.tolist() == wanted.ids.tolist()
        assert found.scores.tobytes() == wanted.scores.tobytes()


@pytest.mark.parametrize("n", [0, 1, 3])
def test_few_vectors(n: int) -> None:
    index = bitsift.Index(24)
    index.add(VECTORS[:n])
    other = bitsift.Index.from_bytes(index.to_bytes())
    assert len(other) == n
    other.add(VECTORS[n:5])
    assert other.search(VECTORS[4], 1).ids.tolist() == [4]


def test_a_subclass_and_a_level(data: bytes) -> None:
    class Mine(bitsift.Index):
        pass

    index = Mine.from_bytes(data, isa="scalar")
    assert (type(index), index.isa) == (Mine, "scalar")


def test_numpy_opens_it_and_every_file_is_aligned(data: bytes) -> None:
    archive = np.load(io.BytesIO(data))
    codes = next(name for name in archive.files if name.startswith("codes"))
    np.testing.assert_array_equal(archive[codes], filled(scoring="hamming").codes)
    with zipfile.ZipFile(io.BytesIO(data)) as members:
        assert members.testzip() is None
        for member in members.infolist():
            lengths = data[member.header_offset + 26 : member.header_offset + 30]
            begin = member.header_offset + 30 + sum(struct.unpack("<HH", lengths))
            assert begin % 64 == 0


@pytest.mark.parametrize("wrong", [None, "text", 7, [1], np.zeros(3)])
def test_what_is_not_bytes(wrong: Any) -> None:
    with pytest.raises(TypeError, match="data must be bytes-like; got"):
        bitsift.Index.from_bytes(wrong)


def test_what_is_no_index() -> None:
    for wrong in (b"", b"x" * 100, b"PK", archive_of({})):
        with pytest.raises(bitsift.IndexFileError, match="<bytes>"):
            bitsift.Index.from_bytes(wrong)
    with pytest.raises(bitsift.NotAnIndexError, match=r"has no manifest\.json"):
        bitsift.Index.from_bytes(archive_of({"a": b"b"}))


def archive_of(files: dict[str, bytes], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def files_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize(
    "name", ["../escaped.npy", "/tmp/escaped.npy", "readme.txt", "a/b.npy", "codes.npy", "x" * 300]
)
def test_other_names_are_refused(data: bytes, name: str) -> None:
    with pytest.raises(bitsift.CorruptIndexError, match="which is no file of an index"):
        bitsift.Index.from_bytes(archive_of({**files_of(data), name: b"x"}))


def test_compressed_files_are_refused(data: bytes) -> None:
    wrong = archive_of(files_of(data), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(bitsift.CorruptIndexError, match="is compressed or encrypted"):
        bitsift.Index.from_bytes(wrong)


def test_a_missing_and_a_damaged_file_are_named(data: bytes) -> None:
    files = files_of(data)
    codes = next(name for name in files if name.startswith("codes"))
    with pytest.raises(bitsift.CorruptIndexError, match=f"^<bytes>: {codes}: the file is missing"):
        bitsift.Index.from_bytes(archive_of({k: v for k, v in files.items() if k != codes}))
    files[codes] = files[codes][:-1] + bytes([files[codes][-1] ^ 1])
    with pytest.raises(bitsift.CorruptIndexError, match=f"^<bytes>: {codes}: its contents are dam"):
        bitsift.Index.from_bytes(archive_of(files))


@pytest.mark.parametrize("step", [pytest.param(37, marks=pytest.mark.slow), 4999])
def test_any_flipped_byte_is_found_or_changes_nothing(data: bytes, step: int) -> None:
    wanted = filled(scoring="hamming")
    for i in range(0, len(data), step):
        damaged = bytearray(data)
        damaged[i] ^= 0x55
        try:
            index = bitsift.Index.from_bytes(damaged)
        except bitsift.IndexFileError:
            continue
        assert index.codes.tobytes() == wanted.codes.tobytes()
        assert index.get(index.ids).tobytes() == wanted.get(wanted.ids).tobytes()


@pytest.mark.parametrize("step", [pytest.param(101, marks=pytest.mark.slow), 9001])
def test_any_cut_is_found(data: bytes, step: int) -> None:
    for n in range(0, len(data), step):
        with pytest.raises(bitsift.IndexFileError, match="<bytes>"):
            bitsift.Index.from_bytes(data[:n])
