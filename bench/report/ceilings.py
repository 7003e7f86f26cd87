# SPDX-License-Identifier: Apache-2.0
"""What the machine can do at most: read memory, and run a kernel's instructions on registers."""

from __future__ import annotations

import itertools
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift
import bitsift.core.native as native

from ..interleave import pace, take_turns
from .race import Ceiling
from .settings import Settings, has_ceilings

# More than any cache holds.
_MEMORY_BYTES = 512 * 1024 * 1024
_CEILING_SECONDS = 0.02
# The core's name of a kernel, and ours of its ceiling.
_KERNELS = {"batch": "popcount", "weighted_batch": "look-up", "product": "product"}


@dataclass(frozen=True)
class MeasuredCeiling:
    name: str
    level: str
    threads: int
    unit: str
    rates: list[float]

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


def reading(array: NDArray[Any], isa: str, threads: int) -> list[Ceiling]:
    """Read `array`, wherever it is: in memory, or in a cache if it fits."""
    if not has_ceilings():
        return []
    flat = array.reshape(-1).view(np.uint8)
    return [Ceiling("read", lambda: native.read_all(flat, isa, threads), flat.size, "B/s")]


def reading_rows(
    array: NDArray[Any], rows: NDArray[np.int64], isa: str, threads: int
) -> list[Ceiling]:
    """Read some rows of `array`, other ones at each call: `rows` has a row of them for each."""
    if not has_ceilings() or not hasattr(native, "read_rows"):
        return []
    array_bytes = array.view(np.uint8)
    turn = itertools.cycle(rows)
    return [
        Ceiling(
            "read",
            lambda: native.read_rows(array_bytes, next(turn), isa, threads),
            rows.shape[1] * array_bytes.shape[1],
            "B/s",
        )
    ]


def kernel_ceilings(isa: str, threads: int) -> list[Ceiling]:
    """Run the instructions that bound a batch: popcounts, look-ups and, by AMX, products."""
    if not has_ceilings():
        return []
    kernels = [kernel for kernel in _KERNELS if kernel != "product" or isa == "amx"]
    return [_kernel_ceiling(kernel, isa, threads) for kernel in kernels]


def of_machine(settings: Settings) -> list[MeasuredCeiling]:
    """Measure all ceilings in turn, with one thread and with all."""
    if not has_ceilings():
        return []
    memory = np.ones(_MEMORY_BYTES // (4 if settings.quick else 1), np.uint8)
    found: list[tuple[Ceiling, str, int]] = []
    for threads in sorted({1, settings.threads}):
        found += [(c, settings.isa, threads) for c in reading(memory, settings.isa, threads)]
        for level in reversed(bitsift.available_isas()):
            found += [(c, level, threads) for c in kernel_ceilings(level, threads)]
    calls = [ceiling.call for ceiling, _, _ in found]
    times = take_turns(calls, pace(0, *calls, least_rounds=settings.least_rounds))
    return [
        MeasuredCeiling(c.name, level, threads, c.unit, [c.work / t for t in seconds])
        for (c, level, threads), seconds in zip(found, times, strict=True)
    ]


def _kernel_ceiling(kernel: str, isa: str, threads: int) -> Ceiling:
    n = _iterations(kernel, isa)
    pairs = native.run_ceiling(kernel, n, isa, threads)
    return Ceiling(
        _KERNELS[kernel],
        lambda: native.run_ceiling(kernel, n, isa, threads),
        pairs,
        "bit pairs/s",
    )


def _iterations(kernel: str, isa: str) -> int:
    """Choose so many that waking the threads does not count."""
    n = 1000
    while True:
        begin = time.perf_counter()
        native.run_ceiling(kernel, n, isa, 1)
        seconds = time.perf_counter() - begin
        if seconds > _CEILING_SECONDS / 4:
            return max(1, round(n * _CEILING_SECONDS / seconds))
        n *= 4
