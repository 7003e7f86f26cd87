# SPDX-License-Identifier: Apache-2.0
"""The program: its entry points, help, pipes, terminals, and what it imports."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import os
import pty
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import bitsift
from bitsift.cli.app import app
from bitsift.cli.console import human_bytes, human_count, human_seconds
from helpers.cli_runner import COMMAND, run, run_process
from helpers.cli_samples import N


def test_version_and_help() -> None:
    assert run("--version").stdout == f"bitsift {bitsift.__version__}\n"
    for arguments in (["--help"], ["-h"]):
        text = run(*arguments).stdout
        for command in ("demo", "build", "search", "graph", "info", "add", "remove", "verify"):
            assert command in text
            assert run(command, "--help").exit_code == 0


@pytest.mark.slow
def test_help_is_the_same_without_docstrings() -> None:
    """``-OO`` strips docstrings, and compiles all that the program imports."""
    program = """
import json, sys
from click.testing import CliRunner
from typer.main import get_command
from bitsift.cli.app import app

command = get_command(app)
names = [[], *([name] for name in command.commands)]
runs = {" ".join(name): CliRunner().invoke(command, [*name, "--help"]) for name in names}
assert not any(run.exit_code for run in runs.values())
print(json.dumps({name: run.stdout for name, run in runs.items()}))
"""
    with_docstrings, without = (
        json.loads(
            subprocess.run(
                [sys.executable, *flags, "-c", program],
                capture_output=True,
                check=True,
                timeout=120,
            ).stdout
        )
        for flags in ([], ["-OO"])
    )
    assert len(with_docstrings) == 15
    assert without == with_docstrings


def test_the_help_of_a_command_is_its_docstring() -> None:
    """Given as such: ``-OO`` strips docstrings, from which typer would take it."""
    for command in app.registered_commands:
        assert command.callback is not None
        assert command.help == inspect.getdoc(command.callback)


@pytest.mark.parametrize(
    "command",
    [
        *("build", "search", "eval", "advise", "graph", "info", "add", "remove", "compact", "log"),
        "verify",
    ],
)
def test_help_describes_every_argument(command: str) -> None:
    """Typer before 0.26 loses these descriptions with a click from 8.5 on."""
    arguments = [p for p in COMMAND.commands[command].params if p.param_type_name == "argument"]
    assert arguments
    text = " ".join(run(command, "--help").stdout.replace("│", " ").split())
    for argument in arguments:
        assert " ".join(argument.help.split()[:3]) in text


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


@pytest.mark.parametrize("command", [[], pytest.param(["eval"], marks=pytest.mark.slow)])
def test_help_whose_reader_stops_early(command: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "bitsift", *command, "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=120) == 0


@pytest.mark.parametrize(
    "options", [["--show", "20"], pytest.param(["--json"], marks=pytest.mark.slow)]
)
def test_closed_pipe_is_quiet(index_path: Path, queries_path: Path, options: list[str]) -> None:
    arguments = ["search", index_path, queries_path, *options]
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
    captured = run("build", vectors_path, "-o", tmp_path / "captured")
    assert (captured.exit_code, captured.stderr) == (0, "")
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


@pytest.mark.parametrize("missing", ["typer", pytest.param("rich", marks=pytest.mark.slow)])
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


@pytest.mark.parametrize("broken", ["typer", pytest.param("rich", marks=pytest.mark.slow)])
def test_a_broken_extra_is_no_missing_one(tmp_path: Path, broken: str) -> None:
    package = tmp_path / broken
    package.mkdir()
    (package / "__init__.py").write_text(f"import {broken}.no_such_module", encoding="utf-8")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import bitsift.cli as c; c.main()"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 1
    assert f"No module named '{broken}.no_such_module'" in result.stderr
    assert "pip install" not in result.stderr


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
