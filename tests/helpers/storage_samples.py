# SPDX-License-Identifier: Apache-2.0
"""Index folders for the tests of storage, and a second writer of the format.

The second writer follows FORMAT.md with numpy and json alone; it also writes what the real one
refuses to.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.lib.format as npy_format

import bitsift
from bitsift.index.persistence import to_contents
from bitsift.storage.contents import Contents

STORES = ["float32", "float16", "int8", "uint8", "int4", "ternary"]
# The data files of `sample` (format version 1), of `of_version_2` and of `of_version_3`.
PARTS_V1 = ("codes", "ids", "originals", "threshold")
PARTS_V2 = (
    "codes", "ids", "threshold", "rotation", "correction",
    *(f"originals_{store}" for store in STORES),
    *(f"calibration_{store}" for store in STORES[2:]),
)  # fmt: skip
PARTS_V3 = (*PARTS_V2, "vectors")


def sample(
    n: int = 7,
    dim: int = 13,
    *,
    metric: str = "cosine",
    store: str | None = "float32",
    threshold: str = "array",
    ids: str = "arbitrary",
    seed: int = 0,
) -> Contents:
    """Random contents; by default with every file that the format has."""
    rng = np.random.default_rng([seed, n, dim])
    bits = rng.integers(0, 2, (n, dim), dtype=np.uint8)
    chosen = rng.permutation(10 * n)[:n].astype(np.int64)
    originals = rng.standard_normal((n, dim)).astype(np.float32)
    return Contents(
        dim=dim,
        metric=metric,
        threshold=(
            rng.standard_normal(dim).astype(np.float32) if threshold == "array" else seed + 0.1
        ),
        codes=np.packbits(bits, axis=1),
        ids={"automatic": None, "ascending": np.sort(chosen), "arbitrary": chosen}[ids],
        originals={} if store is None else {store: originals.astype(store)},
        ids_ascending=ids != "arbitrary",
    )


def some_vectors(n: int, dim: int = 13, seed: int = 0) -> np.ndarray[Any, Any]:
    """Random vectors of float32."""
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def everything(n: int = 7) -> bitsift.Index:
    """Make an index with every part that there can be."""
    index = bitsift.Index(13, store=STORES, threshold="mean", rotate=True, correction=True)
    index.fit(some_vectors(120, seed=1))
    index.add(some_vectors(n), ids=np.random.default_rng(2).permutation(10 * n)[:n])
    return index


def with_old_defaults(index: bitsift.Index) -> Contents:
    """Give an index as contents that versions 1 and 2 of the format can describe."""
    contents = to_contents(*index._table.snapshot[:2])
    return replace(contents, scoring="hamming", candidates="fixed", vectors=None)


def of_version_2(n: int = 7) -> Contents:
    """Give contents with every part of format version 2."""
    return with_old_defaults(everything(n))


def of_version_3(n: int = 7) -> Contents:
    """Give contents with every part of format version 3."""
    vectors = some_vectors(n, seed=3)
    return replace(of_version_2(n), scoring=None, candidates="by-position", vectors=vectors)


def assert_same(found: Contents, expected: Contents) -> None:
    """Compare two contents bit by bit."""
    found_values, expected_values = _values_of(found), _values_of(expected)
    assert [*found_values] == [*expected_values]
    for name, theirs in expected_values.items():
        ours = found_values[name]
        if isinstance(theirs, np.ndarray):
            assert isinstance(ours, np.ndarray), name
            assert ours.dtype == theirs.dtype, name
            assert ours.shape == theirs.shape, name
            assert ours.tobytes() == theirs.tobytes(), name
        else:
            assert type(ours) is type(theirs), name
            assert ours == theirs, name


def _values_of(contents: Contents) -> dict[str, Any]:
    """Give every array and every other value, by name."""
    values = dict(vars(contents))
    for store, array in values.pop("originals").items():
        values[f"originals_{store}"] = array
    for store, calibrator in values.pop("calibrators").items():
        state = calibrator.state() if calibrator.n > 0 else (repr(calibrator), None)
        values[f"calibration_{store}"], values[f"calibration_{store}_array"] = state
    return values


def part_of(contents: Contents, part: str) -> Any:
    """Give the array of a part, the only store's vectors as ``"originals"``."""
    if part == "originals":
        return next(iter(contents.originals.values()), None)
    return getattr(contents, part)


def is_same(found: Contents, expected: Contents) -> bool:
    """Say whether two contents are equal bit by bit."""
    try:
        assert_same(found, expected)
    except AssertionError:
        return False
    return True


def manifest_of(folder: Path) -> dict[str, Any]:
    """Read a manifest with json alone."""
    fields: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return fields


def file_of(folder: Path, part: str) -> Path:
    """Give the path of one part's file, or of the manifest."""
    if part == "manifest":
        return folder / "manifest.json"
    return folder / manifest_of(folder)["files"][part]["name"]


def names_of(folder: Path) -> set[str]:
    """List the folder."""
    return {entry.name for entry in folder.iterdir()}


def named_by_manifest(folder: Path) -> set[str]:
    """List what the folder of a whole index holds."""
    entries = manifest_of(folder)["files"].values()
    return {"manifest.json", *(entry["name"] for entry in entries)}


def put_manifest(folder: Path, fields: dict[str, Any]) -> None:
    """Write a manifest with the checksum that its fields have."""
    rest = {key: value for key, value in fields.items() if key != "checksum"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    rest["checksum"] = hashlib.sha256(canonical.encode("ascii")).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(rest), encoding="ascii")


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change fields of the manifest and mend its checksum."""
    fields = manifest_of(folder)
    change(fields)
    put_manifest(folder, fields)


def digest_of(entry: dict[str, Any], data: bytes) -> dict[str, str]:
    """Return the digest of a file, as FORMAT.md has it, by the name that its entry has."""
    if "sha256" in entry:
        return {"sha256": hashlib.sha256(data).hexdigest()}
    pieces = (data[begin : begin + (1 << 20)] for begin in range(0, len(data), 1 << 20))
    sums = b"".join(naive_crc32c(piece).to_bytes(4, "little") for piece in pieces)
    return {"crc32c": hashlib.sha256(sums).hexdigest()}


def naive_crc32c(data: bytes) -> int:
    """Return the CRC-32C, a byte at a time by a table."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_OF_BYTE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_CRC_OF_BYTE = [_crc_of_byte(byte) for byte in range(256)]


def put_file(folder: Path, part: str, data: bytes) -> None:
    """Replace a part's file, and in the manifest its size and digest."""
    file_of(folder, part).write_bytes(data)

    def adopt(fields: dict[str, Any]) -> None:
        entry = fields["files"][part]
        entry["bytes"] = len(data)
        entry.update(digest_of(entry, data))

    change_manifest(folder, adopt)


def forge(
    folder: Path, contents: Contents, *, npy_version: tuple[int, int] | None = (1, 0)
) -> None:
    """Write contents, right or wrong, as FORMAT.md has it."""
    folder.mkdir(exist_ok=True)
    files: dict[str, Any] = {}
    for part in PARTS_V1:
        array = part_of(contents, part)
        if not isinstance(array, np.ndarray):
            continue
        name = f"{part}-{'0123456789abcdef' * 2}.npy"
        with (folder / name).open("wb") as file:
            npy_format.write_array(file, array, version=npy_version, allow_pickle=False)
        data = (folder / name).read_bytes()
        files[part] = {
            "name": name,
            "dtype": array.dtype.str,
            "shape": list(array.shape),
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    if contents.ids is None:
        ids = "automatic"
    else:
        ids = "ascending" if contents.ids_ascending else "arbitrary"
    put_manifest(
        folder,
        {
            "format": "bitsift-index",
            "version": 1,
            "dim": contents.dim,
            "metric": contents.metric,
            "store": next(iter(contents.originals), None),
            "count": len(contents.codes),
            "threshold": None if "threshold" in files else contents.threshold,
            "ids": ids,
            "files": files,
        },
    )


def copy(folder: Path, target: Path) -> Path:
    """Copy an index folder over whatever is at the target."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def resident_bytes(path: Path) -> int:
    """Bytes of a mapped file that are in this process's memory."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if line.split(maxsplit=1)[0].count("-") == 1:  # the head of a mapping
            inside = line.endswith(str(path))
        elif inside and line.startswith("Rss:"):
            total += 1024 * int(line.split()[1])
    return total
