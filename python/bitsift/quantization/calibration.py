# SPDX-License-Identifier: Apache-2.0
"""The base class of calibrators, which find the bounds of each dimension, and their saved state.

The calibrators themselves are in ``calibrators.py``.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.blocks import row_blocks
from bitsift.core.floats import in_default_floats
from bitsift.core.limits import MAX_DIM
from bitsift.core.public import public
from bitsift.core.samples import Stacked
from bitsift.core.unreadable import shown
from bitsift.quantization.bounds import as_ranges

__all__ = [
    "Calibrator",
    "Summary",
    "add_rows",
    "own_calibrator",
    "restore_state",
    "save_state",
]

C = TypeVar("C", bound="Calibrator")

# A number of rows, and two float64 values for each dimension that summarise them.
Summary = tuple[int, NDArray[np.float64]]

_MAX_COUNT = 2**63 - 1
_FIELDS = {"kind", "n_std", "n"}

# Each kind of calibrator by the name that its state has.
_KINDS: dict[str, type[Calibrator]] = {}


@public
class Calibrator(ABC):
    """Find the bounds of each dimension: the base class of all calibrators.

    Use :class:`MinMaxCalibrator` or :class:`RollingCalibrator`.

    Notes
    -----
    Sums are computed in float64, and values are read a block at a time, so large values and many
    rows are safe. The bounds do not depend on how rows are divided among calls: minimum and maximum
    are exact, mean and standard deviation are equal up to float64 rounding of the largest value. A
    call that raises changes nothing. One thread may read the bounds while another adds rows; two
    threads must not add rows at once.
    """

    _kind: ClassVar[str]

    def __init__(self) -> None:
        # Replaced as a whole, so that another thread never reads half of an update.
        self._seen: Summary | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "_kind" in cls.__dict__:
            _KINDS[cls._kind] = cls

    @property
    def n(self) -> int:
        """Number of rows seen."""
        return 0 if self._seen is None else self._seen[0]

    @property
    def dim(self) -> int:
        """Number of dimensions.

        Raises
        ------
        ValueError
            The calibrator is not fitted.
        """
        return int(self._fitted()[1].shape[1])

    @property
    @in_default_floats
    def ranges(self) -> NDArray[np.float32]:
        """Bounds, shape (2, dim): row 0 holds the lower ones, row 1 the upper ones; a new array.

        All bounds are finite, and lower < upper in every dimension. If both would be the same value
        (the dimension is constant, or its bounds round to the same float32), they are that value
        minus and plus `s`. `s` is half the widest range of all dimensions; if that is too small to
        change the value, the magnitude of the value; if that is 0, 1. No bound is beyond float32's
        range. So the value is in the middle, up to the rounding of the bounds, and other values
        that come later have a range.

        Raises
        ------
        ValueError
            The calibrator is not fitted.
        """
        return as_ranges(self._range(*self._fitted()))

    @in_default_floats
    def fit(self: C, sample: ArrayLike) -> C:
        """Compute the bounds from a sample; forget all rows seen before.

        Parameters
        ----------
        sample : array_like, shape (n, dim)
            Vectors of float16, float32 or float64; finite and within float32's range; `n` is at
            least 1. An array, memory-mapped or not, is not copied.

        Returns
        -------
        Calibrator
            This calibrator.

        Raises
        ------
        TypeError
            `sample` has another dtype.
        ValueError
            `sample` has another shape or no rows; a value is not finite, or beyond float32's range.
        """
        rows = arguments.parse_matrix(sample, "sample", any_layout=True)
        _refuse_empty(rows, "sample")
        self._seen = self._with_rows(None, rows, "sample")
        return self

    @in_default_floats
    def partial_fit(self: C, batch: ArrayLike) -> C:
        """Add the next rows of a stream to the rows seen.

        Parameters
        ----------
        batch : array_like, shape (n, dim)
            Vectors, as for :meth:`fit`, with as many dimensions as before; `n` may be 0.

        Returns
        -------
        Calibrator
            This calibrator.

        Raises
        ------
        TypeError
            `batch` has another dtype.
        ValueError
            `batch` has another shape; a value is not finite, or beyond float32's range.
        """
        add_rows(self, arguments.parse_matrix(batch, "batch", any_layout=True), "batch")
        return self

    @in_default_floats
    def merge(self: C, other: Calibrator) -> C:
        """Add the rows that another calibrator has seen.

        Parameters
        ----------
        other : Calibrator
            A calibrator of the same kind, parameters and dimensions, or one that is not fitted. It
            is not changed.

        Returns
        -------
        Calibrator
            This calibrator.

        Raises
        ------
        TypeError
            `other` is not a calibrator.
        ValueError
            `other` has another kind, other parameters or other dimensions.
        """
        if not isinstance(other, Calibrator):
            raise TypeError(f"other must be a calibrator; got {type(other).__name__}")
        if (other._kind, other._n_std) != (self._kind, self._n_std):
            raise ValueError(
                f"other must be a calibrator of the same kind and parameters as {self!r}; "
                f"got {other!r}"
            )
        if self._seen is None or other._seen is None:
            self._seen = self._seen or other._seen
        elif other.dim != self.dim:
            raise ValueError(
                f"other must have dim {self.dim}, like this calibrator; got dim {other.dim}"
            )
        else:
            self._seen = self._combine(self._seen, other._seen)
        return self

    @in_default_floats
    def share_clipped(self, values: ArrayLike) -> float:
        """Return the share of values that lie outside the bounds, after rounding to float32.

        Parameters
        ----------
        values : array_like, shape (n, dim)
            Vectors, as for :meth:`fit`.

        Returns
        -------
        float
            The share, 0 to 1.

        Raises
        ------
        TypeError
            `values` have another dtype.
        ValueError
            `values` have another shape or no rows; a value is not finite, or beyond float32's
            range; the calibrator is not fitted.
        """
        lower, upper = self.ranges
        rows = arguments.parse_matrix(values, "values", any_layout=True)
        self._check_dim(rows, "values")
        _refuse_empty(rows, "values")
        n_clipped = 0
        for begin, end in row_blocks(*rows.shape):
            block = arguments.narrow(rows[begin:end], np.float32, "values", begin)
            n_clipped += int(np.count_nonzero((block < lower) | (block > upper)))
        return n_clipped / rows.size

    def state(self) -> tuple[dict[str, str | int | float | None], NDArray[np.float64]]:
        """Return the state, from which :meth:`from_state` makes an equal calibrator.

        Returns
        -------
        fields : dict
            ``"kind"``, ``"n_std"`` (None if the kind has none) and ``"n"``: plain JSON values.
        array : ndarray of float64, shape (2, dim)
            A summary of each dimension: minimum and maximum, or mean and sum of the squared
            deviations from the mean. A copy.

        Raises
        ------
        ValueError
            The calibrator is not fitted.
        """
        _, summary = self._fitted()
        return self._state_fields(), summary.copy()

    @staticmethod
    @in_default_floats
    def from_state(fields: Mapping[str, Any], array: NDArray[Any]) -> Calibrator:
        """Make a calibrator from what :meth:`state` returned. Every field and value is checked.

        Parameters
        ----------
        fields : mapping
            The fields that :meth:`state` returned; a number of standard deviations may be an int.
        array : ndarray of float64, shape (2, dim)
            The array that :meth:`state` returned; it is copied.

        Returns
        -------
        Calibrator
            A :class:`MinMaxCalibrator` or a :class:`RollingCalibrator`.

        Raises
        ------
        ValueError
            :meth:`state` cannot have returned this.
        """
        calibrator = _unfitted(fields)
        n = fields["n"]
        if type(n) is not int or not 1 <= n <= _MAX_COUNT:
            raise ValueError(f"n of a calibration must be an integer, at least 1; got {shown(n)}")
        summary = _as_summary(array)
        calibrator._validate(n, summary)
        calibrator._seen = n, summary
        return calibrator

    @in_default_floats
    def __repr__(self) -> str:
        parts = [] if self._n_std is None else [f"n_std={self._n_std}"]
        parts += ["not fitted"] if self._seen is None else [f"dim={self.dim}", f"n={self.n}"]
        return f"{type(self).__name__}({', '.join(parts)})"

    @property
    def _n_std(self) -> float | None:
        """Standard deviations between the mean and each bound; None if the kind has none."""
        return None

    def _state_fields(self) -> dict[str, str | int | float | None]:
        return {"kind": self._kind, "n_std": self._n_std, "n": self.n}

    def _fitted(self) -> Summary:
        if self._seen is None:
            raise ValueError("not fitted: call fit(sample) or partial_fit(batch) first")
        return self._seen

    def _check_dim(self, rows: NDArray[Any] | Stacked, name: str) -> None:
        if self._seen is not None:
            hint = f"; the calibrator has dim {self.dim}"
            arguments.check_n_values(rows.shape[1], name, self.dim, hint)

    def _with_rows(
        self, seen: Summary | None, rows: NDArray[Any] | Stacked, name: str
    ) -> Summary | None:
        for begin, end in row_blocks(*rows.shape):
            block = rows[begin:end]
            arguments.narrow(block, np.float32, name, begin)  # only to refuse what does not fit
            added = end - begin, self._summarise(block.astype(np.float64))
            seen = added if seen is None else self._combine(seen, added)
        return seen

    @classmethod
    @abstractmethod
    def _from_n_std(cls, n_std: Any) -> Calibrator:
        """Return an unfitted calibrator; raise ValueError if the field `n_std` is wrong."""

    @staticmethod
    @abstractmethod
    def _summarise(block: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the summary of a block of rows, shape (2, dim)."""

    @staticmethod
    @abstractmethod
    def _combine(a: Summary, b: Summary) -> Summary:
        """Return the summary of all rows of both; a new array."""

    @abstractmethod
    def _range(self, n: int, summary: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return lower and upper bounds, which may be equal or beyond float32's range."""

    @staticmethod
    @abstractmethod
    def _validate(n: int, summary: NDArray[np.float64]) -> None:
        """Raise ValueError unless `summary` can be that of `n` rows."""


def own_calibrator(calibrator: Calibrator | None, dim: int) -> Calibrator | None:
    """Return a copy of the caller's calibrator, so that the caller may change the original."""
    if calibrator is None:
        return None
    if not isinstance(calibrator, Calibrator):
        raise TypeError(f"calibrator must be a Calibrator; got {type(calibrator).__name__}")
    if calibrator.n > 0 and calibrator.dim != dim:
        raise ValueError(f"calibrator must have dim {dim}, like the index; got {calibrator!r}")
    return copy.deepcopy(calibrator)


def add_rows(calibrator: Calibrator, rows: NDArray[Any] | Stacked, name: str) -> None:
    """Add parsed rows to a calibrator; `name` is what errors call them."""
    calibrator._check_dim(rows, name)
    calibrator._seen = calibrator._with_rows(calibrator._seen, rows, name)


def save_state(
    calibrator: Calibrator,
) -> tuple[dict[str, str | int | float | None], NDArray[np.float64] | None]:
    """Return `Calibrator.state()`; of an unfitted one, its fields with n = 0, and None."""
    return calibrator.state() if calibrator.n > 0 else (calibrator._state_fields(), None)


def restore_state(fields: Mapping[str, Any], array: NDArray[Any] | None) -> Calibrator:
    """Return the calibrator of which `save_state` returned this."""
    return _unfitted(fields) if array is None else Calibrator.from_state(fields, array)


def _unfitted(fields: Mapping[str, Any]) -> Calibrator:
    """Return an unfitted calibrator of the kind and parameters of a state."""
    if not isinstance(fields, Mapping) or set(fields) != _FIELDS:
        raise ValueError(f"calibration must have the fields {sorted(_FIELDS)}; got {shown(fields)}")
    kind = fields["kind"]
    if not isinstance(kind, str) or kind not in _KINDS:
        kinds = " or ".join(f'"{known}"' for known in sorted(_KINDS))
        raise ValueError(f"kind of calibration must be {kinds}; got {shown(kind)}")
    return _KINDS[kind]._from_n_std(fields["n_std"])


def _refuse_empty(rows: NDArray[Any], name: str) -> None:
    if len(rows) == 0:
        raise ValueError(f"{name} must have at least one row; got shape {rows.shape}")


def _as_summary(array: NDArray[Any]) -> NDArray[np.float64]:
    if not isinstance(array, np.ndarray) or array.dtype != np.float64:
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(f"array of a calibration must be float64; got {kind}")
    if array.ndim != 2 or array.shape[0] != 2 or not 1 <= array.shape[1] <= MAX_DIM:
        raise ValueError(
            f"array of a calibration must have shape (2, dim) with dim 1 to {MAX_DIM}; "
            f"got shape {array.shape}"
        )
    return np.array(array, order="C")
