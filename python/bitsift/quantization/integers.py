# SPDX-License-Identifier: Apache-2.0
"""How originals are kept as small integers: values to codes to bytes, and back.

A code `c` is a small signed integer; the value that it stands for is ``base + step * c``, with a
base and a step for each dimension that follow from its bounds. In the order of the dimensions,
codes are laid out in bytes: one, two or five of them a byte.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.blocks import row_blocks
from bitsift.core.limits import LARGEST_FLOAT32

__all__ = ["PRECISIONS", "Precision"]


@dataclass(frozen=True)
class Precision(ABC):
    """One way to keep a value as a small integer.

    Attributes
    ----------
    name : str
        ``"int8"``, ``"uint8"``, ``"int4"`` or ``"ternary"``.
    dtype : numpy.dtype
        Of what is stored: int8 or uint8.
    levels : int
        Number of codes.

    Notes
    -----
    Arguments are checked before they come here: `values` are finite floats within float32's range,
    shape (n, dim), and `ranges` float32, shape (2, dim), with lower < upper. Rows are worked on a
    block at a time, so temporary arrays stay small. Arithmetic is in float64.
    """

    name: str
    dtype: np.dtype[Any]
    levels: int

    @abstractmethod
    def n_columns(self, dim: int) -> int:
        """Return the bytes of a row."""

    @abstractmethod
    def affine(
        self, ranges: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return base and step, each of shape (dim,): a code stands for ``base + step * code``."""

    @abstractmethod
    def pack(self, codes: NDArray[np.int8]) -> NDArray[Any]:
        """Lay out codes, shape (n, dim), as they are stored, shape (n, n_columns(dim))."""

    @abstractmethod
    def unpack(self, stored: NDArray[Any], dim: int) -> NDArray[np.int8]:
        """Return the codes, shape (n, dim); what :meth:`pack` did not make gives any codes."""

    @abstractmethod
    def check_stored(self, stored: NDArray[Any], dim: int, first_row: int = 0) -> str | None:
        """Say what is wrong with one of the stored rows, the first of which has that number.

        None if :meth:`pack` could have made them.
        """

    @abstractmethod
    def _codes_of(
        self, block: NDArray[Any], ranges: NDArray[np.float32], out: NDArray[np.int8]
    ) -> None:
        """Write the codes of a block of values into `out`."""

    def quantize(self, values: NDArray[Any], ranges: NDArray[np.float32]) -> NDArray[np.int8]:
        """Return the code of each value, the nearest within the bounds; same shape."""
        codes = np.empty(values.shape, np.int8)
        for begin, end in row_blocks(*values.shape):
            self._codes_of(values[begin:end], ranges, codes[begin:end])
        return codes

    def encode(self, values: NDArray[Any], ranges: NDArray[np.float32]) -> NDArray[Any]:
        """Return values as they are stored: ``pack(quantize(values, ranges))``."""
        n, dim = values.shape
        stored = np.empty((n, self.n_columns(dim)), self.dtype)
        for begin, end in row_blocks(n, dim):
            stored[begin:end] = self.pack(self.quantize(values[begin:end], ranges))
        return stored

    def decode(
        self, stored: NDArray[Any], ranges: NDArray[np.float32], dim: int
    ) -> NDArray[np.float32]:
        """Return the values that stored codes stand for, shape (n, dim), in float32's range."""
        base, step = self.affine(ranges)
        values = np.empty((len(stored), dim), np.float32)
        for begin, end in row_blocks(len(stored), dim):
            block = self.unpack(stored[begin:end], dim) * step
            block += base
            # A ternary code may stand for more than its bounds.
            values[begin:end] = np.clip(block, -LARGEST_FLOAT32, LARGEST_FLOAT32, out=block)
        return values


class _Linear(Precision):
    """The range in `levels` equal steps, the code 0 in its middle; the code nearest to a value.

    ``clip(rint(levels * (v - lower) / (upper - lower) - levels / 2), -levels / 2, levels / 2 - 1)``
    stands for ``lower + (code + levels / 2) * (upper - lower) / levels``.
    """

    def affine(
        self, ranges: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        lower, upper = ranges.astype(np.float64)
        return (lower + upper) / 2, (upper - lower) / self.levels

    def _codes_of(
        self, block: NDArray[Any], ranges: NDArray[np.float32], out: NDArray[np.int8]
    ) -> None:
        lower, upper = ranges.astype(np.float64)
        half = self.levels // 2
        scaled = block - lower
        scaled *= self.levels
        scaled /= upper - lower
        scaled -= half
        np.rint(scaled, out=scaled)
        out[:] = np.clip(scaled, -half, half - 1, out=scaled)


class _Int8(_Linear):
    """One code a byte, in two's complement."""

    def n_columns(self, dim: int) -> int:
        return dim

    def pack(self, codes: NDArray[np.int8]) -> NDArray[Any]:
        return codes

    def unpack(self, stored: NDArray[Any], dim: int) -> NDArray[np.int8]:  # noqa: ARG002
        return stored

    def check_stored(self, stored: NDArray[Any], dim: int, first_row: int = 0) -> str | None:  # noqa: ARG002
        return None


class _Uint8(_Linear):
    """One code a byte, plus 128."""

    def n_columns(self, dim: int) -> int:
        return dim

    def pack(self, codes: NDArray[np.int8]) -> NDArray[Any]:
        stored: NDArray[np.uint8] = codes.view(np.uint8) ^ np.uint8(0x80)
        return stored

    def unpack(self, stored: NDArray[Any], dim: int) -> NDArray[np.int8]:  # noqa: ARG002
        codes: NDArray[np.int8] = (stored ^ np.uint8(0x80)).view(np.int8)
        return codes

    def check_stored(self, stored: NDArray[Any], dim: int, first_row: int = 0) -> str | None:  # noqa: ARG002
        return None


class _Int4(_Linear):
    """Two codes a byte, in two's complement: the first in the high nibble; a pad nibble is 0."""

    def n_columns(self, dim: int) -> int:
        return (dim + 1) // 2

    def pack(self, codes: NDArray[np.int8]) -> NDArray[Any]:
        nibbles = codes.view(np.uint8) & np.uint8(0x0F)
        stored: NDArray[np.uint8] = nibbles[:, ::2] << np.uint8(4)
        stored[:, : codes.shape[1] // 2] |= nibbles[:, 1::2]
        return stored

    def unpack(self, stored: NDArray[Any], dim: int) -> NDArray[np.int8]:
        codes = np.empty((len(stored), dim), np.int8)
        # A shift to the right of a signed byte brings its sign along.
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
# The codes of each byte; bytes that no codes give read as if 243 were taken off.
_CODES_OF_BYTE = (np.arange(256)[:, np.newaxis] // _PLACES % 3 - 1).astype(np.int8)


class _Ternary(Precision):
    """-1 below the bounds, 0 within them, 1 above; these stand for values one range apart.

    Five codes a byte: the number whose digits in base 3 are code + 1, the first one the most
    significant. Dimensions that the last byte lacks have the code 0.
    """

    def n_columns(self, dim: int) -> int:
        return -(-dim // _TRITS)

    def affine(
        self, ranges: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        lower, upper = ranges.astype(np.float64)
        return (lower + upper) / 2, upper - lower

    def _codes_of(
        self, block: NDArray[Any], ranges: NDArray[np.float32], out: NDArray[np.int8]
    ) -> None:
        np.subtract((block > ranges[1]).view(np.int8), (block < ranges[0]).view(np.int8), out=out)

    def pack(self, codes: NDArray[np.int8]) -> NDArray[Any]:
        n, dim = codes.shape
        digits = np.ones((n, self.n_columns(dim) * _TRITS), np.uint8)
        np.add(codes, np.int8(1), out=digits[:, :dim], casting="unsafe")
        return digits.reshape(n, -1, _TRITS) @ _PLACES

    def unpack(self, stored: NDArray[Any], dim: int) -> NDArray[np.int8]:
        n_codes = stored.shape[1] * _TRITS
        codes: NDArray[np.int8] = _CODES_OF_BYTE[stored].reshape(len(stored), n_codes)
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


PRECISIONS: dict[str, Precision] = {
    "int8": _Int8("int8", np.dtype(np.int8), 256),
    "uint8": _Uint8("uint8", np.dtype(np.uint8), 256),
    "int4": _Int4("int4", np.dtype(np.uint8), 16),
    "ternary": _Ternary("ternary", np.dtype(np.uint8), 3),
}
