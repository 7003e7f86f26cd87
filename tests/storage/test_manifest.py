# SPDX-License-Identifier: Apache-2.0
"""Manifests that are not JSON, of another program, or changed after their checksum was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from bitsift.core.errors import CorruptIndexError, IndexFileError, NotAnIndexError
from bitsift.storage import manifest_json, reader
from helpers.laws import few_or_many, try_law
from helpers.storage_folders import EVERY_OR_SOME, USES, refused
from helpers.storage_samples import (
    PARTS_V1,
    change_manifest,
    copy,
    file_of,
    manifest_of,
    put_manifest,
)


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
def test_not_json(damaged: Path, data: bytes) -> None:
    file_of(damaged, "manifest").write_bytes(data)
    refused(damaged, "it is not the JSON of a manifest")


@pytest.mark.parametrize("start", [b"[", b'{"a":', b'{"format": "bitsift-index", "dim": ['])
@pytest.mark.parametrize("depth", [20_000, 100_000])
def test_deep_nesting(damaged: Path, start: bytes, depth: int) -> None:
    opening = start[-1:] if start.endswith(b"[") else start
    file_of(damaged, "manifest").write_bytes(start + opening * depth)
    refused(damaged, "nested too deeply|not the JSON")


@pytest.mark.parametrize("depth", [100, 400, 600, 800, 900, 950, 980])
def test_nesting_that_parses(damaged: Path, depth: int) -> None:
    """Nested JSON gives the same result at any depth of the call stack."""
    nested = b"[" * depth + b"]" * depth
    file_of(damaged, "manifest").write_bytes(nested)
    for use in USES.values():
        with pytest.raises(IndexFileError):
            use(damaged)
    file_of(damaged, "manifest").write_bytes(
        b'{"format": "bitsift-index", "version": ' + nested + b"}"
    )
    refused(damaged, "version: found|nested too deeply")


def test_too_large(damaged: Path) -> None:
    path = file_of(damaged, "manifest")
    data = path.read_bytes()
    path.write_bytes(data.ljust(1 << 20))
    reader.verify(damaged)
    path.write_bytes(data.ljust((1 << 20) + 1))
    refused(damaged, "more than 1048576 bytes")
    with path.open("ab") as file:
        file.truncate(1 << 40)
    refused(damaged, "more than 1048576 bytes")


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
    refused(damaged, "not the manifest of a bitsift index", kind=NotAnIndexError)


def test_checksum(damaged: Path) -> None:
    path = file_of(damaged, "manifest")
    text = path.read_text()
    assert text.count('"cosine"') == 1
    path.write_text(text.replace('"cosine"', '"dot"'))
    refused(damaged, "checksum: found '[0-9a-f]{64}', expected '[0-9a-f]{64}'")
    path.write_text("\n".join(line.strip() for line in text.splitlines()))
    reader.verify(damaged)


@pytest.mark.parametrize("step", EVERY_OR_SOME)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_flipped_bits(whole: Path, step: int) -> None:
    path = whole / "manifest.json"
    data = bytearray(path.read_bytes())
    expected = manifest_json.decode(bytes(data), str(path))
    blamed = set()
    for position in range(0, len(data), step):
        for bit in range(8):
            data[position] ^= 1 << bit
            try:
                found = manifest_json.decode(bytes(data), str(path))
            except IndexFileError as error:
                blamed.add(error.path)
            else:  # only white space has changed
                assert found == expected
            data[position] ^= 1 << bit
    assert blamed == {str(path)}


@pytest.mark.parametrize(
    "where", [(), ("files",), *(("files", part) for part in PARTS_V1)], ids="/".join
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
        refused(damaged, f"the key '{key}' is missing")
        put_manifest(damaged, whole)

    change_manifest(damaged, lambda fields: fields_at(fields).update(comment="?"))
    refused(damaged, "the key 'comment' does not belong")


def test_checksum_missing(damaged: Path) -> None:
    fields = manifest_of(damaged)
    del fields["checksum"]
    file_of(damaged, "manifest").write_text(json.dumps(fields))
    refused(damaged, "the key 'checksum' is missing")


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


def copied_once(index: Path, name: str) -> Path:
    """Give a copy for all examples: each writes the whole manifest and nothing else."""
    folder = index.parent / name
    return folder if folder.exists() else copy(index, folder)


@few_or_many(50, 300)
def test_any_json_in_any_field(whole_folders: dict[int, Path], n_examples: int) -> None:
    """With a checksum that agrees: a typed error, or contents that agree with the manifest."""
    index = whole_folders[1]

    def law(data: st.DataObject, value: Any) -> None:
        folder = copied_once(index, "fuzzed")
        fields = manifest_of(index)
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

    try_law(law, n_examples, data=st.data(), value=JSON)


@few_or_many(50, 300)
def test_any_bytes(whole_folders: dict[int, Path], n_examples: int) -> None:
    index = whole_folders[1]

    def law(junk: bytes) -> None:
        folder = copied_once(index, "junk")
        (folder / "manifest.json").write_bytes(junk)
        for use in USES.values():
            with pytest.raises((CorruptIndexError, NotAnIndexError)):
                use(folder)

    some_json = JSON.map(lambda value: json.dumps(value).encode())
    try_law(law, n_examples, junk=st.binary(max_size=200) | some_json)
