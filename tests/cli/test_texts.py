# SPDX-License-Identifier: Apache-2.0
"""``bitsift search --texts``: what was found, in words."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

import bitsift
from bitsift.cli.commands.search import SearchReport, print_report
from bitsift.cli.failure import InputError
from bitsift.cli.files.texts import Texts
from helpers.cli_runner import check_failure, run, run_json
from helpers.cli_samples import N

LINES = [f"text {i}" for i in range(N)]


def write(path: Path, lines: list[str], end: str = "\n") -> Path:
    path.write_bytes("".join(f"{line}{end}" for line in lines).encode("utf-8"))
    return path


@pytest.fixture
def texts_path(tmp_path: Path) -> Path:
    return write(tmp_path / "texts.txt", LINES)


def test_json_has_the_texts(index_path: Path, queries_path: Path, texts_path: Path) -> None:
    found = run_json("search", index_path, queries_path, "-k", 3, "--texts", texts_path)
    plain = run_json("search", index_path, queries_path, "-k", 3)
    for row, without in zip(found["results"], plain["results"], strict=True):
        assert row.pop("texts") == [LINES[i] for i in row["ids"]]
        assert row == without


def test_the_table_has_the_texts(index_path: Path, queries_path: Path, texts_path: Path) -> None:
    result = run("search", index_path, queries_path, "-k", 2, "--show", 3, "--texts", texts_path)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["query", "rank", "id", "cosine", "text"]
    for line in lines[2:8]:
        cells = line.split()
        assert cells[4:] == ["text", cells[2]]


def test_lines_are_those_of_rows_and_not_of_ids(
    tmp_path: Path, vectors_path: Path, queries_path: Path, texts_path: Path
) -> None:
    """The line is that of the row, whatever the id."""
    ids = np.random.default_rng(0).permutation(N) * 10**15
    np.save(tmp_path / "ids.npy", ids)
    index = tmp_path / "own.index"
    run_json("build", vectors_path, "-o", index, "--ids", tmp_path / "ids.npy")
    found = run_json("search", index, queries_path, "-k", 3, "--texts", texts_path)
    row_of = {one: row for row, one in enumerate(ids.tolist())}
    for row in found["results"]:
        assert row["texts"] == [LINES[row_of[one]] for one in row["ids"]]


def test_json_lines(tmp_path: Path, index_path: Path, queries_path: Path, texts_path: Path) -> None:
    records = [json.dumps({"id": "any", "text": line}) for line in LINES]
    path = write(tmp_path / "texts.jsonl", records)
    search: list[object] = ["search", index_path, queries_path, "--texts"]
    assert run_json(*search, path) == run_json(*search, texts_path)


@pytest.mark.parametrize("n", [1, N - 1, N + 1])
def test_another_number_of_lines(
    tmp_path: Path, index_path: Path, queries_path: Path, n: int
) -> None:
    path = write(tmp_path / "few.txt", [*LINES, "one more"][:n])
    told = f"few.txt: the file must have {N} lines, one for each vector of the index; got {n}"
    check_failure(["search", index_path, queries_path, "--texts", path], "InputError", [told])


def test_bad_files(tmp_path: Path, index_path: Path, queries_path: Path) -> None:
    search: list[object] = ["search", index_path, queries_path, "--texts"]
    check_failure([*search, tmp_path / "none"], "InputError", ["none: no such file"])
    check_failure([*search, tmp_path], "InputError", ["must be a text file; got a folder"])
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\n" * N)
    check_failure([*search, binary], "InputError", ["binary.txt: line 1 must be text in UTF-8"])
    for line, got in (
        ("{}", "got {}"),
        ("[1]", "got [1]"),
        ("plain", "Expecting value"),
        ('{"text": 1}', "got {'text': 1}"),
        ("[" * 100_000, "line 1 must be a JSON object such as"),
    ):
        path = write(tmp_path / "wrong.jsonl", [line] * N)
        fragments = ['wrong.jsonl: line 1 must be a JSON object such as {"text": "..."}', got]
        check_failure([*search, path], "InputError", fragments)


IDS = np.arange(4)


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"a\nb\nc\nd\n", ["a", "b", "c", "d"]),
        (b"a\nb\nc\nd", ["a", "b", "c", "d"]),
        (b"a\r\nb\r\n\r\nd\r\n", ["a", "b", "", "d"]),
        (b"\n\n\n\n", ["", "", "", ""]),
        (b"\xef\xbb\xbfa\nb\nc\n\xef\xbb\xbfd\n", ["a", "b", "c", "\ufeffd"]),
        ("ä\u2028ö\nb\x0bb\nc\x85\nd\n".encode(), ["ä\u2028ö", "b\x0bb", "c\x85", "d"]),
    ],
)
def test_what_a_line_is(tmp_path: Path, data: bytes, wanted: list[str]) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(data)
    texts = Texts(path, IDS)
    assert texts.of([3, 1, -1, 1, 0, 2]) == dict(enumerate(wanted))
    assert texts.of([]) == texts.of([-1]) == {}


def test_lines_that_cross_the_pieces_in_which_a_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bitsift.cli.files.texts._CHUNK_BYTES", 5)
    path = write(tmp_path / "x.txt", ["", "1234", "12345", "1" * 23])
    assert list(Texts(path, IDS).of(IDS).values()) == ["", "1234", "12345", "1" * 23]
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"must have 4 lines, .* got 0"):
        Texts(path, IDS)
    assert Texts(path, IDS[:0]).of([-1]) == {}


def shown(texts: Texts, ids: NDArray[np.int64], width: int, *, terminal: bool) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    scores = np.linspace(0, 1, ids.size).reshape(ids.shape)
    print_report(SearchReport(scores, ids, "cosine", len(IDS), texts), console, 5)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_shows_one_line_of_each(tmp_path: Path, width: int) -> None:
    long = "word " * 100
    wide = "\u4e00" * 200
    path = write(tmp_path / "x.txt", [long, "\x1b[31mred\x07\u202e", " many\t \x0b blanks ", wide])
    lines = shown(Texts(path, IDS), IDS[None], width, terminal=True)
    assert len(lines) == 2 + 4
    assert all(Console().render_str(line).cell_len <= width for line in lines)
    assert lines[2].split()[4:8] == ["word"] * 4
    assert lines[2].rstrip().endswith("\N{HORIZONTAL ELLIPSIS}")
    assert lines[3].rstrip().endswith(r"\x1b[31mred\x07\u202e")
    assert lines[4].rstrip().endswith("many blanks")
    assert "\u4e00\u4e00" in lines[5]


def test_a_pipe_shows_whole_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "x.txt", ["word " * 100, "b", "c", "d"])
    lines = shown(Texts(path, IDS), IDS[None], 10_000, terminal=False)
    assert lines[2].split()[4:] == ["word"] * 100
    missing = np.array([[1, -1], [-1, -1]])
    assert [
        line.split()[2:] for line in shown(Texts(path, IDS), missing, 80, terminal=True)[2:]
    ] == [["1", "0.000000", "b"]]


def test_texts_of_an_empty_search(tmp_path: Path, index_path: Path, texts_path: Path) -> None:
    dim = bitsift.Index.load(index_path).dim
    np.save(tmp_path / "none.npy", np.empty((0, dim), np.float32))
    found = run_json("search", index_path, tmp_path / "none.npy", "--texts", texts_path)
    assert found["results"] == []
    assert run("search", index_path, tmp_path / "none.npy", "--texts", texts_path).exit_code == 0
