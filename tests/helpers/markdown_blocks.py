# SPDX-License-Identifier: Apache-2.0
"""The code blocks of a Markdown page, run in the order they stand, as a reader pastes them.

It needs the standard library alone, so that it also runs where nothing is installed yet.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import importlib.metadata
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PIP = re.compile(r"^pip install (?P<arguments>[^#\n]*?)\s*(#.*)?$")
_RUN = {"sh", "python", "pycon"}
_SHOWN = {"", "text", "json"}
_DOCTEST_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A code block; `line` is the page's line on which its first line stands."""

    language: str
    text: str
    line: int


class BlockError(Exception):
    """A block did not run, or printed something else than it shows."""


def read_blocks(page: Path) -> list[Block]:
    """Return the blocks of a page that are meant to run, in order."""
    content = page.read_text(encoding="utf-8")
    blocks = []
    for match in _FENCED.finditer(content):
        language, text = match.groups()
        if language in _RUN:
            blocks.append(Block(language, text, content[: match.start(2)].count("\n") + 1))
        elif language not in _SHOWN:
            raise BlockError(f"{page}: blocks of {language!r} are neither run nor shown")
    return blocks


def run_page(page: Path, folder: Path, *, pip: bool = False) -> int:
    """Run all blocks of a page in `folder`, and return how many there were.

    Python blocks share their names, as in one session. Shell blocks find the command `bitsift`.
    With `pip`, lines that install are run; without it, what they install must be there already.
    """
    blocks = read_blocks(page)
    session = _Session(page, folder, pip=pip)
    with contextlib.chdir(folder):
        for block in blocks:
            session.run(block)
    return len(blocks)


class _Session:
    def __init__(self, page: Path, folder: Path, *, pip: bool) -> None:
        self._page, self._folder, self._pip = page, folder, pip
        self._names: dict[str, object] = {"__name__": "__main__"}

    def run(self, block: Block) -> None:
        if block.language == "sh":
            self._run_shell(block)
        elif block.language == "pycon":
            self._run_console(block)
        else:
            # Line numbers of a traceback are then those of the page.
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, str(self._page), "exec"), self._names)

    def _run_console(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(
            block.text, {}, self._page.name, str(self._page), block.line - 1
        )
        test.globs = self._names
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=_DOCTEST_FLAGS, verbose=False)
        if runner.run(test, out=report.append, clear_globs=False).failed:
            raise BlockError("".join(report))

    def _run_shell(self, block: Block) -> None:
        lines = []
        for line in block.text.splitlines():
            pip = None if self._pip else _PIP.match(line)
            if pip:
                check_installed(shlex.split(pip["arguments"]))
            else:
                lines.append(line)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(lines)],
            cwd=self._folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BlockError(
                f"{self._page}:{block.line}: exit code {done.returncode}\n{block.text}{done.stdout}"
            )
        importlib.invalidate_caches()  # pip may have installed what Python imports next

    def _environment(self) -> dict[str, str]:
        environment = os.environ | {"COLUMNS": "120", "NO_COLOR": "1"}
        path = [str(Path(sys.executable).parent)]
        if not self._pip:
            path.insert(0, str(self._make_command()))
            spec = importlib.util.find_spec("bitsift")
            assert spec is not None
            assert spec.origin is not None
            package = str(Path(spec.origin).parents[1])
            searched = environment.get("PYTHONPATH")
            environment["PYTHONPATH"] = f"{package}:{searched}" if searched else package
        environment["PATH"] = ":".join([*path, environment.get("PATH", os.defpath)])
        return environment

    def _make_command(self) -> Path:
        """Return a folder with a command `bitsift` that runs the package imported here."""
        folder = self._folder / ".commands"
        folder.mkdir(exist_ok=True)
        command = folder / "bitsift"
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m bitsift "$@"\n')
        command.chmod(0o755)
        return folder


def check_installed(targets: list[str]) -> None:
    """Check what a line `pip install TARGETS` names: this package, its extras, what they need."""
    if not targets:
        raise BlockError("pip install names nothing")
    for target in targets:
        named = re.fullmatch(r"(?:\.|bitsift)(?:\[([\w,]+)\])?", target)
        if not named:
            raise BlockError(f"pip install {target}: a page installs bitsift and its extras alone")
        for extra in (named[1] or "").split(","):
            missing = _missing_of(extra)
            if missing:
                raise BlockError(f"pip install {target}: not installed here: {missing}")


def _missing_of(extra: str) -> list[str]:
    """Return the requirements of an extra, or of the package itself, that are not installed."""
    # A requirement of the tests, which a plain run of a page with pip can do without.
    from packaging.requirements import Requirement  # noqa: PLC0415

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    if extra and extra not in extras:
        raise BlockError(f"pyproject.toml has no extra {extra!r}; it has {sorted(extras)}")
    missing = []
    for line in extras[extra] if extra else project["dependencies"]:
        requirement = Requirement(line)
        if requirement.name == project["name"]:
            for inner in requirement.extras:
                missing += _missing_of(inner)
            continue
        try:
            installed = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(line)
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            missing.append(f"{line} (version {installed} is)")
    return missing
