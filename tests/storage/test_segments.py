# SPDX-License-Identifier: Apache-2.0
"""Folders of several segments, removed rows and generations: what they say, and what is refused."""

from __future__ import annotations

import json
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bitsift
from bitsift.core.errors import CorruptIndexError
from bitsift.storage import folder_writer, manifest_file, manifest_json, present, writer
from bitsift.storage.folder import Folder
from helpers.storage_folders import flip, refused
from helpers.storage_samples import change_manifest, digest_of, manifest_of, names_of

GOLDEN = Path(__file__).parents[1] / "golden"
COMMITS = GOLDEN / "index-commits"
STATES: dict[int, dict[int, np.ndarray[Any, Any]]] = runpy.run_path(
    str(GOLDEN / "make_index_commits.py")
)["states"]()
OLD_FOLDERS = [
    folder for version in (1, 2, 3) for folder in sorted((GOLDEN / f"index-v{version}").iterdir())
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(COMMITS, tmp_path / "index")


def holds(index: bitsift.Index, expected: dict[int, np.ndarray[Any, Any]]) -> None:
    assert index.ids.tolist() == [*expected]
    np.testing.assert_array_equal(index.get(index.ids), np.array([*expected.values()]))
    np.testing.assert_array_equal(index.codes, bitsift.pack(np.array([*expected.values()])))


def test_the_golden_folder_is_read() -> None:
    holds(bitsift.Index.load(COMMITS), STATES[4])
    holds(bitsift.Index.load(COMMITS, mmap=True), STATES[4])
    bitsift.verify(COMMITS)
    for generation, expected in STATES.items():
        holds(bitsift.Index.open(COMMITS, generation=generation), expected)


@pytest.mark.parametrize("generation", STATES)
def test_the_golden_folder_without_a_reader_of_ours(generation: int) -> None:
    """Read as FORMAT.md says, with numpy and json alone."""
    name = "manifest.json" if generation == 4 else f"manifest-{generation}.json"
    manifest = json.loads((COMMITS / name).read_bytes())
    assert manifest["required_features"] == ["generations", "segments"]
    assert manifest["generations"]["number"] == generation
    found: dict[int, np.ndarray[Any, Any]] = {}
    for segment in manifest["segments"]:
        arrays = {}
        for part, entry in segment["files"].items():
            data = (COMMITS / entry["name"]).read_bytes()
            assert digest_of(entry, data).items() <= entry.items()
            arrays[part] = np.load(COMMITS / entry["name"], mmap_mode="r")
        count, first = segment["count"], segment["first_id"]
        ids = arrays["ids"] if first is None else np.arange(first, first + count)
        live = np.ones(count, bool)
        if segment["live"] < count:
            live = np.unpackbits(arrays["live"], count=count).astype(bool)
        assert live.sum() == segment["live"]
        rows = arrays["originals_float32"][live]
        np.testing.assert_array_equal(arrays["codes"][live], np.packbits(rows > 0, axis=1))
        found.update(zip(ids[live].tolist(), rows, strict=True))
    assert [*found] == [*STATES[generation]]
    np.testing.assert_array_equal([*found.values()], [*STATES[generation].values()])
    assert manifest["count"] == len(found)


@pytest.mark.parametrize("old", OLD_FOLDERS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_folders_of_all_versions_are_opened_to_write(old: Path, tmp_path: Path) -> None:
    path = shutil.copytree(old, tmp_path / "index")
    before, files = bitsift.Index.load(path), names_of(path)
    with bitsift.Index.open(path, "a", keep_generations=2) as index:
        if isinstance(index.threshold, str):
            for one in (index, before):  # vectors may wait for it
                one.fit(np.random.default_rng(1).standard_normal((300, index.dim)))
        ids = np.arange(3) + 2**50
        index.add(np.linspace(-1, 1, 3 * index.dim).reshape(3, -1), ids=ids)
        index.commit()
        rows = [name for name in files if name.startswith(("codes", "ids", "originals", "corr"))]
        assert len(before) == 0 or set(rows) <= names_of(path)
        index.rollback()
        np.testing.assert_array_equal(index.ids, [*before.ids, *ids])
    bitsift.verify(path)
    for opened in (bitsift.Index.load(path), bitsift.Index.open(path)):
        np.testing.assert_array_equal(opened.ids, [*before.ids, *ids])
        np.testing.assert_array_equal(opened.codes[:-3], before.codes)
        if len(before):
            np.testing.assert_array_equal(opened.get(before.ids), before.get(before.ids))
    np.testing.assert_array_equal(bitsift.Index.open(path, generation=0).ids, before.ids)
    manifest = path / "manifest-0.json"
    assert manifest.read_bytes() == (old / "manifest.json").read_bytes()


def segment_of(fields: dict[str, Any], number: int) -> Any:
    return fields["segments"][number]


WRONG_FIELDS: dict[str, Callable[[dict[str, Any]], object]] = {
    "segments: found {}, expected an array": lambda f: f.update(segments={}),
    "segments.0.: found 3, expected an object": lambda f: f["segments"].__setitem__(0, 3),
    "segments.0.: the key 'live' is missing": lambda f: segment_of(f, 0).pop("live"),
    "segments.1.: the key 'more' does not": lambda f: segment_of(f, 1).update(more=1),
    "segments.0..count: found 0": lambda f: segment_of(f, 0).update(count=0),
    "segments.0..count: found True": lambda f: segment_of(f, 0).update(count=True),
    "segments.0..live: found 21": lambda f: segment_of(f, 0).update(live=21),
    "segments.0..live: found -1": lambda f: segment_of(f, 0).update(live=-1),
    "segments.0..files: the key 'live' does not": lambda f: segment_of(f, 0).update(live=20),
    "segments.2..files: the key 'live' is missing": lambda f: segment_of(f, 2).update(live=0),
    "segments.0..first_id: found -1": lambda f: segment_of(f, 0).update(first_id=-1),
    "segments.0..files: the key 'ids' is missing": lambda f: segment_of(f, 0).update(first_id=None),
    "segments.1..files: the key 'ids' does not": lambda f: segment_of(f, 1).update(first_id=3),
    "count: found 31, expected": lambda f: f.update(count=31),
    "segments.1..files.codes.name": lambda f: segment_of(f, 1)["files"]["codes"].update(
        name="originals-" + "0" * 32 + ".npy"
    ),
    "segments.1..files.codes.shape": lambda f: segment_of(f, 1)["files"]["codes"].update(
        shape=[4, 2]
    ),
    "segments.1..files.codes: the key 'crc32c' is": lambda f: segment_of(f, 1)["files"][
        "codes"
    ].pop("crc32c"),
    "generations: the key 'kept' is missing": lambda f: f["generations"].pop("kept"),
    "generations.number: found 0": lambda f: f["generations"].update(number=0),
    "generations.kept: found 3, expected an array": lambda f: f["generations"].update(kept=3),
    "generations.kept: found 4": lambda f: f["generations"].update(kept=[4]),
    "generations.kept: found 2": lambda f: f["generations"].update(kept=[3, 2]),
    "ids: found": lambda f: f.update(ids="some"),
    "segments.1..first_id: found None": lambda f: f.update(ids="automatic"),
    "segments: found 30, expected 34 live rows": lambda f: f["defaults"].update(scoring=None),
    "the key 'segments' does not belong": lambda f: f["required_features"].remove("segments"),
    "the key 'generations' does not belong": lambda f: f["required_features"].remove("generations"),
}


@pytest.mark.parametrize("message", WRONG_FIELDS)
def test_wrong_fields_are_refused(folder: Path, message: str) -> None:
    change_manifest(folder, WRONG_FIELDS[message])
    refused(folder, message)
    with pytest.raises(CorruptIndexError, match=message):
        bitsift.Index.open(folder, "a")


def test_a_release_without_the_features_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_json, "FEATURES", ("largest_id",))
    with pytest.raises(bitsift.UnsupportedVersionError, match="'generations', 'segments'"):
        bitsift.Index.load(folder)


def forge_part(folder: Path, number: int, part: str, array: np.ndarray[Any, Any]) -> Path:
    """Replace the file of a segment, with its right digest."""
    path = folder / manifest_of(folder)["segments"][number]["files"][part]["name"]
    np.save(path, array)

    def adopt(fields: dict[str, Any]) -> None:
        entry = fields["segments"][number]["files"][part]
        entry.update(digest_of(entry, path.read_bytes()))

    change_manifest(folder, adopt)
    return path


def part_of(folder: Path, number: int, part: str) -> np.ndarray[Any, Any]:
    name = manifest_of(folder)["segments"][number]["files"][part]["name"]
    array: np.ndarray[Any, Any] = np.load(folder / name)
    return array


@pytest.mark.parametrize("mask", [np.array([0x80, 0, 0]), np.array([0, 0, 1])], ids=["row", "pad"])
def test_wrong_bits_of_live_rows_are_refused(folder: Path, mask: np.ndarray[Any, Any]) -> None:
    live = part_of(folder, 0, "live") ^ mask.astype(np.uint8)
    path = forge_part(folder, 0, "live", live)
    refused(folder, "live: it has", path)


def test_ids_of_live_rows_must_differ(folder: Path) -> None:
    ids = part_of(folder, 1, "ids")
    for wrong in (7, 2):  # in the segments 0 and 2
        ids[0] = wrong
        forge_part(folder, 1, "ids", ids)
        for use in (bitsift.Index.load, bitsift.verify):
            with pytest.raises(CorruptIndexError, match=f"ids: {wrong} is there twice"):
                use(folder)
    ids[0] = 11  # in segment 0, but removed
    forge_part(folder, 1, "ids", ids)
    bitsift.verify(folder)
    assert 11 in bitsift.Index.load(folder)


def test_ids_that_ascend_do_so_through_all_segments(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((9, 8)).astype(np.float32)
    with bitsift.Index.open(tmp_path, "a", dim=8, scoring="hamming") as index:
        for first in (10, 20, 30):
            index.add(vectors[:3], ids=[first, first + 1, first + 3])
            index.commit()
    assert manifest_of(tmp_path)["ids"] == "ascending"
    forge_part(tmp_path, 1, "ids", np.array([11, 21, 23]))
    for use in (bitsift.Index.load, bitsift.verify):
        with pytest.raises(CorruptIndexError, match="ids: row 0, id 11, is not above the id"):
            use(tmp_path)


def test_every_byte_is_checked(folder: Path) -> None:
    manifest = manifest_of(folder)
    entries = [entry for segment in manifest["segments"] for entry in segment["files"].values()]
    for entry in entries:
        path = folder / entry["name"]
        data = path.read_bytes()
        flip(path, len(data) - 1, 0x10)
        refused(folder, "damaged", path, uses=("read", "verify"))
        path.write_bytes(data)
    bitsift.verify(folder)


def test_a_kept_manifest_that_is_missing(folder: Path) -> None:
    (folder / "manifest-3.json").unlink()
    with pytest.raises(CorruptIndexError, match=r"manifest-3\.json names it") as caught:
        bitsift.Index.open(folder, generation=3)
    assert caught.value.path == str(folder / "manifest-3.json")
    with bitsift.Index.open(folder, "a", keep_generations=3) as index:  # the newest one goes on
        index.remove(0)
        assert index.commit() == 5
    assert manifest_of(folder)["generations"]["kept"] == [4]
    holds(bitsift.Index.open(folder, generation=4), STATES[4])


def test_a_kept_manifest_of_another_generation(folder: Path) -> None:
    shutil.copy(folder / "manifest.json", folder / "manifest-3.json")
    with pytest.raises(CorruptIndexError, match=r"manifest-3\.json: it is the manifest of gen.* 4"):
        bitsift.Index.open(folder, generation=3)
    with bitsift.Index.open(folder, "a", keep_generations=3) as index:
        index.remove(0)
        assert index.commit() == 5
    assert manifest_of(folder)["generations"]["kept"] == [4]


def test_no_generation_follows_the_last(folder: Path) -> None:
    change_manifest(folder, lambda fields: fields["generations"].update(number=2**63 - 1))
    before = names_of(folder)
    with bitsift.Index.open(folder, "a") as index:
        index.remove(0)
        with pytest.raises(bitsift.IndexWriteError, match="no generation follows 9223372036854775"):
            index.commit()
        index.rollback()
    with pytest.raises(bitsift.IndexWriteError, match="no generation follows 9223372036854775807"):
        bitsift.Index.load(folder).save(folder)
    assert names_of(folder) == before
    bitsift.verify(folder)


def test_commits_read_no_kept_manifest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    read_manifest = manifest_file.read_manifest

    def noted(of: Folder, name: str = "manifest.json") -> bytes:
        read.append(name)
        return read_manifest(of, name)

    with bitsift.Index.open(folder, "a", keep_generations=9) as index:
        for module in (present, folder_writer, writer):
            monkeypatch.setattr(module, "read_manifest", noted)
        index.remove(0)
        index.commit()
    assert read
    assert set(read) == {"manifest.json"}


def test_a_save_replaces_all_generations(folder: Path) -> None:
    bitsift.Index.load(folder).save(folder)
    manifest = manifest_of(folder)
    assert manifest["required_features"] == ["generations"]
    assert manifest["generations"] == {"number": 5, "kept": []}
    names = {entry["name"] for entry in manifest["files"].values()}
    assert names_of(folder) == {"manifest.json", *names}
    holds(bitsift.Index.load(folder), STATES[4])
