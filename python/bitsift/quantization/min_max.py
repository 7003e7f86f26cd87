# SPDX-License-Identifier: Apache-2.0
"""Calibration by minimum and maximum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core import arguments
from bitsift.core.public import public
from bitsift.quantization.calibration import Calibrator, Summary

__all__ = ["MinMaxCalibrator"]


@public
class MinMaxCalibrator(Calibrator):
    """Bound each dimension by the smallest and the largest value seen.

    No value that was seen is clipped. But one outlier makes every step of its dimension wider.

    Examples
    --------
    >>> calibrator = bitsift.MinMaxCalibrator().fit([[0.0, -1.0], [2.0, 3.0]])
    >>> calibrator.partial_fit([[4.0, 1.0]])
    MinMaxCalibrator(dim=2, n=3)
    >>> calibrator.ranges
    array([[ 0., -1.],
           [ 4.,  3.]], dtype=float32)
    """

    _kind = "min_max"

    @classmethod
    def _from_n_std(cls, n_std: Any) -> MinMaxCalibrator:
        if n_std is not None:
            raise ValueError(f"n_std of a min_max calibration must be None; got {n_std!r}")
        return cls()

    @staticmethod
    def _summarise(block: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack((block.min(axis=0), block.max(axis=0)))

    @staticmethod
    def _combine(a: Summary, b: Summary) -> Summary:
        (n_a, (lowest_a, largest_a)), (n_b, (lowest_b, largest_b)) = a, b
        lowest, largest = np.minimum(lowest_a, lowest_b), np.maximum(largest_a, largest_b)
        return n_a + n_b, np.stack((lowest, largest))

    def _range(self, n: int, summary: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002
        return summary

    @staticmethod
    def _validate(n: int, summary: NDArray[np.float64]) -> None:  # noqa: ARG004
        arguments.narrow(summary, np.float32, "minimum and maximum of a calibration")
        wrong = summary[0] > summary[1]
        if wrong.any():
            raise ValueError(
                f"calibration: dimension {int(wrong.argmax())} has a minimum above its maximum"
            )
