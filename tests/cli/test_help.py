# SPDX-License-Identifier: Apache-2.0
"""Pages of help, and what is printed where a command is called in a wrong way."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

from bitsift.cli.console import progress_bar, spinner
from bitsift.cli.help import metavar
from bitsift.core.options import Metric, Scoring
from helpers.cli_runner import COMMAND, run

NAMES = list(COMMAND.commands)  # type: ignore[attr-defined]


def page(monkeypatch: pytest.MonkeyPatch, columns: int, *words: str) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    result = run(*words, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    lines: list[str] = result.stdout.splitlines()
    return lines


def left_column(lines: list[str]) -> list[str]:
    """What stands before the help of each argument, option and command."""
    return [re.split(" {2,}", line[2:])[0] for line in lines if re.match("  [^ ]", line)]


@pytest.mark.parametrize("columns", [20, 80, 120, 300])
@pytest.mark.parametrize("name", ["", *NAMES])
def test_a_page_fits_its_terminal(monkeypatch: pytest.MonkeyPatch, name: str, columns: int) -> None:
    lines = page(monkeypatch, columns, *[name] * bool(name))
    assert lines[0].startswith(f"Usage: bitsift {name}".rstrip())
    assert all(line == line.rstrip() for line in lines)
    # Names of packages and rungs are not divided, and columns of 40 are the least.
    assert max(map(len, lines)) <= min(max(columns, 70), 100)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_every_parameter(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    lines = page(monkeypatch, 80, name)
    words = " ".join(" ".join(lines).split())
    command = COMMAND.commands[name]  # type: ignore[attr-defined]
    shown = left_column(lines)
    for param in command.params:
        for option in (*param.opts, *param.secondary_opts):
            if option.startswith("-"):
                assert sum(option in re.split("[ ,]+", left) for left in shown) == 1
        assert " ".join(param.help.split()) in words
    (helped,) = (left for left in shown if "--help" in left)
    assert helped == "-h, --help"


def test_flags_are_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    search = left_column(page(monkeypatch, 80, "search"))
    for left in ("--rescore / --no-rescore", "--mmap / --no-mmap", "-f, --force", "--json"):
        assert left in search
    for left in ("-k N", "--oversampling NUMBER", "--ladder RUNG,...", "-o, --out FILE.npz"):
        assert left in search
    build = " ".join(" ".join(page(monkeypatch, 80, "build")).split())
    assert "Usage: bitsift build VECTORS.npy --out INDEX [OPTIONS]" in build
    assert "-o, --out INDEX Folder to write the index to. [needed]" in build
    assert "--metric cosine|dot|l2 Metric that rescoring computes. [default: cosine]" in build
    assert "[default: --no-rotate]" in build
    assert "bool" not in build


def test_what_stands_for_a_value() -> None:
    shown = [metavar(kind) for kind in (int, float | None, str, Metric, Scoring | None)]
    assert shown == ["N", "NUMBER", "TEXT", "cosine|dot|l2", metavar(Scoring)]


def test_without_a_command() -> None:
    alone, asked = run(), run("--help")
    assert (alone.exit_code, asked.exit_code) == (2, 0)
    assert alone.stdout == asked.stdout
    assert alone.stderr == ""


def test_a_wrong_call_says_how_and_what() -> None:
    lines = run("search", "x", "y.npy", "-k", "0").stderr.splitlines()
    assert lines[0] == "Usage: bitsift search INDEX QUERIES.npy [OPTIONS]"
    assert lines[1] == "bitsift search --help says more."
    assert lines[2].startswith("bitsift: error: Invalid value for '-k': ")
    assert len(lines) == 3
    assert "Did you mean 'search'?" in run("searchh").stderr
    wrong = run("build", "x", "-o", "y", "--metric", "no").stderr
    assert "'--metric': 'no' is not one of 'cosine', 'dot', 'l2'" in wrong


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["search", "x", "y.npy", "-k", "0"], "'-k': must be 1 or more; got '0'"),
        (["search", "x", "y.npy", "-k", f"{2**31}"], f"'-k': must be {2**31 - 1} or less; got "),
        (
            ["search", "x", "y.npy", "-k", "9" * 5000],
            "'-k': must be a whole number of fewer digits; g",
        ),
        (
            ["search", "x", "y.npy", "-k", "ten"],
            "'-k': must be a whole number, such as 10; got 'ten'",
        ),
        (
            ["search", "x", "y.npy", "-k", "1.5"],
            "'-k': must be a whole number, such as 10; got '1.5'",
        ),
        (
            ["plan", "--vectors", "10M", "--dim", "8"],
            "'--vectors': must be a number, such as 2.5 or 10e6; got '10M'",
        ),
        (
            ["plan", "--vectors", "10,000", "--dim", "8"],
            "'--vectors': must be a number, such as 2.5 or 10e6; got '10,000'",
        ),
    ],
)
def test_a_wrong_number_is_shown(words: list[str], reason: str) -> None:
    line = run(*words).stderr.splitlines()[-1]
    assert line.startswith(f"bitsift: error: Invalid value for {reason}")
    assert len(line) < 200


@pytest.mark.parametrize(
    "words",
    [
        ["\x1b[31mred"],
        ["search", "--\x1b[31mred"],
        ["search", "a", "b", "\x1b[31mred"],
        ["search", "a", "b", "-k", "\x1b[31mred"],
        ["search", "a", "b", "--scoring", "\x1b[31mred\u202e\n"],
        ["compare", "\x1b]0;title\x07", "--nothing"],
    ],
)
def test_a_terminal_obeys_no_argument(words: list[str]) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", result.stderr)
    assert result.stderr.count("\n") == 3


class Terminal:
    """Standard error that is a terminal, and remembers what is written to it."""

    def __init__(self) -> None:
        self.written = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.written += text
        return len(text)

    def flush(self) -> None:
        pass


def test_a_bar_begins_with_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    for term in ("xterm", "dumb"):
        monkeypatch.setenv("TERM", term)
        with progress_bar("working", 10):
            pass
        assert terminal.written == ""
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("working", 10) as update:
        update(5)
    assert "working" in terminal.written


@pytest.mark.parametrize(
    "words",
    [
        "advise floats --threads 5000",
        "build floats -o OUT --dim 7",
        "eval floats --threads 5000",
        "eval floats --price-per-gb -1",
        "graph index -o OUT --isa sse9",
        "graph index -o OUT.npz --threads 5000",
        "plan --vectors 2.5 --dim 8",
        "plan --vectors 2 --dim 8 --threads 5000",
        "search index floats --oversampling 0.5",
        "search index floats --ladder int8",
        "demo unprepared",
        "verify floats",
    ],
)
def test_no_bar_stands_before_the_refusal_of_an_argument(
    monkeypatch: pytest.MonkeyPatch, vectors_path: Any, index_path: Any, words: str
) -> None:
    shown: list[str] = []
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.setattr("rich.progress.Progress.start", lambda _: shown.append("bar"))
    monkeypatch.setattr("rich.console.Console.status", lambda *_: shown.append("spinner"))
    monkeypatch.setattr("bitsift.cli.console.stderr_console", _terminal_console)
    paths = {"floats": vectors_path, "index": index_path, "OUT": index_path.parent / "o"}
    paths["OUT.npz"] = index_path.parent / "o.npz"
    result = run(*(paths.get(word, word) for word in words.split()))
    assert result.exit_code == 1, result.output
    assert shown == []
    with pytest.raises(TypeError), spinner("it is seen"):
        pass
    assert shown == ["spinner"]


def _terminal_console() -> Any:
    from rich.console import Console  # noqa: PLC0415

    return Console(stderr=True, force_terminal=True)
