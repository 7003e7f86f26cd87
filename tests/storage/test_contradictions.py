# SPDX-License-Identifier: Apache-2.0
"""Contents that contradict themselves are not written, and the folder stays as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitsift.index.persistence import to_contents
from bitsift.storage import reader, writer
from helpers.storage_samples import (
    assert_same,
    everything,
    is_same,
    names_of,
    sample,
)


def _array(*shape: int, dtype: str = "float32") -> np.ndarray[Any, Any]:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 0}, "dim must be 1 to 65536; got 0"),
        ({"dim": 65537}, "dim must be 1 to 65536; got 65537"),
        ({"dim": True}, "dim must be an integer; got True"),
        ({"dim": 17}, r"codes must be .*\(7, 3\); got dtype uint8 and shape \(7, 2\)"),
        ({"metric": "manhattan"}, "metric must be one of .*; got 'manhattan'"),
        ({"originals": {"bfloat16": _array(7, 13)}}, "store must be one of .*; got 'bfloat16'"),
        ({"originals": {"float16": _array(7, 13)}}, "originals must be .*; got dtype float32"),
        ({"originals": {"float32": None}}, "originals must be .*; got NoneType"),
        ({"originals": {"float32": _array(7, 12)}}, r"originals must be .*; got .*shape \(7, 12\)"),
        ({"codes": _array(7, 2, dtype="int8")}, "codes must be .*; got dtype int8"),
        ({"codes": _array(6, 2, dtype="uint8")}, r"ids must be .*\(6,\); got"),
        ({"codes": [[0, 0]]}, "codes must be .*; got list"),
        ({"ids": _array(7, dtype="int32")}, "ids must be .*; got dtype int32"),
        ({"ids": _array(7, dtype=">i8")}, "ids must be .*; got dtype"),
        ({"ids": _array(7, dtype="int64")}, "ids must be unique; got 0 more than once"),
        ({"ids": np.arange(-1, 6)}, "ids: row 0 has the negative id -1"),
        ({"ids": np.arange(7)[::-1], "ids_ascending": True}, "ids: row 1, id 5, is not above"),
        ({"threshold": float("nan")}, "threshold must be finite; got nan"),
        ({"threshold": float("inf")}, "threshold must be finite; got inf"),
        ({"threshold": _array(12)}, r"threshold must be .*; got .*shape \(12,\)"),
        ({"threshold": _array(13, dtype="float64")}, "threshold must be .*; got dtype float64"),
        ({"threshold": np.float32([np.nan] * 13)}, "threshold: row 0 has a value that is not"),
        (
            {"originals": {"float32": np.full((7, 13), np.inf, "f4")}},
            "originals: row 0 has a value that is not",
        ),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    contents = sample(seed=3)
    writer.write(tmp_path, contents)
    before = names_of(tmp_path)
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        writer.write(tmp_path, replace(contents, **changes))
    assert not isinstance(caught.value, OSError)
    assert names_of(tmp_path) == before
    assert_same(reader.read(tmp_path), contents)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flips": None}, "rotation must be an array of dtype uint8 .*; got NoneType"),
        ({"rotate": False}, "rotation must be None; got an array"),
        ({"factors": np.zeros((7, 1), np.uint16)}, r"correction must be .*; got .* shape \(7, 1\)"),
        ({"factors": np.zeros((6, 2), np.uint16)}, r"correction must be .*; got .* shape \(6, 2\)"),
        ({"factors": np.full((7, 2), 0x7F80, np.uint16)}, "correction: row 0 has a number that is"),
        ({"originals": {"int2": np.zeros((7, 13))}}, "store must be one of .*; got 'int2'"),
        (
            {"originals": {"int4": np.zeros((7, 13), np.uint8)}},
            r"originals_int4 must be .*; got .*\(7, 13\)",
        ),
        ({"originals": {"int4": np.full((7, 7), 1, np.uint8)}}, "a pad nibble that is not zero"),
        ({"threshold": None}, "."),
    ],
)
def test_contradictions_of_version_2_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    contents = to_contents(everything()._table.snapshot)
    if "originals" in change:
        change = {**change, "calibrators": {"int4": contents.calibrators["int4"]}}
    writer.write(tmp_path, contents)
    before = names_of(tmp_path)
    with pytest.raises((TypeError, ValueError), match=message):
        writer.write(tmp_path, replace(contents, **change))
    assert names_of(tmp_path) == before
    assert is_same(reader.read(tmp_path), contents)
