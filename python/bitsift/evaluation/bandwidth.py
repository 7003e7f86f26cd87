# SPDX-License-Identifier: Apache-2.0
"""How fast this machine reads its memory."""

from __future__ import annotations

import time

import numpy as np

import bitsift.core.native as native
from bitsift.core.isa import resolve_isa

__all__ = ["measure_bandwidth"]

# Larger than the caches of most processors: what is read comes from memory.
_N_BYTES = 1 << 28
# Other work can only slow a pass down, so the fastest of several is the machine's.
_PASSES = 5


def measure_bandwidth(threads: int) -> float:
    """Return the bytes a second that a loop reads that does nothing else: no scan is faster.

    `threads` is the number of threads; 0 means all. Takes 256 MiB, and a few tenths of a second.
    """
    isa = resolve_isa(None)
    array = np.ones(_N_BYTES, np.uint8)  # zeros would share one page of memory
    fastest = float("inf")
    for _ in range(_PASSES):
        start = time.perf_counter()
        native.read_all(array, isa, threads)
        fastest = min(fastest, time.perf_counter() - start)
    return _N_BYTES / fastest
