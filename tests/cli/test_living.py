# SPDX-License-Identifier: Apache-2.0
"""``bitsift add``, ``remove``, ``compact`` and ``log``: an index on disk that changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift
from helpers.cli_runner import check_failure, run, run_json
from helpers.cli_samples import DIM, N, saved


def more_vectors(n: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n, DIM), dtype=np.float32)


def test_add(index_path: Path, tmp_path: Path) -> None:
    more = saved(tmp_path / "more.npy", more_vectors(20))
    found = run_json("add", index_path, more)
    seconds = found.pop("seconds")
    assert seconds > 0
    assert found == {"path": str(index_path), "generation": 1, "added": 20, "count": N + 20}
    assert bitsift.Index.load(index_path).ids.tolist() == list(range(N + 20))
    ids = saved(tmp_path / "ids.npy", np.arange(2 * N, 2 * N - 20, -1))
    line = run("add", index_path, more, "--ids", ids).stdout
    assert line.startswith(f"{index_path}: generation 2, 20 vectors added, {N + 40} in all, in ")
    bitsift.verify(index_path)
    again = run_json("add", index_path, more, "--ids", ids, "--replace", "--keep", 2)
    assert (again["generation"], again["count"]) == (3, N + 40)
    index = bitsift.Index.load(index_path)
    np.testing.assert_array_equal(
        index.get(np.load(ids)), more_vectors(20).astype(np.float16), strict=True
    )


def test_what_add_refuses_changes_nothing(index_path: Path, tmp_path: Path) -> None:
    more = saved(tmp_path / "more.npy", more_vectors(3))
    wrong = more_vectors(3)
    wrong[1, 2] = np.nan
    nan = saved(tmp_path / "nan.npy", wrong)
    ids = saved(tmp_path / "ids.npy", np.array([500, 3, 501]))
    twice = saved(tmp_path / "twice.npy", np.array([500, 501, 500]))
    narrow = saved(tmp_path / "narrow.npy", more_vectors(3)[:, :5])
    for arguments, kind, message in (
        ([tmp_path / "none.index", more], "IndexNotFoundError", "there is nothing here"),
        ([index_path, nan], "InputError", "nan.npy: "),
        ([index_path, more, "--ids", ids], "InputError", "ids must be new; got 3"),
        ([index_path, more, "--ids", twice], "InputError", "ids must be unique"),
        ([index_path, more, "--replace"], "InputError", "--replace goes by --ids"),
        ([index_path, narrow], "InputError", "narrow.npy"),
    ):
        check_failure(["add", *arguments], kind, [message])
    assert not (tmp_path / "none.index").exists()
    assert bitsift.Index.open(index_path).generation == 0


def test_remove(index_path: Path, tmp_path: Path) -> None:
    ids = saved(tmp_path / "ids.npy", np.arange(10, 20))
    found = run_json("remove", index_path, ids, "--id", 3, "--id", 3)
    assert found == {"path": str(index_path), "generation": 1, "removed": 11, "count": N - 11}
    line = run("remove", index_path, "--id", 4).stdout
    assert line == f"{index_path}: generation 2, 1 vectors removed, {N - 12} left\n"
    for arguments, message in (
        (["--id", 5, "--id", 3], "id 3 is not in the index"),
        ([], "give IDS.npy, or --id"),
        ([saved(tmp_path / "x.npy", np.ones((2, 2), int))], "shape (m,)"),
    ):
        check_failure(["remove", index_path, *arguments], "InputError", [message])
    assert 5 in bitsift.Index.load(index_path)
    assert run_json("remove", index_path, "--id", 3, "--ignore-missing")["generation"] == 2


def test_compact_and_log(index_path: Path, tmp_path: Path) -> None:
    for _ in range(2):
        more = saved(tmp_path / "more.npy", more_vectors(10))
        run_json("add", index_path, more, "--keep", 3)
    run_json("remove", index_path, "--id", 7, "--keep", 3)
    found = run_json("log", index_path)["generations"]
    assert [one["generation"] for one in found] == [3, 2, 1]
    assert [one["count"] for one in found] == [N + 19, N + 20, N + 10]
    assert [one["removed"] for one in found] == [1, 0, 0]
    assert [one["segments"] for one in found] == [3, 3, 2]
    lines = run("log", index_path).stdout.splitlines()
    assert lines[0].split() == ["generation", "vectors", "removed", "segments", "files"]
    assert lines[2].split()[:4] == ["3", f"{N + 19}", "1", "3"]
    before = bitsift.Index.load(index_path)
    compacted = run_json("compact", index_path)
    assert (compacted["generation"], compacted["segments"], compacted["removed"]) == (4, 1, 0)
    assert compacted["before"] == found[0]
    assert compacted["bytes"] == sum(path.stat().st_size for path in index_path.iterdir())
    np.testing.assert_array_equal(bitsift.Index.load(index_path).ids, before.ids)
    assert " in 1 segments became " in run("compact", index_path).stdout
    assert [one["generation"] for one in run_json("log", index_path)["generations"]] == [4]


@pytest.mark.parametrize("command", ["compact", "log"])
def test_no_index(tmp_path: Path, command: str) -> None:
    arguments: list[object] = [command, tmp_path / "none.index"]
    check_failure(arguments, "IndexNotFoundError", ["there is nothing here"])
    (tmp_path / "none.index").mkdir()
    if command == "compact":
        check_failure(arguments, "NotAnIndexError", ["no index; bitsift build makes an index"])


@pytest.mark.parametrize(("option", "most"), [("--id", 2**63 - 1), ("--keep", 2**16)])
def test_options_beyond_their_range(index_path: Path, option: str, most: int) -> None:
    result = run("remove", index_path, "--id", 1, option, most + 1)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"must be {most} or less; got '{most + 1}'" in result.stderr
    found = run_json("remove", index_path, "--id", 1, "--ignore-missing", option, most)
    assert found["removed"] == 1


def test_info_and_search_take_segments(
    index_path: Path, tmp_path: Path, queries_path: Path
) -> None:
    more = saved(tmp_path / "more.npy", more_vectors(10))
    run_json("add", index_path, more)
    run_json("remove", index_path, "--id", 2)
    described = run_json("info", index_path)
    assert described["count"] == N + 9
    assert described["bytes"]["total"] == sum(p.stat().st_size for p in index_path.iterdir())
    found = run_json("search", index_path, queries_path, "-k", 3)
    assert found["results"]
    assert run("verify", index_path).exit_code == 0
