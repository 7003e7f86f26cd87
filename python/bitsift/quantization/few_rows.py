# SPDX-License-Identifier: Apache-2.0
"""Rows of small batches, kept until there are enough to judge what a store loses of them."""

from __future__ import annotations

from typing import NamedTuple

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
# Judging takes longer than adding. So once rows were fine, one batch of as many is kept.
_ONE_OF = 8
_ONE_OF_HASHES = (1 << 32) // _ONE_OF


class FewRows(NamedTuple):
    """Rows that were added a few at a time. An object never changes.

    Attributes
    ----------
    batches : tuple of ndarray of float32
        The rows, one array for each batch.
    n : int
        Number of rows.
    n_passed : int
        Batches that came since rows were judged as fine; 0 before that.
    """

    batches: tuple[NDArray[np.float32], ...] = ()
    n: int = 0
    n_passed: int = 0

    @staticmethod
    def are_enough(n: int, dim: int) -> bool:
        """Whether so many rows can be judged."""
        if n < _LEAST_ROWS:
            return False
        return n >= min(_MANY_ROWS, max(_LEAST_ROWS, _MANY_VALUES // dim)) and (
            n * dim >= _LEAST_VALUES
        )

    def with_rows(self, rows: NDArray[np.float32]) -> FewRows:
        """Return these rows and a copy of others, unless theirs is a batch to let pass."""
        batches, n, n_passed = self
        if n_passed:
            n_passed += 1
            # Knuth's multiplicative hash: data with a period cannot pass it by.
            if n_passed * 2_654_435_769 & 0xFFFFFFFF >= _ONE_OF_HASHES:
                return FewRows(batches, n, n_passed)
        return FewRows((*batches, rows.copy()), n + len(rows), n_passed)

    def joined(self) -> NDArray[np.float32]:
        """Return the rows in one array; there is at least one batch."""
        return np.concatenate(self.batches)

    def judged_fine(self) -> FewRows:
        """Return no rows, of which fewer will be kept from now on."""
        return FewRows((), 0, max(1, self.n_passed))
