# SPDX-License-Identifier: Apache-2.0
"""Vectors that wait as floats until there are enough of them to fit an index to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.segments import Rows, joined
from bitsift.encoding.encoder import Columns, Encoder
from bitsift.encoding.originals import Originals
from bitsift.index.growable import GrowableArray, GrowableColumns, GrowableRows

__all__ = ["Waiting"]


class Waiting:
    """What an index will encode vectors by, and what is known of those that wait.

    While vectors wait, the documents of a snapshot have an encoder of their own, `holding`: it
    keeps float32. Their codes are those of the index if its threshold is known.

    Attributes
    ----------
    encoder : Encoder
        The index's own. Some part of it is not fitted, or the scoring is not decided.
    memory : GrowableColumns
        No rows of this encoder, but the room that was reserved for them.
    encoded : tuple of two Documents, or None
        The newest documents that were encoded as if no more came, and what became of them.
    has_warned : bool
        Whether a caller was told that bits are provisional.
    are_judged : bool
        Whether a caller was told what the index would lose of these vectors, as an error.
    """

    __slots__ = ("are_judged", "encoded", "encoder", "has_warned", "memory")

    def __init__(self, encoder: Encoder, memory: GrowableColumns | None = None) -> None:
        self.encoder = encoder
        self.memory = GrowableColumns.of(encoder.empty_columns()) if memory is None else memory
        self.encoded: tuple[Any, Any] | None = None
        self.has_warned = False
        self.are_judged = False

    @property
    def holding(self) -> Encoder:
        """The encoder of vectors that wait."""
        store = Originals("float32", self.encoder.dim, None)
        return Encoder(self.encoder.binarizer, (store,), self.encoder.metric, False)

    @property
    def part_fitted(self) -> Encoder:
        """The index's encoder with the stores that are fitted."""
        stores = tuple(store for store in self.encoder.stores if store.is_fitted)
        return replace(self.encoder, stores=stores)

    def memory_with(
        self, encoder: Encoder, vectors: NDArray[np.float32], room: int = 0
    ) -> GrowableColumns:
        """Return vectors encoded, once the encoder is fitted, with room for others behind them."""
        memory, n = self.memory, len(vectors)
        if memory.factors is not None:  # fitting may have changed their number a row
            factors = np.empty((memory.factors.capacity, encoder.n_factors), np.uint16)
            memory = memory._replace(factors=GrowableRows((), GrowableArray(factors, 0)))
        memory = memory.with_room(n + room)
        encoder.encode_into(memory.next_rows(n), vectors)
        return memory.committed(n)

    def appended(
        self, memory: GrowableColumns, rows: NDArray[Any], threads: int
    ) -> GrowableColumns:
        """Return the memory of vectors that wait with others, as far as the index can take them."""
        n = len(rows)
        # Refuses what a store or a correction would refuse.
        encoded = self.part_fitted.empty_columns(n)
        self.part_fitted.encode_into(encoded, rows, threads)
        memory = memory.with_room(n)
        columns = memory.next_rows(n)
        columns.codes[:] = encoded.codes
        columns.originals[0][:] = rows
        return memory.committed(n)

    def columns_of(self, vectors: NDArray[np.float32]) -> Columns[NDArray[Any]]:
        """Return the columns of vectors that wait."""
        holding = self.holding
        columns = holding.empty_columns(len(vectors))
        holding.encode_into(columns, vectors)
        return columns

    @staticmethod
    def vectors_of(columns: Columns[Rows]) -> NDArray[np.float32]:
        """Return the vectors that wait, from columns that `holding` has encoded."""
        return joined(columns.originals[0])
