# SPDX-License-Identifier: Apache-2.0
"""The data of every question: random codes and random vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import bitsift

DIM = 768
N_QUERIES = 256
K = 10  # results of each query


def random_codes(n: int, *, bits: int = DIM) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (n, bits // 8), dtype=np.uint8)


def random_query_codes(n: int = N_QUERIES, *, bits: int = DIM) -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (n, bits // 8), dtype=np.uint8)


def random_vectors(n: int) -> NDArray[np.float32]:
    """Repeat one block: no time depends on values, and drawing all of them would take long."""
    block = np.random.default_rng(3).standard_normal((n // 10, DIM), dtype=np.float32)
    return np.tile(block, (10, 1))


def in_float16(vectors: NDArray[np.float32]) -> NDArray[np.float16]:
    """Convert vectors from `random_vectors`."""
    return np.tile(vectors[: len(vectors) // 10].astype(np.float16), (10, 1))


def random_queries() -> NDArray[np.float32]:
    return np.random.default_rng(4).standard_normal((N_QUERIES, DIM), dtype=np.float32)


def make_index(codes: NDArray[np.uint8], isa: str) -> bitsift.Index:
    """Index bits alone."""
    made = bitsift.Index(codes.shape[1] * 8, store=None, isa=isa)
    made.add(codes)
    return made
