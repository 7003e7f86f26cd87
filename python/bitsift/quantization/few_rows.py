# SPDX-License-Identifier: Apache-2.0
"""Rows of small batches, kept until there are enough to judge what a store loses of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FewRows"]

# A share of fewer values says little.
_LEAST_VALUES = 100
# The spread of a dimension, by which usual outliers are told, is known to an eighth.
_MANY_ROWS = 32
# Of long rows, fewer are kept, to bound the memory.
_MANY_VALUES = 1 << 15
_LEAST_ROWS = 8


@dataclass(frozen=True)
class FewRows:
    """Rows that were added a few at a time. An object never changes.

    Attributes
    ----------
    batches : tuple of ndarray of float32
        The rows, one array for each batch.
    n : int
        Number of rows.
    """

    batches: tuple[NDArray[np.float32], ...] = ()
    n: int = 0

    @staticmethod
    def are_enough(n: int, dim: int) -> bool:
        """Whether so many rows can be judged."""
        many = max(_LEAST_ROWS, min(_MANY_ROWS, _MANY_VALUES // dim))
        return n >= many and n * dim >= _LEAST_VALUES

    def with_rows(self, rows: NDArray[np.float32]) -> FewRows:
        """Return these rows and a copy of others."""
        return FewRows((*self.batches, rows.copy()), self.n + len(rows))

    def joined(self) -> NDArray[np.float32]:
        """Return the rows in one array; there is at least one batch."""
        return np.concatenate(self.batches)
