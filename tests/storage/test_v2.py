# SPDX-License-Identifier: Apache-2.0
"""Folders of format version 2: what comes back, what is refused, and when version 1 is written."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import runpy
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bitsift
from bitsift.core.errors import BitsiftWarning, CorruptIndexError, IndexFileError
from bitsift.index.persistence import to_contents
from bitsift.storage import manifest_json, reader, writer
from helpers.storage_samples import (
    assert_same,
    change_manifest,
    copy,
    file_of,
    is_same,
    manifest_of,
    named_by_manifest,
    names_of,
    put_file,
    sample,
)

STORES = ["float32", "float16", "int8", "uint8", "int4", "ternary"]
KEYS_V1 = {
    "format", "version", "dim", "metric", "store", "count", "threshold", "ids", "files", "checksum",
}  # fmt: skip
KEYS_V2 = KEYS_V1 | {"rule", "rotate", "fitted", "normalized", "correction", "calibrations"}
PARTS = (
    "codes", "ids", "threshold", "rotation", "correction",
    *(f"originals_{store}" for store in STORES),
    *(f"calibration_{store}" for store in STORES[2:]),
)  # fmt: skip
SMALL = ("threshold", "rotation", *(f"calibration_{store}" for store in STORES[2:]))
USES: dict[str, Callable[[Path], Any]] = {
    "read": reader.read,
    "map": lambda path: reader.read(path, mmap=True),
    "verify": reader.verify,
}
TESTS = Path(__file__).parents[1]
GOLDEN = TESTS / "golden" / "index-v2"
MAKER = runpy.run_path(str(TESTS / "golden" / "make_index_v2.py"))
VARIANTS: dict[str, dict[str, Any]] = MAKER["variants"]()


def some_vectors(n: int, dim: int = 13, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def everything(n: int = 7) -> bitsift.Index:
    """An index with every part that there can be."""
    index = bitsift.Index(13, store=STORES, threshold="mean", rotate=True, correction=True)
    index.fit(some_vectors(120, seed=1))
    index.add(some_vectors(n), ids=np.random.default_rng(2).permutation(10 * n)[:n])
    return index


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with every file that there can be; not to be changed."""
    path = tmp_path_factory.mktemp("version-2") / "index"
    everything().save(path)
    return path


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Path:
    """Give a copy that a test may damage."""
    return copy(whole, tmp_path / "index")


def refused(folder: Path, message: str, path: Path | None = None, uses: Any = USES) -> None:
    for use in uses:
        with pytest.raises(CorruptIndexError, match=message) as caught:
            USES[use](folder)
        assert caught.value.path == str(path or folder / "manifest.json")


# ---- What comes back


def assert_same_index(found: bitsift.Index, expected: bitsift.Index) -> None:
    assert_same(to_contents(*found._table.snapshot), to_contents(*expected._table.snapshot))
    assert repr(found) == repr(expected)
    assert (found.rotate, found.correction) == (expected.rotate, expected.correction)
    queries = some_vectors(4, seed=9)
    ladders: list[Any] = [["hamming"], ["asymmetric"], [("hamming", 9), "asymmetric"]]
    store = (
        ()
        if found.store is None
        else (found.store,)
        if isinstance(found.store, str)
        else (found.store)
    )
    ladders += [[("hamming", 9), name] for name in store]
    for ladder in ladders:
        for a, b in zip(
            found.search(queries, 5, ladder=ladder),
            expected.search(queries, 5, ladder=ladder),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("store", [None, *STORES, ("int4", "float16"), tuple(STORES)])
@pytest.mark.parametrize("threshold", [0.0, 0.25, "array", "half-mean", "mean", "median", "auto"])
@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("correction", [False, True])
def test_round_trip(
    tmp_path: Path, store: Any, threshold: Any, rotate: bool, correction: bool
) -> None:
    # The cosine is corrected relative to 0, or to what was fitted to unit vectors, alone.
    given = threshold in (0.25, "array")
    if threshold == "array":
        threshold = some_vectors(1, seed=5)[0]
    for number, ids in enumerate(("automatic", "ascending", "arbitrary")):
        metric: Any = ("cosine", "dot", "l2")[(number + rotate) % 3]
        if given and correction and metric == "cosine":
            metric = "l2"
        index = bitsift.Index(
            13, metric=metric, store=store, threshold=threshold, rotate=rotate,
            correction=correction,
        )  # fmt: skip
        chosen = np.random.default_rng(3).permutation(1000)[:120]
        index.add(
            some_vectors(120) + np.float32(0.2),
            ids={"automatic": None, "ascending": np.sort(chosen), "arbitrary": chosen}[ids],
        )
        path = tmp_path / ids
        index.save(path)
        bitsift.verify(path)
        assert names_of(path) == named_by_manifest(path)
        for mmap in (False, True):
            loaded = bitsift.Index.load(path, mmap=mmap)
            assert_same_index(loaded, index)
            assert_same_index(pickle.loads(pickle.dumps(loaded)), index)
        more = some_vectors(3, seed=4)
        assert loaded.add(more).tolist() == index.add(more).tolist()
        loaded.save(path)  # over the files that it is mapped from
        assert_same_index(bitsift.Index.load(path), index)


@pytest.mark.parametrize("dim", [1, 8, 16, 17, 384])
@pytest.mark.parametrize("n", [0, 1])
def test_sizes(tmp_path: Path, dim: int, n: int) -> None:
    index = bitsift.Index(dim, store=STORES, threshold="mean", rotate=True, correction=True)
    index.fit(some_vectors(120, dim))
    index.add(some_vectors(n, dim))
    index.save(tmp_path)
    bitsift.verify(tmp_path)
    for mmap in (False, True):
        found = reader.read(tmp_path, mmap=mmap)
        assert_same(found, to_contents(*index._table.snapshot))


def test_calibrators(tmp_path: Path) -> None:
    for calibrator in (bitsift.MinMaxCalibrator(), bitsift.RollingCalibrator(1.25)):
        index = bitsift.Index(13, store=["int8", "int4"], calibrator=calibrator)
        for _ in range(2):
            index.save(tmp_path)
            for loaded in (bitsift.Index.load(tmp_path), pickle.loads(pickle.dumps(index))):
                assert repr(loaded.calibrators) == repr(index.calibrators)
            index.fit(some_vectors(120))


# ---- Which version


@pytest.mark.parametrize("store", [None, "float32", "float16", ["float32"]])
@pytest.mark.parametrize("threshold", [0.0, 0.5, "array"])
@pytest.mark.parametrize("ids", [None, [5, 3, 4]])
def test_version_1_where_it_can_say_all(
    tmp_path: Path, store: Any, threshold: Any, ids: Any
) -> None:
    if threshold == "array":
        threshold = some_vectors(1)[0]
    index = bitsift.Index(13, store=store, threshold=threshold)
    index.add(some_vectors(3), ids=ids)
    index.save(tmp_path)
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
def test_version_2_where_it_is_needed(tmp_path: Path, options: dict[str, Any]) -> None:
    index = bitsift.Index(13, **options)
    for n in (0, 120):
        index.add(some_vectors(n))
        index.save(tmp_path)
        fields = manifest_of(tmp_path)
        assert set(fields) == KEYS_V2
        assert fields["version"] == 2
        assert isinstance(fields["store"], list)


def test_folders_of_version_1_stay_what_they_are(tmp_path: Path) -> None:
    """What an earlier release wrote is written again, byte for byte, but for random names."""
    for name in ("codes-only", "float32", "float16", "empty"):
        golden = TESTS / "golden" / "index-v1" / name
        bitsift.Index.load(golden).save(tmp_path / name)
        fields, expected = (manifest_of(folder) for folder in (tmp_path / name, golden))
        assert list(fields) == list(expected)
        for part, entry in fields["files"].items():
            array, wanted = (np.load(file_of(folder, part)) for folder in (tmp_path / name, golden))
            np.testing.assert_array_equal(array, wanted, strict=True)
            for varying in ("name", "bytes", "sha256"):  # numpy may pad headers otherwise
                del entry[varying], expected["files"][part][varying]
        del fields["checksum"], expected["checksum"]
        if expected["threshold"] is not None:  # an index has it as float32
            expected["threshold"] = float(np.float32(expected["threshold"]))
        assert json.dumps(fields) == json.dumps(expected)


# ---- Folders that earlier releases wrote


def test_every_golden_folder_is_tested() -> None:
    assert names_of(GOLDEN) == set(VARIANTS)


@pytest.mark.parametrize("name", VARIANTS)
def test_golden_folders_are_read(name: str, tmp_path: Path) -> None:
    expected = MAKER["contents_of"](VARIANTS[name])
    for mmap in (False, True):
        assert_same(reader.read(GOLDEN / name, mmap=mmap), expected)
        index = bitsift.Index.load(GOLDEN / name, mmap=mmap)
        assert_same(to_contents(*index._table.snapshot), expected)
        assert index.search(np.ones(index.dim), 3).ids.shape == (3,)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BitsiftWarning)  # 20 vectors are few
            index.add(some_vectors(20, index.dim), ids=np.arange(100, 120))
        index.save(tmp_path / "index")
        assert len(bitsift.Index.load(tmp_path / "index")) == len(expected.codes) + 20
    reader.verify(GOLDEN / name)


@pytest.mark.parametrize("name", VARIANTS)
def test_golden_data_without_a_reader_of_ours(name: str) -> None:
    fields = json.loads((GOLDEN / name / "manifest.json").read_bytes())
    variant = VARIANTS[name]
    arrays = {f"originals_{store}": array for store, array in variant["originals"].items()}
    arrays |= {
        f"calibration_{store}": array
        for store, (*_, array) in variant.get("calibrators", {}).items()
    }
    arrays |= {part: variant.get(part) for part in ("codes", "ids", "threshold")}
    arrays["correction"] = variant.get("factors")
    flips = variant.get("flips")
    arrays["rotation"] = None if flips is None else np.packbits(flips == 1, axis=1)
    assert set(fields["files"]) == {
        part for part, array in arrays.items() if isinstance(array, np.ndarray)
    }
    for part, entry in fields["files"].items():
        path = GOLDEN / name / entry["name"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        np.testing.assert_array_equal(array, arrays[part], strict=True)


# ---- Damage


def flip(path: Path, position: int, mask: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= mask
    path.write_bytes(data)


def test_the_sample_has_every_part(whole: Path) -> None:
    assert set(manifest_of(whole)["files"]) == set(PARTS)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("n_left", [0, 5, 127, 128, 129, -1])
def test_truncated(damaged: Path, part: str, n_left: int) -> None:
    path = file_of(damaged, part)
    os.truncate(path, n_left if n_left >= 0 else path.stat().st_size - 1)
    refused(damaged, r"it has \d+ bytes, expected \d+", path)


@pytest.mark.parametrize("part", PARTS)
def test_deleted(damaged: Path, part: str) -> None:
    path = file_of(damaged, part)
    path.unlink()
    refused(damaged, r"missing, though manifest\.json names it", path)


@pytest.mark.parametrize("part", PARTS)
def test_every_flipped_byte_of_a_data_file(damaged: Path, part: str) -> None:
    path = file_of(damaged, part)
    uses = USES if part in SMALL else ("read", "verify")
    for position in range(path.stat().st_size):
        mask = 1 << position % 8
        flip(path, position, mask)
        refused(damaged, ".", path, uses)
        flip(path, position, mask)
    reader.verify(damaged)


def test_every_flipped_bit_of_the_manifest(whole: Path) -> None:
    path = whole / "manifest.json"
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


@pytest.mark.parametrize("pair", list(zip(PARTS, PARTS[3:], strict=False)))
def test_swapped(damaged: Path, pair: tuple[str, str]) -> None:
    first, second = (file_of(damaged, part) for part in pair)
    data = first.read_bytes(), second.read_bytes()
    assert data[0] != data[1]
    first.write_bytes(data[1])
    second.write_bytes(data[0])
    for use in ("read", "verify"):
        with pytest.raises(CorruptIndexError) as caught:
            USES[use](damaged)
        assert caught.value.path in (str(first), str(second))


# ---- Manifests that say what cannot be


WRONG_FIELDS: list[tuple[str, Any, str]] = [
    *(("rule", value, "rule: found") for value in ("", "zero", "Mean", 1, True, ["mean"], {})),
    *(("rotate", value, "rotate: found") for value in (None, 0, 1, "true", [], {})),
    ("rotate", False, "files: the key 'rotation' does not belong"),
    *(("fitted", value, "fitted: found .*true or false") for value in (None, 0, 1, "true", [])),
    ("fitted", False, "fitted: found False, expected true, as there are vectors"),
    *(("normalized", value, "normalized: found") for value in (None, 0, 1, "true", [], {})),
    *(("correction", value, "correction: found") for value in (None, 0, 1, "true", [], {})),
    ("correction", False, "files: the key 'correction' does not belong"),
    *(("calibrations", value, "calibrations: found") for value in (None, [], 1, "int8")),
    ("calibrations", {}, "calibrations: the key 'int4' is missing"),
    *(("store", value, "store: found") for value in (None, "float32", {}, 1, True)),
    ("store", [*STORES, "float16"], "store: found .*, expected each store once"),
    ("store", ["int8", "int8"], "store: found .*, expected each store once"),
    *(("store", [value], "store: found .*, expected one of") for value in ("int2", None, 1, [])),
    ("store", STORES[:-1], "calibrations: the key 'ternary' does not belong"),
    ("store", STORES[1:], "files: the key 'originals_float32' does not belong"),
    ("threshold", 0.5, "files: the key 'threshold' does not belong"),
    ("threshold", 0, r"files\.correction.* \[7, 1\]|files: the key 'threshold' does not belong"),
    ("metric", "L2", "metric: found"),
    ("version", 1, "the manifest: the key 'calibrations' does not belong"),
    ("dim", 14, "files"),
    ("count", 8, "files"),
]


@pytest.mark.parametrize(("key", "value", "message"), WRONG_FIELDS)
def test_wrong_field(damaged: Path, key: str, value: Any, message: str) -> None:
    change_manifest(damaged, lambda fields: fields.update({key: value}))
    refused(damaged, message)


WRONG_CALIBRATIONS: list[tuple[str, dict[str, Any], str]] = [
    *(
        (store, {"kind": kind}, rf"calibrations\.{store}\.kind: found")
        for store in ("int8", "int4")
        for kind in ("", "minmax", None, 1, ["rolling"])
    ),
    *(
        (store, {"n": n}, rf"calibrations\.{store}\.n: found")
        for store in ("uint8", "ternary")
        for n in (-1, 0, 1.0, True, None, "7", 2**63)
    ),
    *(
        ("int4", {"n_std": n_std}, r"calibrations\.int4\.n_std: found .*positive number if rolling")
        for n_std in (None, "3", True, [3.0], 0, 0.0, -1, -0.7)
    ),
    *(
        ("int8", {"n_std": n_std}, r"calibrations\.int8\.n_std: found .*null")
        for n_std in (1, 0.0, False, "3", [])
    ),
    ("int8", {"kind": "rolling"}, r"calibrations\.int8\.n_std: found None"),
    ("int4", {"kind": "min_max"}, r"calibrations\.int4\.n_std: found 3.0"),
    ("int8", {"more": 1}, r"calibrations\.int8: the key 'more' does not belong"),
]


@pytest.mark.parametrize(("store", "change", "message"), WRONG_CALIBRATIONS)
def test_wrong_calibration(damaged: Path, store: str, change: Any, message: str) -> None:
    change_manifest(damaged, lambda fields: fields["calibrations"][store].update(change))
    refused(damaged, message)


@pytest.mark.parametrize("n_std", [0, -3.0, -1])
def test_wrong_calibration_that_is_not_fitted(tmp_path: Path, n_std: float) -> None:
    bitsift.Index(13, store="int4").save(tmp_path)
    change_manifest(tmp_path, lambda fields: fields["calibrations"]["int4"].update(n_std=n_std))
    refused(tmp_path, r"calibrations\.int4\.n_std: found")


@pytest.mark.parametrize("key", ["kind", "n", "n_std"])
def test_calibrations_with_keys_missing(damaged: Path, key: str) -> None:
    change_manifest(damaged, lambda fields: fields["calibrations"]["int8"].pop(key))
    refused(damaged, rf"calibrations\.int8: the key '{key}' is missing")


def test_calibrations_of_no_store(damaged: Path) -> None:
    change_manifest(
        damaged,
        lambda fields: fields["calibrations"].update(float32=fields["calibrations"]["int8"]),
    )
    refused(damaged, "calibrations: the key 'float32' does not belong")


@pytest.mark.parametrize("key", sorted(KEYS_V2 - {"format", "version", "checksum"}))
def test_keys(damaged: Path, key: str) -> None:
    change_manifest(damaged, lambda fields: fields.pop(key))
    refused(damaged, f"the manifest: the key '{key}' is missing")


def test_key_of_neither_version(damaged: Path) -> None:
    change_manifest(damaged, lambda fields: fields.update(comment="?"))
    refused(damaged, "the manifest: the key 'comment' does not belong")


def test_a_key_of_version_2_in_version_1(tmp_path: Path) -> None:
    writer.write(tmp_path, sample())
    change_manifest(tmp_path, lambda fields: fields.update(rotate=False))
    refused(tmp_path, "the manifest: the key 'rotate' does not belong")


@pytest.mark.parametrize("store", [None, "float32", "float16"])
def test_version_2_of_what_version_1_can_say(tmp_path: Path, store: str | None) -> None:
    writer.write(tmp_path, sample(store=store))

    def change(fields: dict[str, Any]) -> None:
        fields.update(
            version=2, store=[store] if store else [], rule=None, rotate=False, fitted=True,
            normalized=False, correction=False, calibrations={},
        )  # fmt: skip

    change_manifest(tmp_path, change)
    refused(tmp_path, "version: found 2, expected 1, which can say all that it says")


@pytest.mark.parametrize("store", ["int8", "int4", "uint8", "ternary"])
def test_stores_of_integers_in_version_1(tmp_path: Path, store: str) -> None:
    writer.write(tmp_path, sample())
    change_manifest(tmp_path, lambda fields: fields.update(store=store))
    refused(tmp_path, f"store: found '{store}', expected one of 'float32', 'float16'")


@pytest.mark.parametrize(
    "change",
    [{"count": 1}, {"threshold": 0.5}, {"threshold": 0}, {"rule": None}],
)
def test_not_fitted_but(tmp_path: Path, change: dict[str, Any]) -> None:
    bitsift.Index(13, threshold="mean", rotate=True).save(tmp_path)
    assert manifest_of(tmp_path)["fitted"] is False
    change_manifest(tmp_path, lambda fields: fields.update(change))
    refused(tmp_path, "fitted: found False, expected true, as there are vectors, a threshold or no")


def test_fitted_without_a_file(tmp_path: Path) -> None:
    bitsift.Index(13, threshold="mean", store=None).save(tmp_path)
    change_manifest(tmp_path, lambda fields: fields.update(fitted=True))
    refused(tmp_path, "files: the key 'threshold' is missing")


@pytest.mark.parametrize("part", PARTS)
def test_wrong_entries(whole: Path, tmp_path: Path, part: str) -> None:
    for key, value in (
        ("dtype", "|O"),
        ("dtype", "<f2" if part != "originals_float16" else "<f4"),
        ("shape", [7]),
        ("shape", [6, 13]),
        ("name", "codes.npy"),
        ("name", f"originals-{'0' * 32}.npy"),
        ("sha256", ""),
        ("bytes", 0),
    ):
        folder = copy(whole, tmp_path / "index")
        if manifest_of(folder)["files"][part][key] == value:
            continue
        change_manifest(folder, lambda fields, k=key, v=value: fields["files"][part].update({k: v}))
        refused(folder, rf"files\.{part}\.{key}: found")


# ---- Rows that no writer writes, with digests that agree


def npy(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def put(folder: Path, part: str, change: Callable[[np.ndarray[Any, Any]], object]) -> Path:
    array = np.load(file_of(folder, part))
    change(array)
    put_file(folder, part, npy(array))
    return file_of(folder, part)


def setting(place: Any, value: Any) -> Callable[[np.ndarray[Any, Any]], None]:
    def change(array: np.ndarray[Any, Any]) -> None:
        array[place] = value

    return change


WRONG_ROWS: list[tuple[str, Any, Any, str]] = [
    ("codes", (3, -1), 0x07, "codes: row 3 has pad bits that are not zero"),
    ("ids", 2, -5, "ids: row 2 has the negative id -5"),
    (
        "originals_float32",
        (6, 2),
        np.nan,
        "originals_float32: row 6 has a value that is not finite",
    ),
    (
        "originals_float16",
        (0, 0),
        np.inf,
        "originals_float16: row 0 has a value that is not finite",
    ),
    ("originals_int4", (4, -1), 0x11, "originals_int4: row 4 has a pad nibble that is not zero"),
    ("originals_ternary", (5, 1), 243, "originals_ternary: row 5 has the byte 243; five ternary"),
    ("originals_ternary", (5, 0), 255, "originals_ternary: row 5 has the byte 255; five ternary"),
    ("originals_ternary", (1, 2), 3, "originals_ternary: row 1 has a pad code that is not zero"),
    ("originals_ternary", (1, 2), 9, "originals_ternary: row 1 has a pad code that is not zero"),
    ("correction", (2, 0), 0x7F80, "correction: row 2 has a number that is not finite"),
    ("correction", (2, 1), 0xFF80, "correction: row 2 has a number that is not finite"),
    ("correction", (6, 1), 0x7FC0, "correction: row 6 has a number that is not finite"),
    ("rotation", (1, -1), 0x04, "rotation: row 1 has pad bits that are not zero"),
    ("threshold", 12, np.nan, "threshold: row 12 has a value that is not finite"),
    ("threshold", 0, -np.inf, "threshold: row 0 has a value that is not finite"),
    *(
        (f"calibration_{store}", (row, 4), value, f"calibration_{store}: ")
        for store in STORES[2:]
        for row in (0, 1)
        for value in (np.nan, np.inf, -np.inf)
    ),
    ("calibration_int8", (0, 4), 1e30, "calibration_int8: .*dimension 4 has a minimum above its"),
    ("calibration_uint8", (1, 12), -9.0, "calibration_uint8: .*dimension 12 has a minimum above"),
    ("calibration_uint8", (1, 12), 1e39, "calibration_uint8: .*dimension 12 has the minimum or"),
    ("calibration_int4", (0, 4), -4e38, "calibration_int4: .*dimension 4 has the mean -4e"),
    ("calibration_int4", (1, 4), -1e-9, "calibration_int4: .*dimension 4 has the sum of squared"),
    ("calibration_ternary", (1, 0), 1e300, "calibration_ternary: .*dimension 0 has the sum of"),
]


@pytest.mark.parametrize(("part", "place", "value", "message"), WRONG_ROWS)
def test_wrong_rows(damaged: Path, part: str, place: Any, value: Any, message: str) -> None:
    path = put(damaged, part, setting(place, value))
    refused(damaged, message, path, USES if part in SMALL else ("read", "verify"))


def test_damaged_rows_of_a_mapped_index_give_answers_all_the_same(damaged: Path) -> None:
    for part, place, value, _ in WRONG_ROWS:
        if part in SMALL or part == "ids":
            continue
        put(damaged, part, setting(place, value))
    index = bitsift.Index.load(damaged, mmap=True)
    for ladder in (
        *([("hamming", 9), store] for store in STORES),
        [("asymmetric", 9), "asymmetric"],
    ):
        scores, ids = index.search(some_vectors(3), 7, ladder=ladder)
        assert not np.isnan(scores).any()
        assert (np.sort(ids) == np.sort(index.ids)).all()


def test_progress_counts_every_byte(whole: Path) -> None:
    total = sum(entry["bytes"] for entry in manifest_of(whole)["files"].values())
    calls: list[tuple[int, int]] = []
    bitsift.verify(whole, progress=lambda *done: calls.append(done))
    assert calls[0] == (0, total)
    assert calls[-1] == (total, total)
    assert calls == sorted(calls)


# ---- Contents that contradict each other are not written


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flips": None}, "rotation: got NoneType, expected an array of dtype uint8"),
        ({"rotate": False}, "rotation: got an array, expected None"),
        ({"factors": np.zeros((7, 1), np.uint16)}, r"correction: got .* shape \(7, 1\), expected"),
        ({"factors": np.zeros((6, 2), np.uint16)}, r"correction: got .* shape \(6, 2\), expected"),
        ({"factors": np.full((7, 2), 0x7F80, np.uint16)}, "correction: row 0 has a number that is"),
        ({"originals": {"int2": np.zeros((7, 13))}}, "store: got 'int2', expected one of"),
        ({"originals": {"int4": np.zeros((7, 13), np.uint8)}}, r"originals_int4: got .*\(7, 13\)"),
        ({"originals": {"int4": np.full((7, 7), 1, np.uint8)}}, "a pad nibble that is not zero"),
        ({"threshold": None}, "."),
    ],
)
def test_contradictions_are_not_written(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    contents = to_contents(*everything()._table.snapshot)
    if "originals" in change:
        change = {**change, "calibrators": {"int4": contents.calibrators["int4"]}}
    writer.write(tmp_path, contents)
    before = names_of(tmp_path)
    with pytest.raises((TypeError, ValueError), match=message):
        writer.write(tmp_path, replace(contents, **change))
    assert names_of(tmp_path) == before
    assert is_same(reader.read(tmp_path), contents)
