# SPDX-License-Identifier: Apache-2.0
"""``bitsift search``: the results of the library, in JSON, as text and in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bitsift
from helpers.cli_runner import run, run_json
from helpers.cli_samples import DIM, N


@pytest.mark.parametrize("k", [0, 2**31, 10**20])
@pytest.mark.parametrize("command", ["search", "graph", "demo"])
def test_the_number_of_results_has_bounds(command: str, k: int) -> None:
    """The message of either bound says what the command takes, not what the library does."""
    arguments = {"search": ["index", "queries.npy"], "graph": ["index", "-o", "g.npz"], "demo": []}
    result = run(command, *arguments[command], "-k", k, "--json")
    assert result.exit_code == 1
    message = json.loads(result.stdout)["error"]["message"]
    assert "'-k'" in message
    assert (" 1" if k == 0 else "2147483647") in message


def test_search_finds_what_the_library_finds(
    index_path: Path, queries_path: Path, tmp_path: Path
) -> None:
    index, queries = bitsift.Index.load(index_path), np.load(queries_path)
    out = tmp_path / "results.npz"
    cases: list[tuple[list[object], dict[str, Any], str]] = [
        ([], {}, "cosine"),
        (["--no-rescore"], {"rescore": False}, "cosine"),
        (
            ["--no-rescore", "--scoring", "hamming"],
            {"rescore": False, "scoring": "hamming"},
            "hamming",
        ),
        (["--rescore", "--oversampling", "1.5"], {"rescore": True, "oversampling": 1.5}, "cosine"),
        (["--threads", 2, "--no-mmap"], {"threads": 2}, "cosine"),
        (["--offset", 5], {"offset": 5}, "cosine"),
        (["--offset", 5, "--scoring", "auto"], {"offset": 5}, "cosine"),
    ]
    for options, keywords, score in cases:
        found = run_json("search", index_path, queries_path, "-k", 7, "-o", out, "-f", *options)
        expected = index.search(queries, 7, **keywords)
        with np.load(out) as saved:
            np.testing.assert_array_equal(saved["scores"], expected.scores)
            np.testing.assert_array_equal(saved["ids"], expected.ids)
            assert saved["scores"].dtype == expected.scores.dtype
        assert (found["score"], found["k"], found["queries"]) == (score, 7, 20)
        assert [row["ids"] for row in found["results"]] == expected.ids.tolist()
        assert [row["scores"] for row in found["results"]] == expected.scores.tolist()
        assert [row["query"] for row in found["results"]] == list(range(20))
        assert not list(tmp_path.glob(".bitsift-*"))


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("store", ["float16", "none"])
def test_search_with_asymmetric_scoring(
    vectors_path: Path, queries_path: Path, tmp_path: Path, metric: str, store: str
) -> None:
    path, out = tmp_path / "other.index", tmp_path / "results.npz"
    run_json("build", vectors_path, "-o", path, "--metric", metric, "--store", store)
    index, queries = bitsift.Index.load(path), np.load(queries_path)
    options = ("-k", 7, "-f", "-o", out, "--scoring")
    cases: list[tuple[list[str], dict[str, Any], str]] = [
        ([], {}, metric),
        (["--no-rescore"], {"rescore": False}, metric),
    ]
    for more, keywords, score in cases:
        found = run_json("search", path, queries_path, *options, "asymmetric", *more)
        expected = index.search(queries, 7, scoring="asymmetric", **keywords)
        with np.load(out) as saved:
            np.testing.assert_array_equal(saved["scores"], expected.scores)
            np.testing.assert_array_equal(saved["ids"], expected.ids)
        assert found["score"] == score
        assert [row["scores"] for row in found["results"]] == expected.scores.tolist()
        assert found == run_json("search", path, queries_path, "-k", 7, *more)
        assert found == run_json("search", path, queries_path, *options, "auto", *more)
        assert found != run_json("search", path, queries_path, *options, "hamming", *more)
    shown = run("search", path, queries_path, *options, "asymmetric", "--no-rescore").stdout
    assert shown.splitlines()[0].split() == ["query", "rank", "id", metric]


def test_pages(index_path: Path, queries_path: Path) -> None:
    whole = run_json("search", index_path, queries_path, "-k", 30)
    page = run_json("search", index_path, queries_path, "-k", 10, "--offset", 12)
    assert (whole["offset"], page["offset"], page["k"]) == (0, 12, 10)
    for found, expected in zip(page["results"], whole["results"], strict=True):
        assert found["ids"] == expected["ids"][12:22]
        assert found["scores"] == expected["scores"][12:22]
    options = ("-k", 3, "--offset", 12, "--show", 1)
    rows = [
        line.split()
        for line in run("search", index_path, queries_path, *options).stdout.splitlines()
    ]
    assert [row[:2] for row in rows if row[:1] == ["0"]] == [["0", "13"], ["0", "14"], ["0", "15"]]
    beyond = run_json("search", index_path, queries_path, "--offset", 10**9)
    assert (beyond["k"], beyond["score"]) == (0, "cosine")
    assert {tuple(row["ids"]) for row in beyond["results"]} == {()}
    assert run("search", index_path, queries_path, "--offset", 10**9).exit_code == 0
    for wrong in (-1, 2**63, "one"):
        assert run("search", index_path, queries_path, "--offset", wrong).exit_code == 2


def test_asymmetric_search_without_queries(index_path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "none.npy", np.empty((0, DIM), np.float32))
    options = ("--scoring", "asymmetric", "--no-rescore")
    found = run_json("search", index_path, tmp_path / "none.npy", *options)
    assert (found["score"], found["results"]) == ("cosine", [])


def test_search_in_batches(
    index_path: Path, queries_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_json("search", index_path, queries_path)
    monkeypatch.setattr("bitsift.cli.commands.search._BATCH", 3)
    assert run_json("search", index_path, queries_path) == whole


def test_search_with_packed_queries(index_path: Path, queries_path: Path, tmp_path: Path) -> None:
    packed = np.packbits(np.load(queries_path) > 0, axis=1)
    np.save(tmp_path / "packed.npy", packed)
    found = run_json("search", index_path, tmp_path / "packed.npy", "-k", 3)
    options = ("-k", 3, "--no-rescore", "--scoring", "hamming")
    assert found == run_json("search", index_path, queries_path, *options)


def test_search_with_one_query(index_path: Path, queries_path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.load(queries_path)[0])
    found = run_json("search", index_path, tmp_path / "one.npy", "-k", 3)
    assert found["results"] == run_json("search", index_path, queries_path, "-k", 3)["results"][:1]


def test_search_without_queries(index_path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "none.npy", np.empty((0, DIM), np.float32))
    found = run_json("search", index_path, tmp_path / "none.npy")
    assert (found["queries"], found["k"], found["results"]) == (0, 10, [])
    assert run("search", index_path, tmp_path / "none.npy").exit_code == 0


@pytest.mark.parametrize("options", [[], ["--no-rescore"]])
def test_search_for_more_than_there_are(
    index_path: Path, queries_path: Path, tmp_path: Path, options: list[str]
) -> None:
    out = tmp_path / "all.npz"
    found = run_json("search", index_path, queries_path, "-k", N + 5, "-f", "-o", out, *options)
    assert all(sorted(row["ids"]) == list(range(N)) for row in found["results"])
    assert all(len(row["scores"]) == N for row in found["results"])
    with np.load(out) as saved:
        assert (saved["ids"][:, N:] == -1).all()
    shown = run("search", index_path, queries_path, "-k", N + 5, "--show", 1, *options).stdout
    assert len(shown.splitlines()) == 2 + N + 1


def test_search_shows_the_first_queries(index_path: Path, queries_path: Path) -> None:
    options = ("-k", 2, "--no-rescore", "--scoring", "hamming")
    lines = run("search", index_path, queries_path, *options).stdout.splitlines()
    assert lines[0].split() == ["query", "rank", "id", "hamming"]
    assert [line.split()[:2] for line in lines[2:-1]] == [
        [str(query), str(rank)] for query in range(5) for rank in (1, 2)
    ]
    assert lines[2].split()[2:] == ["0", lines[2].split()[3]]
    assert lines[-1].startswith("15 more of 20 queries")
    every = run("search", index_path, queries_path, "-k", 2, "--show", 20).stdout
    assert "more of" not in every
    assert len(every.splitlines()) == 2 + 40
