# SPDX-License-Identifier: Apache-2.0
"""What bitsift and a peer return must be the same before either is timed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def same_array(ours: NDArray[Any], peer: NDArray[Any]) -> None:
    np.testing.assert_array_equal(ours, peer)


def same_distances(ours: tuple[NDArray[Any], ...], peer: tuple[NDArray[Any], ...]) -> None:
    """Distances alone: who wins a tie is each library's own affair."""
    np.testing.assert_array_equal(ours[0], peer[0])


def close_scores(ours: tuple[NDArray[Any], ...], peer: tuple[NDArray[Any], ...]) -> None:
    """Scores alone, within what sums in float32 lose."""
    largest = float(np.abs(peer[0]).max())
    np.testing.assert_allclose(ours[0], peer[0], rtol=1e-5, atol=1e-6 * largest)
