# SPDX-License-Identifier: Apache-2.0
"""Hostile files, targets and streams on the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.cli_runner import check_failure, run, run_json

DIM = 44


@pytest.fixture
def vectors_path(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.npy"
    np.save(path, np.random.default_rng(7).standard_normal((20, DIM), dtype=np.float32))
    return path


@pytest.fixture
def index_path(tmp_path: Path, vectors_path: Path) -> Path:
    path = tmp_path / "made.index"
    assert run("build", vectors_path, "-o", path).exit_code == 0
    return path


def test_a_header_with_any_byte_changed(tmp_path: Path, vectors_path: Path) -> None:
    data = vectors_path.read_bytes()
    path = tmp_path / "x.npy"
    for place in range(0, 128, 3):
        for value in b"\x00(',9":
            path.write_bytes(data[:place] + bytes([value]) + data[place + 1 :])
            result = run("search", tmp_path / "nothing", path)
            assert isinstance(result.exception, SystemExit)
            result = run("build", path, "-o", tmp_path / "out", "--force")
            assert result.exit_code in (0, 1)
            assert isinstance(result.exception, (SystemExit, type(None)))


def test_a_broken_archive(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"PK\3\4garbage")
    check_failure(
        ["build", tmp_path / "x.npy", "-o", tmp_path / "out"], "InputError", ["is an .npz archive"]
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no FIFO")
def test_a_fifo_is_not_waited_for(tmp_path: Path, index_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npy")
    check_failure(
        ["search", index_path, tmp_path / "x.npy"], "InputError", ["is not a regular file"]
    )


def test_results_replace_regular_files_only(
    tmp_path: Path, index_path: Path, vectors_path: Path
) -> None:
    manifest = index_path / "manifest.json"
    before = manifest.read_bytes()
    (tmp_path / "link").symlink_to(vectors_path)
    for target, fragment in [
        (manifest, "is inside an index"),
        (tmp_path / "link", "is not a regular file"),
        (Path(os.devnull), "is not a regular file"),
    ]:
        check_failure(["search", index_path, vectors_path, "-o", target], "InputError", [fragment])
    assert manifest.read_bytes() == before
    assert (tmp_path / "link").is_symlink()


def test_infinite_scores_are_null_in_json(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full((3, 16), 3e38, np.float32))
    run("build", tmp_path / "x.npy", "-o", tmp_path / "out", "--metric", "dot")
    found = run_json("search", tmp_path / "out", tmp_path / "x.npy", "-k", 2)
    assert found["results"][0] == {"query": 0, "ids": [0, 1], "scores": [None, None]}


def test_build_takes_what_a_crashed_first_save_left(tmp_path: Path, vectors_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f"codes-{'0' * 32}.npy").write_bytes(b"")
    assert run_json("build", vectors_path, "-o", tmp_path / "out")["count"] == 20


def test_ids_at_fault_are_named(tmp_path: Path, vectors_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.zeros(20, np.int64))
    check_failure(
        ["build", vectors_path, "-o", tmp_path / "out", "--ids", tmp_path / "ids.npy"],
        "InputError",
        ["ids.npy: rows 0 to 19: ids must be unique"],
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">/dev/full"])
def test_closed_or_full_streams(index_path: Path, closed: str) -> None:
    for command in ("info", "verify"):
        for option in ("", "--json"):
            line = f'exec "{sys.executable}" -m bitsift {command} "{index_path}" {option} {closed}'
            ended = subprocess.run(
                ["sh", "-c", line], capture_output=True, text=True, timeout=120, check=False
            )
            assert "Traceback" not in ended.stderr
            assert ended.returncode == (1 if "full" in closed else 0)
