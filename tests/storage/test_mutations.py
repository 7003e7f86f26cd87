# SPDX-License-Identifier: Apache-2.0
"""Mutated folders: a right result or an error of storage, in bounded time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).parents[1] / "tools" / "mutate_folders.py"


@pytest.mark.skipif(sys.platform != "linux", reason="needs FIFOs, holes and limits of memory")
@pytest.mark.parametrize(
    ("seed", "n"),
    [
        (0, 60),
        *(pytest.param(seed, 2500, marks=pytest.mark.slow) for seed in (1, 2)),
    ],
)
def test_mutated_folders(seed: int, n: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(FUZZER), str(seed), str(n)],
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    seen = json.loads(ended.stdout)
    assert sum(seen.values()) == n
    assert min(seen["read"], seen["mapped"], seen["refused"]) > 0
