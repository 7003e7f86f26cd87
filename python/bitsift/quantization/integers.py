# SPDX-License-Identifier: Apache-2.0
"""Layout of vectors that are stored as small integers.

A value is stored as a small signed integer `c`. It stands for ``base + step * c``; base and step
of a dimension follow from its bounds. The integers of a vector are packed in the order of its
dimensions: one, two or five to a byte. The compiled core encodes; this module decodes and checks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core.blocks import row_blocks
from bitsift.core.limits import LARGEST_FLOAT32

__all__ = ["DEFAULT_N_STD", "INTEGER_CODECS", "IntegerCodec"]

# Standard deviations on either side of the mean that lost least on text embeddings, by store. With
# few steps it pays to clip outliers; the other stores use minimum and maximum.
DEFAULT_N_STD = {"int4": 3.0, "ternary": 0.7}


@dataclass(frozen=True)
class IntegerCodec(ABC):
    """One way to store values as small integers.

    Attributes
    ----------
    name : str
        ``"int8"``, ``"uint8"``, ``"int4"`` or ``"ternary"``.
    dtype : numpy.dtype
        dtype of the stored rows: int8 or uint8.
    n_steps : int
        Number of different integers.

    Notes
    -----
    Callers check the arguments: `ranges` are float32, shape (2, dim), with lower < upper. Rows are
    processed a block at a time, which keeps temporary arrays small. Arithmetic is in float64.
    """

    name: str
    dtype: np.dtype[Any]
    n_steps: int

    @abstractmethod
    def n_columns(self, dim: int) -> int:
        """Return the number of bytes of a stored row."""

    @abstractmethod
    def affine(
        self, ranges: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return base and step, shape (dim,) each: integer `c` stands for ``base + step * c``."""

    @abstractmethod
    def unpack(self, stored: NDArray[Any], dim: int) -> NDArray[np.int8]:
        """Return the integers, shape (n, dim). Damaged rows give any integers."""

    @abstractmethod
    def check_stored(self, stored: NDArray[Any], dim: int, first_row: int = 0) -> str | None:
        """Describe the first stored row that no encoder writes; None if there is none.

        `first_row` is the number of the first of these rows.
        """

    def encode(
        self, values: NDArray[Any], ranges: NDArray[np.float32], threads: int = 0
    ) -> NDArray[Any]:
        """Return values as stored rows, shape (n, n_columns(dim)).

        Values are float16, float32 or float64, finite and within float32's range, with contiguous
        rows. float64 is not rounded to float32 first.
        """
        if values.dtype == np.float16:
            values = values.astype(np.float32)
        return native.encode_integers(values, ranges, self.name, threads).view(self.dtype)

    def decode(
        self, stored: NDArray[Any], ranges: NDArray[np.float32], dim: int
    ) -> NDArray[np.float32]:
        """Return the values that stored rows stand for, shape (n, dim), in float32's range."""
        base, step = self.affine(ranges)
        values = np.empty((len(stored), dim), np.float32)
        for begin, end in row_blocks(len(stored), dim):
            block = self.unpack(stored[begin:end], dim) * step
            block += base
            # A ternary integer can stand for a value beyond its bounds.
            values[begin:end] = np.clip(block, -LARGEST_FLOAT32, LARGEST_FLOAT32, out=block)
        return values


class _Linear(IntegerCodec):
    """Divide the range into `n_steps` equal steps; 0 is the middle; take the nearest integer.

    ``c = clip(rint(n_steps * (v - lower) / (upper - lower) - half), -half, half - 1)`` with
    ``half = n_steps / 2`` stands for ``lower + (c + half) * (upper - lower) / n_steps``.
    """

    def affine(
        self, ranges: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        lower, upper = ranges.astype(np.float64)
        return (lower + upper) / 2, (upper - lower) / self.n_steps


class _Int8(_Linear):
    """One integer a byte, in two's complement."""

    def n_columns(self, dim: int) -> int:
        return dim

    def unpack(self, stored: NDArray[Any], dim: int) -> NDArray[np.int8]:  # noqa: ARG002
        return stored

    def check_stored(self, stored: NDArray[Any], dim: int, first_row: int = 0) -> str | None:  # noqa: ARG002
        return None


class _Uint8(_Linear):
    """One integer a byte, plus 128."""

    def n_columns(self, dim: int) -> int:
        return dim

    def unpack(self, stored: NDArray[Any], dim: int) -> NDArray[np.int8]:  # noqa: ARG002
        codes: NDArray[np.int8] = (stored ^ np.uint8(0x80)).view(np.int8)
        return codes

    def check_stored(self, stored: NDArray[Any], dim: int, first_row: int = 0) -> str | None:  # noqa: ARG002
        return None


class _Int4(_Linear):
    """Two integers a byte, in two's complement: the first in the high nibble; pad nibbles are 0."""

    def n_columns(self, dim: int) -> int:
        return (dim + 1) // 2

    def unpack(self, stored: NDArray[Any], dim: int) -> NDArray[np.int8]:
        codes = np.empty((len(stored), dim), np.int8)
        # Shifting a signed byte to the right extends its sign.
        codes[:, ::2] = stored.view(np.int8) >> np.int8(4)
        low = stored[:, : dim // 2] << np.uint8(4)
        codes[:, 1::2] = low.view(np.int8) >> np.int8(4)
        return codes

    def check_stored(self, stored: NDArray[Any], dim: int, first_row: int = 0) -> str | None:
        if dim % 2 == 0:
            return None
        wrong = stored[:, -1] & np.uint8(0x0F) != 0
        if not wrong.any():
            return None
        return f"row {first_row + int(wrong.argmax())} has a pad nibble that is not zero"


_TRITS = 5
_TRIT_BYTES = 3**_TRITS
_PLACES = 3 ** np.arange(_TRITS - 1, -1, -1, dtype=np.uint8)
# The five integers of each byte. No encoder writes a byte above 242; it reads as 243 less.
_UNPACKED_BYTES = (np.arange(256)[:, np.newaxis] // _PLACES % 3 - 1).astype(np.int8)


class _Ternary(IntegerCodec):
    """-1 below the bounds, 0 within them, 1 above; they stand for values one range apart.

    Five integers a byte: the number in base 3 with the digits ``c + 1``, the first digit the most
    significant. Pad integers in the last byte are 0.
    """

    def n_columns(self, dim: int) -> int:
        return -(-dim // _TRITS)

    def affine(
        self, ranges: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        lower, upper = ranges.astype(np.float64)
        return (lower + upper) / 2, upper - lower

    def unpack(self, stored: NDArray[Any], dim: int) -> NDArray[np.int8]:
        n_codes = stored.shape[1] * _TRITS
        codes: NDArray[np.int8] = _UNPACKED_BYTES[stored].reshape(len(stored), n_codes)
        return codes[:, :dim]

    def check_stored(self, stored: NDArray[Any], dim: int, first_row: int = 0) -> str | None:
        wrong = (stored >= _TRIT_BYTES).any(axis=1)
        if wrong.any():
            row = int(wrong.argmax())
            largest = int(stored[row].max())
            return f"row {first_row + row} has the byte {largest}; five ternary codes give 0 to 242"
        n_pad = -dim % _TRITS
        pads = 3**n_pad
        wrong = stored[:, -1] % np.uint8(pads) != (pads - 1) // 2  # a 1 in each of their places
        if not wrong.any():
            return None
        return f"row {first_row + int(wrong.argmax())} has a pad code that is not zero"


INTEGER_CODECS: dict[str, IntegerCodec] = {
    "int8": _Int8("int8", np.dtype(np.int8), 256),
    "uint8": _Uint8("uint8", np.dtype(np.uint8), 256),
    "int4": _Int4("int4", np.dtype(np.uint8), 16),
    "ternary": _Ternary("ternary", np.dtype(np.uint8), 3),
}
