# SPDX-License-Identifier: Apache-2.0
"""Format versions: which one a save writes, and that each refuses the keys of the other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bitsift
from bitsift.core.errors import CorruptIndexError, IndexWriteError, UnsupportedVersionError
from bitsift.storage import writer
from helpers.storage_folders import refused, version_3
from helpers.storage_samples import (
    STORES,
    change_manifest,
    file_of,
    manifest_of,
    sample,
    some_vectors,
    with_old_defaults,
)

GOLDEN = Path(__file__).parents[1] / "golden"


pytestmark = pytest.mark.usefixtures("fits_at_once")

KEYS_V1 = {
    "format", "version", "dim", "metric", "store", "count", "threshold", "ids", "files", "checksum",
}  # fmt: skip
KEYS_V2 = KEYS_V1 | {"rule", "rotate", "fitted", "normalized", "correction", "calibrations"}
KEYS_V3 = KEYS_V2 | {"required_features", "defaults"}


@pytest.mark.parametrize("store", [None, "float32", "float16", ["float32"]])
@pytest.mark.parametrize("threshold", [0.0, 0.5, "array"])
@pytest.mark.parametrize("ids", [None, [5, 3, 4]])
def test_version_1_is_written_where_it_suffices(
    tmp_path: Path, store: Any, threshold: Any, ids: Any
) -> None:
    if threshold == "array":
        threshold = some_vectors(1)[0]
    index = bitsift.Index(13, store=store, threshold=threshold)
    index.add(some_vectors(3), ids=ids)
    writer.write(tmp_path, with_old_defaults(index))
    fields = manifest_of(tmp_path)
    assert list(fields)[:-1] == [key for key in fields if key in KEYS_V1 - {"checksum"}]
    assert set(fields) == KEYS_V1
    assert fields["version"] == 1
    assert fields["store"] == (store[0] if isinstance(store, list) else store)
    assert "originals" in fields["files"] or store is None


@pytest.mark.parametrize(
    "options",
    [
        *({"store": store} for store in STORES[2:]),
        {"store": ["float32", "float16"]},
        *({"threshold": rule} for rule in ("half-mean", "mean", "median", "auto")),
        {"rotate": True},
        {"correction": True},
    ],
)
def test_version_2_is_written_where_it_is_needed(tmp_path: Path, options: dict[str, Any]) -> None:
    index = bitsift.Index(13, **options)
    for n in (0, 240):
        index.add(some_vectors(n))
        writer.write(tmp_path, with_old_defaults(index))
        fields = manifest_of(tmp_path)
        assert set(fields) == KEYS_V2
        assert fields["version"] == 2
        assert isinstance(fields["store"], list)


@pytest.mark.parametrize("scoring", ["hamming", "asymmetric", "auto"])
def test_version_3_is_written_of_new_indexes(tmp_path: Path, scoring: Any) -> None:
    index = bitsift.Index(13, scoring=scoring)
    for n in (0, 120):
        index.add(some_vectors(n))
        index.save(tmp_path)
        fields = manifest_of(tmp_path)
        assert set(fields) == KEYS_V3
        assert fields["version"] == 3
        assert fields["store"] == ["float16"]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_folders_are_written_again_in_their_version(tmp_path: Path, version: int) -> None:
    """A folder of an earlier release, loaded and saved, is the same but for random names."""
    for golden in (GOLDEN / f"index-v{version}").iterdir():
        name = golden.name
        if name == "undecided":  # vectors that wait are written without codes now
            continue
        bitsift.Index.load(golden).save(tmp_path / name)
        fields, expected = (manifest_of(folder) for folder in (tmp_path / name, golden))
        assert fields["version"] == version
        assert list(fields) == list(expected)
        for part, entry in fields["files"].items():
            array, wanted = (np.load(file_of(folder, part)) for folder in (tmp_path / name, golden))
            np.testing.assert_array_equal(array, wanted, strict=True)
            for each in (entry, expected["files"][part]):  # numpy may pad headers otherwise
                for varying in ("name", "bytes", "sha256", "crc32c"):
                    each.pop(varying, None)
        del fields["checksum"], expected["checksum"]
        if expected["threshold"] is not None:  # an index has it as float32
            expected["threshold"] = float(np.float32(expected["threshold"]))
        assert json.dumps(fields) == json.dumps(expected)


@pytest.mark.parametrize("store", [None, "float32", "float16"])
def test_version_2_is_refused_where_version_1_suffices(tmp_path: Path, store: str | None) -> None:
    writer.write(tmp_path, sample(store=store))

    def change(fields: dict[str, Any]) -> None:
        fields.update(
            version=2, store=[store] if store else [], rule=None, rotate=False, fitted=True,
            normalized=False, correction=False, calibrations={},
        )  # fmt: skip

    change_manifest(tmp_path, change)
    refused(tmp_path, "version: found 2, expected 1, which can say all that it says")


@pytest.mark.parametrize("version", [1, 2])
def test_version_3_is_refused_where_a_lower_one_suffices(damaged: Path, version: int) -> None:
    def change(fields: dict[str, Any]) -> None:
        if version == 1:
            fields["files"]["originals_float32"] = entry = fields["files"].pop("originals")
            new_name = entry["name"].replace("originals", "originals_float32")
            file_of(damaged, "originals").rename(damaged / new_name)
            entry["name"] = new_name
            fields.update(
                store=["float32"], rule=None, rotate=False, fitted=True, normalized=False,
                correction=False, calibrations={},
            )  # fmt: skip
        defaults = {"scoring": "hamming", "candidates": "fixed"}
        fields.update(version=3, required_features=[], defaults=defaults)

    change_manifest(damaged, change)
    refused(damaged, f"version: found 3, expected {version}, which can say all that it says")


@version_3
@pytest.mark.parametrize(
    "features", [["partitions"], ["partitions", "x"], ["\ud800\x1b[31m\n"], ["y" * 5000] * 1]
)
@pytest.mark.parametrize("rest", [{}, {"partitions": [1], "dim": "?", "files": {}}])
def test_features_that_are_unknown(
    damaged: Path, features: list[str], rest: dict[str, Any]
) -> None:
    """Whatever they have brought into the manifest, the error names them."""
    change_manifest(damaged, lambda fields: fields.update(required_features=features, **rest))
    named = re.escape(ascii(features[0])[:60])
    refused(
        damaged,
        f"it requires the feature {named}.*does not know: read it with a newer release",
        kind=UnsupportedVersionError,
    )
    before = file_of(damaged, "manifest").read_bytes()
    with pytest.raises(IndexWriteError, match=r"requires the feature.*remove the folder first"):
        writer.write(damaged, sample(1, 8))
    assert file_of(damaged, "manifest").read_bytes() == before


@version_3
@pytest.mark.parametrize("largest", [6, -1, 2**63, None, True, 1e3, "100", [100]])
def test_the_largest_id_is_an_id_above_all(damaged: Path, largest: Any) -> None:
    """There are 7 vectors, so some id is at least 6."""
    feature = {"required_features": ["largest_id"]}
    change_manifest(damaged, lambda fields: fields.update(feature, largest_id=largest))
    refused(damaged, "largest_id: found .*, expected an integer from 7 to|has .* digits")


@version_3
def test_ids_are_below_the_largest_one_that_there_was(damaged: Path) -> None:
    ids = bitsift.Index.load(damaged).ids
    feature = {"required_features": ["largest_id"]}
    change_manifest(damaged, lambda fields: fields.update(feature, largest_id=int(ids.max()) + 1))
    assert bitsift.Index.load(damaged).add(some_vectors(1)).tolist() == [ids.max() + 2]
    change_manifest(damaged, lambda fields: fields.update(largest_id=int(ids.max())))
    row = int(ids.argmax())
    with pytest.raises(CorruptIndexError, match=f"row {row}, id {ids[row]}, is not below largest"):
        bitsift.Index.load(damaged)
    with pytest.raises(CorruptIndexError, match="is not below largest_id"):
        bitsift.verify(damaged)


@version_3
def test_damage_is_no_feature(damaged: Path) -> None:
    path = file_of(damaged, "manifest")
    text = path.read_text()
    assert text.count('"required_features": []') == 1
    path.write_text(text.replace('"required_features": []', '"required_features": ["x"]'))
    refused(damaged, "checksum: found")


@pytest.mark.parametrize(
    ("version", "key"),
    [
        *((2, key) for key in sorted(KEYS_V2 - {"format", "version", "checksum"})),
        *((3, key) for key in sorted(KEYS_V3 - {"format", "version", "checksum"})),
    ],
)
def test_missing_keys(damaged: Path, key: str) -> None:
    change_manifest(damaged, lambda fields: fields.pop(key))
    refused(damaged, f"the manifest: the key '{key}' is missing")


@pytest.mark.parametrize("version", [2, 3])
def test_key_of_no_version(damaged: Path) -> None:
    change_manifest(damaged, lambda fields: fields.update(comment="?"))
    refused(damaged, "the manifest: the key 'comment' does not belong")


def test_a_key_of_version_2_in_version_1(tmp_path: Path) -> None:
    writer.write(tmp_path, sample())
    change_manifest(tmp_path, lambda fields: fields.update(rotate=False))
    refused(tmp_path, "the manifest: the key 'rotate' does not belong")


@pytest.mark.parametrize("store", ["int8", "int4", "uint8", "ternary"])
def test_stores_of_integers_in_version_1(tmp_path: Path, store: str) -> None:
    writer.write(tmp_path, sample())
    change_manifest(tmp_path, lambda fields: fields.update(store=store))
    refused(tmp_path, f"store: found '{store}', expected one of 'float32', 'float16'")


@pytest.mark.parametrize("newer", [4, 5, 10**18])
@pytest.mark.parametrize("rest", [{}, {"dim": "?", "shards": []}])
def test_newer_version(damaged: Path, newer: int, rest: dict[str, Any]) -> None:
    fields = {"format": "bitsift-index", "version": newer, **rest}
    file_of(damaged, "manifest").write_text(json.dumps(fields))
    refused(
        damaged,
        f"format version {newer}; this release of bitsift reads versions 1 to 3",
        kind=UnsupportedVersionError,
    )


@pytest.mark.parametrize("wrong", [None, 0, -1, True, False, 1.0, "1", "2", [1], {}])
def test_wrong_version(damaged: Path, wrong: object) -> None:
    change_manifest(damaged, lambda fields: fields.update(version=wrong))
    refused(damaged, "version: found .*, expected an integer from 1")


def test_a_newer_index_is_not_replaced(tmp_path: Path) -> None:
    manifest = b'{"format": "bitsift-index", "version": 4}'
    (tmp_path / "manifest.json").write_bytes(manifest)
    with pytest.raises(IndexWriteError, match=r"format version 4.*remove the folder first"):
        writer.write(tmp_path, sample(1, 8))
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    assert (tmp_path / "manifest.json").read_bytes() == manifest
