# SPDX-License-Identifier: Apache-2.0
"""The note in a folder that says who saves to it, as ``FORMAT.md`` describes it."""

from __future__ import annotations

import json
import os
import platform
import re
from datetime import UTC, datetime

from bitsift.core.errors import IndexFileError
from bitsift.core.handlers import call_raised, is_of_system
from bitsift.storage.descriptor import Descriptor, write_all
from bitsift.storage.folder import Folder
from bitsift.storage.manifest import LOCK_NOTE

__all__ = ["holder", "write_note"]

_MAX_NOTE_BYTES = 4096
_MAX_PID, _MAX_HOST_CHARACTERS = 2**32 - 1, 255
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def write_note(file: Descriptor) -> None:
    """Write the note of this process to a new file."""
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    note = {"pid": os.getpid(), "host": platform.node(), "since": since}
    write_all(file, memoryview(json.dumps(note).encode("ascii")))


def holder(folder: Folder) -> str:
    """Name the process that saves to a folder, as its note says, if there is a believable one."""
    try:
        with folder.open(LOCK_NOTE) as file:
            note = json.loads(os.read(file.number, _MAX_NOTE_BYTES))
        pid, host, since = note["pid"], note["host"], note["since"]
        if (
            (type(pid) is int and 0 < pid <= _MAX_PID)
            and (type(host) is str and len(host) <= _MAX_HOST_CHARACTERS)
            and _TIME.fullmatch(since)
            and datetime.fromisoformat(since)  # raises for dates that do not exist
            and (host != platform.node() or _is_alive(pid))
        ):
            return f"process {pid} on {host!a} (since {since})"
    except (OSError, IndexFileError, ValueError, TypeError, KeyError, RecursionError) as error:
        if not (is_of_system(error) or call_raised(error, "bitsift", "json")):
            raise
        # without a note, or with a damaged one
    return "another process"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 only asks
    except (OSError, OverflowError) as error:
        if not call_raised(error):
            raise
        return isinstance(error, PermissionError)  # another user's process
    return True
