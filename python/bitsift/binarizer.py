# SPDX-License-Identifier: Apache-2.0
"""How the vectors of an index become bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift import _core, arguments, packing

__all__ = ["Binarizer"]


class Binarizer:
    """Turns rows of `dim` values into codes: a bit is set where float32(value) > threshold.

    The same for documents and queries, and whatever float type they come in.
    """

    def __init__(self, dim: int, threshold: ArrayLike, isa: str) -> None:
        self.dim = dim
        self.threshold = _float32_threshold(threshold, dim)
        self._thresholds = packing.kernel_thresholds(self.threshold, dim, np.dtype(np.float32))
        self._isa = isa

    @property
    def n_bytes(self) -> int:
        """Bytes of a code."""
        return (self.dim + 7) // 8

    def check_codes(self, array: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return packed codes that fit, rows contiguous."""
        if array.shape[-1] != self.n_bytes:
            raise ValueError(
                f"got {array.shape[-1]} bytes = {array.shape[-1] * 8} bits per row; "
                f"the index has dim {self.dim}"
            )
        n_pad = 8 * self.n_bytes - self.dim
        if n_pad and (array[..., -1] & ((1 << n_pad) - 1)).any():
            raise ValueError(
                f"the last {n_pad} bits of a row must be zero: the index has dim {self.dim}; "
                "codes are packed most significant bit first"
            )
        return arguments.rows_in_place(array)

    def check_values(self, array: NDArray[Any], name: str) -> NDArray[Any]:
        """Return values that fit, rows contiguous."""
        array = arguments.as_values(array, name)
        if array.shape[-1] != self.dim:
            raise ValueError(f"got {array.shape[-1]} values per row; the index has dim {self.dim}")
        return array

    def pack(
        self, block: NDArray[Any], name: str, first_row: int, threads: int
    ) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Return rows as float32 (bool as they are) and their codes."""
        values = block
        if block.dtype not in (np.float32, np.bool_):
            with np.errstate(over="ignore"):
                values = block.astype(np.float32)
        codes, finite = _core.pack(values, self._thresholds, self._isa, threads)
        if not finite:
            arguments.refuse_non_finite(block, name, first_row)
            row, column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
            raise ValueError(
                f"{name} must be within float32's range; row {first_row + row}, dimension "
                f"{column} is {block[row, column]}"
            )
        return values, codes


def _float32_threshold(threshold: ArrayLike, dim: int) -> float | NDArray[np.float32]:
    array = packing.as_thresholds(threshold, dim)
    with np.errstate(over="ignore"):
        rounded: NDArray[np.float32] = array.astype(np.float32)
    if not np.isfinite(rounded).all():
        raise ValueError("threshold must be within float32's range")
    if rounded.ndim == 0:
        return float(rounded)
    rounded.flags.writeable = False
    return rounded
