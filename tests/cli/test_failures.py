# SPDX-License-Identifier: Apache-2.0
"""How the command line fails: exit code, one clear line or one JSON object, no traceback."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift
from helpers.cli_runner import COMMAND, check_failure, run, run_json, run_process
from helpers.cli_samples import DIM


def _nan(folder: Path) -> list[object]:
    array = np.zeros((50, DIM), np.float32)
    array[33, 2] = np.nan
    np.save(folder / "x.npy", array)
    return ["build", folder / "x.npy", "-o", folder / "out"]


def _saved(array: NDArray[Any], *options: object) -> Callable[[Path], list[object]]:
    def prepare(folder: Path) -> list[object]:
        np.save(folder / "x.npy", array, allow_pickle=True)
        return ["build", folder / "x.npy", "-o", folder / "out", *options]

    return prepare


def _bytes(data: bytes) -> Callable[[Path], list[object]]:
    def prepare(folder: Path) -> list[object]:
        (folder / "x.npy").write_bytes(data)
        return ["build", folder / "x.npy", "-o", folder / "out"]

    return prepare


def _truncated(folder: Path) -> list[object]:
    np.save(folder / "x.npy", np.ones((50, DIM), np.float32))
    os.truncate(folder / "x.npy", 1000)
    return ["build", folder / "x.npy", "-o", folder / "out"]


def _archive(folder: Path) -> list[object]:
    np.savez(folder / "x.npz", a=np.ones((5, DIM)))
    return ["build", folder / "x.npz", "-o", folder / "out"]


def _ids(ids: NDArray[Any]) -> Callable[[Path], list[object]]:
    def prepare(folder: Path) -> list[object]:
        np.save(folder / "x.npy", np.ones((3, DIM), np.float32))
        np.save(folder / "ids.npy", ids)
        return ["build", folder / "x.npy", "-o", folder / "out", "--ids", folder / "ids.npy"]

    return prepare


def _threshold_file(threshold: NDArray[Any]) -> Callable[[Path], list[object]]:
    def prepare(folder: Path) -> list[object]:
        np.save(folder / "thr.npy", threshold)
        return [*_saved(np.ones((3, DIM), np.float32))(folder), "--threshold", folder / "thr.npy"]

    return prepare


def _inside_an_index(folder: Path) -> list[object]:
    bitsift.Index(8).save(folder / "outer")
    np.save(folder / "x.npy", np.ones((3, DIM), np.float32))
    return ["build", folder / "x.npy", "-o", folder / "outer" / "a" / "b"]


FLOATS = np.ones((3, DIM), np.float32)
CODES = np.ones((3, 6), np.uint8)

BUILD_FAILURES: dict[str, tuple[Callable[[Path], list[object]], str, list[str]]] = {
    "missing file": (
        lambda folder: ["build", folder / "none.npy", "-o", folder / "out"],
        "InputError",
        ["none.npy: no such file"],
    ),
    "a folder": (
        lambda folder: ["build", folder, "-o", folder / "out"],
        "InputError",
        ["must be a .npy file; got a folder"],
    ),
    "no npy": (
        _bytes(b"hello, world\n" * 9),
        "InputError",
        ["it does not start as such a file does"],
    ),
    "empty file": (_bytes(b""), "InputError", ["cannot be read as a .npy array"]),
    "truncated": (_truncated, "InputError", ["cannot be read as a .npy array"]),
    "npz": (_archive, "InputError", ["must be a .npy file; got an .npz archive"]),
    "objects": (
        _saved(np.array([[1, "a"], [None, {}]], dtype=object)),
        "InputError",
        ["cannot be read as a .npy array", "object"],
    ),
    "one dimension": (
        _saved(np.ones(DIM, np.float32)),
        "InputError",
        ["must have shape (n, dim)", "got shape (44,)"],
    ),
    "three dimensions": (
        _saved(np.ones((2, 3, 4))),
        "InputError",
        ["must have shape (n, dim)", "got shape (2, 3, 4)"],
    ),
    "no columns": (
        _saved(np.ones((3, 0))),
        "InputError",
        ["must have at least one column; got shape (3, 0)"],
    ),
    "int8": (
        _saved(np.ones((3, 6), np.int8)),
        "InputError",
        ["got int8", "packed codes (uint8)", "bitsift.to_codes"],
    ),
    "complex": (
        _saved(np.ones((3, DIM), complex)),
        "InputError",
        ["must be float16, float32 or float64", "got complex128"],
    ),
    "text": (
        _saved(np.array([["a", "b"]])),
        "InputError",
        ["must be float16, float32 or float64", "got <U1"],
    ),
    "NaN": (_nan, "InputError", ["values must be finite; row 33 holds NaN or infinity"]),
    "infinity": (
        _saved(np.full((2, DIM), np.inf)),
        "InputError",
        ["values must be finite; row 0 holds NaN or infinity"],
    ),
    "packed with originals": (_saved(CODES, "--dim", 44), "InputError", ["--store none"]),
    "packed without dim": (_saved(CODES, "--store", "none"), "InputError", ["--dim", "48 bits"]),
    "packed of another dim": (
        _saved(CODES, "--store", "none", "--dim", 49),
        "InputError",
        ["rows must have 7 bytes for --dim 49; got 6"],
    ),
    "floats of another dim": (
        _saved(FLOATS, "--dim", 45),
        "InputError",
        ["rows must have 45 values, as --dim says; got 44"],
    ),
    "too many dimensions": (_saved(np.ones((1, 65537), np.float16)), "ValueError", ["65537"]),
    "threshold": (
        _saved(FLOATS, "--threshold", "x"),
        "InputError",
        ["must be a number, a .npy file or one of", "got 'x'"],
    ),
    "threshold NaN": (_saved(FLOATS, "--threshold", "nan"), "ValueError", ["threshold"]),
    "threshold file": (
        _threshold_file(np.zeros(DIM + 1)),
        "InputError",
        ["thr.npy: --thr", "(45,)"],
    ),
    "threshold file NaN": (
        _threshold_file(np.full(DIM, np.nan)),
        "InputError",
        ["thr.npy: --threshold must be finite"],
    ),
    "threshold file of text": (
        _threshold_file(np.full(DIM, "a")),
        "InputError",
        ["thr.npy: --threshold must be a real number"],
    ),
    "inside an index": (_inside_an_index, "InputError", ["must lie outside the index"]),
    "float ids": (_ids(np.ones(3)), "InputError", ["ids must be integers; got float64"]),
    "too few ids": (
        _ids(np.arange(2)),
        "InputError",
        ["ids must have shape (3,)", "got shape (2,)"],
    ),
    "large ids": (_ids(np.full(3, 2**63, np.uint64)), "InputError", ["9223372036854775808"]),
    "duplicate ids": (_ids(np.array([1, 2, 1])), "InputError", ["rows 0 to 2", "1"]),
    "negative ids": (_ids(np.array([1, 2, -7])), "InputError", ["rows 0 to 2", "-7"]),
}


@pytest.mark.parametrize("name", list(BUILD_FAILURES))
def test_build_failures(tmp_path: Path, name: str) -> None:
    prepare, kind, fragments = BUILD_FAILURES[name]
    arguments = prepare(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    check_failure(arguments, kind, fragments)
    assert sorted(tmp_path.rglob("*")) == before


def test_search_failures(tmp_path: Path, index_path: Path, queries_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.ones((2, DIM + 1), np.float32))
    np.save(tmp_path / "nan.npy", np.append(np.ones((300, DIM)), np.full((1, DIM), np.nan), axis=0))
    np.save(tmp_path / "packed.npy", np.zeros((2, 9), np.uint8))
    np.save(tmp_path / "bits.npy", np.zeros((2, 6), np.uint8))
    missing = tmp_path / "nothing"
    check_failure(["search", missing, queries_path], "IndexNotFoundError", ["nothing"])
    check_failure(["search", tmp_path, queries_path], "NotAnIndexError", [str(tmp_path)])
    check_failure(["search", queries_path, queries_path], "NotAnIndexError", ["queries.npy"])
    check_failure(["search", index_path, missing], "InputError", ["nothing: no such file"])
    check_failure(
        ["search", index_path, tmp_path / "wide.npy"], "InputError", ["wide.npy: q", "45", "44"]
    )
    check_failure(
        ["search", index_path, tmp_path / "packed.npy"], "InputError", ["packed.npy: q", "72", "44"]
    )
    check_failure(
        ["search", index_path, tmp_path / "nan.npy"],
        "InputError",
        ["values must be finite; row 300 holds NaN or infinity"],
    )
    check_failure(
        ["search", index_path, queries_path, "--oversampling", "0.5"],
        "ValueError",
        ["oversampling", "0.5"],
    )
    check_failure(
        ["search", index_path, queries_path, "-o", tmp_path],
        "InputError",
        ["the output must be a file; got a folder"],
    )
    check_failure(
        ["search", index_path, queries_path, "-o", missing / "r.npz"],
        "InputError",
        ["does not exist"],
    )
    check_failure(
        ["search", index_path, tmp_path / "bits.npy", "--scoring", "asymmetric"],
        "ValueError",
        ["--scoring asymmetric needs float queries; the queries are bits"],
    )
    bare = tmp_path / "bare"
    run_json("build", queries_path, "-o", bare, "--store", "none")
    check_failure(["search", bare, queries_path, "--rescore"], "ValueError", ["rescore"])


@pytest.mark.parametrize("command", ["info", "verify"])
def test_index_failures(tmp_path: Path, command: str) -> None:
    check_failure([command, tmp_path / "nothing"], "IndexNotFoundError", ["nothing"])
    check_failure([command, tmp_path], "NotAnIndexError", [str(tmp_path)])


USAGE_ERRORS: list[list[str]] = [
    ["nonsense"],
    ["build"],
    ["build", "x.npy"],
    ["build", "x.npy", "-o", "y", "--metric", "manhattan"],
    ["build", "x.npy", "-o", "y", "--dim", "0"],
    ["search", "x"],
    ["search", "x", "y.npy", "-k", "0"],
    ["search", "x", "y.npy", "-k", "-1"],
    ["search", "x", "y.npy", "-k", "many"],
    ["search", "x", "y.npy", "--threads", "-1"],
    ["search", "x", "y.npy", "--scoring", "cosine"],
    ["graph"],
    ["graph", "x"],
    ["graph", "x", "-o", "y.npz", "-k", "0"],
    ["graph", "x", "-o", "y.npz", "-k", "-1"],
    ["graph", "x", "-o", "y.npz", "-k", "1.5"],
    ["graph", "x", "-o", "y.npz", "--threads", "-1"],
    ["graph", "x", "-o", "y.npz", "--duplicates", "-1"],
    ["graph", "x", "-o", "y.npz", "--duplicates", "few"],
    ["info"],
    ["verify"],
    ["demo", "-k", "0"],
    ["demo", "two", "texts"],
]


@pytest.mark.parametrize("arguments", USAGE_ERRORS)
def test_usage_errors_exit_with_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage:" in result.stderr
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("arguments", USAGE_ERRORS)
def test_usage_errors_are_json_where_json_is_asked_for(arguments: list[str]) -> None:
    """As other errors are: on the same stream, with the same exit code."""
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (1, ""), result.output
    assert isinstance(result.exception, SystemExit)
    error = json.loads(result.stdout)["error"]
    assert error == {"type": "UsageError", "message": error["message"]}
    # What the box of the terminal says.
    shown = re.sub(r"[│╭╮╰╯─]", " ", run(*arguments).stderr)
    assert "".join(error["message"].split()) in "".join(shown.split())


@pytest.mark.parametrize("name", COMMAND.commands)  # type: ignore[attr-defined]
def test_usage_errors_of_every_command_are_json(name: str) -> None:
    for words in ([name, "--json", "--nonsense"], ["--json", name], [name, "--json=yes", "--json"]):
        result = run(*words)
        assert (result.exit_code, result.stderr) == (1, ""), result.output
        assert json.loads(result.stdout)["error"]["type"] == "UsageError"


def test_a_file_that_is_called_json_asks_for_nothing() -> None:
    result = run("info", "--", "--json", "b")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage:" in result.stderr


def test_usage_errors_in_a_process() -> None:
    result = run_process("search", "x", "--json", "-k")
    assert (result.returncode, result.stderr) == (1, "")
    assert json.loads(result.stdout)["error"]["message"] == "Option '-k' requires an argument."


def test_failure_in_a_process_has_no_traceback(tmp_path: Path) -> None:
    result = run_process("info", tmp_path / "none")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("bitsift: error: ")
    assert "Traceback" not in result.stderr


def test_what_lies_inside_an_index(tmp_path: Path, index_path: Path, queries_path: Path) -> None:
    """A manifest of that name may be another program's, as of a page of the web."""
    (index_path / "a" / "b").mkdir(parents=True)
    search: list[object] = ["search", index_path, queries_path, "-o"]
    for folder in (index_path, index_path / "a", index_path / "a" / "b"):
        check_failure([*search, folder / "r.npz"], "InputError", ["must lie outside the index"])
    site = tmp_path / "site"
    site.mkdir()
    (site / "manifest.json").write_text('{"name": "x", "version": 1}')
    assert run(*search, site / "r.npz").exit_code == 0
    assert run("build", queries_path, "-o", site / "q.index").exit_code == 0
    assert run("build", queries_path, "-o", site / "q.index", "--force").exit_code == 0
