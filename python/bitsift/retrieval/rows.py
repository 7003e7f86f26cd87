# SPDX-License-Identifier: Apache-2.0
"""What a search reads: encoded rows, encoded queries, and a plan."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitsift.core import arguments
from bitsift.core.options import Metric
from bitsift.encoding.binarizer import Binarizer, Packed
from bitsift.encoding.originals import VectorFormat
from bitsift.retrieval.ladder import Rung

__all__ = ["Plan", "Queries", "Rows", "as_queries"]


class Rows(NamedTuple):
    """What a search reads: replaced as a whole, so that it sees one state of the index."""

    binarizer: Binarizer
    codes: NDArray[np.uint8]
    formats: tuple[VectorFormat, ...]
    originals: tuple[NDArray[Any], ...]  # one for each format
    factors: NDArray[np.uint16] | None  # of the correction
    ids: NDArray[np.int64] | None  # None: the number of the row
    tie_ids: NDArray[np.int64] | None  # None: the order of ids is the order of rows


class Queries(NamedTuple):
    """Queries as codes and, unless they came as bits, as floats."""

    codes: NDArray[np.uint8]
    packed: Packed | None

    def part(self, part: slice) -> Queries:
        """Return some of the queries."""
        return Queries(self.codes[part], None if self.packed is None else self.packed.part(part))


class Plan(NamedTuple):
    """How to search, every choice made."""

    k: int
    rungs: list[Rung]
    metric: Metric
    isa: str
    threads: int


def as_queries(rows: Rows, array: NDArray[Any], threads: int) -> Queries:
    """Return what a caller asks as codes and, but for bits, as float32."""
    binarizer = rows.binarizer
    if arguments.is_packed(array):
        return Queries(arguments.as_rows(binarizer.check_codes(array)), None)
    packed = binarizer.pack(
        arguments.as_rows(binarizer.check_values(array, "queries")), "queries", 0, threads
    )
    return Queries(packed.codes, None if packed.values.dtype.kind == "b" else packed)
