# SPDX-License-Identifier: Apache-2.0
"""From vectors to bits."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.core.arguments import Codes, Values
from bitsift.core.floats import in_default_floats
from bitsift.core.interruptible import interruptibly
from bitsift.quantization.comparison import as_thresholds, kernel_thresholds

__all__ = ["Binarizer", "EncodedBlock"]


class EncodedBlock(NamedTuple):
    """A block of vectors and their codes.

    Attributes
    ----------
    values : ndarray of float32 or bool, shape (n, dim)
        The vectors.
    codes : ndarray of uint8, shape (n, ceil(dim / 8))
        Their packed codes.
    compared : ndarray of float32 or bool, shape (n, dim)
        What the kernel compared: centred vectors where the binarizer rotates or normalizes, else
        `values`.
    """

    values: NDArray[Any]
    codes: NDArray[np.uint8]
    compared: NDArray[Any]

    def part(self, part: slice) -> EncodedBlock:
        """Return some of the rows."""
        return EncodedBlock(self.values[part], self.codes[part], self.compared[part])


class Binarizer:
    """Turns vectors into codes: a bit is set where ``R (x - threshold)`` is positive.

    `R` is a rotation. Without one, a bit is set where float32(value) > threshold. Documents and
    queries are treated alike, whatever their float type.

    Attributes
    ----------
    dim : int
        Dimensions.
    threshold : float or ndarray of float32, shape (dim,)
        What is subtracted from a vector, or what its values are compared with.
    isa : str
        Instruction set.
    flips : ndarray of float32, shape (n_flips, dim)
        The sign flips, +1 and -1, that define the rotation; no rows for none.
    normalized : bool
        Whether vectors are scaled to length 1 before the threshold is subtracted.
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
        self.isa = isa
        self.flips = np.empty((0, dim), np.float32) if flips is None else flips
        self.normalized = normalized
        self._centres = self.is_rotated or normalized
        self._zeros = np.zeros(dim, np.float32)
        self._threshold_row = np.ascontiguousarray(
            np.broadcast_to(self.threshold, (dim,)), dtype=np.float32
        )
        # The kernel compares a vector's own values with the threshold, but centred ones with 0.
        against = self._zeros if self._centres else self.threshold
        self._kernel_thresholds = kernel_thresholds(against, dim, np.dtype(np.float32))

    @property
    def n_bytes(self) -> int:
        """Bytes of a code."""
        return (self.dim + 7) // 8

    @property
    def is_centred(self) -> bool:
        """Whether the threshold is anything but the number 0."""
        return isinstance(self.threshold, np.ndarray) or self.threshold != 0

    @property
    def is_rotated(self) -> bool:
        """Whether there is a rotation."""
        return len(self.flips) > 0

    def differs_from(self, other: Binarizer) -> str | None:
        """Name what makes other codes of the same vectors; None if nothing does."""
        if self.normalized != other.normalized or not np.array_equal(
            self._threshold_row, other._threshold_row
        ):
            return "threshold"
        return None if np.array_equal(self.flips, other.flips) else "rotation"

    def arrays(self) -> dict[str, Any]:
        """Return what encodes a vector: the arguments of `native.OneQuerySearch`."""
        centring = None
        if self._centres:
            centring = self._threshold_row, self.flips, self.normalized
        return {"thresholds": self._kernel_thresholds, "centring": centring}

    def check_width(self, parsed: Codes | Values, name: str) -> None:
        """Raise unless rows have `dim` values, or codes of `dim` bits whose pad bits are zero."""
        n_columns = parsed.rows.shape[1]
        if isinstance(parsed, Values):
            arguments.check_n_values(n_columns, name, self.dim)
            return
        arguments.check_n_bytes(n_columns, name, self.dim, of_index=True)
        n_pad = 8 * self.n_bytes - self.dim
        if n_pad and interruptibly(len(parsed.rows), _any_bit, parsed.rows, (1 << n_pad) - 1):
            raise ValueError(
                f"the last {n_pad} bits of a row must be zero: the index has dim {self.dim}; "
                "codes are packed most significant bit first"
            )

    def encode(self, rows: NDArray[Any], name: str, first_row: int, threads: int) -> EncodedBlock:
        """Return rows of values with their codes.

        `first_row` is the number of the first row in the caller's array, for errors.
        """
        if rows.dtype.kind == "b":
            codes, _ = native.pack(rows, self._kernel_thresholds, self.isa, threads)
            return EncodedBlock(rows, codes, rows)
        values = rows
        if rows.dtype != np.float32:
            values = _as_float32(rows)
        compared = values
        if self._centres:
            compared = self._centre_and_rotate(values, self._threshold_row, threads)
        codes, finite = native.pack(compared, self._kernel_thresholds, self.isa, threads)
        if not finite:  # in the caller's rows, in float32, or only once centred and rotated
            arguments.narrow(rows, np.float32, name, first_row)
            wanted = "smaller, to be rotated within float32"
            arguments.refuse_where(~np.isfinite(compared), rows, name, wanted, first_row)
        return EncodedBlock(values, codes, compared)

    def centred_rows(self, block: EncodedBlock) -> NDArray[np.float64]:
        """Return the rows whose signs are the bits: the threshold subtracted, then rotated."""
        if self._centres:
            compared: NDArray[np.float64] = block.compared.astype(np.float64)
            return compared
        difference: NDArray[np.float64] = np.subtract(
            block.values, self.threshold, dtype=np.float64
        )
        return difference

    def rotated_rows(self, block: EncodedBlock, threads: int) -> NDArray[np.float64]:
        """Return the rows rotated, without the threshold subtracted."""
        values = block.values
        if self._centres:
            values = self._centre_and_rotate(values, self._zeros, threads)
        return values.astype(np.float64)

    def rotated_threshold(self) -> NDArray[np.float32]:
        """Return the threshold of each dimension, rotated: in the axes of :meth:`centred_rows`."""
        if not self.is_rotated:
            return self._threshold_row
        rotated: NDArray[np.float32] = native.centre_and_rotate(
            self._threshold_row[np.newaxis], self._zeros, self.flips, normalize=False, threads=1
        )[0][0]
        return rotated

    def _centre_and_rotate(
        self, values: NDArray[np.float32], threshold: NDArray[np.float32], threads: int
    ) -> NDArray[np.float32]:
        """Return rows centred and rotated; they may not be finite."""
        return native.centre_and_rotate(
            values, threshold, self.flips, normalize=self.normalized, threads=threads
        )[0]


def _any_bit(codes: NDArray[np.uint8], mask: int) -> bool:
    """Say whether the last byte of any row has one of the bits of a mask."""
    return bool((codes[:, -1] & mask).any())


@in_default_floats
def _as_float32(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Return values as float32; those beyond its range become infinite."""
    return rows.astype(np.float32)


def _float32_threshold(threshold: ArrayLike, dim: int) -> float | NDArray[np.float32]:
    array = as_thresholds(threshold, dim)
    rounded: NDArray[np.float32] = array.astype(np.float32)
    if not np.isfinite(rounded).all():
        raise ValueError("threshold must be within float32's range")
    if rounded.ndim == 0:
        return float(rounded)
    rounded.flags.writeable = False
    return rounded
