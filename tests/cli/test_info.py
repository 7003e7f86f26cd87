# SPDX-License-Identifier: Apache-2.0
"""``bitsift info`` and ``bitsift verify``."""

from __future__ import annotations

import json
from pathlib import Path

import bitsift
from helpers.cli_runner import run, run_json
from helpers.cli_samples import DIM, N


def test_info(index_path: Path) -> None:
    described = run_json("info", index_path)
    index = bitsift.Index.load(index_path)
    assert described["format_version"] == 3
    assert (described["threshold"], described["store"]) == (0.0, "float16")
    assert (described["scoring"], described["candidates"]) == (index.scoring, "by-position")
    assert index.scoring is not None
    size = sum(path.stat().st_size for path in index_path.iterdir())
    assert described["bytes"]["total"] == size
    assert described["bytes"]["codes"] == index.codes.nbytes + 128
    assert described["bytes"]["originals_float16"] == N * DIM * 2 + 128
    text = run("info", index_path).stdout
    for part in ("300 of 44 dimensions", "cosine", "float16", "version 3", "29.3x", "codes"):
        assert part in text
    for line in (f"scoring {index.scoring}", "candidates by position"):
        assert line in [" ".join(line.split()) for line in text.splitlines()]
    assert str(index_path) in text


def test_verify(index_path: Path) -> None:
    assert run_json("verify", index_path) == {"path": str(index_path), "ok": True}
    assert run("verify", index_path).stdout == f"OK: {index_path}\n"


def test_verify_finds_damage(index_path: Path) -> None:
    path = next(index_path.glob("codes*.npy"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 0x40
    path.write_bytes(bytes(data))
    result = run("verify", index_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("bitsift: error: ")
    assert path.name in result.stderr
    failed = run("verify", index_path, "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["error"]["type"] == "CorruptIndexError"
    assert run("search", index_path, path, "--no-mmap").exit_code == 1
