# SPDX-License-Identifier: Apache-2.0
"""The processor time that Linux grants the process: quotas of control groups, versions 1 and 2."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from bitsift.core.handlers import is_of_system

__all__ = ["cpu_quota"]


def cpu_quota(proc: str = "/proc/self") -> int | None:
    """Return how many processors' time the process may use, rounded up; None without a quota.

    The smallest quota of the process's groups and of the groups that these are in. `proc` is the
    folder of the process. What cannot be read counts as no quota.
    """
    quotas = [quota for folder in _groups(proc) if (quota := _quota_of(folder)) is not None]
    return max(1, math.ceil(min(quotas))) if quotas else None


def _groups(proc: str) -> Iterator[str]:
    """Yield the folders of the groups that may hold a quota."""
    paths: dict[str, str] = {}  # by controller; "" is that of version 2
    for line in _lines(f"{proc}/cgroup"):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        paths.update(dict.fromkeys(controllers.split(","), path))
    for line in _lines(f"{proc}/mountinfo"):
        mount, _, filesystem = line.partition(" - ")
        root, mount_point = [*mount.split(" "), *[""] * 5][3:5]
        kind, _, options = [*filesystem.split(" ", 2), "", ""][:3]
        if kind == "cgroup2":
            group = paths.get("", "")
        elif kind == "cgroup" and "cpu" in options.split(","):
            group = paths.get("cpu", "")
        else:
            continue
        # In a container the mount may show other folders than those that the kernel names.
        root = _unescaped(root).rstrip("/")
        names = group[len(root) :].split("/") if f"{group}/".startswith(f"{root}/") else []
        names = [] if ".." in names else [name for name in names if name]
        for depth in range(len(names), -1, -1):
            yield "/".join([_unescaped(mount_point), *names[:depth]])


def _quota_of(folder: str) -> float | None:
    """Return the quota of one group in processors, or None."""
    words = " ".join(_lines(f"{folder}/cpu.max")).split()  # version 2: "max 100000"
    if not words:  # version 1: -1 for none
        words = [*_lines(f"{folder}/cpu.cfs_quota_us"), *_lines(f"{folder}/cpu.cfs_period_us")]
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        return None
    quota, period = map(int, words)
    return quota / period if quota > 0 and period > 0 else None


def _unescaped(path: str) -> str:
    """Return a path of ``mountinfo``, where spaces are octal numbers."""
    for character in " \t\n\\":
        path = path.replace(f"\\{ord(character):03o}", character)
    return path


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        if not is_of_system(error):
            raise
        return []
