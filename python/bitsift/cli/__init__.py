# SPDX-License-Identifier: Apache-2.0
"""The command line (extra ``cli``).

Nothing outside this package imports it, so ``import bitsift`` needs numpy alone.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

__all__ = ["main"]

_EXTRA = {"click", "rich", "typer"}
_HINT = "bitsift: the command line needs typer and rich: pip install 'bitsift[cli]'"


def main() -> None:
    """Run the command line; without the extra, say how to install it and exit with 1."""
    # Closed by the caller: what a command prints there is lost, but the command runs.
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    try:
        _run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except OSError as error:  # standard output itself cannot be written
        print(f"bitsift: error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def _run() -> None:
    try:
        from bitsift.cli.app import app  # noqa: PLC0415 (its imports are the optional ones)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        print(_HINT, file=sys.stderr)
        raise SystemExit(1) from None
    for stream in (sys.stdout, sys.stderr):
        # A title that the terminal's encoding cannot show must not end the command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app(prog_name="bitsift")
