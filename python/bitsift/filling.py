# SPDX-License-Identifier: Apache-2.0
"""New vectors into the rows of an index."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.binarizer import Binarizer

__all__ = ["fill_rows"]

_CHUNK_BYTES = 1 << 24


def fill_rows(
    binarizer: Binarizer,
    array: NDArray[Any],
    codes: NDArray[np.uint8],
    originals: NDArray[Any] | None,
) -> None:
    """Pack and convert rows of `array` into their place, a block at a time."""
    step = 1 + _CHUNK_BYTES // (4 * binarizer.dim)
    for begin in range(0, len(array), step):
        block = array[begin : begin + step]
        values, codes[begin : begin + step] = binarizer.pack(block, "vectors", begin, threads=0)
        if originals is None:
            continue
        kept = originals[begin : begin + step]
        with np.errstate(over="ignore"):
            kept[:] = values
        if kept.dtype == np.float16 and not np.isfinite(kept).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(kept))[0])
            raise ValueError(
                f"vectors must be within float16's range, 65504, for store='float16'; row "
                f"{begin + row}, dimension {column} is {block[row, column]}"
            )
