# SPDX-License-Identifier: Apache-2.0
"""Results of searches that must be the same, byte for byte."""

from __future__ import annotations

import numpy as np

from bitsift import SearchResult

__all__ = ["check_same"]


def check_same(found: SearchResult, wanted: SearchResult) -> None:
    """Check scores, ids, their types and shapes, and what the scores are."""
    assert found.kind == wanted.kind
    np.testing.assert_array_equal(found.ids, wanted.ids, strict=True)
    np.testing.assert_array_equal(found.scores, wanted.scores, strict=True)
