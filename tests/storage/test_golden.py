# SPDX-License-Identifier: Apache-2.0
"""Folders that earlier releases wrote, and what FORMAT.md says of them."""

from __future__ import annotations

import dataclasses
import json
import re
import runpy
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bitsift
from bitsift.core.errors import BitsiftWarning
from bitsift.index.persistence import to_contents
from bitsift.storage import reader, writer
from bitsift.storage.contents import Contents
from bitsift.storage.manifest import FORMAT_VERSION
from helpers.storage_samples import assert_same, digest_of, forge, names_of, part_of, some_vectors

TESTS = Path(__file__).parents[1]
GOLDEN = TESTS / "golden"
FORMAT = TESTS.parent / "FORMAT.md"
MAKER_V2 = runpy.run_path(str(GOLDEN / "make_index_v2.py"))
VARIANTS_V1: dict[str, dict[str, Any]] = runpy.run_path(str(GOLDEN / "make_index_v1.py"))[
    "variants"
]()
VARIANTS_V3: dict[str, dict[str, Any]] = runpy.run_path(str(GOLDEN / "make_index_v3.py"))[
    "variants"
]()
VARIANTS_V2: dict[str, dict[str, Any]] = MAKER_V2["variants"]()


@pytest.mark.parametrize(
    ("version", "variants"), [(1, VARIANTS_V1), (2, VARIANTS_V2), (3, VARIANTS_V3)]
)
def test_every_golden_folder_is_tested(version: int, variants: dict[str, Any]) -> None:
    assert names_of(GOLDEN / f"index-v{version}") == set(variants)


@pytest.mark.parametrize("name", VARIANTS_V1)
def test_golden_folders_of_version_1_are_read(name: str) -> None:
    folder = GOLDEN / "index-v1" / name
    expected = Contents(**VARIANTS_V1[name])
    assert_same(reader.read(folder), expected)
    assert_same(reader.read(folder, mmap=True), expected)
    reader.verify(folder)


@pytest.mark.parametrize(
    ("version", "name"),
    [*((2, name) for name in VARIANTS_V2), *((3, name) for name in VARIANTS_V3)],
)
def test_golden_folders_of_later_versions_are_read(version: int, name: str, tmp_path: Path) -> None:
    folder = GOLDEN / f"index-v{version}" / name
    expected = contents_of(version, name)
    for mmap in (False, True):
        assert_same(reader.read(folder, mmap=mmap), expected)
        index = bitsift.Index.load(folder, mmap=mmap)
        kept = as_written_now(expected)
        assert_same(to_contents(*index._table.snapshot[:3]), kept)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BitsiftWarning)  # 20 vectors are few, and bits may wait
            assert index.search(np.ones(index.dim), 3, scoring="hamming").ids.shape == (
                min(3, len(index)),
            )
            index.add(some_vectors(20, index.dim), ids=np.arange(100, 120))
        index.save(tmp_path / "index")
        assert (
            len(bitsift.Index.load(tmp_path / "index"))
            == len(expected.codes if expected.vectors is None else expected.vectors) + 20
        )
    reader.verify(folder)


def as_written_now(contents: Contents) -> Contents:
    """Give what an index writes that was read from contents: vectors that wait have no codes."""
    if contents.vectors is None:
        return contents
    originals = {name: array[:0] for name, array in contents.originals.items()}
    return dataclasses.replace(contents, codes=contents.codes[:0], originals=originals)


def arrays_of_version_1(name: str) -> dict[str, Any]:
    contents = Contents(**VARIANTS_V1[name])
    return {part: part_of(contents, part) for part in ("codes", "ids", "originals", "threshold")}


def contents_of(version: int, name: str) -> Contents:
    if version == 2:
        contents: Contents = MAKER_V2["contents_of"](VARIANTS_V2[name])
        return contents
    return Contents(**{1: VARIANTS_V1, 3: VARIANTS_V3}[version][name])


def arrays_of_later_versions(version: int, name: str) -> dict[str, Any]:
    variant = (VARIANTS_V2 if version == 2 else VARIANTS_V3)[name]
    arrays = {f"originals_{store}": array for store, array in variant["originals"].items()}
    arrays |= {
        f"calibration_{store}": array
        for store, (*_, array) in variant.get("calibrators", {}).items()
    }
    arrays |= {part: variant.get(part) for part in ("codes", "ids", "threshold", "vectors")}
    arrays["correction"] = variant.get("factors")
    flips = variant.get("flips")
    if variant.get("vectors") is not None and not len(variant["codes"]):  # they wait
        arrays = {part: arrays[part] for part in ("ids", "threshold", "vectors")}
    arrays["rotation"] = None if flips is None else np.packbits(flips == 1, axis=1)
    return arrays


@pytest.mark.parametrize(
    ("version", "name"),
    [
        *((1, name) for name in VARIANTS_V1),
        *((2, name) for name in VARIANTS_V2),
        *((3, name) for name in VARIANTS_V3),
    ],
)
def test_golden_data_without_a_reader_of_ours(version: int, name: str) -> None:
    folder = GOLDEN / f"index-v{version}" / name
    fields = json.loads((folder / "manifest.json").read_bytes())
    arrays = arrays_of_version_1(name) if version == 1 else arrays_of_later_versions(version, name)
    assert set(fields["files"]) == {
        part for part, array in arrays.items() if isinstance(array, np.ndarray)
    }
    for part, entry in fields["files"].items():
        path = folder / entry["name"]
        assert digest_of(entry, path.read_bytes()).items() <= entry.items()
        assert ("crc32c" in entry) == (version == 3)
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        np.testing.assert_array_equal(array, arrays[part], strict=True)


@pytest.mark.parametrize("name", VARIANTS_V1)
def test_fields_are_those_of_the_format(name: str, tmp_path: Path) -> None:
    """The writer and the tests' own one, which follows FORMAT.md, write the same fields."""

    def fields_of(folder: Path) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
        del fields["checksum"]
        for entry in fields["files"].values():
            del entry["name"], entry["bytes"], entry["sha256"]  # numpy may pad headers otherwise
        return fields

    contents = Contents(**VARIANTS_V1[name])
    writer.write(tmp_path / "ours", contents)
    forge(tmp_path / "theirs", contents)
    assert fields_of(tmp_path / "ours") == fields_of(tmp_path / "theirs")
    assert fields_of(tmp_path / "ours") == fields_of(GOLDEN / "index-v1" / name)


def test_examples_of_the_format_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(GOLDEN / "index-v1" / "float32", tmp_path / "my-index")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    examples = re.findall(r"```python\n(.*?)```", FORMAT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(example, namespace)
    expected = VARIANTS_V1["float32"]
    np.testing.assert_array_equal(namespace["codes"], expected["codes"])
    np.testing.assert_array_equal(np.packbits(namespace["bits"], axis=1), expected["codes"])


def test_format_document_names_every_field() -> None:
    text = FORMAT.read_text(encoding="utf-8")
    fields = json.loads((GOLDEN / "index-v1" / "float32" / "manifest.json").read_bytes())
    later = json.loads((GOLDEN / "index-v3" / "undecided" / "manifest.json").read_bytes())
    parts = [part for part in later["files"] if not part.startswith("originals")]
    for key in [*fields, *later, *fields["files"], *parts, *fields["files"]["codes"]]:
        assert f"| `{key}` |" in text, key
    assert f"version {FORMAT_VERSION}" in text
