# SPDX-License-Identifier: Apache-2.0
"""Stores, thresholds, rotations, corrections, ladders and advice through the command line."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift
from helpers.cli_runner import check_failure, run, run_json
from helpers.cli_samples import saved

DIM = 32
N = 600


def shifted(n: int, seed: int = 0) -> NDArray[np.float32]:
    """Vectors whose signs at zero say little: what helps is the mean."""
    rng = np.random.default_rng(seed)
    return (2 + rng.standard_normal((n, DIM))).astype(np.float32)


@pytest.fixture
def vectors() -> NDArray[np.float32]:
    return shifted(N)


@pytest.fixture
def queries_path(tmp_path: Path) -> Path:
    return saved(tmp_path / "queries.npy", shifted(5, 1))


def build(vectors_path: Path, *options: object) -> tuple[bitsift.Index, dict[str, Any]]:
    out = vectors_path.with_suffix(".index")
    shown = run_json("build", vectors_path, "-o", out, "--force", *options)
    return bitsift.Index.load(out), shown


@pytest.mark.parametrize("store", ["int8", "uint8", "int4", "ternary", "int8,float16"])
def test_stores(vectors_path: Path, queries_path: Path, store: str) -> None:
    index, shown = build(vectors_path, "--store", store, "--threshold", "mean")
    names = tuple(store.split(","))
    expected = bitsift.Index(
        DIM,
        store=names,  # type: ignore[arg-type]
        threshold="mean",
    ).fit(np.load(vectors_path))
    expected.add(np.load(vectors_path))
    assert (index.store if isinstance(index.store, tuple) else (index.store,)) == names
    assert shown["store"] == (list(names) if len(names) > 1 else store)
    for ours, theirs in zip(
        index.search(np.load(queries_path), 4),
        expected.search(np.load(queries_path), 4),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("rule", ["half-mean", "mean", "median"])
def test_rules_rotation_and_correction(vectors_path: Path, rule: str) -> None:
    index, _ = build(
        vectors_path, "--store", "none", "--threshold", rule, "--rotate", "--correction"
    )
    expected = bitsift.Index(
        DIM,
        store=None,
        threshold=rule,  # type: ignore[arg-type]
        rotate=True,
        correction=True,
    ).fit(np.load(vectors_path))
    expected.add(np.load(vectors_path))
    assert index.rotate
    assert index.correction
    np.testing.assert_array_equal(index.threshold, expected.threshold)
    np.testing.assert_array_equal(index.codes, expected.codes)


def test_what_is_fitted_is_fitted_to_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "sorted.npy"
    rows = np.repeat(np.arange(N, dtype=np.float32), DIM).reshape(N, DIM)
    np.save(path, rows)
    index, _ = build(path, "--threshold", "mean", "--metric", "l2", "--sample", 101)
    sample = rows[np.linspace(0, N - 1, 101).astype(np.int64)]
    np.testing.assert_allclose(index.threshold, sample.mean(axis=0))


def test_auto_says_what_it_chose(vectors_path: Path) -> None:
    out = vectors_path.with_suffix(".index")
    result = run("build", vectors_path, "-o", out, "--threshold", "auto")
    assert result.exit_code == 0
    assert "rescored: 10 candidates" in " ".join(result.stdout.split())
    assert "half-mean" in result.stdout
    _, shown = build(vectors_path, "--threshold", "auto")
    advice = bitsift.advise(np.load(vectors_path))
    assert advice.best.threshold != "zero"
    assert shown["advice"]["best"]["threshold"] == advice.best.threshold
    assert len(shown["advice"]["trials"]) == len(advice.trials)


def test_warnings_are_one_line(vectors_path: Path) -> None:
    result = run("build", vectors_path, "-o", vectors_path.with_suffix(".index"))
    assert result.exit_code == 0
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("warning: the bits of these vectors say little: ")
    assert "BitsiftWarning" not in result.stderr


def test_ladders(vectors_path: Path, queries_path: Path) -> None:
    index, _ = build(vectors_path, "--store", "int8,float32", "--threshold", "mean")
    folder = vectors_path.with_suffix(".index")
    found = run_json(
        "search",
        folder,
        queries_path,
        "-k",
        3,
        "--ladder",
        "hamming:20, asymmetric:8,int8:2,float32",
    )
    expected = index.search(
        np.load(queries_path),
        3,
        ladder=[("hamming", 20), ("asymmetric", 8), ("int8", 2), "float32"],
    )
    assert [row["ids"] for row in found["results"]] == expected.ids.tolist()
    assert found["score"] == "cosine"
    for ladder, score in [("hamming", "hamming"), ("hamming:4,asymmetric", "cosine")]:
        assert run_json("search", folder, queries_path, "--ladder", ladder)["score"] == score


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        (["--ladder", "hamming:4,int2"], "must be among"),
        (["--ladder", "int8"], "first rung"),
        (["--ladder", "hamming:x,float32"], "got 'hamming:x'. Example: "),
        (["--ladder", ""], "--ladder"),
        (["--ladder", "hamming:4,,float32"], "--ladder"),
        (["--ladder", "hamming:2,asymmetric:3,float16"], "no more than the one before"),
        (["--ladder", "hamming:4,float16:2"], "its oversampling is 1"),
        (["--ladder", "hamming", "--oversampling", 2], "which it replaces; got --oversampling"),
        (["--ladder", "hamming", "--scoring", "hamming"], "which it replaces; got --scoring"),
        (["--ladder", "hamming", "--no-rescore"], "which it replaces; got --no-rescore"),
    ],
)
def test_ladders_that_fail(
    vectors_path: Path, queries_path: Path, options: list[object], fragment: str
) -> None:
    build(vectors_path, "--threshold", "mean")
    result = run("search", vectors_path.with_suffix(".index"), queries_path, *options)
    assert result.exit_code == 1
    assert fragment in result.stderr
    assert result.stderr.count("\n") == 1


def test_info(vectors_path: Path) -> None:
    build(vectors_path, "--store", "int8,float32", "--threshold", "half-mean", "--rotate")
    folder = vectors_path.with_suffix(".index")
    text = run("info", folder).stdout
    for fragment in ("int8 (bounds fitted to 600 vectors), float32", "half-mean, fitted"):
        assert fragment in text
    shown = run_json("info", folder)
    assert shown["store"] == ["int8", "float32"]
    assert shown["format_version"] == 3
    for part in ("codes", "originals_int8", "originals_float32", "calibration_int8", "rotation"):
        assert shown["bytes"][part] > 0


def test_advise(vectors_path: Path, queries_path: Path) -> None:
    shown = run_json("advise", vectors_path, "--metric", "l2")
    advice = bitsift.advise(np.load(vectors_path), metric="l2")
    assert shown["recommendation"] == advice.recommendation
    assert [trial["rescored"] for trial in shown["trials"]] == [
        trial.rescored for trial in advice.trials
    ]
    words = shlex.split(shown["command"])
    assert words[:2] == ["bitsift", "build"]
    assert run(*words[1:]).exit_code == 0
    made = bitsift.Index.load(words[words.index("-o") + 1])
    again = eval(shown["python"], {"bitsift": bitsift})
    again.fit(np.load(vectors_path)).add(np.load(vectors_path))
    np.testing.assert_array_equal(made.codes, again.codes)
    asked = run_json("advise", vectors_path, "--queries", queries_path, "--bits-alone")
    assert asked["queries"] == 5
    assert asked["by"] == "corrected"
    text = run("advise", vectors_path).stdout
    assert text.count("*") == 2
    assert "bitsift.Index(" in text


@pytest.mark.parametrize(
    ("make", "fragment"),
    [
        (lambda: np.zeros((0, DIM), np.float32), "must have at least one row"),
        (lambda: np.zeros((3, DIM), np.float32), "too few vectors"),
        (lambda: np.full((50, DIM), np.nan, np.float32), "row 0"),
        (lambda: np.zeros((50, 4), np.uint8), "packed codes"),
        (lambda: np.zeros((50, DIM), np.int64), "int64"),
    ],
)
def test_advise_on_what_cannot_be_advised(tmp_path: Path, make: Any, fragment: str) -> None:
    path = tmp_path / "wrong.npy"
    np.save(path, make())
    result = run("advise", path)
    assert result.exit_code == 1
    assert fragment in result.stderr
    as_json = json.loads(run("advise", path, "--json").stdout)
    assert fragment in as_json["error"]["message"]


def test_build_options_that_fail(vectors_path: Path, tmp_path: Path) -> None:
    codes = tmp_path / "codes.npy"
    np.save(codes, np.zeros((4, 4), np.uint8))
    start: list[object] = ["build", vectors_path, "-o", tmp_path / "new"]
    check_failure(
        [*start, "--store", "int2"], "InputError", ["--store must be none, or", "got 'int2'"]
    )
    check_failure([*start, "--store", "int8,int8"], "InputError", ["each once", "got 'int8,int8'"])
    check_failure([*start, "--threshold", "mode"], "InputError", ["half-mean, mean, median, auto"])
    check_failure(
        [*start, "--threshold", "0.5", "--correction"], "ValueError", ["vectors of length 1"]
    )
    packed: list[object] = ["build", codes, "-o", tmp_path / "new", "--store", "none", "--dim", 32]
    check_failure([*packed, "--threshold", "mean"], "InputError", ["needs float vectors"])
    check_failure([*packed, "--correction"], "InputError", ["needs float vectors"])
    assert not (tmp_path / "new").exists()
