# SPDX-License-Identifier: Apache-2.0
"""Thresholds as a caller gives them, and as the compiled kernels compare values with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["as_thresholds", "kernel_thresholds"]


def as_thresholds(threshold: ArrayLike, dim: int) -> NDArray[Any]:
    """Return a finite number (no axis) or one for each dimension."""
    array = np.asarray(threshold)
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
        raise TypeError(f"threshold must be a real number or an array of them; got {threshold!r}")
    if array.shape not in ((), (dim,)):
        raise ValueError(
            f"threshold must be one number or have shape ({dim},), one for each dimension; "
            f"got shape {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError("threshold must be finite; got NaN or infinity")
    return array


def kernel_thresholds(threshold: ArrayLike, dim: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return one threshold a dimension in the type that the kernels compare `dtype` in.

    A comparison with a wider threshold is the same as one with that threshold rounded down: no
    value of the narrower type lies between.
    """
    array = as_thresholds(threshold, dim)
    if dtype.kind == "b":
        if (array < 0).any() or (array >= 1).any():
            raise ValueError("bool values need a threshold with 0 <= threshold < 1")
        return np.zeros(dim, np.float32)
    weak = type(threshold) in (int, float)  # not numpy.float64, which is a float as well
    common = dtype if weak else np.result_type(dtype, array.dtype)
    kernel = np.float64 if dtype == np.float64 else np.float32
    with np.errstate(over="ignore"):
        exact = array.astype(common).astype(np.float64)
        nearest: NDArray[Any] = exact.astype(kernel)
        down = np.where(nearest > exact, np.nextafter(nearest, kernel(-np.inf)), nearest)
    return np.ascontiguousarray(np.broadcast_to(down, (dim,)), dtype=kernel)
