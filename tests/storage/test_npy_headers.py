# SPDX-License-Identifier: Apache-2.0
"""Data files with wrong headers, whose size and digest agree with the manifest."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.storage_folders import (
    USES,
    refused,
)
from helpers.storage_samples import (
    file_of,
    put_file,
)


def replaced_header(data: bytes, old: bytes, new: bytes) -> bytes:
    header = data[10:128].rstrip(b" \n").replace(old, new)
    assert header != data[10:128].rstrip(b" \n")
    return data[:10] + header.ljust(117) + b"\n" + data[128:]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"'|u1'", b"'|O'", r"dtype is '\|O', expected '\|u1'"),
        (b"'|u1'", b"'|i1'", r"dtype is '\|i1', expected '\|u1'"),
        (b"'|u1'", b"'>u1'", "dtype is '>u1'"),
        (b"'|u1'", b"[('a', '|u1')]", r"\.npy header is no plain array's"),
        (b"'|u1'", b"__import__('os').abort()", r"\.npy header is no plain array's"),
        (b"'|u1'", b"'\xff'", "dtype is 'ÿ'"),
        (b"False", b"True", "order is Fortran's"),
        (b"False", b"0", r"\.npy header is no plain array's"),
        (b"(7, 2)", b"(2, 7)", r"shape is \(2, 7\), expected \(7, 2\)"),
        (b"(7, 2)", b"(14,)", r"shape is \(14,\)"),
        (b"(7, 2)", b"()", r"shape is \(\)"),
        (b"(7, 2)", b"(9999999999999999, 2)", "shape is "),
        (b"(7, 2)", b"(7, -2)", r"\.npy header is no plain array's"),
        (b"(7, 2)", b"[7, 2]", r"\.npy header is no plain array's"),
        (b"(7, 2)", b"(7,, 2)", "shape is "),
        (b"'shape'", b"'shade'", r"\.npy header is no plain array's"),
        (b"}", b"", r"\.npy header is no plain array's"),
        (b"{", b"-" * 30, r"\.npy header is no plain array's"),
    ],
)
def test_changed_text_of_the_header(
    damaged: Path, old: bytes, new: bytes, message: str, use: str
) -> None:
    path = file_of(damaged, "codes")
    put_file(damaged, "codes", replaced_header(path.read_bytes(), old, new))
    refused(damaged, message, path, [use])


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("start", "data", "message"),
    [
        (0, b"\x93NUMPX", "it starts with"),
        (0, b"PK\x03\x04", "it starts with"),
        (6, b"\x04\x00", r"\.npy version is 4\.0, expected 1\.0, 2\.0 or 3\.0"),
        (6, b"\x01\x01", r"\.npy version is 1\.1"),
        (6, b"\x02\x00\xff\xff\xff\xff", "header is 4294967307 bytes long"),
        (8, b"\xff\xff", "header is 65545 bytes long, expected a multiple of 64"),
        (8, b"\x77\x00", "header is 129 bytes long"),
        (8, b"\x36\x00", r"\.npy header is no plain array's"),
        (8, b"\xb6\x00", "it ends 50 bytes before its contents do"),
    ],
)
def test_changed_first_bytes(
    damaged: Path, start: int, data: bytes, message: str, use: str
) -> None:
    path = file_of(damaged, "codes")
    whole = path.read_bytes()
    put_file(damaged, "codes", whole[:start] + data + whole[start + len(data) :])
    refused(damaged, message, path, [use])


@pytest.mark.parametrize("use", USES)
def test_header_that_ends_elsewhere(damaged: Path, use: str) -> None:
    """A longer header whose padding covers some of the data."""
    path = file_of(damaged, "originals")
    data = path.read_bytes()
    longer = data[:8] + (128 + 64 - 10).to_bytes(2, "little") + data[10:128]
    put_file(damaged, "originals", longer + b" " * 63 + b"\n" + data[128 + 64 :])
    refused(damaged, r"its data are \d+ bytes long, expected \d+", path, [use])


@pytest.mark.parametrize("use", USES)
def test_header_of_spaces_without_an_end(damaged: Path, use: str) -> None:
    path = file_of(damaged, "codes")
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (7, 2)"
    header = b"\x93NUMPY\x01\x00" + (4096 - 10).to_bytes(2, "little") + text.ljust(4096 - 10)
    put_file(damaged, "codes", header + path.read_bytes()[128:])
    refused(damaged, r"\.npy header is no plain array's", path, [use])


class _Bomb:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return exec, ("import sys; sys.bitsift_unpickled = True",)


@pytest.mark.parametrize("use", USES)
def test_nothing_is_unpickled(damaged: Path, use: str) -> None:
    path = file_of(damaged, "codes")
    np.save(path, np.array([_Bomb()], dtype=object), allow_pickle=True)
    put_file(damaged, "codes", path.read_bytes())
    refused(damaged, r"dtype is '\|O'", path, [use])
    put_file(damaged, "codes", pickle.dumps(_Bomb()))
    refused(damaged, "it starts with", path, [use])
    assert not hasattr(sys, "bitsift_unpickled")
