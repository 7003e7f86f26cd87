# SPDX-License-Identifier: Apache-2.0
"""Exact float32 search by NumPy: the time that float32 is compared by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.interruptible import copied

__all__ = ["FloatSearch"]

_MOST_SCORES = 1 << 24  # That one product gives.
_SMALLEST_NORMAL = 2.0**-126  # In float32.


class FloatSearch:
    """Documents as float32; for the cosine, scaled to length 1."""

    def __init__(self, documents: NDArray[Any], metric: str) -> None:
        rows: NDArray[np.float32] = copied(documents, np.float32)
        squares = np.einsum("ij,ij->i", rows, rows)
        if metric == "cosine":
            rows /= np.maximum(np.sqrt(squares), _SMALLEST_NORMAL)[:, np.newaxis]
        self._rows = rows
        self._halved_squares = squares / 2 if metric == "l2" else None

    def search(self, queries: NDArray[Any], k: int) -> NDArray[np.int64]:
        """Return the rows of the best `k`, best first, for each query."""
        step = max(1, _MOST_SCORES // len(self._rows))
        parts = [
            self._best(queries[begin : begin + step].astype(np.float32) @ self._rows.T, k)
            for begin in range(0, len(queries), step)
        ]
        return np.concatenate(parts)

    def search_on_one_core(self, query: NDArray[Any], k: int) -> NDArray[np.int64]:
        """Return what `search` returns for one query, by a product for each row.

        The threads of one large product wait for each other: where other work keeps the cores busy,
        a hundred times as long as they compute.
        """
        column = query[0].astype(np.float32)[:, np.newaxis]
        return self._best(np.matmul(self._rows[:, np.newaxis, :], column)[:, 0].T, k)

    def _best(self, scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        if self._halved_squares is not None:
            # q . d - |d|^2 / 2 orders documents as the distance |q - d| does, largest first.
            scores -= self._halved_squares
        n = scores.shape[1]
        best = np.argpartition(scores, n - k, axis=1)[:, n - k :] if k < n else None
        if best is None:
            return np.argsort(-scores, axis=1)
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        return np.take_along_axis(best, order, axis=1)
