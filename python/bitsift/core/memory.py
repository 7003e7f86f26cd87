# SPDX-License-Identifier: Apache-2.0
"""Memory for rows that searches read from end to end."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["aligned_empty"]

_CACHE_LINE = 64
_LARGE_PAGE = 2 << 20
# From this size on, NumPy asks Linux for large pages, which begin at multiples of their size.
_LEAST_BYTES_OF_LARGE_PAGES = 4 << 20


def aligned_empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[np.generic]:
    """Return an array like `numpy.empty` that begins with a cache line, or with a large page.

    NumPy's own begin 16 bytes behind one, so that every load of a kernel takes two lines.
    """
    dtype = np.dtype(dtype)
    n_bytes = math.prod(shape) * dtype.itemsize
    large = n_bytes >= _LEAST_BYTES_OF_LARGE_PAGES
    alignment = _LARGE_PAGE if large else _CACHE_LINE
    memory = np.empty(n_bytes + alignment, np.uint8)
    begin = -memory.ctypes.data % alignment
    return memory[begin : begin + n_bytes].view(dtype).reshape(shape)
