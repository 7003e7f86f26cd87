# SPDX-License-Identifier: Apache-2.0
"""Samples of rows, and rows of two matrices."""

import numpy as np

from bitsift.core.samples import Stacked
from helpers.waiting import made_vectors


def test_rows_of_two_matrices():
    first, second = made_vectors(5), made_vectors(8, 1)
    rows, together = Stacked(first, second), np.concatenate([first, second])
    assert rows.shape == together.shape
    assert len(rows) == 13
    for part in (slice(0, 5), slice(5, 13), slice(3, 9), slice(0, 99), slice(7, 8), slice(4, 4)):
        np.testing.assert_array_equal(rows[part], together[part], strict=True)
    numbers = np.array([12, 0, 5, 4, 4, 7])
    np.testing.assert_array_equal(rows[numbers], together[numbers], strict=True)
    np.testing.assert_array_equal(np.asarray(rows), together, strict=True)
