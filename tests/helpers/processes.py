# SPDX-License-Identifier: Apache-2.0
"""Python programs that tests run beside each other."""

from __future__ import annotations

import subprocess
import sys


def start(script: str, *args: object) -> subprocess.Popen[str]:
    """Start a program; its warnings are errors."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a program that must succeed; return what it printed."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out
