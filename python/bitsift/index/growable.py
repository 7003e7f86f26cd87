# SPDX-License-Identifier: Apache-2.0
"""An array to which rows are appended."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["GrowableArray"]


class GrowableArray:
    """Rows in one contiguous array with reserved memory behind them.

    A view of the rows keeps its memory and its values: growing allocates new memory, and appending
    writes behind every view. So a search in another thread reads on where it began.
    """

    def __init__(self, rows: NDArray[Any]) -> None:
        self._memory = rows
        self._size = len(rows)

    def __len__(self) -> int:
        return self._size

    @property
    def rows(self) -> NDArray[Any]:
        """The committed rows: a read-only view."""
        view = self._memory[: self._size]
        view.flags.writeable = False
        return view

    def reserve(self, size: int) -> None:
        """Allocate memory for `size` rows in all."""
        if size <= len(self._memory):
            return
        memory = np.empty((size, *self._memory.shape[1:]), self._memory.dtype)
        memory[: self._size] = self._memory[: self._size]
        self._memory = memory

    def next_rows(self, size: int) -> NDArray[Any]:
        """Return the memory of the next `size` rows, to be written and then committed.

        Memory grows by at least half, so appending row by row takes amortised constant time a row.
        Memory that is never written is never taken from the machine.
        """
        wanted = self._size + size
        if wanted > len(self._memory):
            self.reserve(max(wanted, self._size + self._size // 2))
        return self._memory[self._size : wanted]

    def truncate(self, size: int) -> None:
        """Truncate to `size` rows."""
        self._size = size

    def commit(self, size: int) -> None:
        """Append the next `size` rows, which have been written."""
        self._size += size
