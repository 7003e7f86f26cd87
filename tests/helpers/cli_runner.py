# SPDX-License-Identifier: Apache-2.0
"""Ways to run the command line in tests."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import typer
from click.testing import CliRunner

from bitsift.cli.app import app

# Typer would build it anew for each run, which takes longer than most commands.
COMMAND = typer.main.get_command(app)


def run(*arguments: object) -> Any:
    """Run a command in this process."""
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(COMMAND, words, prog_name="bitsift")


def run_json(*arguments: object) -> dict[str, Any]:
    """Run a command with --json that must succeed and print one JSON object only."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    parsed = json.loads(result.stdout)
    assert isinstance(parsed, dict)
    return parsed


def run_process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``python -m bitsift`` with its output in pipes."""
    return subprocess.run(
        [sys.executable, "-m", "bitsift", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )


def check_failure(arguments: list[object], kind: str, fragments: list[str]) -> None:
    """Exit code 1; one line on stderr, or one JSON object on stdout; no traceback."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("bitsift: error: ")
    assert result.stderr.count("\n") == 1
    for fragment in fragments:
        assert fragment in result.stderr
    as_json = run(*arguments, "--json")
    assert (as_json.exit_code, as_json.stderr) == (1, "")
    error = json.loads(as_json.stdout)["error"]
    assert error == {"type": kind, "message": error["message"]}
    assert f"bitsift: error: {error['message']}\n" == result.stderr
