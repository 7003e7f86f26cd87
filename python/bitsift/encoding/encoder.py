# SPDX-License-Identifier: Apache-2.0
"""New vectors into the rows of an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitsift.encoding.binarizer import Binarizer
from bitsift.encoding.correction import n_factors, write_factors
from bitsift.encoding.originals import VectorFormat

__all__ = ["Recipe", "Room", "fill_rows"]

_CHUNK_BYTES = 1 << 24


class Recipe(NamedTuple):
    """What becomes of a vector, fitted to data where that is asked for."""

    binarizer: Binarizer
    formats: tuple[VectorFormat, ...]
    metric: str
    corrected: bool

    @property
    def n_factors(self) -> int:
        """Numbers of the correction that a vector gets."""
        return n_factors(self.metric, self.binarizer.is_centred) if self.corrected else 0


class Room(NamedTuple):
    """Where rows go: one of each, or none."""

    codes: NDArray[np.uint8]
    originals: Sequence[NDArray[Any]]  # one for each format
    factors: NDArray[np.uint16] | None


def fill_rows(recipe: Recipe, array: NDArray[Any], room: Room) -> None:
    """Pack and convert rows of `array` into their place, a block at a time."""
    binarizer = recipe.binarizer
    step = 1 + _CHUNK_BYTES // (4 * binarizer.dim)
    for begin in range(0, len(array), step):
        part = slice(begin, begin + step)
        packed = binarizer.pack(array[part], "vectors", begin, threads=0)
        room.codes[part] = packed.codes
        for kept, originals in zip(recipe.formats, room.originals, strict=True):
            kept.write(packed.values, originals[part], begin)
        if room.factors is not None:
            write_factors(
                binarizer, recipe.metric, packed, room.factors[part], begin, recipe.n_factors
            )
