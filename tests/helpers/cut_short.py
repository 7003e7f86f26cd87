# SPDX-License-Identifier: Apache-2.0
"""A process that cuts saves and commits short: its child crashes or is interrupted at a line.

Each save needs a process of its own to end. This one is small, so that it forks in a fraction of
the time that the process of the tests would need.
"""

from __future__ import annotations

import json
import linecache
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import bitsift
from bitsift import storage
from bitsift.storage import writer
from bitsift.storage.contents import Contents
from helpers.storage_samples import sample

OLD = sample(5, seed=1)
NEW = sample(6, seed=2)
# The same files in fewer lines, for what is tried at every one of them.
SMALL = sample(2, 8, store=None, ids="automatic", threshold="number", seed=3)
CONTENTS = {"new": NEW, "small": SMALL}
VECTORS = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)

COMPLETED, CRASHED, INTERRUPTED = 0, 77, 78
WRITER_FILES = {str(path) for path in Path(storage.__file__).parent.glob("*.py")}


class SaveCutter:
    """Starts the process and sends it requests."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "helpers.cut_short"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> SaveCutter:
        return self

    def __exit__(self, *raised: object) -> None:
        self._process.communicate()

    def __call__(self, n: int, path: Path, contents: str, *, status: int) -> int:
        """Save these contents; cut it short at the n-th line so that the child has this status.

        Returns the status that the child had.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([n, str(path), contents, status]), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


def main() -> None:
    """Serve the requests on standard input."""
    # Written data outlive the process, if not the machine.
    os.fsync = lambda fd: None
    for line in sys.stdin:
        n, path, contents, status = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(_cut(n, path, contents, status))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def change(index: bitsift.Index) -> None:
    """Change an opened index of 8 dimensions, with ids below 30, in every way."""
    index.add(VECTORS[30:32])
    index.upsert(VECTORS[32:35], ids=[3, 1000, 4])
    index.remove([5, 6])


def _cut(n: int, path: str, what: str, status: int) -> int:
    if what in CONTENTS:
        return save(n, path, CONTENTS[what], status)
    index = bitsift.Index.open(path, "a", keep_generations=2)
    if what == "commit":
        change(index)
    call = {"commit": index.commit, "compact": index.compact}[what]
    return cut(n, call, status)


def save(n: int, path: str, contents: Contents, status: int) -> int:
    """Save, and give the status to end with, or end at the n-th line."""
    return cut(n, lambda: writer.write(path, contents), status)


def cut(n: int, action: Callable[[], object], status: int) -> int:
    """Act, and give the status to end with, or end at the n-th line."""

    def happens() -> None:
        if status == CRASHED:
            os._exit(CRASHED)
        raise KeyboardInterrupt

    try:
        at_line(n, happens, action)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException:
        traceback.print_exc()
        return 1
    return COMPLETED


def at_line(n: int, happens: Callable[[], None], action: Callable[[], object]) -> None:
    """Act, and call `happens` before the n-th line of the writer.

    Python traces the line of a ``with`` once more at the end of its block. That does not count: no
    signal is handled between the block and the call of ``__exit__``.
    """
    count = 0
    entered: set[tuple[FrameType, int]] = set()

    def is_end_of_with(frame: FrameType) -> bool:
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        if not line.lstrip().startswith("with "):
            return False
        entered.symmetric_difference_update({(frame, frame.f_lineno)})
        return (frame, frame.f_lineno) not in entered

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        if event == "line" and not is_end_of_with(frame):
            count += 1
            if count == n:
                happens()
        return local

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        return local if frame.f_code.co_filename in WRITER_FILES else None

    before = sys.gettrace()  # that of a measurement of coverage
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
        entered.clear()  # the frames hold what they opened


if __name__ == "__main__":
    main()
