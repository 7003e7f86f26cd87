# SPDX-License-Identifier: Apache-2.0
"""Packed codes that the caller holds: search them, and convert them to and from other formats."""

from bitsift.codes.conventions import codes_from_int8, from_codes, to_codes
from bitsift.codes.neighbors import hamming, knn_graph, search
from bitsift.codes.ranges import range_search
from bitsift.codes.responses import codes_from_response

__all__ = [
    "codes_from_int8",
    "codes_from_response",
    "from_codes",
    "hamming",
    "knn_graph",
    "range_search",
    "search",
    "to_codes",
]
