# SPDX-License-Identifier: Apache-2.0
"""The command line for files of vectors: build, search, info, verify."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pty
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift
from bitsift.cli.console import human_bytes, human_count, human_seconds
from helpers.cli_runner import run, run_json, run_process

N, DIM = 300, 44


@pytest.fixture
def vectors() -> NDArray[np.float32]:
    return np.random.default_rng(7).standard_normal((N, DIM), dtype=np.float32)


@pytest.fixture
def vectors_path(tmp_path: Path, vectors: NDArray[np.float32]) -> Path:
    path = tmp_path / "vectors.npy"
    np.save(path, vectors)
    return path


@pytest.fixture
def index_path(tmp_path: Path, vectors_path: Path) -> Path:
    path = tmp_path / "made.index"
    assert run("build", vectors_path, "-o", path).exit_code == 0
    return path


@pytest.fixture
def queries_path(tmp_path: Path, vectors: NDArray[np.float32]) -> Path:
    path = tmp_path / "queries.npy"
    np.save(path, vectors[:20] + np.float32(0.01))
    return path


# build


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("store", ["float32", "float16", "none"])
def test_build_makes_the_index_that_the_library_makes(
    tmp_path: Path, vectors: NDArray[np.float32], vectors_path: Path, metric: str, store: str
) -> None:
    out = tmp_path / "out"
    made = run_json("build", vectors_path, "-o", out, "--metric", metric, "--store", store)
    index = bitsift.Index.load(out)
    assert (made["count"], made["dim"], made["metric"]) == (N, DIM, metric)
    assert made["store"] == (None if store == "none" else store)
    assert made["memory"] == {"bits": N * 6, "float32": N * DIM * 4, "ratio": DIM * 4 / 6}
    np.testing.assert_array_equal(index.codes, np.packbits(vectors > 0, axis=1))
    np.testing.assert_array_equal(index.ids, np.arange(N))
    if store != "none":
        np.testing.assert_array_equal(index.get(index.ids), vectors.astype(store))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
def test_build_takes_every_float_type(
    tmp_path: Path, vectors: NDArray[np.float32], dtype: str
) -> None:
    np.save(tmp_path / "v.npy", np.asfortranarray(vectors.astype(dtype)))
    run_json("build", tmp_path / "v.npy", "-o", tmp_path / "out", "--dim", DIM)
    codes = bitsift.Index.load(tmp_path / "out").codes
    np.testing.assert_array_equal(codes, np.packbits(vectors.astype(dtype) > 0, axis=1))


def test_build_reads_in_chunks(
    tmp_path: Path,
    vectors: NDArray[np.float32],
    vectors_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bitsift.cli.files.arrays._CHUNK_BYTES", 7 * DIM * 4)
    ids = np.random.default_rng(1).permutation(N).astype(np.int32) * 3
    np.save(tmp_path / "ids.npy", ids)
    run_json("build", vectors_path, "-o", tmp_path / "out", "--ids", tmp_path / "ids.npy")
    index = bitsift.Index.load(tmp_path / "out")
    np.testing.assert_array_equal(index.ids, ids)
    np.testing.assert_array_equal(index.get(ids), vectors)


def test_build_takes_packed_codes(tmp_path: Path, vectors: NDArray[np.float32]) -> None:
    codes = np.packbits(vectors > 0, axis=1)
    np.save(tmp_path / "codes.npy", codes)
    options = ("--store", "none", "--dim", DIM)
    made = run_json("build", tmp_path / "codes.npy", "-o", tmp_path / "out", *options)
    assert (made["dim"], made["store"]) == (DIM, None)
    np.testing.assert_array_equal(bitsift.Index.load(tmp_path / "out").codes, codes)


@pytest.mark.parametrize("threshold", ["0.25", "-1e-3"])
def test_build_takes_a_threshold(
    tmp_path: Path, vectors: NDArray[np.float32], vectors_path: Path, threshold: str
) -> None:
    made = run_json("build", vectors_path, "-o", tmp_path / "out", f"--threshold={threshold}")
    assert made["threshold"] == pytest.approx(float(threshold))
    codes = bitsift.Index.load(tmp_path / "out").codes
    np.testing.assert_array_equal(codes, np.packbits(vectors > np.float32(threshold), axis=1))


def test_build_takes_a_threshold_for_each_dimension(
    tmp_path: Path, vectors: NDArray[np.float32], vectors_path: Path
) -> None:
    threshold = vectors.mean(axis=0)
    np.save(tmp_path / "t.npy", threshold)
    made = run_json(
        "build", vectors_path, "-o", tmp_path / "out", "--threshold", tmp_path / "t.npy"
    )
    np.testing.assert_array_equal(np.float32(made["threshold"]), threshold)
    codes = bitsift.Index.load(tmp_path / "out").codes
    np.testing.assert_array_equal(codes, np.packbits(vectors > threshold, axis=1))
    assert "one a dimension" in run("info", tmp_path / "out").stdout


def test_build_of_no_vectors(tmp_path: Path) -> None:
    np.save(tmp_path / "none.npy", np.empty((0, DIM), np.float32))
    made = run_json("build", tmp_path / "none.npy", "-o", tmp_path / "out")
    assert (made["count"], made["memory"]["ratio"]) == (0, None)
    assert run("info", tmp_path / "out").exit_code == 0


def test_build_replaces_an_index_only_when_told(
    tmp_path: Path, index_path: Path, queries_path: Path
) -> None:
    refused = run("build", queries_path, "-o", index_path)
    assert refused.exit_code == 1
    assert "exists; --force replaces an index" in refused.stderr
    assert len(bitsift.Index.load(index_path)) == N
    assert run_json("build", queries_path, "-o", index_path, "--force")["count"] == 20
    assert len(bitsift.Index.load(index_path)) == 20


def test_build_replaces_nothing_but_an_index(tmp_path: Path, vectors_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"picture")
    for target in (folder, vectors_path):
        result = run("build", vectors_path, "-o", target, "--force")
        assert result.exit_code == 1
        assert ("not a bitsift index" if target == folder else "is a file") in result.stderr
    assert (folder / "a.jpg").read_bytes() == b"picture"
    assert len(np.load(vectors_path)) == N


def test_build_fills_an_empty_folder(tmp_path: Path, vectors_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run_json("build", vectors_path, "-o", tmp_path / "empty")["count"] == N


def test_build_summary(tmp_path: Path, vectors_path: Path) -> None:
    result = run("build", vectors_path, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"built {tmp_path / 'out'} in ")
    assert "300 of 44 dimensions" in result.stdout
    assert "bits alone 1.8 KiB, 29.3x smaller than 51.6 KiB as float32" in result.stdout


# search


def test_search_finds_what_the_library_finds(
    index_path: Path, queries_path: Path, tmp_path: Path
) -> None:
    index, queries = bitsift.Index.load(index_path), np.load(queries_path)
    out = tmp_path / "results.npz"
    cases: list[tuple[list[object], dict[str, Any], str]] = [
        ([], {}, "cosine"),
        (["--no-rescore"], {"rescore": False}, "hamming"),
        (["--rescore", "--oversampling", "1.5"], {"rescore": True, "oversampling": 1.5}, "cosine"),
        (["--threads", 2, "--no-mmap"], {"threads": 2}, "cosine"),
    ]
    for options, keywords, score in cases:
        found = run_json("search", index_path, queries_path, "-k", 7, "-o", out, *options)
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
    options = ("-k", 7, "-o", out, "--scoring")
    cases: list[tuple[list[str], dict[str, Any], str]] = [
        ([], {}, metric if store == "float16" else f"asymmetric {metric}"),
        (["--no-rescore"], {"rescore": False}, f"asymmetric {metric}"),
    ]
    for more, keywords, score in cases:
        found = run_json("search", path, queries_path, *options, "asymmetric", *more)
        expected = index.search(queries, 7, scoring="asymmetric", **keywords)
        with np.load(out) as saved:
            np.testing.assert_array_equal(saved["scores"], expected.scores)
            np.testing.assert_array_equal(saved["ids"], expected.ids)
        assert found["score"] == score
        assert [row["scores"] for row in found["results"]] == expected.scores.tolist()
        hamming = run_json("search", path, queries_path, *options, "hamming", *more)
        assert hamming == run_json("search", path, queries_path, "-k", 7, *more)
        assert hamming != found
    shown = run("search", path, queries_path, *options, "asymmetric", "--no-rescore").stdout
    assert shown.splitlines()[0].split() == ["query", "rank", "id", "asymmetric", metric]


def test_asymmetric_search_without_queries(index_path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "none.npy", np.empty((0, DIM), np.float32))
    options = ("--scoring", "asymmetric", "--no-rescore")
    found = run_json("search", index_path, tmp_path / "none.npy", *options)
    assert (found["score"], found["results"]) == ("asymmetric cosine", [])


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
    plain = run_json("search", index_path, queries_path, "-k", 3, "--no-rescore")
    assert found == plain


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
    found = run_json("search", index_path, queries_path, "-k", N + 5, "-o", out, *options)
    assert all(sorted(row["ids"]) == list(range(N)) for row in found["results"])
    assert all(len(row["scores"]) == N for row in found["results"])
    with np.load(out) as saved:
        assert (saved["ids"][:, N:] == -1).all()
    shown = run("search", index_path, queries_path, "-k", N + 5, "--show", 1, *options).stdout
    assert len(shown.splitlines()) == 2 + N + 1


def test_search_shows_the_first_queries(index_path: Path, queries_path: Path) -> None:
    lines = run("search", index_path, queries_path, "-k", 2, "--no-rescore").stdout.splitlines()
    assert lines[0].split() == ["query", "rank", "id", "hamming"]
    assert [line.split()[:2] for line in lines[2:-1]] == [
        [str(query), str(rank)] for query in range(5) for rank in (1, 2)
    ]
    assert lines[2].split()[2:] == ["0", lines[2].split()[3]]
    assert lines[-1].startswith("15 more of 20 queries")
    every = run("search", index_path, queries_path, "-k", 2, "--show", 20).stdout
    assert "more of" not in every
    assert len(every.splitlines()) == 2 + 40


# info and verify


def test_info(index_path: Path) -> None:
    described = run_json("info", index_path)
    index = bitsift.Index.load(index_path)
    assert described["format_version"] == 1
    assert (described["threshold"], described["store"]) == (0.0, "float32")
    size = sum(path.stat().st_size for path in index_path.iterdir())
    assert described["bytes"]["total"] == size
    assert described["bytes"]["codes"] == index.codes.nbytes + 128
    assert described["bytes"]["originals"] == N * DIM * 4 + 128
    text = run("info", index_path).stdout
    for part in ("300 of 44 dimensions", "cosine", "float32", "version 1", "29.3x", "codes"):
        assert part in text
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


# the program


def test_version_and_help() -> None:
    assert run("--version").stdout == f"bitsift {bitsift.__version__}\n"
    for arguments in (["--help"], ["-h"]):
        text = run(*arguments).stdout
        for command in ("demo", "build", "search", "graph", "info", "verify"):
            assert command in text
            assert run(command, "--help").exit_code == 0


def test_entry_point(index_path: Path) -> None:
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="bitsift")
    assert entry.value == "bitsift.cli:main"
    script = Path(sysconfig.get_path("scripts")) / "bitsift"
    result = subprocess.run(
        [script, "verify", index_path], capture_output=True, text=True, check=False, timeout=120
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, f"OK: {index_path}\n", "")


def test_module_and_pipe(index_path: Path, queries_path: Path) -> None:
    environment = {**os.environ, "COLUMNS": "20", "TERM": "xterm", "FORCE_COLOR": "1"}
    result = run_process("search", index_path, queries_path, "-k", 3, env=environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert "\x1b" not in result.stdout
    assert result.stdout.isascii()
    assert len(result.stdout.splitlines()) == 2 + 15 + 1
    described = run_process("info", index_path, env=environment)
    assert str(index_path) in described.stdout
    assert "\x1b" not in described.stdout


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_closed_pipe_is_quiet(index_path: Path, queries_path: Path, options: list[str]) -> None:
    arguments = ["search", index_path, queries_path, "--show", "20", *options]
    with subprocess.Popen(
        [sys.executable, "-m", "bitsift", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        process.wait(timeout=120)


def test_progress_only_on_a_terminal(tmp_path: Path, vectors_path: Path) -> None:
    piped = run_process("build", vectors_path, "-o", tmp_path / "piped")
    assert (piped.returncode, piped.stderr) == (0, "")
    leader, follower = pty.openpty()
    arguments = ["build", vectors_path, "-o", tmp_path / "terminal", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "bitsift", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=follower,
        text=True,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(follower)
        shown = b""
        try:
            while part := os.read(leader, 65536):
                shown += part
        except OSError:
            pass  # how Linux says that the other end of a terminal is closed
        os.close(leader)
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["count"] == N
    assert process.returncode == 0
    assert b"adding" in shown


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_missing_extra_is_one_line(missing: str) -> None:
    script = f"""
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hide())
from bitsift.cli import main
main()
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert "pip install 'bitsift[cli]'" in result.stderr


def test_the_library_does_not_import_the_command_line() -> None:
    script = (
        "import sys, bitsift; "
        "print([m for m in sys.modules if m.split('.')[0] in ('typer', 'rich', 'click') "
        "or m.startswith('bitsift.cli')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout == "[]\n"


def test_numbers_for_people() -> None:
    sizes = [0, 1023, 1024, 1536, 5 << 20, 3 << 30, 2 << 40]
    assert [human_bytes(size) for size in sizes] == [
        "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "3.0 GiB", "2.0 TiB",
    ]  # fmt: skip
    assert [human_seconds(seconds) for seconds in (12.34, 4321.0, 0.01234, 0.00001234)] == [
        "12.3 s", "4,321 s", "12.3 ms", "12.3 us",
    ]  # fmt: skip
    assert [human_count(count) for count in (0, 7.5, 999, 1000, 234_567, 1.239e9, 1.5e13)] == [
        "0", "7.5", "999", "1 thousand", "235 thousand", "1.24 billion", "15,000 billion",
    ]  # fmt: skip
