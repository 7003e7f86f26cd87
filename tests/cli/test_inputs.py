# SPDX-License-Identifier: Apache-2.0
"""Input files that are no regular ones or no single array, and outputs that are inputs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bitsift
from bitsift.cli.files.arrays import open_npy
from helpers.cli_runner import check_failure, run, run_json
from helpers.cli_samples import DIM, N, centred_vectors, saved

# Every command that reads a `.npy` file, by each of its options that do.
READERS: dict[str, list[object]] = {
    "build": ["build", "X", "-o", "out"],
    "build --ids": ["build", "vectors.npy", "-o", "out", "--ids", "X"],
    "build --threshold": ["build", "vectors.npy", "-o", "out", "--threshold", "X"],
    "search": ["search", "made.index", "X"],
    "advise": ["advise", "X"],
    "advise --queries": ["advise", "vectors.npy", "--queries", "X"],
    "eval": ["eval", "X", "--conditions", "quick"],
    "eval --queries": ["eval", "vectors.npy", "--queries", "X", "--conditions", "quick"],
    "eval --qrels": [
        "eval", "vectors.npy", "--queries", "queries.npy", "--qrels", "X", "--conditions", "quick",
    ],
}  # fmt: skip
each_reader = pytest.mark.parametrize("arguments", READERS.values(), ids=READERS)


@pytest.fixture
def folder(tmp_path: Path, index_path: Path, queries_path: Path, monkeypatch: Any) -> Path:
    """Give the working directory of the commands."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@each_reader
def test_two_arrays_in_a_file(folder: Path, arguments: list[object]) -> None:
    with (folder / "X").open("wb") as file:
        np.save(file, centred_vectors())
        n_first = file.tell()
        np.save(file, centred_vectors())
        n_more = file.tell() - n_first
    fragments = ["X: the file must end with its array", f"got {n_more} bytes more"]
    check_failure(arguments, "InputError", fragments)
    assert not (folder / "out").exists()


@each_reader
@pytest.mark.parametrize("n_more", [1, -1, -100])
def test_a_file_that_is_longer_or_shorter_than_its_array(
    folder: Path, arguments: list[object], n_more: int
) -> None:
    path = saved(folder / "y.npy", centred_vectors()).rename(folder / "X")
    os.truncate(path, path.stat().st_size + n_more)
    n_bytes = N * DIM * 4
    message = (
        "got 1 bytes more"
        if n_more == 1
        else f"cut short: {n_bytes} bytes must follow its header, for float32 of shape (300, 44); "
        f"got {n_bytes + n_more}"
    )
    check_failure(arguments, "InputError", ["X: ", message])


@pytest.mark.parametrize(
    "shape", ["(1000000000000, 44)", "(99999999999999999999, 44)", "(-1, 44)", "(-3, -44)"]
)
def test_a_header_that_promises_what_is_not_there(folder: Path, shape: str) -> None:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header = text.ljust(117) + "\n"
    (folder / "X").write_bytes(
        b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + bytes(528)
    )
    check_failure(["build", "X", "-o", "out"], "InputError", ["X: cannot be read as a .npy array"])


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(7, 5), (1, 5), (0, 5), (5,), (3, 0)])
def test_what_is_read_is_what_numpy_reads(
    tmp_path: Path, version: tuple[int, int], order: Any, shape: tuple[int, ...]
) -> None:
    array = np.arange(np.prod(shape), dtype=">f8").reshape(shape, order=order)
    with (tmp_path / "x.npy").open("wb") as file:
        np.lib.format.write_array(file, array, version=version)
    found = open_npy(tmp_path / "x.npy")
    expected = np.load(tmp_path / "x.npy")
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.flags.f_contiguous == expected.flags.f_contiguous
    np.testing.assert_array_equal(found, expected)
    assert not found.flags.writeable or found.size == 0


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _link(path: Path) -> None:
    path.symlink_to("elsewhere.json")


not_files = pytest.mark.parametrize("make", [_fifo, _device])


@each_reader
@not_files
def test_no_array_is_read_from_a_pipe_or_device(
    folder: Path, arguments: list[object], make: Callable[[Path], None]
) -> None:
    make(folder / "X")
    check_failure(arguments, "InputError", ["X: the input must be a .npy file; got a pipe or a"])


@not_files
def test_no_text_is_read_from_a_pipe_or_device(folder: Path, make: Callable[[Path], None]) -> None:
    make(folder / "X")
    check_failure(["compare", "X"], "InputError", ["must be a .json file; got a pipe or a device"])


@pytest.mark.unsanitized
def test_no_manifest_is_read_from_a_pipe_a_device_or_a_link(folder: Path) -> None:
    """In a process whose memory is bounded: an endless device would fill it."""
    program = """
import json, resource, sys
from helpers.cli_runner import run

resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
for arguments in json.load(sys.stdin):
    ended = run(*arguments)
    print(json.dumps([ended.exit_code, ended.stderr]))
"""
    commands: list[list[object]] = []
    for make in (_fifo, _device, _link):
        index = folder / make.__name__
        shutil.copytree(folder / "made.index", index)
        (index / "manifest.json").rename(index / "elsewhere.json")
        make(index / "manifest.json")
        commands += (
            ["info", index],
            ["verify", index],
            ["search", index, folder / "queries.npy"],
            ["graph", index, "-o", folder / "g.npz"],
            ["build", folder / "vectors.npy", "-o", index, "--force"],
        )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],  # where `helpers` is
        input=json.dumps(commands, default=str),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    runs = [json.loads(line) for line in ended.stdout.splitlines()]
    for arguments, (exit_code, stderr) in zip(commands, runs, strict=True):
        assert exit_code == 1, arguments
        assert "manifest.json: it is a" in stderr, arguments
        assert "expected a regular file" in stderr, arguments


def test_standard_input_that_is_a_file(folder: Path) -> None:
    with (folder / "queries.npy").open("rb") as file:
        ended = subprocess.run(
            [sys.executable, "-m", "bitsift", "search", "made.index", "/dev/stdin", "--json"],
            stdin=file, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


# Outputs


EVAL: list[object] = ["eval", "vectors.npy", "--conditions", "quick", "--queries", "queries.npy"]
WRITERS: dict[str, tuple[list[object], str]] = {
    "search": (["search", "made.index", "queries.npy", "-o"], "queries.npy"),
    "eval -o": ([*EVAL, "-o"], "vectors.npy"),
    "eval --markdown": ([*EVAL, "--markdown"], "queries.npy"),
    "eval --append": ([*EVAL, "--append", "--markdown"], "queries.npy"),
    "eval --picture": ([*EVAL, "--picture"], "vectors.npy"),
    "compare": (["compare", "one.json", "--markdown"], "one.json"),
}


@pytest.mark.parametrize(("arguments", "source"), WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("as_link", [False, True])
def test_no_output_replaces_an_input(
    folder: Path, arguments: list[object], source: str, as_link: bool
) -> None:
    (folder / "one.json").write_text("{}")
    path = folder / source
    before = path.read_bytes()
    target = folder / "other name"
    if as_link:
        os.link(path, target)
    else:
        (folder / "below").mkdir()
        target = folder / "below" / ".." / source
    check_failure(
        [*arguments, target, "--force"], "InputError", [f"must not replace the input {source}"]
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "source"),
    [found for name, found in WRITERS.items() if name != "eval --append"],
    ids=[name for name in WRITERS if name != "eval --append"],
)
def test_a_file_is_replaced_with_force_only(
    folder: Path, arguments: list[object], source: str
) -> None:
    target = folder / ("mine.npz" if arguments[0] == "search" else "mine.png")
    target.write_text("mine")
    fragments = [f"{target.name}: already exists; --force replaces it"]
    check_failure([*arguments, target], "InputError", fragments)
    assert target.read_text() == "mine"
    if arguments[0] == "search":
        assert run(*arguments, target, "--force").exit_code == 0
        assert target.read_bytes().startswith(b"PK")


@pytest.mark.parametrize("option", ["--markdown", "--picture"])
def test_two_outputs_of_one_name(folder: Path, option: str) -> None:
    arguments = [*EVAL, "-o", "e.png", option, folder / "e.png"]
    check_failure(arguments, "InputError", ["e.png: each output must be a file of its own"])


def test_build_does_not_replace_an_index_by_its_own_files(folder: Path) -> None:
    index = folder / "made.index"
    originals = next(index.glob("originals*"))
    (folder / "link.npy").symlink_to(originals)
    for source in (originals, folder / "link.npy"):
        arguments = ["build", source, "-o", index, "--force"]
        check_failure(arguments, "InputError", [f"must not replace the input {source}"])
    bitsift.verify(index)
    # A number is no file, also where a folder is the working directory.
    os.chdir(index)
    assert run_json("build", folder / "vectors.npy", "-o", ".", "--force")["count"] == N


# Advice


@pytest.mark.parametrize("store", ["none", "int8"])
def test_warnings_name_options_of_the_command_line(folder: Path, store: str) -> None:
    few = saved(folder / "few.npy", centred_vectors()[:30])
    more = ["--threshold", "mean"] if store == "none" else []
    result = run("build", few, "-o", folder / "few.index", "--store", store, *more)
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: ")
    assert "give 100 or more vectors, and no smaller --sample" in result.stderr
    assert "fit(" not in result.stderr
    assert "='" not in result.stderr


def test_help_of_advise_says_how_many_vectors_are_compared() -> None:
    text = " ".join(run("advise", "--help").stdout.replace("│", " ").split())
    assert "at most 20,000 are compared" in text
