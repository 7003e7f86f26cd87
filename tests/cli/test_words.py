# SPDX-License-Identifier: Apache-2.0
"""Messages of commands name options of the command, and nothing that only Python has."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift
from helpers.cli_runner import COMMAND, run
from helpers.cli_samples import saved

DIM = 32
PYTHON = re.compile(r"\b[a-z_]+=[\"'\[(0-9A-Za-z]|\bfit\(|\bTrue\b|\bFalse\b|\bNone\b|\bindex\.")
Files = Callable[[str], Path]


def centred(n: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((n, DIM), dtype=np.float32)


def far(n: int) -> NDArray[np.float32]:
    return 2 + centred(n)


def outlying(n: int) -> NDArray[np.float32]:
    rows = centred(n)
    rows[0] = 1e6
    rows[1] = -1e6
    return rows


def drifting(n: int) -> NDArray[np.float32]:
    """What a sample of few rows, the first and the last among them, does not tell."""
    rows = 100 * centred(n)
    rows[:: n - 1] /= 1000
    return rows


ARRAYS: dict[str, Callable[[], NDArray[Any]]] = {
    "vectors": lambda: centred(300),
    "far": lambda: far(400),
    "outlying": lambda: outlying(300),
    "drifting": lambda: drifting(400),
    "tiny": lambda: 1e-7 * centred(300),
    "few": lambda: centred(5),
    "one": lambda: centred(1),
    "queries": lambda: centred(3),
    "wide": lambda: np.ones((3, DIM + 8), np.float32),
    "huge": lambda: np.full((50, DIM), 1e300),
    "bits": lambda: np.ones((3, DIM // 8), np.uint8),
    "wide_bits": lambda: np.ones((3, DIM), np.uint8),
}
INDICES: dict[str, dict[str, Any]] = {
    "floats": {},
    "bare": {"store": None},
    "corrected": {"store": None, "correction": True, "scoring": "hamming"},
    "corrected_floats": {"correction": True, "scoring": "hamming"},
}


@pytest.fixture
def paths(tmp_path: Path) -> dict[object, Path]:
    made: dict[object, Path] = {name: tmp_path / f"{name}.npy" for name in ARRAYS}
    for name, make in ARRAYS.items():
        saved(made[name], make())
    for name, options in INDICES.items():
        index = bitsift.Index(DIM, **options)
        index.add(centred(300))
        index.save(tmp_path / name)
        made[name] = tmp_path / name
    return made | {"OUT": tmp_path / "out", "OUT.npz": tmp_path / "out.npz"}


# The arguments of a command, whether it fails, and what its line says.
TOLD: list[tuple[str, bool, str]] = [
    ("build few -o OUT --threshold auto", True, "give as many, and no smaller --sample, or a"),
    ("build vectors -o OUT --correction --threshold 0.1", True, "--correction with --metric cos"),
    ("build vectors -o OUT --threshold nan", True, "--threshold must be"),
    ("build huge -o OUT", True, "float32's range"),
    ("build one -o OUT --threshold mean", False, "--threshold mean fitted to 1 vector only; give"),
    ("build few -o OUT --store int8", False, "the bounds of --store int8 fitted to 5 vectors only"),
    ("build far -o OUT", False, "with --threshold "),
    ("build tiny -o OUT --store float16", False, "--store float16: 100% .* or use --store float32"),
    (
        "build outlying -o OUT --store int4",
        False,
        "--store int4: .* hardly differ: a larger --sample makes .* --store float16",
    ),
    (
        "build drifting -o OUT --store int8 --threshold mean --sample 2",
        False,
        "--store int8: .* clipped: a larger --sample makes bounds .* and --store float16 has none",
    ),
    ("build bits -o OUT --store none --dim 32 --rotate", False, "--rotate does nothing to bits"),
    ("build vectors -o OUT --scoring hamming --sample 5", False, "--sample does nothing"),
    ("search corrected queries", False, "With --scoring asymmetric, this search would use it"),
    ("search corrected_floats queries", False, "With --scoring hamming, this search does not warn"),
    ("search corrected bits", False, "With --scoring asymmetric, float queries would use it"),
    (
        "search floats queries --no-rescore --oversampling 4",
        False,
        "--oversampling 4 does nothing, because nothing is rescored: --no-rescore$",
    ),
    ("search bare queries --oversampling 2.5", False, "--oversampling 2.5 .*has no originals$"),
    ("search floats bits --oversampling 4", False, "--oversampling 4 .* the queries are bits$"),
    (
        "search bare queries --rescore",
        True,
        "--rescore needs float queries .* such as bitsift build --store float16, or search by "
        "--scoring asymmetric$",
    ),
    ("search floats bits --rescore", True, "--rescore needs .* give the float vectors$"),
    ("search floats bits --scoring asymmetric", True, "--scoring asymmetric needs float queries"),
    ("search floats bits --ladder asymmetric", True, "--ladder 'asymmetric': it needs float"),
    ("search floats queries --ladder hamming:4,float32:2", True, "its oversampling is 1"),
    ("search floats queries --ladder int8", True, "the first rung of ladder must be one of"),
    ("search floats queries --oversampling 0.5", True, "--oversampling must be"),
    ("search floats queries --threads 5000", True, "--threads must be 0 to 1024"),
    ("search floats queries --ladder hamming:0,float32", True, "'hamming' of ladder: oversampling"),
    ("search floats wide", True, "must have 32 values a row"),
    ("search floats wide_bits", True, "need an index of 256 dimensions$"),
    ("graph bare -o OUT.npz --isa sse9", True, "--isa must be one of"),
    ("graph bare -o OUT.npz --threads 5000", True, "--threads must be 0 to 1024"),
    ("advise few", True, "must be 20 or more; got 5"),
    ("advise huge", True, "float32's range"),
    ("advise vectors --threads 5000", True, "--threads must be 0 to 1024"),
    ("eval vectors --threads 5000", True, "--threads must be 0 to 1024"),
    ("eval vectors --price-per-gb -1", True, "--price-per-gb must be"),
    ("eval one", True, ""),
    ("info queries", True, "expected a folder"),
    ("verify queries", True, "expected a folder"),
]


@pytest.mark.parametrize(("words", "fails", "told"), TOLD, ids=[words for words, _, _ in TOLD])
def test_lines_name_options(paths: dict[object, Path], words: str, fails: bool, told: str) -> None:
    result = run(*(paths.get(word, word) for word in words.split()))
    assert result.exit_code == int(fails), result.output
    lines = result.stderr.splitlines()
    assert lines, "the command says nothing"
    assert any(re.search(told, line) for line in lines), lines
    for line in lines:
        text = line
        for path in sorted(map(str, paths.values()), key=len, reverse=True):
            text = text.replace(path, "PATH")
        assert not PYTHON.search(text), line
        if not text.startswith("bitsift: error: PATH"):
            command = COMMAND.commands[words.split(maxsplit=1)[0]]  # type: ignore[attr-defined]
            known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            own = re.sub(r"bitsift build --[a-z-]+", "", text)
            assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", own)) <= known, line


def test_a_path_is_not_rewritten(tmp_path: Path) -> None:
    name = "store='int8' rotate=True"
    for command in ("info", "verify"):
        assert f"{name}: there is nothing here" in run(command, tmp_path / name).stderr


PATH_NAMES = {
    *("vectors", "index", "queries", "qrels", "ids", "files", "threshold"),
    *("out", "markdown", "picture", "model", "texts"),
}
PATHS = [
    (name, param)
    for name, command in COMMAND.commands.items()  # type: ignore[attr-defined]
    for param in command.params
    if name != "plan"  # which has no files: its --vectors is a number
    and param.name in PATH_NAMES
]


@pytest.mark.parametrize("text", ["", "-"])
@pytest.mark.parametrize(("name", "param"), PATHS, ids=[f"{n} {p.name}" for n, p in PATHS])
def test_empty_paths_and_dashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, param: Any, text: str
) -> None:
    """An empty path is no current folder, and - is no file to write."""
    bitsift.Index(8).save(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    command = COMMAND.commands[name]  # type: ignore[attr-defined]
    words: list[str] = [name]
    for one in command.params:
        value = text if one is param else "any"
        if one is param or one.required:
            words += [one.opts[0], value] if one.opts[0].startswith("-") else [value]
    result = run(*words, *(["--force"] if "--force" in str(command.params) else []))
    is_output = param.name in ("out", "markdown", "picture")
    if text == "" or is_output:
        assert result.exit_code == 2, result.output
        wanted = "the path must not be empty; got ''" if text == "" else "must be a path; got '-'"
        assert wanted in " ".join(result.stderr.replace("│", " ").split())
    else:
        assert result.exit_code == 1
    assert sorted(tmp_path.iterdir()) == before


def test_there_are_paths() -> None:
    assert {name for name, _ in PATHS} == set(COMMAND.commands) - {"plan"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", ["search", "graph"])
def test_arrays_have_the_suffix_of_their_format(paths: dict[object, Path], command: str) -> None:
    out = paths["OUT"].with_suffix(".txt")
    words = [command, paths["floats"], *([paths["queries"]] if command == "search" else [])]
    result = run(*words, "-o", out)
    assert result.exit_code == 1
    assert "out.txt: the name must end in .npz; got '.txt'" in result.stderr
    assert not out.exists()
