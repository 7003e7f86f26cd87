# SPDX-License-Identifier: Apache-2.0
"""Asymmetric scoring: queries of six bits a dimension against documents of one bit."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native

__all__ = ["RoundedQueries"]


class RoundedQueries(NamedTuple):
    """Queries as integers, ``q ~ scale * m * s``: signs `s` and magnitudes `m` from 0 to 31.

    The bits of a document are its signs `d`. The product of query and document is
    ``scale * (sum(m) - 2 * w)``. Here `w` is the weighted Hamming distance: the sum of `m` where
    `s` and `d` differ, an integer that the kernels compute exactly. Rounding moves no value by more
    than half a scale, so no product with signs by more than ``dim * scale / 2``.

    Attributes
    ----------
    codes : ndarray of uint8, shape (n, ceil(dim / 8))
        A bit is set where the query is positive.
    magnitudes : ndarray of uint8, shape (n, 8 * ceil(dim / 8))
        ``rint(31 * abs(q) / max(abs(q)))``; 0 beyond the last dimension.
    scales : ndarray of float64, shape (n, 1)
        ``max(abs(q)) / 31``.
    norms : ndarray of float64, shape (n, 1)
        Euclidean norms of the queries before rounding.
    sums : ndarray of float64, shape (n, 1)
        Sums of the magnitudes.
    products : ndarray of float64, shape (n, 1)
        Products of the queries, before rounding, with a threshold.
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
        threshold: NDArray[np.float32] | None = None,
        threads: int = 1,
    ) -> RoundedQueries:
        """Round finite queries, shape (n, dim); without a threshold, products are 0."""
        dim = queries.shape[1]
        if threshold is None:
            threshold = np.zeros(dim, np.float32)
        codes, magnitudes, numbers = native.round_queries(queries, threshold, threads)
        scales, norms, sums, products = numbers[:, :, np.newaxis]
        return cls(codes, magnitudes, scales, norms, sums, products, dim)

    def repeated(self, numbers: NDArray[np.int64]) -> RoundedQueries:
        """Return what scores need of the queries with these numbers, which may come again."""
        scales, norms, sums, products = (
            array[numbers] for array in (self.scales, self.norms, self.sums, self.products)
        )
        return self._replace(scales=scales, norms=norms, sums=sums, products=products)

    def limits(self, bound: float, metric: str) -> NDArray[np.int64]:
        """Return the largest distance of each query whose score is `bound` or better; -1 for none.

        No larger distance has a better score: each step of the arithmetic is monotone.
        """
        low = np.full((len(self.scales), 1), -1, np.int64)
        high = self.sums.astype(np.int64)
        while (open_ := low < high).any():
            middle = np.where(open_, (low + high + 1) // 2, 0)
            scores = self.scores(middle.astype(np.int32), metric)
            is_within = scores <= bound if metric == "l2" else scores >= bound
            low = np.where(open_ & is_within, middle, low)
            high = np.where(open_ & ~is_within, middle - 1, high)
        return low[:, 0]

    def scores(self, distances: NDArray[np.int32], metric: str) -> NDArray[np.float32]:
        """Return the metric between the rounded queries and the signs of documents.

        `distances` are weighted Hamming distances, shape (n, k). The largest int32 means that there
        is no document, and gets the worst score.
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
        rounded: NDArray[np.float32] = scores.astype(np.float32) + np.float32(0)
        return rounded  # adding zero turns -0.0 into 0.0
