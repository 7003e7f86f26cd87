# SPDX-License-Identifier: Apache-2.0
"""Samples of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.interruptible import taken

__all__ = ["evenly", "evenly_spaced", "scattered", "shuffled"]

_SEED = 1


def evenly_spaced(n_rows: int, n: int) -> NDArray[np.int64]:
    """Return at most `n` row numbers below `n_rows`, evenly spaced, the first and last included."""
    return np.linspace(0, n_rows - 1, min(n, n_rows)).astype(np.int64)


def evenly(array: NDArray[Any], n: int) -> NDArray[Any]:
    """Return at most `n` rows, evenly spaced."""
    if len(array) <= n:
        return array
    return taken(array, evenly_spaced(len(array), n))


def scattered(array: NDArray[Any], n: int) -> NDArray[Any]:
    """Return at most `n` rows, one at an irregular place in each of `n` equal parts.

    The places depend on the number of rows alone. Evenly spaced rows of data with a period can all
    be alike; these cannot.
    """
    if len(array) <= n:
        return array
    numbers = np.arange(n + 1, dtype=np.int64)
    edges = numbers * len(array) // n
    # Multiples of the golden ratio, modulo 1, in units of 2**-32: equally dense everywhere, and
    # without a period of their own. The width of a part may have 31 bits.
    places = numbers[:-1] * 0x9E3779B9 & 0xFFFFFFFF
    return taken(array, edges[:-1] + (places * np.diff(edges) >> 32))


def shuffled(n: int) -> NDArray[np.int64]:
    """Return the numbers 0 to n - 1 in an irregular order, which depends on `n` alone."""
    raw = np.random.PCG64(_SEED).random_raw(n)  # this stream is the same in every NumPy
    return np.argsort(raw, kind="stable").astype(np.int64)
