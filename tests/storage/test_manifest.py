# SPDX-License-Identifier: Apache-2.0
"""Manifests that are not ours, newer, or wrong in any one field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsift.core.errors import (
    CorruptIndexError,
    IndexFileError,
    NotAnIndexError,
    UnsupportedVersionError,
)
from bitsift.storage import reader, writer
from helpers.storage_samples import (
    PARTS,
    change_manifest,
    copy,
    file_of,
    manifest_of,
    put_manifest,
    sample,
)

USES: dict[str, Callable[[Path], Any]] = {
    "read": reader.read,
    "map": lambda path: reader.read(path, mmap=True),
    "verify": reader.verify,
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with every file that there can be; not to be changed."""
    path = tmp_path_factory.mktemp("manifest") / "index"
    writer.write(path, sample())
    return path


@pytest.fixture
def damaged(index: Path, tmp_path: Path) -> Path:
    """Give a copy that a test may damage."""
    return copy(index, tmp_path / "index")


def refused(folder: Path, kind: type[IndexFileError], message: str) -> None:
    for use in USES.values():
        with pytest.raises(kind, match=message) as caught:
            use(folder)
        assert type(caught.value) is kind
        assert caught.value.path == str(folder / "manifest.json")
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 100,
        b"garbage",
        b"{",
        b'{"format": "bitsift-index"',
        b'{"format": "bitsift-index"}}',
        b'{"format": "bitsift-ind\xff"}',
        b'\xef\xbb\xbf{"format": "bitsift-index"}',
        '{"format": "bitsift-index"}'.encode("utf-16"),
        b'{"format": "bitsift-index", "version": NaN}',
        b'{"format": "bitsift-index", "version": -Infinity}',
        b'{"format": "bitsift-index", "version": 1e999}',
        b'{"format": "bitsift-index", "version": 1, "version": 1}',
        b'{"format": "bitsift-index", "version": ' + b"9" * 100_000 + b"}",
        b'{"format": "bitsift-index", "version": -' + b"9" * 5000 + b"}",
        b'{"format": "bitsift-index", "files": {"a": 1, "a": 2}}',
    ],
)
def test_no_json(damaged: Path, data: bytes) -> None:
    file_of(damaged, "manifest").write_bytes(data)
    refused(damaged, CorruptIndexError, "it is not the JSON of a manifest")


@pytest.mark.parametrize("start", [b"[", b'{"a":', b'{"format": "bitsift-index", "dim": ['])
@pytest.mark.parametrize("depth", [20_000, 100_000])
def test_deep_nesting(damaged: Path, start: bytes, depth: int) -> None:
    opening = start[-1:] if start.endswith(b"[") else start
    file_of(damaged, "manifest").write_bytes(start + opening * depth)
    refused(damaged, CorruptIndexError, "nested too deeply|not the JSON")


@pytest.mark.parametrize("depth", [100, 400, 600, 800, 900, 950, 980])
def test_nesting_that_parses(damaged: Path, depth: int) -> None:
    """JSON that is read at some depth of the stack must not fail at a greater one."""
    nested = b"[" * depth + b"]" * depth
    file_of(damaged, "manifest").write_bytes(nested)
    for use in USES.values():
        with pytest.raises(IndexFileError):
            use(damaged)
    file_of(damaged, "manifest").write_bytes(
        b'{"format": "bitsift-index", "version": ' + nested + b"}"
    )
    refused(damaged, CorruptIndexError, "version: found|nested too deeply")


def test_too_large(damaged: Path) -> None:
    path = file_of(damaged, "manifest")
    data = path.read_bytes()
    path.write_bytes(data.ljust(1 << 20))
    reader.verify(damaged)
    path.write_bytes(data.ljust((1 << 20) + 1))
    refused(damaged, CorruptIndexError, "more than 1048576 bytes")
    with path.open("ab") as file:
        file.truncate(1 << 40)
    refused(damaged, CorruptIndexError, "more than 1048576 bytes")


@pytest.mark.parametrize(
    "fields",
    [
        None,
        3,
        "bitsift-index",
        [],
        ["bitsift-index"],
        {},
        {"name": "app", "version": "1.0", "manifest_version": 3},
        {"format": None},
        {"format": ["bitsift-index"]},
        {"format": "Bitsift-Index", "version": 1},
        {"format": "x" * 10_000},
        {"format": "\ud800\x1b[31m\n"},
    ],
)
def test_foreign_json(damaged: Path, fields: object) -> None:
    file_of(damaged, "manifest").write_text(json.dumps(fields))
    refused(damaged, NotAnIndexError, "not the manifest of a bitsift index")


@pytest.mark.parametrize("version", [3, 4, 10**18])
@pytest.mark.parametrize("rest", [{}, {"dim": "?", "shards": []}])
def test_newer_version(damaged: Path, version: int, rest: dict[str, Any]) -> None:
    fields = {"format": "bitsift-index", "version": version, **rest}
    file_of(damaged, "manifest").write_text(json.dumps(fields))
    refused(
        damaged,
        UnsupportedVersionError,
        f"format version {version}; this release of bitsift reads version 2",
    )


@pytest.mark.parametrize("version", [None, 0, -1, True, False, 1.0, "1", "2", [1], {}])
def test_no_version(damaged: Path, version: object) -> None:
    change_manifest(damaged, lambda fields: fields.update(version=version))
    refused(damaged, CorruptIndexError, "version: found .*, expected an integer from 1")


def test_checksum(damaged: Path) -> None:
    path = file_of(damaged, "manifest")
    text = path.read_text()
    assert text.count('"cosine"') == 1
    path.write_text(text.replace('"cosine"', '"dot"'))
    refused(damaged, CorruptIndexError, "checksum: found '[0-9a-f]{64}', expected '[0-9a-f]{64}'")
    path.write_text("\n".join(line.strip() for line in text.splitlines()))
    reader.verify(damaged)


WRONG_FIELDS: list[tuple[str, Any]] = [
    *(("dim", value) for value in (0, -1, 65537, 14, 17, 13.0, True, None, "13", [13], 10**18)),
    *(("count", value) for value in (-1, 6, 8, 7.0, True, None, "7", 2**63, 10**18)),
    *(("metric", value) for value in ("", "Cosine", "hamming", None, 1, ["cosine"], {})),
    *(("store", value) for value in ("", "int8", "float16", 1, False, ["float32"], {}, None)),
    *(("threshold", value) for value in (0, 0.5, True, "0.5", [], {}, 1e39, -3.5e38)),
    *(("ids", value) for value in ("automatic", "", None, True, 1, ["arbitrary"], {})),
    *(("files", value) for value in (None, [], {}, "codes", 0, {"codes": None})),
]
WRONG_ENTRIES: list[tuple[str, Any]] = [
    *(("bytes", value) for value in (0, -1, 1, 141, 143, 142.0, True, None, "142", 2**63 - 1)),
    *(("dtype", value) for value in ("", "|O", "uint8", "<u1", ">i8", None, 1, ["|u1"])),
    *(("shape", value) for value in ([], [7], [7, 3], [2, 7], [7.0, 2], [7, 2, 1], [14], None)),
    *(("shape", value) for value in (7, "72", {"0": 7}, [2**62, 2], [-7, -2])),
    *(("sha256", value) for value in ("", "0" * 63, "0" * 65, "G" * 64, None, 0, ["0" * 64])),
    *(("name", value) for value in (None, 1, "", ".", "..", "manifest.json", "/dev/zero", [])),
    *(
        ("name", value.replace("@", "0" * 32))
        for value in (
            "../codes-@.npy",
            "./codes-@.npy",
            "/codes-@.npy",
            "codes-@.npy/",
            "codes-@.npy\n",
            "codes-@.npy\0",
            "codes-@/x.npy",
            "codes-@.npz",
            "CODES-@.npy",
            "codes-@@.npy",
            "codes-" + "٣" * 32 + ".npy",
            "codes-" + "A" * 32 + ".npy",
            "ids-@.npy",
            "C:codes-@.npy",
            "..\\codes-@.npy",
            "\ud800",
        )
    ),
]


@pytest.mark.parametrize(("key", "value"), WRONG_FIELDS)
def test_wrong_field(damaged: Path, key: str, value: Any) -> None:
    change_manifest(damaged, lambda fields: fields.update({key: value}))
    refused(damaged, CorruptIndexError, "found|missing|does not belong")


@pytest.mark.parametrize(("key", "value"), WRONG_ENTRIES)
def test_wrong_entry(damaged: Path, key: str, value: Any) -> None:
    codes = file_of(damaged, "codes")
    change_manifest(damaged, lambda fields: fields["files"]["codes"].update({key: value}))
    for use in USES.values():
        with pytest.raises(CorruptIndexError) as caught:
            use(damaged)
        assert caught.value.path in (str(damaged / "manifest.json"), str(codes))


def test_path_outside_the_folder_is_not_opened(damaged: Path) -> None:
    """Even where the file is there and is right in everything else."""
    name = manifest_of(damaged)["files"]["codes"]["name"]
    (damaged / name).rename(damaged.parent / name)
    for outside in (f"../{name}", str(damaged.parent / name)):
        change_manifest(
            damaged, lambda fields, name=outside: fields["files"]["codes"].update(name=name)
        )
        refused(damaged, CorruptIndexError, r"files\.codes\.name: found")


def test_one_file_for_two_parts(damaged: Path) -> None:
    def share(fields: dict[str, Any]) -> None:
        fields["files"]["ids"]["name"] = fields["files"]["codes"]["name"]

    change_manifest(damaged, share)
    refused(damaged, CorruptIndexError, r"files\.ids\.name: found")


@pytest.mark.parametrize("shape", [[True, 1], [1, True]])
def test_true_is_no_number(tmp_path: Path, shape: list[Any]) -> None:
    writer.write(tmp_path, sample(1, 8, store=None, ids="automatic", threshold="number"))
    change_manifest(tmp_path, lambda fields: fields["files"]["codes"].update(shape=shape))
    refused(tmp_path, CorruptIndexError, r"files\.codes\.shape: found")


@pytest.mark.parametrize(
    "where", [(), ("files",), *(("files", part) for part in PARTS)], ids="/".join
)
def test_keys(damaged: Path, where: tuple[str, ...]) -> None:
    whole = manifest_of(damaged)

    def fields_at(fields: dict[str, Any]) -> dict[str, Any]:
        for key in where:
            fields = fields[key]
        return fields

    for key in set(fields_at(whole)) - {"format", "version", "checksum"}:
        fields = manifest_of(damaged)
        del fields_at(fields)[key]
        put_manifest(damaged, fields)
        refused(damaged, CorruptIndexError, f"the key '{key}' is missing")
        put_manifest(damaged, whole)

    change_manifest(damaged, lambda fields: fields_at(fields).update(comment="?"))
    refused(damaged, CorruptIndexError, "the key 'comment' does not belong")


def test_checksum_missing(damaged: Path) -> None:
    fields = manifest_of(damaged)
    del fields["checksum"]
    file_of(damaged, "manifest").write_text(json.dumps(fields))
    refused(damaged, CorruptIndexError, "the key 'checksum' is missing")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(deadline=None, max_examples=300)
@given(data=st.data(), value=JSON)
def test_any_json_in_any_field(index: Path, data: st.DataObject, value: Any) -> None:
    """With a checksum that agrees: a typed error, or contents of that description."""
    folder = copy(index, index.parent / "fuzzed")
    fields = manifest_of(folder)
    at = fields
    path = []
    while True:
        key = data.draw(st.sampled_from(sorted(at)))
        path.append(key)
        if not isinstance(at[key], dict) or data.draw(st.booleans()):
            break
        at = at[key]
    at[key] = value
    put_manifest(folder, fields)
    blamed = str(folder)
    for use in USES.values():
        try:
            found = use(folder)
        except IndexFileError as error:
            blamed = error.path
        else:
            # Nothing but the metric may change without contradicting the files.
            assert path == ["metric"] or manifest_of(folder) == manifest_of(index)
            assert found is None or found.metric == fields["metric"]
    assert blamed.startswith(str(folder))


@settings(deadline=None, max_examples=300)
@given(junk=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes(index: Path, junk: bytes) -> None:
    folder = copy(index, index.parent / "junk")
    (folder / "manifest.json").write_bytes(junk)
    for use in USES.values():
        with pytest.raises((CorruptIndexError, NotAnIndexError)):
            use(folder)
