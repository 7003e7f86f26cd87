# SPDX-License-Identifier: Apache-2.0
"""Hostile files, targets and streams on the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift
from helpers.cli_runner import check_failure, run, run_json
from helpers.cli_samples import DIM, N, centred_vectors, saved


def numpy_reads(path: Path) -> NDArray[Any] | None:
    """The array that NumPy finds in a file and that ends it; None if there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            whole = array.offset + array.nbytes == path.stat().st_size
            return np.asarray(array) if whole else None
        except Exception:  # NumPy raises whatever its parsers of the header raise.
            return None


def can_be_built(array: NDArray[Any] | None) -> bool:
    """Whether an index takes the array, by what its documentation says of float vectors."""
    return (
        array is not None
        and array.ndim == 2
        and array.dtype.kind == "f"
        and array.dtype.itemsize in (2, 4, 8)
        and 1 <= array.shape[1] <= 65536
        and bool((np.abs(array.astype(np.float64)) <= np.finfo(np.float32).max).all())
    )


def check_changed_header(folder: Path, index_path: Path, places: Iterable[int]) -> set[int]:
    """Build from, and search with, a file with one byte changed; return the exit codes."""
    whole = saved(folder / "few.npy", centred_vectors()[:20]).read_bytes()
    path = folder / "x.npy"
    seen = set()
    for place in places:
        for value in b"\x00(',9\"":
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            array = numpy_reads(path)
            built = run("build", path, "-o", folder / "out", "--force")
            assert built.exit_code == (0 if can_be_built(array) else 1), (place, value)
            if built.exit_code == 0:
                assert array is not None
                codes = bitsift.Index.load(folder / "out").codes
                np.testing.assert_array_equal(codes, np.packbits(array > 0, axis=1))
            # One row of an array of one axis is a query as well.
            rows = array[None] if array is not None and array.ndim == 1 else array
            fits = can_be_built(rows) and rows is not None and rows.shape[1] == DIM
            searched = run("search", index_path, path)
            assert searched.exit_code == (0 if fits else 1), (place, value)
            for result in (built, searched):
                assert isinstance(result.exception, SystemExit | None)
                assert result.exit_code == 0 or result.stderr.count("\n") == 1
            seen.update((built.exit_code, searched.exit_code))
    return seen


def test_a_header_with_a_byte_changed(tmp_path: Path, index_path: Path) -> None:
    # The version, the length, a quote (which one value leaves as it is), and the number of rows.
    n_rows = saved(tmp_path / "few.npy", centred_vectors()[:20]).read_bytes().index(b"20, 44)")
    assert check_changed_header(tmp_path, index_path, (6, 8, 11, n_rows)) == {0, 1}


@pytest.mark.slow
def test_a_header_with_any_byte_changed(tmp_path: Path, index_path: Path) -> None:
    assert check_changed_header(tmp_path, index_path, range(0, 128, 3)) == {0, 1}


def test_a_broken_archive(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"PK\3\4garbage")
    check_failure(
        ["build", tmp_path / "x.npy", "-o", tmp_path / "out"],
        "InputError",
        ["must be a .npy file; got an .npz archive"],
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no FIFO")
def test_a_fifo_is_not_waited_for(tmp_path: Path, index_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npy")
    check_failure(
        ["search", index_path, tmp_path / "x.npy"],
        "InputError",
        ["must be a .npy file; got a pipe or a device"],
    )


def test_results_replace_regular_files_only(
    tmp_path: Path, index_path: Path, vectors_path: Path
) -> None:
    manifest = index_path / "manifest.json"
    before = manifest.read_bytes()
    (tmp_path / "link").symlink_to(vectors_path)
    for target, fragment in [
        (manifest, "must lie outside the index"),
        (tmp_path / "link", "must be a regular file; got a link, a pipe or a device"),
        (Path(os.devnull), "must be a regular file; got a link, a pipe or a device"),
    ]:
        check_failure(["search", index_path, vectors_path, "-o", target], "InputError", [fragment])
    assert manifest.read_bytes() == before
    assert (tmp_path / "link").is_symlink()


def test_infinite_scores_are_null_in_json(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full((3, 16), 3e38, np.float32))
    options = ("--metric", "dot", "--store", "float32")
    run("build", tmp_path / "x.npy", "-o", tmp_path / "out", *options)
    found = run_json("search", tmp_path / "out", tmp_path / "x.npy", "-k", 2)
    assert found["results"][0] == {"query": 0, "ids": [0, 1], "scores": [None, None]}


def test_build_takes_what_a_crashed_first_save_left(tmp_path: Path, vectors_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f"codes-{'0' * 32}.npy").write_bytes(b"")
    assert run_json("build", vectors_path, "-o", tmp_path / "out")["count"] == N


def test_ids_at_fault_are_named(tmp_path: Path, vectors_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.zeros(N, np.int64))
    check_failure(
        ["build", vectors_path, "-o", tmp_path / "out", "--ids", tmp_path / "ids.npy"],
        "InputError",
        [f"ids.npy: rows 0 to {N - 1}: ids must be unique"],
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">/dev/full"])
def test_closed_or_full_streams(index_path: Path, closed: str) -> None:
    for command in ("info", "log", "compact", "verify"):
        for option in ("", "--json"):
            line = f'exec "{sys.executable}" -m bitsift {command} "{index_path}" {option} {closed}'
            ended = subprocess.run(
                ["sh", "-c", line], capture_output=True, text=True, timeout=120, check=False
            )
            assert "Traceback" not in ended.stderr
            assert ended.returncode == (1 if "full" in closed else 0)


def test_a_file_that_cannot_be_finished_is_named(
    tmp_path: Path, index_path: Path, queries_path: Path
) -> None:
    program = """
import resource, sys
from bitsift.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
main()
"""
    out = tmp_path / "results.npz"
    before = sorted(tmp_path.rglob("*"))
    words = ["search", index_path, queries_path, "-o", out]
    ended = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"bitsift: error: {out}: cannot be written: File too large\n"
    assert sorted(tmp_path.rglob("*")) == before
