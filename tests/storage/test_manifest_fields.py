# SPDX-License-Identifier: Apache-2.0
"""Manifests whose checksum agrees and in which one field is wrong."""

from __future__ import annotations

import contextlib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

import bitsift
from bitsift.core.errors import CorruptIndexError, UnsupportedVersionError
from bitsift.storage import writer
from helpers.storage_folders import USES, refused, version_2, version_3
from helpers.storage_samples import (
    PARTS_V3,
    STORES,
    change_manifest,
    copy,
    file_of,
    manifest_of,
    sample,
)

# 10**400 is no float, 10**18 has as many digits as a number of rows may have.
HUGE = [10**400, -(10**400), 10**18, -(10**18), 2**63 - 1, 2**63, 1.7e308, -1.7e308, 5e-324]

# Version 1.
WRONG_FIELDS: list[tuple[str, Any]] = [
    *(("dim", value) for value in (0, -1, 65537, 14, 17, 13.0, True, None, "13", [13], 10**18)),
    *(("count", value) for value in (-1, 6, 8, 7.0, True, None, "7", 2**63, 10**18)),
    *(("metric", value) for value in ("", "Cosine", "hamming", None, 1, ["cosine"], {})),
    *(("store", value) for value in ("", "int8", "float16", 1, False, ["float32"], {}, None)),
    *(("threshold", value) for value in (0, 0.5, True, "0.5", [], {}, 1e39, -3.5e38)),
    *(("ids", value) for value in ("automatic", "", None, True, 1, ["arbitrary"], {})),
    *(("files", value) for value in (None, [], {}, "codes", 0, {"codes": None})),
]


# Version 2.
WRONG_FIELDS_V2: list[tuple[str, Any, str]] = [
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

# Version 3.
WRONG_FIELDS_V3: list[tuple[str, Any, str]] = [
    *(
        ("required_features", value, "required_features: found .*array of strings")
        for value in (None, {}, 1, "x", [1], [None], ["x", 1], [["x"]])
    ),
    ("required_features", ["x", "x"], "required_features: found .*each feature once"),
    ("required_features", ["largest_id"], "the manifest: the key 'largest_id' is missing"),
    ("largest_id", 100, "the manifest: the key 'largest_id' does not belong"),
    *(("defaults", value, "defaults: found") for value in (None, [], 1, "asymmetric")),
    ("defaults", {}, "defaults: the key 'candidates' is missing"),
    ("defaults", {"candidates": "fixed"}, "defaults: the key 'scoring' is missing"),
    (
        "defaults",
        {"scoring": None, "candidates": "fixed", "more": 1},
        "defaults: the key 'more' does not belong",
    ),
    *(
        (
            "defaults",
            {"scoring": value, "candidates": "by-position"},
            r"defaults\.scoring: found .*one of 'hamming', 'asymmetric'",
        )
        for value in ("", "auto", 1, True, [], {})
    ),
    *(
        (
            "defaults",
            {"scoring": None, "candidates": value},
            r"defaults\.candidates: found .*one of 'by-position', 'fixed'",
        )
        for value in ("", "auto", 4, None, [], {})
    ),
    *(
        (
            "defaults",
            {"scoring": scoring, "candidates": "by-position"},
            "files: the key 'vectors' does not belong",
        )
        for scoring in ("hamming", "asymmetric")
    ),
    ("version", 2, "the manifest: the key 'defaults' does not belong"),
    ("fitted", False, "fitted: found False, expected true, as there are vectors"),
    ("dim", 14, "files"),
    ("count", 8, "files"),
]


@pytest.mark.parametrize(("key", "value"), WRONG_FIELDS)
def test_wrong_field(damaged: Path, key: str, value: Any) -> None:
    change_manifest(damaged, lambda fields: fields.update({key: value}))
    refused(damaged, "found|missing|does not belong")


@version_2
@pytest.mark.parametrize(("key", "value", "message"), WRONG_FIELDS_V2)
def test_wrong_field_of_version_2(damaged: Path, key: str, value: Any, message: str) -> None:
    change_manifest(damaged, lambda fields: fields.update({key: value}))
    refused(damaged, message)


@version_3
@pytest.mark.parametrize(("key", "value", "message"), WRONG_FIELDS_V3)
def test_wrong_field_of_version_3(damaged: Path, key: str, value: Any, message: str) -> None:
    change_manifest(damaged, lambda fields: fields.update({key: value}))
    refused(damaged, message)


@version_3
def test_vectors_that_are_missing(damaged: Path) -> None:
    change_manifest(damaged, lambda fields: fields["files"].pop("vectors"))
    refused(damaged, "files: the key 'vectors' is missing")


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


@pytest.mark.parametrize(("key", "value"), WRONG_ENTRIES)
def test_wrong_entry(damaged: Path, key: str, value: Any) -> None:
    codes = file_of(damaged, "codes")
    change_manifest(damaged, lambda fields: fields["files"]["codes"].update({key: value}))
    for use in USES.values():
        with pytest.raises(CorruptIndexError) as caught:
            use(damaged)
        assert caught.value.path in (str(damaged / "manifest.json"), str(codes))


@version_3
@pytest.mark.parametrize("part", PARTS_V3)
def test_wrong_entries_of_version_3(whole: Path, tmp_path: Path, part: str) -> None:
    for key, value in (
        ("dtype", "|O"),
        ("dtype", "<f2" if part != "originals_float16" else "<f4"),
        ("shape", [7]),
        ("shape", [6, 13]),
        ("name", "codes.npy"),
        ("name", f"originals-{'0' * 32}.npy"),
        ("crc32c", ""),
        ("bytes", 0),
    ):
        folder = copy(whole, tmp_path / "index")
        if manifest_of(folder)["files"][part][key] == value:
            continue
        change_manifest(folder, lambda fields, k=key, v=value: fields["files"][part].update({k: v}))
        refused(folder, rf"files\.{part}\.{key}: found")


def test_path_outside_the_folder_is_not_opened(damaged: Path) -> None:
    """Although the file is there and right."""
    name = manifest_of(damaged)["files"]["codes"]["name"]
    (damaged / name).rename(damaged.parent / name)
    for outside in (f"../{name}", str(damaged.parent / name)):
        change_manifest(
            damaged, lambda fields, name=outside: fields["files"]["codes"].update(name=name)
        )
        refused(damaged, r"files\.codes\.name: found")


def test_one_file_for_two_parts(damaged: Path) -> None:
    def share(fields: dict[str, Any]) -> None:
        fields["files"]["ids"]["name"] = fields["files"]["codes"]["name"]

    change_manifest(damaged, share)
    refused(damaged, r"files\.ids\.name: found")


@pytest.mark.parametrize("shape", [[True, 1], [1, True]])
def test_true_is_not_a_number(tmp_path: Path, shape: list[Any]) -> None:
    writer.write(tmp_path, sample(1, 8, store=None, ids="automatic", threshold="number"))
    change_manifest(tmp_path, lambda fields: fields["files"]["codes"].update(shape=shape))
    refused(tmp_path, r"files\.codes\.shape: found")


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


@version_2
@pytest.mark.parametrize(("store", "change", "message"), WRONG_CALIBRATIONS)
def test_wrong_calibration(damaged: Path, store: str, change: Any, message: str) -> None:
    change_manifest(damaged, lambda fields: fields["calibrations"][store].update(change))
    refused(damaged, message)


@pytest.mark.parametrize("n_std", [0, -3.0, -1])
def test_wrong_calibration_that_is_not_fitted(tmp_path: Path, n_std: float) -> None:
    bitsift.Index(13, store="int4").save(tmp_path)
    change_manifest(tmp_path, lambda fields: fields["calibrations"]["int4"].update(n_std=n_std))
    refused(tmp_path, r"calibrations\.int4\.n_std: found")


@version_2
@pytest.mark.parametrize("key", ["kind", "n", "n_std"])
def test_calibrations_with_keys_missing(damaged: Path, key: str) -> None:
    change_manifest(damaged, lambda fields: fields["calibrations"]["int8"].pop(key))
    refused(damaged, rf"calibrations\.int8: the key '{key}' is missing")


@version_2
def test_calibrations_of_no_store(damaged: Path) -> None:
    change_manifest(
        damaged,
        lambda fields: fields["calibrations"].update(float32=fields["calibrations"]["int8"]),
    )
    refused(damaged, "calibrations: the key 'float32' does not belong")


@pytest.mark.parametrize(
    "change",
    [{"count": 1}, {"threshold": 0.5}, {"threshold": 0}, {"rule": None}],
)
def test_not_fitted_though_there_are_vectors_or_a_threshold(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    bitsift.Index(13, threshold="mean", rotate=True).save(tmp_path)
    assert manifest_of(tmp_path)["fitted"] is False
    change_manifest(tmp_path, lambda fields: fields.update(change))
    refused(tmp_path, "fitted: found False, expected true, as there are vectors, a threshold or no")


def test_fitted_without_a_file(tmp_path: Path) -> None:
    bitsift.Index(13, threshold="mean", store=None).save(tmp_path)
    change_manifest(tmp_path, lambda fields: fields.update(fitted=True))
    refused(tmp_path, "files: the key 'threshold' is missing")


@version_2
@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize("fitted", [False, True])
def test_huge_numbers(tmp_path: Path, version: int, number: float, fitted: bool) -> None:
    """Each number of a manifest, absurdly large: refused as corrupt, if it cannot be meant."""
    index = bitsift.Index(8, store=["int4", "int8"], threshold="mean")
    if fitted:
        index.fit([[1.0] * 8, [2.0] * 8] * 50)
    index.save(tmp_path)

    def numbers(fields: Any) -> list[tuple[Any, Any]]:
        places = fields.items() if isinstance(fields, dict) else enumerate(fields)
        found = []
        for key, value in places:
            if isinstance(value, (dict, list)):
                found += numbers(value)
            elif type(value) in (int, float):
                found.append((fields, key))
        return found

    n_places = len(numbers(manifest_of(tmp_path)))
    assert n_places > 8
    intact = manifest_of(tmp_path)
    for place in range(n_places):

        def change(fields: dict[str, Any], place: int = place) -> None:
            fields.update(deepcopy(intact))
            container, key = numbers(fields)[place]
            container[key] = number

        change_manifest(tmp_path, change)
        for use in USES.values():
            with contextlib.suppress(CorruptIndexError, UnsupportedVersionError):
                use(tmp_path)
