# SPDX-License-Identifier: Apache-2.0
"""Evenly spaced samples of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.interruptible import taken

__all__ = ["evenly", "evenly_spaced"]


def evenly_spaced(n_rows: int, n: int) -> NDArray[np.int64]:
    """Return at most `n` row numbers below `n_rows`, evenly spaced, the first and last included."""
    return np.linspace(0, n_rows - 1, min(n, n_rows)).astype(np.int64)


def evenly(array: NDArray[Any], n: int) -> NDArray[Any]:
    """Return at most `n` rows, evenly spaced."""
    if len(array) <= n:
        return array
    return taken(array, evenly_spaced(len(array), n))
