# SPDX-License-Identifier: Apache-2.0
"""CONTRIBUTING.md names files, sessions and commands that exist, and all of the sessions."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TICKED = set(re.findall(r"`([^`\n]+)`", PAGE))


def sessions() -> set[str]:
    """The functions of noxfile.py that are sessions."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {
        function.name
        for function in functions
        if any("nox.session" in ast.unparse(decorator) for decorator in function.decorator_list)
    }


def test_files_and_folders_exist():
    roots = (ROOT, ROOT / "python" / "bitsift")
    paths = {
        name for name in TICKED if re.fullmatch(r"[\w.-]+(/[\w.-]*)+|\w+\.(md|toml|json)", name)
    }
    assert len(paths) > 40
    assert {name for name in paths if not any((root / name).exists() for root in roots)} == set()


def test_scripts_of_commands_exist():
    scripts = set(re.findall(r"(?:python3?|bash) ([\w./]+/\w+(?:\.py)?)", PAGE))
    assert len(scripts) > 3
    assert {script for script in scripts if not (ROOT / script).is_file()} == set()


def test_every_session_is_named():
    assert set(re.findall(r"nox -s (\w+)", PAGE)) == sessions()


def test_ci_runs_every_session():
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    lists = re.findall(r'^\w+_lane="(.*)"$', ci, re.M)
    # The `pytest` of a new user, and the session of slow tests, run what these two do.
    others = {"tests", "docs"}
    assert sorted(" ".join(lists).split()) == sorted(sessions() - others)


def test_names_in_code_exist():
    """A recipe that names a function or a table sends nobody to look for what is not there."""
    words: set[str] = set()
    for folder in ("python", "cpp", "tests"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".pyi", ".cpp", ".hpp"}:
                words.update(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    names = {name for name in TICKED if re.fullmatch(r"\w+", name)}
    assert len(names) > 10
    assert names - words == set()
