# SPDX-License-Identifier: Apache-2.0
"""How the vectors of an index become bits."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.quantization import bits

__all__ = ["Binarizer", "Packed", "random_flips"]

_ROUNDS = 3  # of a rotation; with one or two, some data keep their axes
# One of 25 that was tried: it found most on three judged text corpora, by two standard deviations
# (.006) of what seeds differ by.
_SEED = 24


class Packed(NamedTuple):
    """Rows as they came, but float32, as codes, and as they were compared with thresholds."""

    values: NDArray[Any]
    codes: NDArray[np.uint8]
    compared: NDArray[Any]

    def part(self, part: slice) -> Packed:
        """Return some of the rows."""
        return Packed(self.values[part], self.codes[part], self.compared[part])


class Binarizer:
    """Turns rows of `dim` values into codes: a bit is set where ``R (x - threshold)`` is positive.

    `R` is a rotation, or nothing: then a bit is set where float32(value) > threshold. The same for
    documents and queries, and whatever float type they come in.

    Attributes
    ----------
    dim : int
        Dimensions.
    threshold : float or ndarray of float32, shape (dim,)
        Where the signs change.
    flips : ndarray of float32, shape (n_flips, dim)
        The random signs, +1 and -1, that make up the rotation; no rows for none.
    normalized : bool
        Whether vectors are brought to length 1 before the threshold is subtracted.
    """

    def __init__(
        self,
        dim: int,
        threshold: ArrayLike,
        isa: str,
        *,
        flips: NDArray[np.float32] | None = None,
        normalized: bool = False,
    ) -> None:
        self.dim = dim
        self.threshold = _float32_threshold(threshold, dim)
        self.flips = np.empty((0, dim), np.float32) if flips is None else flips
        self.normalized = normalized
        self._isa = isa
        self._centre = _broadcast(self.threshold, dim)
        self._origin = np.zeros(dim, np.float32)
        # The kernels compare with thresholds where a vector's own values are what is compared.
        compared = self._origin if self._is_prepared else self.threshold
        self._thresholds = bits.kernel_thresholds(compared, dim, np.dtype(np.float32))

    @property
    def n_bytes(self) -> int:
        """Bytes of a code."""
        return (self.dim + 7) // 8

    @property
    def is_centred(self) -> bool:
        """Whether a threshold other than the number 0 is subtracted."""
        return isinstance(self.threshold, np.ndarray) or self.threshold != 0

    @property
    def is_rotated(self) -> bool:
        """Whether there is a rotation."""
        return len(self.flips) > 0

    @property
    def _is_prepared(self) -> bool:
        return self.is_rotated or self.normalized

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

    def pack(self, block: NDArray[Any], name: str, first_row: int, threads: int) -> Packed:
        """Return rows as float32 (bool as they are) and their codes."""
        if block.dtype == np.bool_:
            return Packed(block, native.pack(block, self._thresholds, self._isa, threads)[0], block)
        values = block
        if block.dtype != np.float32:
            with np.errstate(over="ignore"):
                values = block.astype(np.float32)
        compared, finite = values, True
        if self._is_prepared:
            compared, finite = self._prepared(values, self._centre, threads)
        if finite:
            codes, finite = native.pack(compared, self._thresholds, self._isa, threads)
        if not finite:
            arguments.refuse_non_finite(block, name, first_row)
            beyond = ~np.isfinite(values)
            what = "within float32's range"
            if not beyond.any():
                beyond, what = ~np.isfinite(compared), "smaller, to be rotated within float32"
            row, column = (int(i) for i in np.argwhere(beyond)[0])
            raise ValueError(
                f"{name} must be {what}; row {first_row + row}, dimension {column} is "
                f"{block[row, column]}"
            )
        return Packed(values, codes, compared)

    def relative(self, packed: Packed) -> NDArray[np.float64]:
        """Return rows whose signs are the bits: relative to the threshold, rotated."""
        if self._is_prepared:
            prepared: NDArray[np.float64] = packed.compared.astype(np.float64)
            return prepared
        difference: NDArray[np.float64] = np.subtract(
            packed.values, self.threshold, dtype=np.float64
        )
        return difference

    def rotated(self, packed: Packed, threads: int) -> NDArray[np.float64]:
        """Return rows in the same axes, relative to nothing."""
        values = packed.values
        if self._is_prepared:
            values = self._prepared(values, self._origin, threads)[0]
        return values.astype(np.float64)

    def relative_centre(self) -> NDArray[np.float32]:
        """Return the threshold in the axes that :meth:`relative` returns."""
        if not self.is_rotated:
            return self._centre
        centre: NDArray[np.float32] = native.centre_and_rotate(
            self._centre[np.newaxis], self._origin, self.flips, normalize=False, threads=1
        )[0][0]
        return centre

    def _prepared(
        self, values: NDArray[np.float32], centre: NDArray[np.float32], threads: int
    ) -> tuple[NDArray[np.float32], bool]:
        return native.centre_and_rotate(
            values, centre, self.flips, normalize=self.normalized, threads=threads
        )


def random_flips(dim: int) -> NDArray[np.float32]:
    """Return the signs of a random rotation of `dim` dimensions, the same ones always."""
    n = _ROUNDS * native.flips_per_round(dim)
    raw = np.random.PCG64(_SEED).random_raw(n * dim)  # its stream is the same in every NumPy
    return np.where(raw.reshape(n, dim) >> np.uint64(63), 1, -1).astype(np.float32)


def _broadcast(threshold: float | NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.broadcast_to(threshold, (dim,)), dtype=np.float32)


def _float32_threshold(threshold: ArrayLike, dim: int) -> float | NDArray[np.float32]:
    array = bits.as_thresholds(threshold, dim)
    with np.errstate(over="ignore"):
        rounded: NDArray[np.float32] = array.astype(np.float32)
    if not np.isfinite(rounded).all():
        raise ValueError("threshold must be within float32's range")
    if rounded.ndim == 0:
        return float(rounded)
    rounded.flags.writeable = False
    return rounded
