# SPDX-License-Identifier: Apache-2.0
"""The command ``bitsift graph``: what it writes and prints, and how it fails."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift
from helpers.cli_runner import check_failure, run, run_json, run_process
from oracle import reference

N, N_BYTES = 300, 3
DIM = 22


@pytest.fixture
def codes() -> NDArray[np.uint8]:
    made = np.random.default_rng(7).integers(0, 256, (N, N_BYTES), dtype=np.uint8)
    made[:, -1] &= 0b1111_1100
    return made


def make_index(path: Path, codes: NDArray[np.uint8], dim: int, ids: object = None) -> Path:
    index = bitsift.Index(dim, store=None)
    index.add(codes, ids=ids)
    index.save(path)
    return path


@pytest.fixture
def index_path(tmp_path: Path, codes: NDArray[np.uint8]) -> Path:
    return make_index(tmp_path / "made.index", codes, DIM)


def arrays_of(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as saved:
        return dict(saved)


def near_pairs(
    codes: NDArray[np.uint8], ids: NDArray[np.int64], limit: int
) -> list[tuple[int, int, int]]:
    """Every pair with distance <= limit as (distance, smaller id, larger id), in order."""
    distances = reference.hamming(codes, codes)
    return sorted(
        (int(distances[i, j]), *sorted((int(ids[i]), int(ids[j]))))
        for i in range(len(codes))
        for j in range(i)
        if distances[i, j] <= limit
    )


def listed(found: dict[str, Any]) -> list[tuple[int, int, int]]:
    return [(pair["distance"], pair["a"], pair["b"]) for pair in found["duplicates"]["pairs"]]


# What it writes


@pytest.mark.parametrize("own_ids", [False, True])
def test_file_holds_what_the_library_finds(
    tmp_path: Path, codes: NDArray[np.uint8], own_ids: bool
) -> None:
    ids = np.arange(N, dtype=np.int64)
    if own_ids:
        ids = np.random.default_rng(1).permutation(N) * 7 + (2**63 - 1 - 7 * N)
    index_path = make_index(tmp_path / "index", codes, DIM, ids if own_ids else None)
    out = tmp_path / "graph.npz"
    distances, rows = reference.knn_graph(codes, 7)
    for options in ([], ["--threads", 1], ["--isa", "scalar", "--threads", 3]):
        made = run_json("graph", index_path, "-k", 7, "-o", out, "--force", *options)
        saved = arrays_of(out)
        assert sorted(saved) == ["distances", "ids", "neighbors"]
        np.testing.assert_array_equal(saved["ids"], ids)
        np.testing.assert_array_equal(saved["neighbors"], ids[rows])
        np.testing.assert_array_equal(saved["distances"], distances)
        dtypes = [saved[name].dtype for name in ("ids", "neighbors", "distances")]
        assert dtypes == [np.int64, np.int64, np.int32]
        assert (made["path"], made["vectors"], made["k"]) == (str(out), N, 7)
        assert made["isa"] == ("scalar" if "--isa" in options else bitsift.available_isas()[-1])
        assert made["with_duplicate"] == (distances[:, 0] == 0).sum()
        assert made["pairs_per_second"] == pytest.approx(N * (N - 1) / 2 / made["seconds"])
        assert "duplicates" not in made
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph.npz", "index"]


def test_k_is_10_by_default(tmp_path: Path, index_path: Path) -> None:
    assert run_json("graph", index_path, "-o", tmp_path / "g.npz")["k"] == 10
    assert arrays_of(tmp_path / "g.npz")["neighbors"].shape == (N, 10)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_more_neighbours_than_there_are(tmp_path: Path, codes: NDArray[np.uint8], n: int) -> None:
    index_path = make_index(tmp_path / "index", codes[:n], DIM, np.arange(n) + 100)
    found = run_json("graph", index_path, "-o", tmp_path / "g.npz", "--duplicates", DIM)
    saved = arrays_of(tmp_path / "g.npz")
    assert saved["neighbors"].shape == saved["distances"].shape == (n, n - 1)
    assert (saved["neighbors"] >= 100).all()
    assert found["duplicates"]["complete"]
    assert listed(found) == near_pairs(codes[:n], np.arange(n) + 100, DIM)


def test_originals_are_not_read(tmp_path: Path) -> None:
    vectors = np.random.default_rng(3).standard_normal((50, DIM), dtype=np.float32)
    index = bitsift.Index(DIM, threshold=0.1)
    index.add(vectors)
    index.save(tmp_path / "index")
    run_json("graph", tmp_path / "index", "-k", 3, "-o", tmp_path / "g.npz")
    expected = bitsift.knn_graph(bitsift.pack(vectors, threshold=0.1), 3)
    np.testing.assert_array_equal(arrays_of(tmp_path / "g.npz")["neighbors"], expected.ids)


def test_a_file_is_replaced_only_when_told(tmp_path: Path, index_path: Path) -> None:
    out = tmp_path / "g.npz"
    out.write_bytes(b"precious")
    check_failure(
        ["graph", index_path, "-o", out],
        "InputError",
        ["g.npz: already exists; --force replaces it"],
    )
    assert out.read_bytes() == b"precious"
    assert run("graph", index_path, "-o", out, "--force").exit_code == 0
    assert len(arrays_of(out)["ids"]) == N


# What it prints


def test_summary(tmp_path: Path, codes: NDArray[np.uint8]) -> None:
    codes = np.unique(codes, axis=0)
    codes[[3, 70]] = codes[200]
    index_path = make_index(tmp_path / "index", codes, DIM)
    out = tmp_path / "g.npz"
    lines = run("graph", index_path, "-k", 4, "-o", out).stdout.splitlines()
    assert lines[0] == f"wrote {out}"
    assert lines[1].split(maxsplit=1) == ["vectors", f"{len(codes)}, 3 have an exact duplicate"]
    assert lines[2].split() == ["k", "4"]
    assert lines[3].startswith("compared  in ")
    assert "pairs a second (" in lines[3]
    assert len(lines) == 4


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_duplicates_are_all_pairs_within_the_limit(
    tmp_path: Path, codes: NDArray[np.uint8], limit: int
) -> None:
    codes[10:15] = codes[0]
    ids = np.random.default_rng(1).permutation(N) * 3
    index_path = make_index(tmp_path / "index", codes, DIM, ids)
    options = ["-k", 20, "-o", tmp_path / "g.npz", "--force", "--duplicates", limit]
    found = run_json("graph", index_path, *options)
    expected = near_pairs(codes, ids, limit)
    assert len(expected) >= 15
    assert found["duplicates"]["complete"]
    assert (found["duplicates"]["limit"], found["duplicates"]["count"]) == (limit, len(expected))
    assert listed(found) == expected
    lines = run("graph", index_path, *options).stdout.splitlines()
    assert lines[4].split() == ["id", "id", "hamming"]
    shown = [tuple(map(int, line.split())) for line in lines[6:26] if "more" not in line]
    assert shown == [(a, b, distance) for distance, a, b in expected[:20]]
    if len(expected) > 20:
        assert lines[26:] == [
            f"{len(expected) - 20:,} more of {len(expected):,} pairs with distance <= {limit}: "
            "use --json"
        ]
    else:
        assert len(lines) == 6 + len(expected)


@pytest.mark.parametrize("limit", [0, 5, 10**6, 2**70])
def test_duplicates_say_when_they_may_not_be_all(tmp_path: Path, limit: int) -> None:
    index_path = make_index(tmp_path / "index", np.zeros((30, 1), np.uint8), 8)
    options = ["-o", tmp_path / "g.npz", "--force", "--duplicates", limit]
    found = run_json("graph", index_path, "-k", 3, *options)
    assert found["with_duplicate"] == 30
    assert not found["duplicates"]["complete"]
    assert found["duplicates"]["count"] == 6 + 26 * 3  # among the first four; of each other, three
    shown = run("graph", index_path, "-k", 3, *options).stdout.splitlines()
    assert shown[-2] == f"64 more of 84 pairs with distance <= {min(limit, 8)}: use --json"
    assert shown[-1] == (
        "pairs may be missing: 30 vectors have all 3 neighbours within that distance; "
        "a larger -k finds more"
    )
    found = run_json("graph", index_path, "-k", 29, *options)
    assert (found["duplicates"]["complete"], found["duplicates"]["count"]) == (True, 30 * 29 // 2)


@pytest.mark.parametrize("n_trials", [12, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_no_pair_is_missing_where_that_is_said(
    k: int, n_trials: int, tmp_path: Path, rng: Any
) -> None:
    said = set()
    for trial in range(n_trials):
        codes = rng.integers(0, 256, (rng.integers(2, 12), 1), dtype=np.uint8)
        index_path = make_index(tmp_path / f"{trial}", codes, 8)
        limit = int(rng.integers(0, 5))
        out = tmp_path / f"{trial}.npz"
        found = run_json("graph", index_path, "-k", k, "-o", out, "--duplicates", limit)
        expected = near_pairs(codes, np.arange(len(codes)), limit)
        assert set(listed(found)) <= set(expected)
        said.add(found["duplicates"]["complete"])
        if found["duplicates"]["complete"]:
            assert listed(found) == expected
    assert True in said  # or nothing was compared


def test_two_full_vectors_may_lack_their_own_pair(tmp_path: Path) -> None:
    bits = np.zeros((6, 48), np.uint8)
    bits[3:, :10] = 1  # 0 and 3 differ in 10; each has two at distance 9, which have no others
    for row, begin in ((1, 10), (2, 19), (4, 28), (5, 37)):
        bits[row, begin : begin + 9] = 1
    index_path = make_index(tmp_path / "index", np.packbits(bits, axis=1), 48)
    options = ["-o", tmp_path / "g.npz", "--force", "--duplicates", 10]
    found = run_json("graph", index_path, "-k", 2, *options)
    assert listed(found) == [(9, 0, 1), (9, 0, 2), (9, 3, 4), (9, 3, 5)]
    assert not found["duplicates"]["complete"]
    found = run_json("graph", index_path, "-k", 3, *options)
    assert listed(found)[4:] == [(10, 0, 3)]


def test_one_neighbour_less_than_all_is_not_all(tmp_path: Path) -> None:
    index_path = make_index(tmp_path / "index", np.zeros((5, 1), np.uint8), 8)
    out = tmp_path / "g.npz"
    found = run_json("graph", index_path, "-k", 3, "-o", out, "--duplicates", 0)
    assert (found["duplicates"]["count"], found["duplicates"]["complete"]) == (9, False)


def test_no_duplicates(tmp_path: Path) -> None:
    index_path = make_index(tmp_path / "index", np.array([[0], [255]], np.uint8), 8)
    options = ["-o", tmp_path / "g.npz", "--force", "--duplicates", 7]
    assert run_json("graph", index_path, *options)["duplicates"] == {
        "limit": 7, "complete": True, "count": 0, "pairs": [],
    }  # fmt: skip
    assert run("graph", index_path, *options).stdout.endswith("\nno pairs with distance <= 7\n")


def test_one_vector(tmp_path: Path) -> None:
    index_path = make_index(tmp_path / "index", np.zeros((1, 1), np.uint8), 8)
    made = run_json("graph", index_path, "-o", tmp_path / "g.npz")
    assert (made["with_duplicate"], made["pairs_per_second"]) == (0, 0)
    shown = run("graph", index_path, "-o", tmp_path / "g.npz", "-f")
    assert (shown.exit_code, "1, 0 have an exact duplicate" in shown.stdout) == (0, True)


def read_terminal(leader: int, until: bytes | None = None) -> bytes:
    shown = b""
    try:
        while (until is None or until not in shown) and (part := os.read(leader, 65536)):
            shown += part
    except OSError:
        pass  # how Linux says that the other end of a terminal is closed
    return shown


@pytest.mark.slow
def test_progress_only_on_a_terminal(tmp_path: Path, index_path: Path) -> None:
    piped = run_process("graph", index_path, "-o", tmp_path / "piped.npz")
    assert (piped.returncode, piped.stderr) == (0, "")
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "bitsift", "graph", index_path, "-o", tmp_path / "g.npz", "--json"],
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(follower)
        shown = read_terminal(leader)
        os.close(leader)
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["vectors"] == N
    assert process.returncode == 0
    assert b"saving" in shown


def test_progress_is_the_share_that_is_done(
    tmp_path: Path, index_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, float]] = []
    compare = bitsift.knn_graph

    @contextmanager
    def bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
        yield lambda done: told.append((description, done / total))

    def compare_slowly(*arguments: Any, progress: Callable[[float], object], **options: Any) -> Any:
        for share in (0.0, 0.25, 1.0):
            progress(share)
        return compare(*arguments, **options)

    monkeypatch.setattr("bitsift.cli.commands.graph.progress_bar", bar)
    monkeypatch.setattr("bitsift.knn_graph", compare_slowly)
    assert run("graph", index_path, "-o", tmp_path / "g.npz").exit_code == 0
    assert told == [("comparing", 0), ("comparing", 0.25), ("comparing", 1)]


# How it fails


def test_failures(tmp_path: Path, index_path: Path, codes: NDArray[np.uint8]) -> None:
    out = tmp_path / "g.npz"
    empty = make_index(tmp_path / "empty", codes[:0], DIM)
    missing = tmp_path / "nothing"
    failures: list[tuple[list[object], str, list[str]]] = [
        ([missing, "-o", out], "IndexNotFoundError", ["nothing"]),
        ([tmp_path, "-o", out], "NotAnIndexError", [str(tmp_path)]),
        (
            [empty, "-o", out],
            "InputError",
            ["empty: the index must hold at least one vector; got none"],
        ),
        (
            [index_path, "-o", missing / "g.npz"],
            "InputError",
            ["the folder", "nothing does not exist"],
        ),
        ([index_path, "-o", tmp_path], "InputError", ["the output must be a file; got a folder"]),
        ([index_path, "-o", index_path / "g.npz"], "InputError", ["must lie outside the index"]),
        ([index_path, "-o", out, "--threads", 1025], "ValueError", ["threads must be", "1025"]),
        ([index_path, "-o", out, "--isa", "mmx"], "ValueError", ["isa must be one of", "'mmx'"]),
    ]
    before = sorted(tmp_path.rglob("*"))
    for arguments, kind, fragments in failures:
        check_failure(["graph", *arguments], kind, fragments)
        assert sorted(tmp_path.rglob("*")) == before


def test_an_instruction_set_of_another_processor(tmp_path: Path, index_path: Path) -> None:
    other = "avx2" if "neon" in bitsift.available_isas() else "neon"
    arguments: list[object] = ["graph", index_path, "-o", tmp_path / "g.npz", "--isa", other]
    check_failure(arguments, "UnsupportedIsaError", [f"isa is '{other}'", "available: scalar"])


def test_too_much_for_memory(
    tmp_path: Path, index_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("bitsift.knn_graph", refuse)
    before = sorted(tmp_path.rglob("*"))
    result = run("graph", index_path, "-o", tmp_path / "g.npz", "-k", 2**31 - 1)
    assert (result.exit_code, result.stderr) == (1, "bitsift: error: MemoryError\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_index(tmp_path: Path, index_path: Path) -> None:
    path = next(index_path.glob("codes*.npy"))
    os.truncate(path, path.stat().st_size - 1)
    check_failure(["graph", index_path, "-o", tmp_path / "g.npz"], "CorruptIndexError", [path.name])


def test_only_regular_files_are_replaced(tmp_path: Path, index_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")  # which is not there
    os.mkfifo(tmp_path / "fifo")
    manifest = (index_path / "manifest.json").read_bytes()
    for target, fragment in [
        (tmp_path / "link", "must be a regular file; got a link, a pipe or a device"),
        (tmp_path / "fifo", "must be a regular file; got a link, a pipe or a device"),
        (Path(os.devnull), "must be a regular file; got a link, a pipe or a device"),
    ]:
        check_failure(["graph", index_path, "-o", target, "-f"], "InputError", [fragment])
    target = index_path / "manifest.json"
    check_failure(
        ["graph", index_path, "-o", target, "-f"], "InputError", ["must lie outside the index"]
    )
    assert target.read_bytes() == manifest
    assert (tmp_path / "link").is_symlink()
    assert not (tmp_path / "target").exists()


def test_a_folder_without_permission_is_known_before_the_work(
    tmp_path: Path, index_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):  # as root
        monkeypatch.setattr(os, "access", lambda path, mode: path != folder)
    check_failure(
        ["graph", index_path, "-o", folder / "g.npz"],
        "InputError",
        [f"the folder {folder} cannot be written to"],
    )


def test_a_file_that_appears_meanwhile_is_kept(
    tmp_path: Path, index_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "g.npz"
    write = np.lib.format.write_array

    def write_slowly(*arguments: Any, **options: Any) -> None:
        write(*arguments, **options)
        out.write_bytes(b"of another")

    monkeypatch.setattr(np.lib.format, "write_array", write_slowly)
    result = run("graph", index_path, "-o", out)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "exists; --force replaces it" in result.stderr
    assert out.read_bytes() == b"of another"
    assert not list(tmp_path.glob(".bitsift-*"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("no space left")])
@pytest.mark.parametrize("force", [False, True])
def test_what_ends_the_writing_leaves_nothing(
    tmp_path: Path,
    index_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException | type[BaseException],
    force: bool,
) -> None:
    out = tmp_path / "g.npz"
    if force:
        out.write_bytes(b"old")
    seen = []

    def write_some(file: Any, *_: object, **__: object) -> None:
        file.write(b"half an array")
        seen.extend(tmp_path.glob(".bitsift-*"))
        raise error

    monkeypatch.setattr(np.lib.format, "write_array", write_some)
    before = sorted(tmp_path.rglob("*"))
    result = run("graph", index_path, "-o", out, *(["--force"] if force else []))
    assert result.exit_code == (130 if error is KeyboardInterrupt else 1)
    assert result.stdout == ""
    assert len(seen) == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert not force or out.read_bytes() == b"old"


@pytest.mark.slow
def test_a_full_disk_leaves_nothing(tmp_path: Path, index_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "g.npz"
    command = f'exec "{sys.executable}" -B -m bitsift graph "{index_path}" -o "{out}"'
    ended = subprocess.run(
        ["sh", "-c", f"ulimit -f 16 && {command}"],  # blocks of 512 or 1,024 bytes
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("bitsift: error: ")
    assert ended.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_an_interrupt_ends_it_and_leaves_nothing(tmp_path: Path) -> None:
    codes = np.random.default_rng(5).integers(0, 256, (150_000, 96), dtype=np.uint8)
    index_path = make_index(tmp_path / "index", codes, 768)
    before = sorted(tmp_path.rglob("*"))
    # Where the tests run in the background, a process is born deaf to the signal.
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from bitsift.cli import main; main()"
    )
    options = ["--isa", "scalar", "--threads", "1"]
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", script, "graph", index_path, "-o", tmp_path / "g.npz", *options],
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(follower)
        assert b"comparing" in read_terminal(leader, until=b"comparing")
        rest: list[bytes] = []
        reader = threading.Thread(target=lambda: rest.append(read_terminal(leader)))
        reader.start()
        time.sleep(0.2)  # from the bar to the first distances
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.read() == b""
        assert process.wait(timeout=120) == 130
        reader.join(timeout=120)
        os.close(leader)
    assert b"Traceback" not in b"".join(rest)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "closed",
    [*(pytest.param(one, marks=pytest.mark.slow) for one in (">&-", "2>&-")), ">/dev/full"],
)
@pytest.mark.parametrize("option", ["", pytest.param("--json", marks=pytest.mark.slow)])
def test_closed_or_full_streams(tmp_path: Path, index_path: Path, closed: str, option: str) -> None:
    out = tmp_path / "g.npz"
    line = f'exec "{sys.executable}" -m bitsift graph "{index_path}" -o "{out}" {option} {closed}'
    ended = subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in ended.stderr
    assert ended.returncode == (1 if "full" in closed else 0)
    assert len(arrays_of(out)["ids"]) == N
