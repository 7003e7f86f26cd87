# SPDX-License-Identifier: Apache-2.0
"""Bounds of each dimension, for originals kept as small integers, from a sample or a stream."""

from __future__ import annotations

import copy
import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, SupportsFloat, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.blocks import row_blocks
from bitsift.core.public import public

__all__ = ["Calibrator", "MinMaxCalibrator", "RollingCalibrator"]

C = TypeVar("C", bound="Calibrator")

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)

_MAX_COUNT = 2**63 - 1
_FIELDS = {"kind", "n_std", "n"}


@public
class Calibrator(ABC):
    """Base of what finds the bounds of each dimension: :class:`MinMaxCalibrator` and others.

    Notes
    -----
    All sums are in float64 and values are read a block at a time, so neither large values nor many
    rows do harm. However rows are divided among calls, the bounds are the same: exactly, or where
    they follow from sums, to float64's rounding of the largest value. A call that raises changes
    nothing. One thread may read while another adds; two may not add at once.
    """

    _kind: ClassVar[str]

    def __init__(self) -> None:
        # Number of rows and what is known of them, replaced together.
        self._seen: tuple[int, NDArray[np.float64]] | None = None

    @property
    def n(self) -> int:
        """Rows seen."""
        return 0 if self._seen is None else self._seen[0]

    @property
    def dim(self) -> int:
        """Dimensions.

        Raises
        ------
        ValueError
            Nothing was fitted.
        """
        return int(self._fitted()[1].shape[1])

    @property
    def ranges(self) -> NDArray[np.float32]:
        """Bounds, shape (2, dim): row 0 the lower ones, row 1 the upper ones; a new array.

        Finite, and lower < upper in every dimension. Where both would be the same value (the
        dimension is constant, or float32 cannot tell its bounds apart), they are that value -+ `s`:
        `s` is half the widest range of the other dimensions; where that is nothing next to the
        value, the value's magnitude; where that is 0, 1; and no bound is beyond float32's range. So
        the value is in the middle, to the rounding of the bounds, and other values that come later
        have a range.

        Raises
        ------
        ValueError
            Nothing was fitted.
        """
        return as_ranges(self._bounds(*self._fitted()))

    def fit(self: C, sample: ArrayLike) -> C:
        """Take the bounds from a sample; forget what was seen before.

        Parameters
        ----------
        sample : array_like, shape (n, dim)
            float16, float32 or float64; finite and within float32's range; n at least 1. An array,
            or a memory-mapped one, is not copied.

        Returns
        -------
        Calibrator
            Itself.

        Raises
        ------
        TypeError
            Another dtype.
        ValueError
            Another shape, no rows, a value that is not finite or too large.
        """
        rows = _as_batch(sample, "sample")
        if len(rows) == 0:
            raise ValueError(f"sample must have at least one row; got shape {rows.shape}")
        self._seen = self._with_rows(None, rows, "sample")
        return self

    def partial_fit(self: C, batch: ArrayLike) -> C:
        """Add the next rows of a stream to what was seen.

        Parameters
        ----------
        batch : array_like, shape (n, dim)
            As for :meth:`fit`, with as many dimensions as before; n may be 0.

        Returns
        -------
        Calibrator
            Itself.

        Raises
        ------
        TypeError
            Another dtype.
        ValueError
            Another shape, a value that is not finite or too large.
        """
        add_rows(self, batch, "batch")
        return self

    def merge(self: C, other: Calibrator) -> C:
        """Add what another calibrator has seen, which may be nothing.

        Parameters
        ----------
        other : Calibrator
            Of the same kind with the same parameters and dimensions; not changed.

        Returns
        -------
        Calibrator
            Itself.

        Raises
        ------
        TypeError
            Not a calibrator.
        ValueError
            Another kind, other parameters or other dimensions.
        """
        if not isinstance(other, Calibrator):
            raise TypeError(f"other must be a calibrator; got {type(other).__name__}")
        if (other._kind, other._n_std) != (self._kind, self._n_std):
            raise ValueError(
                f"only calibrators of one kind can be merged; got {other!r}, this is {self!r}"
            )
        if self._seen is None or other._seen is None:
            self._seen = self._seen or other._seen
        elif other.dim != self.dim:
            raise ValueError(
                f"got a calibrator of {other.dim} dimensions; this one has dim {self.dim}"
            )
        else:
            self._seen = self._both(self._seen, other._seen)
        return self

    def share_clipped(self, values: ArrayLike) -> float:
        """Tell which share of values lies outside the bounds, after rounding to float32.

        Parameters
        ----------
        values : array_like, shape (n, dim)
            As for :meth:`fit`.

        Returns
        -------
        float
            0 to 1.

        Raises
        ------
        TypeError
            Another dtype.
        ValueError
            Another shape, no rows, a value that is not finite or too large, or nothing was fitted.
        """
        lower, upper = self.ranges
        rows = _as_batch(values, "values")
        self._check_dim(rows)
        if len(rows) == 0:
            raise ValueError(f"values must have at least one row; got shape {rows.shape}")
        n_clipped = 0
        for begin, end in row_blocks(*rows.shape):
            block = _as_float64(rows[begin:end], "values", begin).astype(np.float32)
            n_clipped += int(np.count_nonzero((block < lower) | (block > upper)))
        return n_clipped / rows.size

    def state(self) -> tuple[dict[str, str | int | float | None], NDArray[np.float64]]:
        """Give what :meth:`from_state` needs to make an equal calibrator.

        Returns
        -------
        fields : dict
            ``"kind"``, ``"n_std"`` (None where there is none) and ``"n"``: plain JSON values.
        array : ndarray of float64, shape (2, dim)
            What is known of each dimension: minimum and maximum, or mean and sum of the squared
            deviations from it. A copy.

        Raises
        ------
        ValueError
            Nothing was fitted.
        """
        n, known = self._fitted()
        return {"kind": self._kind, "n_std": self._n_std, "n": n}, known.copy()

    @staticmethod
    def from_state(fields: Mapping[str, Any], array: NDArray[Any]) -> Calibrator:
        """Make a calibrator of what :meth:`state` gave. Nothing is taken on trust.

        Parameters
        ----------
        fields : mapping
            As from :meth:`state`; a number of standard deviations may be an int.
        array : ndarray of float64, shape (2, dim)
            As from :meth:`state`; copied.

        Returns
        -------
        Calibrator
            A :class:`MinMaxCalibrator` or a :class:`RollingCalibrator`.

        Raises
        ------
        ValueError
            Something that :meth:`state` never gives.
        """
        if not isinstance(fields, Mapping) or set(fields) != _FIELDS:
            raise ValueError(f"calibration must have the fields {sorted(_FIELDS)}; got {fields!r}")
        kind, n_std, n = fields["kind"], fields["n_std"], fields["n"]
        if kind not in ("min_max", "rolling"):
            raise ValueError(f'kind of calibration must be "min_max" or "rolling"; got {kind!r}')
        calibrator: Calibrator
        if kind == "rolling":
            if type(n_std) not in (int, float):
                raise ValueError(f"n_std of a rolling calibration must be a number; got {n_std!r}")
            calibrator = RollingCalibrator(n_std)
        elif n_std is not None:
            raise ValueError(f"n_std of a min_max calibration must be None; got {n_std!r}")
        else:
            calibrator = MinMaxCalibrator()
        if type(n) is not int or not 1 <= n <= _MAX_COUNT:
            raise ValueError(f"n of a calibration must be an integer, at least 1; got {n!r}")
        calibrator._seen = n, calibrator._known(n, _as_state_array(array))
        return calibrator

    def __repr__(self) -> str:
        parts = [] if self._n_std is None else [f"n_std={self._n_std}"]
        parts += ["not fitted"] if self._seen is None else [f"dim={self.dim}", f"n={self.n}"]
        return f"{type(self).__name__}({', '.join(parts)})"

    @property
    def _n_std(self) -> float | None:
        return None

    def _fitted(self) -> tuple[int, NDArray[np.float64]]:
        if self._seen is None:
            raise ValueError("not fitted: call fit(sample) or partial_fit(batch) first")
        return self._seen

    def _check_dim(self, rows: NDArray[Any]) -> None:
        if self._seen is not None and rows.shape[1] != self.dim:
            raise ValueError(
                f"got {rows.shape[1]} values per row; the calibrator has dim {self.dim}"
            )

    def _with_rows(
        self, seen: tuple[int, NDArray[np.float64]] | None, rows: NDArray[Any], name: str
    ) -> tuple[int, NDArray[np.float64]] | None:
        for begin, end in row_blocks(*rows.shape):
            block = end - begin, self._of_block(_as_float64(rows[begin:end], name, begin))
            seen = block if seen is None else self._both(seen, block)
        return seen

    @staticmethod
    @abstractmethod
    def _of_block(block: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what is known of each dimension from a block of rows."""

    @staticmethod
    @abstractmethod
    def _both(
        a: tuple[int, NDArray[np.float64]], b: tuple[int, NDArray[np.float64]]
    ) -> tuple[int, NDArray[np.float64]]:
        """Return the number of rows and what is known from both; a new array."""

    @abstractmethod
    def _bounds(self, n: int, known: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return lower and upper bounds, maybe equal, maybe beyond float32's range."""

    @staticmethod
    @abstractmethod
    def _known(n: int, array: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `array` if it can be what is known from `n` rows."""


@public
class MinMaxCalibrator(Calibrator):
    """Bounds of each dimension: the smallest and the largest value seen.

    No value seen is clipped, but one outlier widens every step of its dimension.

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

    @staticmethod
    def _of_block(block: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack((block.min(axis=0), block.max(axis=0)))

    @staticmethod
    def _both(
        a: tuple[int, NDArray[np.float64]], b: tuple[int, NDArray[np.float64]]
    ) -> tuple[int, NDArray[np.float64]]:
        lowest, largest = np.minimum(a[1][0], b[1][0]), np.maximum(a[1][1], b[1][1])
        return a[0] + b[0], np.stack((lowest, largest))

    def _bounds(self, n: int, known: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002
        return known

    @staticmethod
    def _known(n: int, array: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG004
        _check_in_range(array, "minimum or maximum")
        if (array[0] > array[1]).any():
            dimension = int((array[0] > array[1]).argmax())
            raise ValueError(f"calibration: dimension {dimension} has a minimum above its maximum")
        return array


@public
class RollingCalibrator(Calibrator):
    """Bounds of each dimension: its mean, less and plus a number of standard deviations.

    Outliers are clipped, so that the steps of all other values are finer.

    Parameters
    ----------
    n_std : float
        Standard deviations on either side of the mean; positive and finite.

    Raises
    ------
    TypeError
        `n_std` is no number.
    ValueError
        `n_std` is not positive and finite.

    Notes
    -----
    Means and sums of squared deviations of blocks are put together by the parallel update of Chan,
    Golub and LeVeque. The deviation is that of the population: divided by n.

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

    def __init__(self, n_std: SupportsFloat) -> None:
        super().__init__()
        if isinstance(n_std, bool) or not isinstance(n_std, numbers.Real):
            raise TypeError(f"n_std must be a number; got {type(n_std).__name__}")
        try:
            number = float(n_std)
        except OverflowError:
            number = math.inf
        if not (math.isfinite(number) and number > 0):
            raise ValueError(f"n_std must be positive and finite; got {number}")
        self._deviations: float = number

    @property
    def n_std(self) -> float:
        """Standard deviations on either side of the mean."""
        return self._deviations

    @property
    def _n_std(self) -> float | None:
        return self._deviations

    @staticmethod
    def _of_block(block: NDArray[np.float64]) -> NDArray[np.float64]:
        # Relative to the first row: a constant has the deviation 0 exactly, and a large mean does
        # not swallow a small deviation.
        first = block[0]
        deviations = block - first
        mean = deviations.mean(axis=0)
        deviations -= mean
        return np.stack((first + mean, np.einsum("ij,ij->j", deviations, deviations)))

    @staticmethod
    def _both(
        a: tuple[int, NDArray[np.float64]], b: tuple[int, NDArray[np.float64]]
    ) -> tuple[int, NDArray[np.float64]]:
        (n_a, (mean_a, squares_a)), (n_b, (mean_b, squares_b)) = a, b
        share = n_b / (n_a + n_b)
        apart = mean_b - mean_a
        squares = squares_a + squares_b + apart * apart * (n_a * share)
        return n_a + n_b, np.stack((mean_a + apart * share, squares))

    def _bounds(self, n: int, known: NDArray[np.float64]) -> NDArray[np.float64]:
        mean, squares = known
        with np.errstate(over="ignore"):  # as_ranges clips
            spread = self._deviations * np.sqrt(squares / n)
        return np.stack((mean - spread, mean + spread))

    @staticmethod
    def _known(n: int, array: NDArray[np.float64]) -> NDArray[np.float64]:
        _check_in_range(array[:1], "mean")
        # The largest variance is that of values at both ends of the range; the rest is rounding.
        with np.errstate(invalid="ignore"):
            possible = (array[1] >= 0) & (array[1] / n <= LARGEST_FLOAT32**2 * (1 + 1e-6))
        if not possible.all():
            dimension = int((~possible).argmax())
            raise ValueError(
                f"calibration: dimension {dimension} has the sum of squared deviations "
                f"{array[1, dimension]}, which {n} rows cannot have"
            )
        return array


def own_calibrator(calibrator: Calibrator | None, dim: int) -> Calibrator | None:
    """Return a copy, so that the caller may go on with the original."""
    if calibrator is None:
        return None
    if not isinstance(calibrator, Calibrator):
        raise TypeError(f"calibrator must be a Calibrator; got {type(calibrator).__name__}")
    if calibrator.n > 0 and calibrator.dim != dim:
        raise ValueError(
            f"got a calibrator of {calibrator.dim} dimensions; the index has dim {dim}"
        )
    return copy.deepcopy(calibrator)


def add_rows(calibrator: Calibrator, batch: ArrayLike, name: str) -> None:
    """Do what `Calibrator.partial_fit` does, with another name of the batch in errors."""
    rows = _as_batch(batch, name)
    calibrator._check_dim(rows)
    calibrator._seen = calibrator._with_rows(calibrator._seen, rows, name)


def as_ranges(bounds: NDArray[Any]) -> NDArray[np.float32]:
    """Return bounds, shape (2, dim), as float32 with lower < upper: see `Calibrator.ranges`."""
    ranges = _narrowed(bounds.astype(np.float64))
    lower, upper = ranges.astype(np.float64)
    constant = lower == upper
    if constant.any():
        value = lower[constant]
        half = np.full(value.shape, 0.5 * (upper - lower).max())
        apart = (_narrowed(value - half) < value) & (value < _narrowed(value + half))
        half = np.where(apart, half, np.abs(value))
        half[half == 0] = 1
        ranges[:, constant] = _narrowed(np.stack((value - half, value + half)))
    return ranges


def _narrowed(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.clip(values, -LARGEST_FLOAT32, LARGEST_FLOAT32).astype(np.float32)


def _as_batch(x: ArrayLike, name: str) -> NDArray[Any]:
    """Return float16, float32 or float64 values of two axes, where they lie."""
    array = arguments.as_array(x, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must have shape (n, dim); got shape {array.shape}")
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise TypeError(f"{name} must be float16, float32 or float64; got {array.dtype}")
    if array.shape[1] > arguments.MAX_DIM:
        raise ValueError(
            f"{name} must have at most {arguments.MAX_DIM} values a row; got {array.shape[1]}"
        )
    return array


def _as_float64(block: NDArray[Any], name: str, first_row: int) -> NDArray[np.float64]:
    """Return values as float64 if float32 could hold them."""
    with np.errstate(over="ignore"):
        finite = np.isfinite(block.astype(np.float32, copy=False))
    if not finite.all():
        arguments.refuse_non_finite(block, name, first_row)
        row, column = (int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name} must be within float32's range; row {first_row + row}, dimension {column} "
            f"is {block[row, column]}"
        )
    return block.astype(np.float64)


def _as_state_array(array: NDArray[Any]) -> NDArray[np.float64]:
    if not isinstance(array, np.ndarray) or array.dtype != np.float64:
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(f"array of a calibration must be float64; got {kind}")
    if array.ndim != 2 or array.shape[0] != 2 or not 1 <= array.shape[1] <= arguments.MAX_DIM:
        raise ValueError(
            f"array of a calibration must have shape (2, dim) with dim 1 to {arguments.MAX_DIM}; "
            f"got shape {array.shape}"
        )
    return np.array(array, order="C")


def _check_in_range(array: NDArray[np.float64], what: str) -> None:
    with np.errstate(over="ignore"):
        finite = np.isfinite(array.astype(np.float32))
    if not finite.all():
        row, dimension = (int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"calibration: dimension {dimension} has the {what} {array[row, dimension]}, which is "
            "not within float32's range"
        )
