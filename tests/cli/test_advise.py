# SPDX-License-Identifier: Apache-2.0
"""``bitsift advise``: the numbers of the library, and a command that builds the advised index."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift
from helpers.cli_runner import check_failure, run, run_json
from helpers.cli_samples import DIM, drifting_vectors, saved
from helpers.cli_samples import N_DRIFTING as N


@pytest.fixture
def vectors() -> NDArray[np.float32]:
    return drifting_vectors()


@pytest.mark.parametrize(
    ("metric", "bits_alone"),
    [
        ("cosine", False),
        ("l2", True),
        pytest.param("cosine", True, marks=pytest.mark.slow),
        pytest.param("dot", False, marks=pytest.mark.slow),
        pytest.param("dot", True, marks=pytest.mark.slow),
        pytest.param("l2", False, marks=pytest.mark.slow),
    ],
)
def test_it_says_what_the_library_says(
    tmp_path: Path, vectors: NDArray[np.float32], vectors_path: Path, metric: Any, bits_alone: bool
) -> None:
    queries = vectors + np.float32(0.5)  # More than the library takes.
    path = saved(tmp_path / "q.npy", queries)
    for more, asked in [([], None), (["--queries", path], queries)]:
        options = ["--metric", metric, *(["--bits-alone"] if bits_alone else []), *more]
        told = run_json("advise", vectors_path, *options)
        advice = bitsift.advise(vectors, metric=metric, queries=asked, bits_alone=bits_alone)
        assert told["trials"] == [dataclasses.asdict(trial) for trial in advice.trials]
        assert told["best"] == dataclasses.asdict(advice.best)
        assert told["recommendation"] == advice.recommendation
        assert (told["metric"], told["by"]) == (metric, advice.what_for)
        assert (told["vectors"], told["queries"]) == (advice.n_rows, advice.n_queries)
        assert told["contender"] == dataclasses.asdict(advice.contender)
        for name in (
            "gain", "error", "is_certain", "has_few_queries", "verdict", "correction_gain",
            "correction_error",
        ):  # fmt: skip
            assert told[name] == getattr(advice, name)
        assert told["candidates"] == advice.n_candidates
        shown = run("advise", vectors_path, *options)
        assert (shown.exit_code, shown.stderr) == (0, "")
        lines = shown.stdout.splitlines()
        assert lines[-2:] == [told["command"], told["python"]]
        first = next(i for i, line in enumerate(lines) if line.startswith("---")) + 1
        for line, trial in zip(lines[first : first + 8], advice.trials, strict=True):
            assert line.startswith("*") == (trial == advice.best)
            threshold, rotate, *shares = line.lstrip("* ").split()
            assert (threshold, rotate) == (trial.threshold, "yes" if trial.rotate else "no")
            measured = (trial.hamming, trial.rescored, trial.asymmetric, trial.corrected)
            gain = f"{trial.gain:+.3f}", "+-", f"{trial.error:.3f}"
            assert shares == [*(f"{share:.3f}" for share in measured), *gain]
        assert f"{advice.verdict}." in " ".join(shown.stdout.split())


def test_a_sample_that_is_too_small_is_refused_at_once(vectors_path: Path) -> None:
    result = run("advise", vectors_path, "--sample", 19)
    assert result.exit_code == 2
    assert "'--sample'" in result.stderr
    assert "20" in result.stderr


def test_a_sample(vectors: NDArray[np.float32], vectors_path: Path) -> None:
    told = run_json("advise", vectors_path, "--sample", 200, "--threads", 2)
    advice = bitsift.advise(vectors[np.linspace(0, N - 1, 200).astype(int)])
    assert told["trials"] == [dataclasses.asdict(trial) for trial in advice.trials]
    assert (told["vectors"], told["queries"]) == (75, 50)
    assert told["has_few_queries"]
    shown = run("advise", vectors_path, "--sample", 200).stdout
    assert "threshold=0 is kept: 50 queries are too few to choose by" in " ".join(shown.split())


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("bits_alone", [False, True])
@pytest.mark.parametrize("centred", [False, True])
def test_it_can_be_followed(
    tmp_path: Path, vectors: NDArray[np.float32], metric: str, bits_alone: bool, centred: bool
) -> None:
    rows = vectors - vectors.mean(axis=0) if centred else vectors
    path = saved(tmp_path / "my vectors.npy", rows)  # a name to be quoted
    options = ["--metric", metric, *(["--bits-alone"] if bits_alone else [])]
    told = run_json("advise", path, *options)
    program, *arguments = shlex.split(told["command"])
    assert program == "bitsift"
    assert run(*arguments).exit_code == 0
    built = bitsift.Index.load(tmp_path / "my vectors.index")
    index = eval(told["python"], {"bitsift": bitsift})
    changes = told["recommendation"]["threshold"] != 0 or "correction" in told["recommendation"]
    assert centred or changes
    index.fit(rows).add(rows)
    np.testing.assert_array_equal(built.codes, index.codes)
    np.testing.assert_array_equal(built.threshold, index.threshold)
    assert (built.rotate, built.correction) == (index.rotate, index.correction)
    assert index.correction is ("correction" in told["recommendation"])
    assert told["scoring"] == ("asymmetric" if bits_alone else "hamming")
    says = "search the index with: bitsift search --scoring asymmetric"
    assert (says in run("advise", path, *options).stdout) is bits_alone
    assert built.metric == index.metric == metric
    assert built.store == index.store == (None if bits_alone else "float16")


def test_failures(tmp_path: Path, vectors: NDArray[np.float32], vectors_path: Path) -> None:
    damaged = vectors.copy()
    damaged[33, 2] = np.nan
    nan = saved(tmp_path / "nan.npy", damaged)
    (tmp_path / "empty.npy").write_bytes(b"")
    missing = tmp_path / "nothing.npy"
    failures: list[tuple[list[object], str, list[str]]] = [
        ([missing], "InputError", ["nothing.npy: no such file"]),
        ([tmp_path], "InputError", ["must be a .npy file; got a folder"]),
        ([tmp_path / "empty.npy"], "InputError", ["cannot be read as a .npy array"]),
        ([nan], "InputError", ["nan.npy: values must be finite; row 33 holds NaN or infinity"]),
        (
            [nan, "--sample", N - 1],
            "InputError",
            ["nan.npy: values must be finite; row 33 holds NaN or infinity"],
        ),
        (
            [vectors_path, "--queries", nan],
            "InputError",
            ["nan.npy: values must be finite; row 33 holds NaN"],
        ),
        ([vectors_path, "--queries", missing], "InputError", ["nothing.npy: no such file"]),
        ([vectors_path, "--threads", 1025], "ValueError", ["threads must be", "1025"]),
    ]
    huge = np.full((50, DIM), 1e300)
    codes = np.ones((50, 6), np.uint8)
    arrays: list[tuple[NDArray[Any], str, list[str]]] = [
        (vectors[:, :0], "InputError", ["0.npy: sample", "(600, 0)"]),
        (vectors[:1], "ValueError", ["too few vectors", "got 1"]),
        (vectors[0], "InputError", ["must have shape (n, dim)", "got shape (44,)"]),
        (codes.view(np.int8), "InputError", ["got int8"]),
        (huge, "InputError", ["4.npy: sample must be within float32's range; row 0"]),
    ]
    for i, (array, kind, fragments) in enumerate(arrays):
        failures.append(([saved(tmp_path / f"{i}.npy", array)], kind, fragments))
    asked: list[tuple[NDArray[Any], str, list[str]]] = [
        (vectors[:0], "InputError", ["must have at least one row; got shape (0, 44)"]),
        (vectors[:, :9], "InputError", ["rows must have 44 values", "got 9"]),
        (codes, "InputError", ["q2.npy: advice needs float vectors; got packed codes (uint8)"]),
        (huge, "InputError", ["q3.npy: queries must be within float32's range; row 0"]),
    ]
    for i, (array, kind, fragments) in enumerate(asked):
        path = saved(tmp_path / f"q{i}.npy", array)
        failures.append(([vectors_path, "--queries", path], kind, fragments))
    for arguments, kind, fragments in failures:
        check_failure(["advise", *arguments], kind, fragments)


def test_a_command_takes_a_name_that_begins_with_a_dash(
    tmp_path: Path, vectors: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(Path("-v.npy"), vectors[::10])
    command = run_json("advise", "./-v.npy", "--sample", 40)["command"].split()
    assert command[:5] == ["bitsift", "build", "./-v.npy", "-o", "./-v.index"]
    assert run(*command[1:]).exit_code == 0
    quick = ["--conditions", "quick", "--queries", "./-v.npy"]
    evaluated = run_json("eval", "./-v.npy", *quick)["command"].split()
    assert evaluated[:5] == ["bitsift", "eval", "./-v.npy", "--queries", "./-v.npy"]
