# SPDX-License-Identifier: Apache-2.0
"""Folders that earlier releases wrote, and what FORMAT.md says of them."""

from __future__ import annotations

import hashlib
import json
import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitsift.storage import reader, writer
from bitsift.storage.contents import Contents
from bitsift.storage.manifest import FORMAT_VERSION
from helpers.storage_samples import assert_same, forge, names_of, part_of

TESTS = Path(__file__).parents[1]
GOLDEN = TESTS / "golden" / "index-v1"
FORMAT = TESTS.parent / "FORMAT.md"
VARIANTS: dict[str, dict[str, Any]] = runpy.run_path(str(TESTS / "golden" / "make_index_v1.py"))[
    "variants"
]()


def test_every_golden_folder_is_tested() -> None:
    assert names_of(GOLDEN) == set(VARIANTS)


@pytest.mark.parametrize("name", VARIANTS)
def test_golden_folders_are_read(name: str) -> None:
    expected = Contents(**VARIANTS[name])
    assert_same(reader.read(GOLDEN / name), expected)
    assert_same(reader.read(GOLDEN / name, mmap=True), expected)
    reader.verify(GOLDEN / name)


@pytest.mark.parametrize("name", VARIANTS)
def test_golden_data_without_a_reader_of_ours(name: str) -> None:
    fields = json.loads((GOLDEN / name / "manifest.json").read_bytes())
    for part, entry in fields["files"].items():
        path = GOLDEN / name / entry["name"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        expected = part_of(Contents(**VARIANTS[name]), part)
        np.testing.assert_array_equal(array, expected, strict=True)


@pytest.mark.parametrize("name", VARIANTS)
def test_fields_are_those_of_the_format(name: str, tmp_path: Path) -> None:
    """The writer and the tests' own writer, which follows FORMAT.md, say the same."""

    def fields_of(folder: Path) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
        del fields["checksum"]
        for entry in fields["files"].values():
            del entry["name"], entry["bytes"], entry["sha256"]  # numpy may pad headers otherwise
        return fields

    contents = Contents(**VARIANTS[name])
    writer.write(tmp_path / "ours", contents)
    forge(tmp_path / "theirs", contents)
    assert fields_of(tmp_path / "ours") == fields_of(tmp_path / "theirs")
    assert fields_of(tmp_path / "ours") == fields_of(GOLDEN / name)


def test_examples_of_the_format_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(GOLDEN / "float32", tmp_path / "my-index")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    examples = re.findall(r"```python\n(.*?)```", FORMAT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(example, namespace)
    expected = VARIANTS["float32"]
    np.testing.assert_array_equal(namespace["codes"], expected["codes"])
    np.testing.assert_array_equal(np.packbits(namespace["bits"], axis=1), expected["codes"])


def test_format_document_names_every_field() -> None:
    text = FORMAT.read_text(encoding="utf-8")
    fields = json.loads((GOLDEN / "float32" / "manifest.json").read_bytes())
    for key in [*fields, *fields["files"], *fields["files"]["codes"]]:
        assert f"| `{key}` |" in text, key
    assert f"version {FORMAT_VERSION}" in text
