# SPDX-License-Identifier: Apache-2.0
"""The program ``bitsift``: it runs the command line, or says how to install it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path

from bitsift.core.floats import DefaultFloats

__all__ = ["main"]

_EXTRA = {"click", "rich", "typer"}
_HINT = "bitsift: the command line needs typer and rich: pip install 'bitsift[cli]'"


def main() -> None:
    """Run the command line; without the extra, say how to install it and exit with 1."""
    # Where the caller closed a stream, the command runs and its output is lost.
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    try:
        try:
            with DefaultFloats():
                _run()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except OSError as error:  # Standard output cannot be written.
        if not isinstance(error, BrokenPipeError):  # its reader has seen enough
            print(f"bitsift: error: {error}", file=sys.stderr)
        _drop_output()
        raise SystemExit(1) from None


def _drop_output() -> None:
    """Send what is left in the buffer of standard output nowhere.

    Python would write it at exit, fail once more, and exit with a status of its own.
    """
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _run() -> None:
    try:
        from bitsift.cli.app import app  # noqa: PLC0415 (it imports the optional packages)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:  # else one is not installed; a broken one shows itself
            raise
        print(_HINT, file=sys.stderr)
        raise SystemExit(1) from None
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal's encoding lacks must not end the command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app(prog_name="bitsift")
