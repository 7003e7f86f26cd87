# SPDX-License-Identifier: Apache-2.0
"""Data files that agree with the manifest and hold rows that no index has."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsift
from bitsift.storage import npy_file, reader, row_checks, writer
from helpers.storage_folders import (
    READ_BY_MAP,
    USES,
    refused,
    version_3,
)
from helpers.storage_samples import (
    STORES,
    assert_same,
    file_of,
    forge,
    part_of,
    put_file,
    sample,
    some_vectors,
)


def _with(array: Any, position: Any, value: Any) -> Any:
    changed = array.copy()
    changed[position] = value
    return changed


WRONG_CONTENTS = {
    "pad": ("codes", lambda a: _with(a, (5, 1), a[5, 1] | 4), "row 5 has pad bits"),
    "negative": ("ids", lambda a: _with(a, 4, -1), "row 4 has the negative id -1"),
    "twice": ("ids", lambda a: _with(a, 6, a[0]), "is there twice"),
    "nan": ("originals", lambda a: _with(a, (3, 12), np.nan), "row 3 has a value"),
    "inf": ("originals", lambda a: _with(a, (6, 0), -np.inf), "row 6 has a value"),
    "threshold": ("threshold", lambda a: _with(a, 12, np.inf), "row 12 has a value"),
}


@pytest.mark.parametrize("chunk_bytes", [1, 100, 1 << 20])
@pytest.mark.parametrize("use", ["read", "verify"])
@pytest.mark.parametrize("store", ["float32", "float16"])
@pytest.mark.parametrize("wrong", WRONG_CONTENTS)
def test_wrong_rows_of_version_1(
    tmp_path: Path,
    wrong: str,
    store: str,
    use: str,
    chunk_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(npy_file, "_CHUNK_BYTES", chunk_bytes)
    part, change, message = WRONG_CONTENTS[wrong]
    contents = sample(store=store)
    changed: Any = change(part_of(contents, part))
    if part == "originals":
        changed = {store: changed}
    forge(tmp_path, replace(contents, **{part: changed}))
    refused(tmp_path, message, file_of(tmp_path, part), [use])


@pytest.mark.parametrize("chunk_bytes", [8, 24, 1 << 20])
@pytest.mark.parametrize("use", ["read", "verify"])
@pytest.mark.parametrize(
    ("ids", "row"),
    [
        ([5, 4, 6, 7, 8, 9, 10], 1),
        ([0, 1, 2, 2, 3, 4, 5], 3),
        ([0, 1, 2, 3, 4, 2**63 - 1, 6], 6),
        ([2**63 - 1, 1, 2, 3, 4, 5, 6], 1),
    ],
)
def test_ids_said_to_ascend(
    tmp_path: Path,
    ids: list[int],
    row: int,
    use: str,
    chunk_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(npy_file, "_CHUNK_BYTES", chunk_bytes)
    forge(tmp_path, replace(sample(ids="ascending"), ids=np.array(ids)))
    refused(tmp_path, f"row {row}, id {ids[row]}, is not above", file_of(tmp_path, "ids"), [use])


def test_largest_ids(tmp_path: Path) -> None:
    top = 2**63 - 1
    for ids in ([top - 3, top - 2, top - 1, top], [top, 0, top - 1, 5]):
        contents = sample(4, ids="arbitrary")
        contents = replace(contents, ids=np.array(ids), ids_ascending=ids[0] != top)
        writer.write(tmp_path, contents)
        assert_same(reader.read(tmp_path), contents)
        reader.verify(tmp_path)


@settings(deadline=None, max_examples=200)
@given(
    ids=st.lists(st.integers(0, 30) | st.integers(2**63 - 20, 2**63 - 1), max_size=60),
    n_at_a_time=st.integers(1, 20),
    step=st.integers(1, 20),
)
def test_duplicates_are_found(ids: list[int], n_at_a_time: int, step: int) -> None:
    array = np.array(ids, dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_checks, "_IDS_AT_A_TIME", n_at_a_time)
        found = row_checks.find_duplicate(
            lambda: (array[first : first + step] for first in range(0, len(array), step)),
            len(array),
        )
    if len(set(ids)) == len(ids):
        assert found is None
    else:
        assert ids.count(found) > 1  # type: ignore[arg-type]


# ---- Format version 2


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
    *(
        ("vectors", place, value, f"vectors: row {place[0]} has a value that is not finite")
        for place, value in (((0, 0), np.nan), ((6, 12), np.inf), ((3, 5), -np.inf))
    ),
    ("calibration_int8", (0, 4), 1e30, "calibration_int8: .*dimension 4 has a minimum above its"),
    ("calibration_uint8", (1, 12), -9.0, "calibration_uint8: .*dimension 12 has a minimum above"),
    ("calibration_uint8", (1, 12), 1e39, "calibration_uint8: .*minimum and maximum .*12 is"),
    ("calibration_int4", (0, 4), -4e38, "calibration_int4: .*mean .* dimension 4 is -4e"),
    ("calibration_int4", (1, 4), -1e-9, "calibration_int4: .*dimension 4 has the sum of squared"),
    ("calibration_ternary", (1, 0), 1e300, "calibration_ternary: .*dimension 0 has the sum of"),
]


@version_3
@pytest.mark.parametrize(("part", "place", "value", "message"), WRONG_ROWS)
def test_wrong_rows_of_version_3(
    damaged: Path, part: str, place: Any, value: Any, message: str
) -> None:
    path = put(damaged, part, setting(place, value))
    refused(damaged, message, path, USES if part in READ_BY_MAP else ("read", "verify"))


@version_3
def test_a_mapped_index_with_wrong_rows_still_answers(damaged: Path) -> None:
    for part, place, value, _ in WRONG_ROWS:
        if part in READ_BY_MAP or part == "ids":
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
