# SPDX-License-Identifier: Apache-2.0
"""The two calibrators, by minimum and maximum and by deviations, and which one suits a store.

What they share is in ``calibration.py``.
"""

from __future__ import annotations

import math
import numbers
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from bitsift.core import arguments
from bitsift.core.floats import in_default_floats
from bitsift.core.handlers import call_raised
from bitsift.core.limits import LARGEST_FLOAT32
from bitsift.core.public import public
from bitsift.core.unreadable import shown
from bitsift.quantization.calibration import Calibrator, Summary
from bitsift.quantization.integers import DEFAULT_N_STD

__all__ = ["MinMaxCalibrator", "RollingCalibrator", "default_calibrator"]


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
            raise ValueError(f"n_std of a min_max calibration must be None; got {shown(n_std)}")
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


@public
class RollingCalibrator(Calibrator):
    """Bound each dimension by its mean minus and plus a number of standard deviations.

    Outliers are clipped, which makes the steps for all other values finer.

    Parameters
    ----------
    n_std : float
        Number of standard deviations on either side of the mean; positive and finite.

    Raises
    ------
    TypeError
        `n_std` is not a number.
    ValueError
        `n_std` is not positive and finite.

    Notes
    -----
    Means and sums of squared deviations of blocks are combined by the parallel update of Chan,
    Golub and LeVeque [1]_. The standard deviation is that of the population: the sum is divided by
    `n`.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance:
       analysis and recommendations", The American Statistician 37(3), 1983,
       doi:10.1080/00031305.1983.10483115.

    Examples
    --------
    >>> calibrator = bitsift.RollingCalibrator(2.0).fit([[1.0], [3.0]])
    >>> calibrator.ranges
    array([[0.],
           [4.]], dtype=float32)
    >>> calibrator.share_clipped([[3.5], [4.5]])
    0.5
    """

    _kind = "rolling"

    @in_default_floats
    def __init__(self, n_std: SupportsFloat) -> None:
        super().__init__()
        if isinstance(n_std, bool) or not isinstance(n_std, numbers.Real):
            raise TypeError(f"n_std must be a number; got {type(n_std).__name__}")
        try:
            number = float(n_std)
        except OverflowError as error:
            if not call_raised(error, methods=True):
                raise
            number = math.inf
        if not (math.isfinite(number) and number > 0):
            raise ValueError(f"n_std must be positive and finite; got {number}")
        self._deviations: float = number

    @property
    def n_std(self) -> float:
        """Number of standard deviations on either side of the mean."""
        return self._deviations

    @property
    def _n_std(self) -> float | None:
        return self._deviations

    @classmethod
    def _from_n_std(cls, n_std: Any) -> RollingCalibrator:
        if type(n_std) not in (int, float):
            raise ValueError(f"n_std of a rolling calibration must be a number; got {shown(n_std)}")
        return cls(n_std)

    @staticmethod
    def _summarise(block: NDArray[np.float64]) -> NDArray[np.float64]:
        # Subtracting the first row first gives a constant the deviation 0 exactly, and keeps a
        # small deviation precise beside a large mean.
        first = block[0]
        deviations = block - first
        mean = deviations.mean(axis=0)
        deviations -= mean
        return np.stack((first + mean, np.einsum("ij,ij->j", deviations, deviations)))

    @staticmethod
    def _combine(a: Summary, b: Summary) -> Summary:
        (n_a, (mean_a, squares_a)), (n_b, (mean_b, squares_b)) = a, b
        share = n_b / (n_a + n_b)
        difference = mean_b - mean_a
        squares = squares_a + squares_b + difference * difference * (n_a * share)
        return n_a + n_b, np.stack((mean_a + difference * share, squares))

    def _range(self, n: int, summary: NDArray[np.float64]) -> NDArray[np.float64]:
        mean, squares = summary
        spread = self._deviations * np.sqrt(squares / n)  # as_ranges clips it
        return np.stack((mean - spread, mean + spread))

    @staticmethod
    def _validate(n: int, summary: NDArray[np.float64]) -> None:
        arguments.narrow(summary[:1], np.float32, "mean of a calibration")
        squares = summary[1]
        # Values at both ends of float32's range have the largest variance; 1e-6 is for rounding.
        possible = (squares >= 0) & (squares / n <= LARGEST_FLOAT32**2 * (1 + 1e-6))
        if not possible.all():
            dimension = int((~possible).argmax())
            raise ValueError(
                f"calibration: dimension {dimension} has the sum of squared deviations "
                f"{squares[dimension]}, which {n} rows cannot have"
            )


def default_calibrator(store: str) -> Calibrator:
    """Return a new calibrator that suits an integer store."""
    n_std = DEFAULT_N_STD.get(store)
    return MinMaxCalibrator() if n_std is None else RollingCalibrator(n_std)
