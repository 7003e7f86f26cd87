# SPDX-License-Identifier: Apache-2.0
"""Bytes in units that memory is sold in, and the price of memory."""

from __future__ import annotations

from typing import SupportsFloat, SupportsIndex

from bitsift.core import arguments

__all__ = ["GB", "GIB", "PRICE_PER_GB", "as_count", "as_price", "gigabytes", "short_count"]

GB = 10**9
GIB = 2**30

# US dollars per GB of memory per month, from the article "Binary and Scalar Embedding
# Quantization" (Hugging Face, 2024).
PRICE_PER_GB = 3.80
# Far above any price; beyond float's range, costs would not be numbers.
_HIGHEST_PRICE = 1_000_000
_MOST_VECTORS = 10**15


def gigabytes(bytes_per_vector: int, n_vectors: int) -> float:
    """Return the memory of `n_vectors` vectors in GB of 10**9 bytes."""
    return bytes_per_vector * n_vectors / GB


def as_price(price: SupportsFloat, name: str) -> float:
    """Return US dollars per GB per month as a float."""
    number = arguments.real(price, name, "a number")  # type: ignore[arg-type]
    if not 0 <= number <= _HIGHEST_PRICE:  # nor a NaN
        raise ValueError(f"{name} must be from 0 to {_HIGHEST_PRICE:,}; got {number}")
    return number


def as_count(vectors: SupportsIndex | float, name: str) -> int:
    """Return a number of vectors as an int; a float must be a whole number."""
    if isinstance(vectors, float):  # also a NumPy float64
        if not vectors.is_integer():
            raise ValueError(f"{name} must be a whole number; got {vectors}")
        if not 1 <= vectors <= _MOST_VECTORS:
            raise ValueError(f"{name} must be 1 to {_MOST_VECTORS}; got {vectors:g}")
        vectors = int(vectors)
    return arguments.integer(vectors, name, 1, _MOST_VECTORS)


def short_count(n: int) -> str:
    """Format a number of vectors, in millions if there are as many."""
    return f"{n / 1_000_000:,.4g} M" if n >= 1_000_000 else f"{n:,}"
