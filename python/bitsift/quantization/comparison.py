# SPDX-License-Identifier: Apache-2.0
"""Thresholds of `pack` and `Binarizer`: checked, and rounded to what kernels compare with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.unreadable import shown

__all__ = ["as_thresholds", "kernel_thresholds"]


def as_thresholds(threshold: ArrayLike, dim: int) -> NDArray[Any]:
    """Return a threshold as an array: of no axis, or of one number for each dimension."""
    wanted = "be a real number or an array of them"
    array = arguments.plain_array(threshold, "threshold", wanted)
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
        raise TypeError(f"threshold must {wanted}; got {shown(threshold)}")
    if array.shape not in ((), (dim,)):
        raise ValueError(
            f"threshold must be one number, or have shape ({dim},): one for each dimension; "
            f"got shape {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError("threshold must be finite; got NaN or infinity")
    return array


def kernel_thresholds(threshold: ArrayLike, dim: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return one threshold for each dimension, in the type in which kernels compare `dtype`.

    Rounding a wider threshold down does not change a comparison: no value of the narrower type lies
    between the threshold and the rounded one.
    """
    array = as_thresholds(threshold, dim)
    if dtype.kind == "b":
        if (array < 0).any() or (array >= 1).any():
            raise ValueError("bool values need a threshold with 0 <= threshold < 1")
        return np.zeros(dim, np.float32)
    # NumPy compares a Python number in the type of the array. numpy.float64, a subclass of float,
    # is compared in the common type.
    is_python_number = type(threshold) in (int, float)
    common = dtype if is_python_number else np.result_type(dtype, array.dtype)
    kernel = np.float64 if dtype == np.float64 else np.float32
    exact = array.astype(common).astype(np.float64)
    nearest: NDArray[Any] = exact.astype(kernel)
    down = np.where(nearest > exact, np.nextafter(nearest, kernel(-np.inf)), nearest)
    return np.ascontiguousarray(np.broadcast_to(down, (dim,)), dtype=kernel)
