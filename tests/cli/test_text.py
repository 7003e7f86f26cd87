# SPDX-License-Identifier: Apache-2.0
"""Names and titles from elsewhere: shown literally on terminals, in pages and in pictures."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bitsift.cli.text import code_span, markdown_text, visible
from helpers.cli_runner import run, run_process

BYTES = b"\xff\x1b[31m<b>`x`"
NAME = os.fsdecode(BYTES)
SHOWN = r"\udcff\x1b[31m<b>`x`"
IN_MARKDOWN = r"\\udcff\\x1b\[31m\<b>\`x\`"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("é😀 \u200d漢", "é😀 \u200d漢"),
        ("a\tb\nc", "a\tb\nc"),
        ("\x00\x1b[2J\x7f\x9b", r"\x00\x1b[2J\x7f\x9b"),
        ("\u202egpj.exe\u2066\u2028", r"\u202egpj.exe\u2066\u2028"),
        ("\udcff\ud800", r"\udcff\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("my_papers 2.0 (x4 -> int8), 50 %", "my_papers 2.0 (x4 -> int8), 50 %"),
        ("<script>&lt;", r"\<script>\&lt;"),
        ("__init__ _a_ *b* ~~c~~ `d`", r"\_\_init\_\_ \_a\_ \*b\* \~\~c\~\~ \`d\`"),
        ("[a](b) | $x$ \\", r"\[a\](b) \| \$x\$ \\"),
        ("> a", r"\> a"),
        ("# a ##", r"\# a \#\#"),
        ("- a", r"\- a"),
        ("-", "-"),
        ("a\n\n## b\x1b", r"a ## b\\x1b"),
    ],
)
def test_markdown_shows_a_text_literally(text: str, shown: str) -> None:
    assert markdown_text(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a b", "`a b`"), ("a`b", "``a`b``"), ("`a", "`` `a ``"), ("a\n``b\x07", r"```a ``b\x07```")],
)
def test_a_code_span_ends_where_its_text_does(text: str, shown: str) -> None:
    assert code_span(text) == shown


@pytest.fixture
def strange(tmp_path: Path, vectors: NDArray[np.float32]) -> Path:
    path = tmp_path / f"{NAME}.npy"
    try:
        np.save(path, vectors)
    except OSError:
        pytest.skip("this file system has names in UTF-8 alone")
    return path


def test_a_name_that_is_not_utf_8_is_in_every_output(strange: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page, out, both = tmp_path / "e.md", tmp_path / "e.json", tmp_path / "both.md"
    picture = tmp_path / f"{NAME}.svg"
    quick = ["eval", strange, "--conditions", "quick"]
    shown = run(*quick, "--markdown", page, "-o", out, "--picture", picture)
    assert shown.exit_code == 0, shown.stderr
    assert shown.stdout.startswith(f"{SHOWN}\n")
    lines = page.read_text(encoding="utf-8").splitlines()
    assert f"## {IN_MARKDOWN}" in lines
    assert any(line.startswith(f"``bitsift eval '{SHOWN}.npy' --c") for line in lines)
    alt = "quality, RAM, disk, time of one query, oversampling"
    assert f"![{alt}](%FF%1B%5B31m%3Cb%3E%60x%60.svg)" in lines
    assert json.loads(out.read_text(encoding="utf-8"))["title"] == NAME
    assert picture.stat().st_size
    assert run(*quick, "--markdown", page, "--append").exit_code == 0
    shown = run("compare", out, "--markdown", both, "--title", NAME)
    assert shown.exit_code == 0, shown.stderr
    assert f"{SHOWN}, overlap@10" in shown.stdout
    lines = both.read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"## {IN_MARKDOWN}"
    assert any(line.startswith(f"|  | {IN_MARKDOWN}, overlap@10 |") for line in lines)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no locale C")
def test_a_terminal_without_utf_8(strange: Path, tmp_path: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    index = tmp_path / f"é{NAME}.index"
    for arguments in (
        ["build", strange, "-o", index],
        ["info", index],
        ["build", index, "-o", "u"],
    ):
        result = run_process(*arguments, env={**os.environ, **ascii_only})
        assert "Traceback" not in result.stderr
        assert SHOWN in result.stdout + result.stderr
