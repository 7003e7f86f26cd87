# SPDX-License-Identifier: Apache-2.0
"""Times, numbers and the machine in print."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def duration(seconds: float) -> str:
    """Format three digits of a time with the unit that fits.

    >>> duration(0.0123456)
    '12.3 ms'
    """
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{three_digits(seconds * scale)} {unit}"
    return f"{three_digits(seconds * 1e6)} µs"


def three_digits(x: float) -> str:
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def machine() -> str:
    """Describe the processor, without the name of the machine."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"
