# SPDX-License-Identifier: Apache-2.0
"""The command line equals the library in what it fits; how it warns, and refuses ladders."""

from __future__ import annotations

import dataclasses
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift
from bitsift.cli.failure import reporting
from bitsift.storage import writer
from helpers.cli_runner import check_failure, run, run_json, run_process
from helpers.cli_samples import DIM, drifting_vectors, saved
from helpers.cli_samples import N_DRIFTING as N
from helpers.storage_samples import with_old_defaults

RULES = ["half-mean", "mean", "median", "auto"]


@pytest.fixture
def vectors() -> NDArray[np.float32]:
    return drifting_vectors()


@pytest.fixture
def build_options() -> list[object]:
    return ["--store", "int8,float32", "--threshold", "mean"]


def check_equal(made: bitsift.Index, expected: bitsift.Index) -> None:
    assert (made.dim, made.metric, made.store) == (expected.dim, expected.metric, expected.store)
    assert (made.rotate, made.correction) == (expected.rotate, expected.correction)
    np.testing.assert_array_equal(made.threshold, expected.threshold)
    np.testing.assert_array_equal(made.codes, expected.codes)
    for name, calibrator in expected.calibrators.items():
        np.testing.assert_array_equal(made.calibrators[name].ranges, calibrator.ranges)
    np.testing.assert_array_equal(made.get(made.ids), expected.get(expected.ids))


def lines_of(stdout: str) -> set[str]:
    return {" ".join(line.split()) for line in stdout.splitlines()}


# build


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "more",
    [
        {},
        pytest.param({"rotate": True}, marks=pytest.mark.slow),
        pytest.param({"correction": True}, marks=pytest.mark.slow),
    ],
)
def test_build_follows_a_rule(
    tmp_path: Path,
    vectors: NDArray[np.float32],
    vectors_path: Path,
    rule: Any,
    metric: Any,
    more: dict[str, Any],
) -> None:
    options = ("--threshold", rule, "--metric", metric, *(f"--{name}" for name in more))
    made = run_json("build", vectors_path, "-o", tmp_path / "out", *options)
    index = bitsift.Index(DIM, metric=metric, threshold=rule, **more).fit(vectors)
    index.add(vectors)
    check_equal(bitsift.Index.load(tmp_path / "out"), index)
    assert (made["threshold_rule"], made["threshold_fitted"]) == (rule, True)
    assert (made["rotate"], made["correction"]) == (index.rotate, index.correction)
    np.testing.assert_array_equal(np.float32(made["threshold"]), index.threshold)


def test_build_fits_to_all_of_the_file_before_it_adds(
    tmp_path: Path,
    vectors: NDArray[np.float32],
    vectors_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bitsift.cli.files.arrays._CHUNK_BYTES", 120 * DIM * 4)
    options = ("--threshold", "mean", "--metric", "dot", "--store", "int8")
    run_json("build", vectors_path, "-o", tmp_path / "out", *options)
    made = bitsift.Index.load(tmp_path / "out")
    np.testing.assert_allclose(made.threshold, vectors.mean(axis=0), rtol=1e-6)
    expected = np.stack([vectors.min(axis=0), vectors.max(axis=0)])
    np.testing.assert_array_equal(made.calibrators["int8"].ranges, expected)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
def test_build_fits_to_a_sample(tmp_path: Path, vectors: NDArray[np.float32], dtype: str) -> None:
    stored = vectors.astype(dtype)
    path = saved(tmp_path / "v.npy", np.asfortranarray(stored))
    options = ("--threshold", "median", "--store", "int4", "--sample", 150)
    made = run_json("build", path, "-o", tmp_path / "out", *options)
    index = bitsift.Index(DIM, threshold="median", store="int4")
    index.fit(stored[np.linspace(0, N - 1, 150).astype(int)])
    index.add(stored)
    check_equal(bitsift.Index.load(tmp_path / "out"), index)
    assert made["bounds_fitted_to"] == {"int4": 150}


def test_a_rule_is_no_file_of_that_name(
    tmp_path: Path, vectors_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(Path("given.npy"), np.full(DIM, 2, np.float32)).rename("mean")
    made = run_json("build", vectors_path, "-o", "out", "--threshold", "mean")
    assert made["threshold_rule"] == "mean"
    made = run_json("build", vectors_path, "-o", "file", "--threshold", "./mean", "--no-rotate")
    assert (made["threshold_rule"], set(made["threshold"])) == (None, {2.0})


@pytest.mark.parametrize("store", ["float32", "none"])
def test_build_marks_what_auto_chose(
    tmp_path: Path, vectors: NDArray[np.float32], vectors_path: Path, store: str
) -> None:
    options = ("--threshold", "auto", "--store", store)
    made = run_json("build", vectors_path, "-o", tmp_path / "out", *options)
    kept: Any = None if store == "none" else store
    advice = bitsift.Index(DIM, threshold="auto", store=kept).fit(vectors).advice
    assert advice is not None
    assert advice.best is not advice.trials[0]  # these vectors are not centred
    assert made["advice"]["trials"] == [dataclasses.asdict(trial) for trial in advice.trials]
    assert made["advice"]["recommendation"] == advice.recommendation
    shown = run("build", vectors_path, "-o", tmp_path / "shown", *options)
    assert (shown.exit_code, shown.stderr) == (0, "")
    marked = [line.split()[1:] for line in shown.stdout.splitlines() if line.startswith("* ")]
    rotate = "yes" if advice.best.rotate else "no"
    assert marked[0][:2] == [advice.best.threshold, rotate]
    assert marked[0][3] == f"{advice.best.rescored:.3f}"
    column = "rescored" if kept else "asymmetric"
    assert f"* chosen: {advice.best.threshold}, " in shown.stdout
    text = " ".join(shown.stdout.split())
    assert f"by the column {column!r}:" in text
    assert f"{advice.verdict}." in text


def test_what_cannot_be_fitted_to(tmp_path: Path, vectors: NDArray[np.float32]) -> None:
    damaged = vectors.copy()
    damaged[33, 2] = np.inf
    huge = vectors.astype(np.float64)
    huge[N - 1] = 1e300
    not_in_it = ["--threshold", "mean", "--sample", 200]
    failures: list[tuple[NDArray[Any], list[object], list[str]]] = [
        (
            damaged,
            ["--threshold", "mean"],
            ["x.npy: values must be finite; row 33 holds NaN or infinity"],
        ),
        (
            damaged,
            ["--store", "int8"],
            ["x.npy: values must be finite; row 33 holds NaN or infinity"],
        ),
        (damaged, not_in_it, ["x.npy: values must be finite; row 33 holds NaN or infinity"]),
        (vectors[:1], ["--threshold", "auto"], ["x.npy: too few vectors", "got 1"]),
        (huge, ["--threshold", "mean"], ["x.npy: sample must be", "row 599"]),
        (huge, ["--store", "int4", "--sample", 200], ["x.npy: 200 of 600 rows: ", "float32's"]),
        (np.ones((30, 4), int), ["--threshold", "auto"], ["got int64"]),
    ]
    for array, options, fragments in failures:
        path = saved(tmp_path / "x.npy", array)
        arguments: list[object] = ["build", path, "-o", tmp_path / "out", *options]
        check_failure(arguments, "InputError", fragments)
        assert not (tmp_path / "out").exists()


# Warnings


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_warning_is_one_line_on_standard_error(
    tmp_path: Path, vectors_path: Path, options: list[str]
) -> None:
    ended = run_process("build", vectors_path, "-o", tmp_path / "out", *options)
    assert ended.returncode == 0
    assert ended.stderr.startswith("warning: the bits of these vectors say little: ")
    assert ended.stderr.count("\n") == 1
    assert "say little" not in ended.stdout
    assert not options or json.loads(ended.stdout)["count"] == N


def test_few_vectors_are_warned_of(tmp_path: Path, vectors: NDArray[np.float32]) -> None:
    path = saved(tmp_path / "few.npy", vectors[:1])
    ended = run("build", path, "-o", tmp_path / "out", "--threshold", "mean", "--store", "int8")
    assert ended.exit_code == 0
    assert ended.stderr.startswith(
        "warning: --threshold mean fitted to 1 vector only; give 100 or "
    )
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["search", "info", "graph", "verify", "advise", "demo"])
def test_every_command_warns_alike(
    tmp_path: Path,
    vectors_path: Path,
    queries_path: Path,
    index_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    arguments: dict[str, list[object]] = {
        "search": [index_path, queries_path],
        "info": [index_path],
        "graph": [index_path, "-o", tmp_path / "g.npz"],
        "verify": [index_path],
        "advise": [vectors_path],
        "demo": [],
    }
    owner: Any = bitsift if command in ("verify", "advise") else bitsift.Index
    name = command if owner is bitsift else "load"
    if command == "info":
        owner, name = sys.modules["bitsift.cli.commands.info"], "read_stored"
    work = getattr(owner, name)

    def warn(*arguments: Any, **options: Any) -> Any:
        for _ in range(3):
            warnings.warn("mind\nthis", bitsift.BitsiftWarning, stacklevel=1)
        return work(*arguments, **options)

    monkeypatch.setattr(owner, name, warn)
    ended = run(command, *arguments[command])
    assert (ended.exit_code, ended.stderr) == (0, "warning: mind this\n")


def test_other_warnings_are_left_alone() -> None:
    before = warnings.showwarning

    @reporting(False)
    def warn() -> None:
        warnings.warn("of another", RuntimeWarning, stacklevel=1)

    with pytest.warns(RuntimeWarning, match="of another"):
        warn()
    assert warnings.showwarning is before


# search


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "the first rung"),
        (",", "got ''."),
        (":", "got ':'."),
        ("hamming:", "got 'hamming:'."),
        ("hamming,float32", "got 'hamming'."),
        ("hamming:4:4,float32", "got 'hamming:4:4'."),
        ("hamming:four,float32", "got 'hamming:four'."),
        ("hamming:4,float32,", "got 'float32'."),
        ("hamming:4,\nfloat32,x", r"got '\nfloat32'."),
        ("[('hamming', 4)]", "each rung but the last must be NAME:N"),
        ("hamming:4,", "got ''"),
        ("hamming:4,none", "got 'none'"),
        ("hamming:4,asymmetric:4,asymmetric", "once"),
        ("hamming:0.5,float32", "got 0.5"),
        ("hamming:-1,float32", "got -1"),
        ("hamming:nan,float32", "got nan"),
        ("hamming:inf,float32", "got inf"),
    ],
)
def test_ladders_that_are_none(
    index_path: Path, queries_path: Path, text: str, fragment: str
) -> None:
    arguments: list[object] = ["search", index_path, queries_path, "--ladder", text]
    example = "Example: hamming:40,asymmetric:10,int8:4,float32"
    check_failure(arguments, "InputError", [f"--ladder {text!r}: ", fragment, example])


@pytest.mark.parametrize("store", ["none", "int4", "ternary,int8,float16"])
def test_the_ladder_that_an_error_shows_can_be_climbed(
    tmp_path: Path, vectors_path: Path, queries_path: Path, store: str
) -> None:
    options = ("--threshold", "mean", "--store", store)
    run_json("build", vectors_path, "-o", tmp_path / "out", *options)
    failed = run("search", tmp_path / "out", queries_path, "--ladder", "hamming:4,float32")
    example = failed.stderr.rstrip().rpartition("Example: ")[2]
    assert example.startswith("hamming:40,asymmetric")
    assert run_json("search", tmp_path / "out", queries_path, "--ladder", example)["results"]


def test_a_ladder_for_bits(index_path: Path, queries_path: Path, tmp_path: Path) -> None:
    path = saved(tmp_path / "bits.npy", bitsift.Index.load(index_path).codes[:4])
    found = run_json("search", index_path, path, "--ladder", "hamming")
    assert found == run_json("search", index_path, path)
    check_failure(
        ["search", index_path, path, "--ladder", "hamming:4,float32"],
        "InputError",
        ["--ladder 'hamming:4,float32'", "the queries are bits", "Example: hamming"],
    )


@pytest.mark.parametrize("metric", ["dot", "l2"])
def test_scores_are_named_by_the_metric(
    tmp_path: Path, vectors_path: Path, queries_path: Path, metric: str
) -> None:
    options = ("--metric", metric, "--threshold", "mean", "--correction", "--store", "int4")
    run_json("build", vectors_path, "-o", tmp_path / "out", *options)
    for more, score in [
        (["--scoring", "hamming"], metric),
        (["--scoring", "asymmetric"], metric),
        (["--scoring", "asymmetric", "--no-rescore"], metric),
        (["--ladder", "hamming:9,asymmetric"], metric),
        (["--ladder", "hamming:9,int4"], metric),
    ]:
        assert run_json("search", tmp_path / "out", queries_path, *more)["score"] == score


# info


def test_info_tells_the_bytes_of_every_part(tmp_path: Path, vectors_path: Path) -> None:
    path = tmp_path / "out"
    options = ("--store", "int8,float16", "--threshold", "median", "--rotate", "--correction")
    options += ("--scoring", "hamming")
    run_json("build", vectors_path, "-o", path, *options)
    told = run_json("info", path)
    sizes = {
        file.name.partition("-")[0].partition(".")[0]: file.stat().st_size
        for file in path.iterdir()
    }
    assert told["bytes"] == {**sizes, "total": sum(sizes.values())}
    assert {"originals_int8", "originals_float16", "correction", "rotation"} < set(sizes)
    assert (told["rotate"], told["correction"]) == (True, True)
    shown = lines_of(run("info", path).stdout)
    correction = "correction yes, for: bitsift search --scoring asymmetric"
    assert {"rotation yes", correction, "originals_int8 25.9 KiB"} <= shown


@pytest.mark.parametrize("options", [(), ("--rotate",)])
def test_info_of_what_is_not_fitted_yet(tmp_path: Path, options: tuple[str, ...]) -> None:
    vectors = saved(tmp_path / "none.npy", np.empty((0, DIM), np.float32))
    more = ("--store", "ternary", "--threshold", "auto", *options)
    made = run_json("build", vectors, "-o", tmp_path / "out", *more)
    assert (made["threshold"], made["threshold_rule"]) == (None, "auto")
    assert (made["threshold_fitted"], made["bounds_fitted_to"]) == (False, {"ternary": 0})
    assert (made["rotate"], "advice" in made) == (bool(options), False)
    shown = lines_of(run("info", tmp_path / "out").stdout)
    rotation = "rotation yes" if options else "rotation not chosen yet"
    assert {
        "threshold auto, not fitted yet", "store ternary (bounds not fitted yet)", rotation,
    } <= shown  # fmt: skip


def test_info_of_an_index_without_any_of_this(tmp_path: Path) -> None:
    contents = with_old_defaults(bitsift.Index(DIM, threshold=0.25))
    writer.write(tmp_path / "out", contents)
    told = run_json("info", tmp_path / "out")
    assert (told["format_version"], told["threshold"]) == (1, 0.25)
    assert (told["threshold_rule"], told["threshold_fitted"]) == (None, True)
    assert (told["rotate"], told["correction"], told["bounds_fitted_to"]) == (False, False, {})
    shown = lines_of(run("info", tmp_path / "out").stdout)
    assert {"scoring hamming", "candidates four for each result"} <= shown
    assert {"store float16", "threshold 0.25", "rotation no", "correction no"} <= shown
