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

__all__ = ["Waiting"]


class Waiting:
    """What an index will encode vectors by, and what is known of those that wait.

    While vectors wait, the documents of a snapshot have an encoder of their own, `holding`: it
    keeps float32. Their codes are those of the index if its threshold is known.

    Attributes
    ----------
    encoder : Encoder
        The index's own. Some part of it is not fitted, or the scoring is not decided.
    n_reserved : int
        For how many vectors there is to be memory, once they are encoded.
    encoded : tuple of two Documents, or None
        The newest documents that were encoded as if no more came, and what became of them.
    has_warned : bool
        Whether a caller was told that bits are provisional.
    are_judged : bool
        Whether a caller was told what the index would lose of these vectors, as an error.
    """

    __slots__ = ("are_judged", "encoded", "encoder", "has_warned", "n_reserved")

    def __init__(self, encoder: Encoder, n_reserved: int = 0) -> None:
        self.encoder = encoder
        self.n_reserved = n_reserved
        self.encoded: tuple[Any, Any] | None = None
        self.has_warned = False
        self.are_judged = False

    def reserve(self, size: int) -> None:
        """Have memory for `size` vectors once they are encoded; raise if the system refuses it."""
        self.encoder.empty_columns(size)
        self.n_reserved = max(self.n_reserved, size)

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

    @staticmethod
    def vectors_of(columns: Columns[Rows]) -> NDArray[np.float32]:
        """Return the vectors that wait, from columns that `holding` has encoded."""
        return joined(columns.originals[0])
