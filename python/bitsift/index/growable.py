# SPDX-License-Identifier: Apache-2.0
"""Arrays that grow at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["GrowingArray"]


class GrowingArray:
    """Rows in one contiguous array with room at the end.

    Views handed out keep their memory and their values: growing moves to new memory, and appending
    writes behind every view. So a search in another thread keeps what it started with.
    """

    def __init__(self, rows: NDArray[Any]) -> None:
        self._memory = rows
        self._size = len(rows)

    def __len__(self) -> int:
        return self._size

    @property
    def rows(self) -> NDArray[Any]:
        """The rows so far, a view that cannot be written."""
        view = self._memory[: self._size]
        view.flags.writeable = False
        return view

    def reserve(self, size: int) -> None:
        """Make room for `size` rows in all."""
        if size <= len(self._memory):
            return
        memory = np.empty((size, *self._memory.shape[1:]), self._memory.dtype)
        memory[: self._size] = self._memory[: self._size]
        self._memory = memory

    def room(self, size: int) -> NDArray[Any]:
        """Return the memory of the next `size` rows, to be filled and then committed.

        Memory grows by half at least, so that adding row by row costs constant time a row; what is
        never written takes no memory of the machine.
        """
        wanted = self._size + size
        if wanted > len(self._memory):
            self.reserve(max(wanted, self._size + self._size // 2))
        return self._memory[self._size : wanted]

    def truncate(self, size: int) -> None:
        """Count `size` rows and no more."""
        self._size = size

    def commit(self, size: int) -> None:
        """Count the next `size` rows as appended."""
        self._size += size
