# SPDX-License-Identifier: Apache-2.0
"""Asymmetric scoring: queries of eight bits a dimension against documents of one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["AsymmetricQueries", "row_sums"]

_LARGEST = 127


class AsymmetricQueries(NamedTuple):
    """Queries as integers, ``q ~ scale * m * s``: signs `s` and magnitudes `m` of 0 to 127.

    A document's bits are its signs `d`. The product of the two is ``scale * (sum(m) - 2 * w)``,
    with the weighted Hamming distance `w`, the sum of `m` where `s` and `d` differ: an integer,
    which the core finds exactly.

    Attributes
    ----------
    values : ndarray of float64, shape (n, dim)
        The queries before rounding.
    codes : ndarray of uint8, shape (n, ceil(dim / 8))
        A bit is set where the query is positive.
    magnitudes : ndarray of uint8, shape (n, 8 * ceil(dim / 8))
        ``rint(abs(q) / scale)``, 0 beyond the last dimension.
    scales : ndarray of float64, shape (n, 1)
        ``max(abs(q)) / 127``.
    norms : ndarray of float64, shape (n, 1)
        Euclidean norms of the queries before rounding.
    dim : int
        Dimensions.
    """

    values: NDArray[np.float64]
    codes: NDArray[np.uint8]
    magnitudes: NDArray[np.uint8]
    scales: NDArray[np.float64]
    norms: NDArray[np.float64]
    dim: int

    @classmethod
    def of(cls, queries: NDArray[np.float64]) -> AsymmetricQueries:
        """Round finite queries, shape (n, dim)."""
        n, dim = queries.shape
        codes = np.packbits(queries > 0, axis=1)
        largest = np.abs(queries).max(axis=1, keepdims=True)
        # Divided before it is multiplied: the smallest floats have no finite inverse.
        shares = np.divide(queries, largest, out=np.zeros_like(queries), where=largest > 0)
        magnitudes = np.zeros((n, 8 * codes.shape[1]), np.uint8)
        magnitudes[:, :dim] = np.rint(np.abs(shares) * _LARGEST)
        norms = largest * np.sqrt(row_sums(np.square(shares)))
        return cls(queries, codes, magnitudes, largest / _LARGEST, norms, dim)

    @property
    def sums(self) -> NDArray[np.int64]:
        """Sums of the magnitudes, shape (n, 1)."""
        sums: NDArray[np.int64] = self.magnitudes.sum(axis=1, dtype=np.int64, keepdims=True)
        return sums

    def scores(self, distances: NDArray[np.int32], metric: str) -> NDArray[np.float32]:
        """Return what the metric is between queries and the documents' signs.

        `distances` are weighted Hamming distances, shape (n, k); the largest int32 stands for none.
        """
        products = self.scales * (self.sums - 2 * distances.astype(np.int64))
        scores: NDArray[Any]
        worst = -np.inf
        if metric == "l2":
            squares = np.square(self.norms) + self.dim - 2 * products
            scores = np.sqrt(np.maximum(squares, 0))
            worst = np.inf
        elif metric == "cosine":
            norms = self.norms * np.sqrt(self.dim)
            scores = np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)
        else:
            scores = products
        scores[distances == np.iinfo(np.int32).max] = worst
        with np.errstate(over="ignore"):
            rounded: NDArray[np.float32] = scores.astype(np.float32) + np.float32(0)
        return rounded  # the zero that was added makes every zero positive


def row_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of each row, shape (n, 1), the same everywhere.

    Columns one after the other: NumPy's sum of a row depends on the instruction set it uses.
    """
    return np.add.accumulate(values, axis=1)[:, -1:]
