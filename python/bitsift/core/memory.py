# SPDX-License-Identifier: Apache-2.0
"""Memory for rows that searches read from end to end."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["aligned_array", "aligned_empty", "bytes_to_align"]

_CACHE_LINE = 64
_LARGE_PAGE = 2 << 20
# From this size on, NumPy asks Linux for large pages, which begin at multiples of their size.
_LEAST_BYTES_OF_LARGE_PAGES = 4 << 20


def aligned_empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array like `numpy.empty` that begins with a cache line, or with a large page.

    NumPy's own begin 16 bytes behind one, so that every load of a kernel takes two lines.
    """
    return aligned_array(np.empty(bytes_to_align(shape, dtype), np.uint8), shape, dtype)


def bytes_to_align(shape: tuple[int, ...], dtype: DTypeLike) -> int:
    """Return how many bytes `aligned_array` needs."""
    n_bytes = _bytes_of(shape, dtype)
    return n_bytes + _alignment(n_bytes)


def aligned_array(
    memory: NDArray[np.uint8], shape: tuple[int, ...], dtype: DTypeLike
) -> NDArray[Any]:
    """Return the array that lies in the memory; like `aligned_empty`."""
    n_bytes = _bytes_of(shape, dtype)
    begin = -memory.ctypes.data % _alignment(n_bytes)
    return memory[begin : begin + n_bytes].view(dtype).reshape(shape)


def _bytes_of(shape: tuple[int, ...], dtype: DTypeLike) -> int:
    return math.prod(shape) * np.dtype(dtype).itemsize


def _alignment(n_bytes: int) -> int:
    return _LARGE_PAGE if n_bytes >= _LEAST_BYTES_OF_LARGE_PAGES else _CACHE_LINE
