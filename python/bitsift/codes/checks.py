# SPDX-License-Identifier: Apache-2.0
"""Checks of codes and masks that several functions take."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments

__all__ = ["check_same_width", "parse_masks", "parse_matrix"]


def parse_matrix(x: ArrayLike, name: str) -> NDArray[np.uint8]:
    """Return packed codes of several rows."""
    codes = arguments.parse_codes(x, name)
    if codes.is_single:
        raise ValueError(f"{name} must have shape (n, n_bytes); got shape {codes.rows.shape[1:]}")
    return codes.rows


def check_same_width(name: str, a: NDArray[np.uint8], other: str, b: NDArray[np.uint8]) -> None:
    """Raise unless codes have as many bytes a row as others."""
    n_bytes, wanted = a.shape[1], b.shape[1]
    if n_bytes != wanted:
        raise ValueError(
            f"{name} must have {wanted} bytes a row, like {other}; got {n_bytes} bytes = "
            f"{n_bytes * 8} bits"
        )


def parse_masks(given: ArrayLike, n_queries: int, n_rows: int) -> NDArray[np.bool_]:
    """Return the mask of all queries, (n_rows,), or of each, (n_queries, n_rows)."""
    array = arguments.plain_array(given, "filter", "be a mask: one bool for each row of codes")
    if array.dtype != np.bool_:
        raise TypeError(
            f"filter must be a mask: one bool for each row of codes; got {array.dtype}. For row "
            "numbers, set those of numpy.zeros(len(codes), bool)"
        )
    if array.shape not in ((n_rows,), (n_queries, n_rows)):
        raise ValueError(
            f"filter must have shape ({n_rows},), or ({n_queries}, {n_rows}) for a mask of each "
            f"query; got shape {array.shape}"
        )
    return np.ascontiguousarray(array)
