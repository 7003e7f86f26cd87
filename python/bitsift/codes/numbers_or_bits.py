# SPDX-License-Identifier: Apache-2.0
"""Tell bytes that are packed bits from bytes that are numbers, one a dimension."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.errors import warn
from bitsift.core.limits import MAX_DIM
from bitsift.core.samples import scattered

__all__ = ["check_packed"]

# Embeddings that were rounded to bytes lie in a bell around the middle, and most of them in its
# middle half, whose two highest bits differ in offset binary: 95 % where four standard deviations
# fill the range, 79 % where two and a half do. In packed bits, these two bits belong to two
# dimensions and differ in half of the bytes, whatever the data. With as many bytes a row, even
# dimensions that never change differ in more than three quarters of the pairs once in 10**8 times.
_MOST_IN_THE_MIDDLE = 0.75
_LEAST_COLUMNS = 128
_MOST_ROWS = 256
# Fewer different values are no embedding that was rounded to 256 steps.
_LEAST_DIFFERENT = 32
# In two's complement, the middle half is where the two highest bits are equal, as they are where
# nearly all bits are zeros, or ones; numbers are negative and positive alike.
_LEAST_OF_EITHER_SIGN = 0.3
# There, neighbours among the bits of an image are equal as often wherever they lie in their byte,
# those of the value of a number only at the top: the lowest are as good as random.
_MOST_EQUAL_LOW_BITS = 0.6


def check_packed(array: NDArray[Any], convention: str, name: str) -> None:
    """Refuse bytes that are numbers by all appearances; in two's complement, warn of them.

    `array` is int8 or uint8, of one axis or two, and the caller has not said how many dimensions
    its rows have.
    """
    width = array.shape[-1]
    if width < _LEAST_COLUMNS or array.size == 0:
        return
    array = array[..., : MAX_DIM // 8]  # of longer rows, which are no codes, the beginning
    sample = scattered(array, _MOST_ROWS) if array.ndim == 2 else array
    numbers = sample.astype(np.int16) - (128 if sample.dtype == np.uint8 else 0)
    in_the_middle = np.count_nonzero((numbers >= -64) & (numbers < 64)) / numbers.size
    if in_the_middle <= _MOST_IN_THE_MIDDLE or len(np.unique(numbers)) < _LEAST_DIFFERENT:
        return
    message = (
        f"{name} must be packed bits; got {width} {array.dtype} values a row that look like "
        f"numbers, one a dimension: {in_the_middle:.0%} of them lie in the middle half of the "
        f"range. As packed bits a row has {8 * width} dimensions: dim={8 * width} says so. As "
        f"numbers it has {width}: {_as_floats(array, name)} makes floats of them, which "
        "bitsift.pack and Index.add take"
    )
    if convention != "vespa":
        raise ValueError(message)
    negative = np.count_nonzero(numbers < 0) / numbers.size
    is_even = _LEAST_OF_EITHER_SIGN <= negative <= 1 - _LEAST_OF_EITHER_SIGN
    if is_even and _share_of_equal_low_bits(numbers) <= _MOST_EQUAL_LOW_BITS:
        warn(message)


def _share_of_equal_low_bits(numbers: NDArray[np.int16]) -> float:
    """Return how often the two lowest bits are equal, or the next two, whichever is more often."""
    differ = numbers ^ (numbers >> 1)
    return 1 - min(np.count_nonzero(differ & bit) for bit in (1, 2)) / numbers.size


def _as_floats(array: NDArray[Any], name: str) -> str:
    floats = f"numpy.asarray({name}, 'float32')"
    return floats if array.dtype == np.int8 else f"{floats} - 128"
