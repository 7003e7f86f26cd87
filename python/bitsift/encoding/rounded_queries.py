# SPDX-License-Identifier: Apache-2.0
"""Asymmetric scoring: queries of eight bits a dimension against documents of one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native

__all__ = ["AsymmetricQueries"]


class AsymmetricQueries(NamedTuple):
    """Queries as integers, ``q ~ scale * m * s``: signs `s` and magnitudes `m` of 0 to 127.

    A document's bits are its signs `d`. The product of the two is ``scale * (sum(m) - 2 * w)``,
    with the weighted Hamming distance `w`, the sum of `m` where `s` and `d` differ: an integer,
    which the core finds exactly.

    Attributes
    ----------
    codes : ndarray of uint8, shape (n, ceil(dim / 8))
        A bit is set where the query is positive.
    magnitudes : ndarray of uint8, shape (n, 8 * ceil(dim / 8))
        ``rint(127 * abs(q) / max(abs(q)))``, 0 beyond the last dimension.
    scales : ndarray of float64, shape (n, 1)
        ``max(abs(q)) / 127``.
    norms : ndarray of float64, shape (n, 1)
        Euclidean norms of the queries before rounding.
    sums : ndarray of float64, shape (n, 1)
        Sums of the magnitudes.
    products : ndarray of float64, shape (n, 1)
        Products of the queries, before rounding, with a centre.
    dim : int
        Dimensions.
    """

    codes: NDArray[np.uint8]
    magnitudes: NDArray[np.uint8]
    scales: NDArray[np.float64]
    norms: NDArray[np.float64]
    sums: NDArray[np.float64]
    products: NDArray[np.float64]
    dim: int

    @classmethod
    def of(
        cls,
        queries: NDArray[np.float64],
        centre: NDArray[np.float32] | None = None,
        threads: int = 1,
    ) -> AsymmetricQueries:
        """Round finite queries, shape (n, dim)."""
        dim = queries.shape[1]
        if centre is None:
            centre = np.zeros(dim, np.float32)
        codes, magnitudes, numbers = native.round_queries(queries, centre, threads)
        scales, norms, sums, products = numbers[:, :, np.newaxis]
        return cls(codes, magnitudes, scales, norms, sums, products, dim)

    def scores(self, distances: NDArray[np.int32], metric: str) -> NDArray[np.float32]:
        """Return what the metric is between queries and the documents' signs.

        `distances` are weighted Hamming distances, shape (n, k); the largest int32 stands for none.
        """
        products = self.scales * (self.sums - 2.0 * distances)
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
