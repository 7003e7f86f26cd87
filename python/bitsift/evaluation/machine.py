# SPDX-License-Identifier: Apache-2.0
"""The machine and the software that measurements were made with."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from bitsift.core.handlers import call_raised
from bitsift.core.threads import available_threads

__all__ = ["describe_machine"]


def describe_machine(isa: str, threads: int) -> dict[str, Any]:
    """Return processor, cores, threads, level and versions as plain values."""
    return {
        "processor": _processor(),
        "cores": _cores(),
        "threads": threads or available_threads(),
        "isa": isa,
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in ("bitsift", "numpy", "ir-measures")},
        },
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        if not call_raised(error, "pathlib"):
            raise
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(name: str) -> str | None:
    # Imported when used: `import bitsift` would take half as long again.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version(name)
    except PackageNotFoundError:
        return None
