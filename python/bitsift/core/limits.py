# SPDX-License-Identifier: Apache-2.0
"""Limits of arguments and of values: each once."""

from __future__ import annotations

__all__ = [
    "FEW_VECTORS",
    "LARGEST_FLOAT32",
    "LEAST_ROWS_ADVISED",
    "LEAST_ROWS_FITTED",
    "MAX_DIM",
    "MAX_ID",
    "MAX_K",
    "MAX_OFFSET",
    "MAX_THREADS",
    "MOST_ROWS_ADVISED",
    "MOST_ROWS_FITTED",
]

MAX_DIM = 65_536
MAX_ID = 2**63 - 1
MAX_K = 2**31 - 1
MAX_OFFSET = 2**63 - 1
MAX_THREADS = 1024

# Written out: numpy.finfo warns where the processor takes subnormal numbers for zero.
LARGEST_FLOAT32 = float.fromhex("0x1.fffffep+127")

# Thresholds and bounds computed from fewer vectors than this depend on which vectors these are.
FEW_VECTORS = 100
# An index fits itself to no fewer vectors. Until there are so many, it keeps them as floats.
LEAST_ROWS_FITTED = 1000
# A threshold is computed from at most this many vectors, evenly spaced, to bound the time it takes.
MOST_ROWS_FITTED = 65_536
# Options are compared on at least so many vectors,
LEAST_ROWS_ADVISED = 20
# and on at most so many, evenly spaced.
MOST_ROWS_ADVISED = 20_000
