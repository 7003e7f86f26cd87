# SPDX-License-Identifier: Apache-2.0
"""Check that pip says at once what is missing where there is no C++ compiler."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
N_LINES = 6
WANTED = ("bitsift needs a C++20 compiler, GCC", "none: CXX is no-such-compiler")


def main() -> int:
    """Let pip build a wheel with a compiler that is not there; 0 if it says so."""
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, str(ROOT)],
            env={**os.environ, "CXX": "no-such-compiler", "SKBUILD_BUILD_DIR": f"{folder}/build"},
            capture_output=True,
            text=True,
            check=False,
        )
    lines = (ended.stdout + ended.stderr).splitlines()
    (begin,) = [i for i, line in enumerate(lines) if re.search(r"\[\d+ lines of output\]", line)]
    first = "\n".join(lines[begin + 1 : begin + 1 + N_LINES])
    print(f"pip wheel ends with {ended.returncode} and says:\n{first}")
    return 0 if ended.returncode != 0 and all(text in first for text in WANTED) else 1


if __name__ == "__main__":
    sys.exit(main())
