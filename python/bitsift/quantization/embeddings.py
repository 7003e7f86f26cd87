# SPDX-License-Identifier: Apache-2.0
"""Embeddings to smaller types, by the function of that name of sentence-transformers and beyond."""

from __future__ import annotations

import warnings
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.core.blocks import row_blocks
from bitsift.core.errors import BitsiftWarning
from bitsift.core.isa import resolve_isa
from bitsift.core.public import public
from bitsift.quantization.bounds import as_ranges
from bitsift.quantization.calibration import Calibrator, add_rows
from bitsift.quantization.calibrators import MinMaxCalibrator, default_calibrator
from bitsift.quantization.comparison import kernel_thresholds
from bitsift.quantization.integers import PRECISIONS

__all__ = ["quantize_embeddings"]

QuantizedPrecision = Literal[
    "float32", "float16", "int8", "uint8", "int4", "ternary", "binary", "ubinary"
]

_PRECISIONS = ("float32", "float16", "int8", "uint8", "int4", "ternary", "binary", "ubinary")
_WITH_RANGES = ("int8", "uint8", "int4", "ternary")
_FEW_EMBEDDINGS = 100


@overload
def quantize_embeddings(
    embeddings: NDArray[Any],
    precision: QuantizedPrecision,
    ranges: ArrayLike | Calibrator | None = None,
    calibration_embeddings: ArrayLike | None = None,
) -> NDArray[Any]: ...


@overload
def quantize_embeddings(
    embeddings: ArrayLike | list[NDArray[Any]],
    precision: QuantizedPrecision,
    ranges: ArrayLike | Calibrator | None = None,
    calibration_embeddings: ArrayLike | None = None,
) -> NDArray[Any] | list[NDArray[Any]]: ...


@public
def quantize_embeddings(
    embeddings: ArrayLike | list[NDArray[Any]],
    precision: QuantizedPrecision,
    ranges: ArrayLike | Calibrator | None = None,
    calibration_embeddings: ArrayLike | None = None,
) -> NDArray[Any] | list[NDArray[Any]]:
    """Quantize embeddings as sentence-transformers does, or to more precisions.

    Parameters
    ----------
    embeddings : array_like, shape (n, dim) or (dim,), or list of arrays of shape (n_i, dim)
        float16, float32 or float64; finite, and within the range of float32, for ``"float16"`` of
        float16. ``"binary"`` and ``"ubinary"`` take bool as well.
    precision : str
        ``"float32"``, ``"float16"``; ``"int8"``, ``"uint8"``, ``"int4"``, ``"ternary"``, which need
        bounds of each dimension; ``"binary"``, ``"ubinary"``.
    ranges : array_like, shape (2, dim), or Calibrator, optional
        Lower and upper bounds, finite, lower <= upper. Others ignore it.
    calibration_embeddings : array_like, shape (n, dim), optional
        Where there are no `ranges`: what the bounds are calculated from, otherwise the embeddings
        themselves. For int8 and uint8 with a :class:`MinMaxCalibrator`, for int4 with a
        :class:`RollingCalibrator` of 3 standard deviations, for ternary of 0.7.

    Returns
    -------
    ndarray, shape (n, n_columns) or (n_columns,), or list of ndarray
        A new array, or for a list of matrices one for each of them; an empty list for an empty
        list. float32, float16, int8 and uint8: `dim` columns of that type. int4: ceil(dim / 2)
        bytes, uint8. ternary: ceil(dim / 5) bytes, uint8. ubinary: packed bits as
        :func:`pack` gives them, uint8, ceil(dim / 8) bytes; binary: the same minus 128, int8, the
        convention ``"offset"`` of :func:`codes_from_int8`.

    Raises
    ------
    TypeError
        Another dtype.
    ValueError
        Another precision; another shape; a value that is NaN, infinite or too large; bounds would
        have to come from a single embedding.

    Warns
    -----
    BitsiftWarning
        Bounds come from fewer than 100 embeddings, as `calibration_embeddings` are not given.

    Notes
    -----
    For ``"float32"``, ``"int8"``, ``"uint8"``, ``"binary"`` and ``"ubinary"`` the result is that of
    ``sentence_transformers.util.quantize_embeddings`` 6.2, bit for bit, where both give one. Its
    rule for uint8 is ``clip(floor((x - lower) / ((upper - lower) / 255)), 0, 255)`` in the common
    type of embeddings and float32, with a step of 1 in place of one of 0: values beyond the bounds
    are clipped, a constant gets the code 0. int8 is the same minus 128. Where the bounds are so far
    apart that this is not a number, and the original casts it to whatever the processor makes of
    it, the code is 0 here.

    The others are those of originals in an index. int4, with 16 steps a range, lower < upper:
    ``c = clip(rint(16 * (x - lower) / (upper - lower) - 8), -8, 7)`` stands for
    ``lower + (c + 8) * (upper - lower) / 16``; two of them a byte, in two's complement, the first
    in the high nibble, a nibble too many 0. ternary: `c` is -1 below the bounds, 1 above, else 0,
    and stands for ``(lower + upper) / 2 + c * (upper - lower)``; five of them a byte, the number
    whose digits in base 3 are ``c + 1``, the first the most significant, `c` too many 0. A constant
    gets a range as in :attr:`Calibrator.ranges`.

    References
    ----------
    .. [1] https://sbert.net/docs/package_reference/util.html

    Examples
    --------
    >>> ranges = [[-1.0, 0.0, 0.0], [1.0, 2.0, 4.0]]
    >>> embeddings = numpy.array([[0.5, 2.5, -1.0]], dtype="float32")
    >>> bitsift.quantize_embeddings(embeddings, "uint8", ranges)
    array([[191, 255,   0]], dtype=uint8)
    >>> bitsift.quantize_embeddings(embeddings, "int4", ranges)  # codes 4, 7 and -8
    array([[ 71, 128]], dtype=uint8)
    >>> bitsift.quantize_embeddings(embeddings, "binary")
    array([[64]], dtype=int8)
    """
    arguments.choice(precision, "precision", _PRECISIONS)
    if isinstance(embeddings, list):
        if not embeddings:
            return []
        if hasattr(embeddings[0], "ndim"):
            embeddings = [np.asarray(one) for one in embeddings]
            if embeddings[0].ndim == 2:
                matrices = [
                    _as_embeddings(one, f"embeddings[{i}]", precision)
                    for i, one in enumerate(embeddings)
                ]
                bounds = _bounds(matrices, precision, ranges, calibration_embeddings)
                return [
                    _quantized(one, precision, bounds, f"embeddings[{i}]")
                    for i, one in enumerate(matrices)
                ]
    array = _as_embeddings(embeddings, "embeddings", precision)
    bounds = _bounds([array], precision, ranges, calibration_embeddings)
    quantized = _quantized(arguments.as_rows(array), precision, bounds, "embeddings")
    return quantized if array.ndim == 2 else quantized[0]


def _as_embeddings(x: ArrayLike, name: str, precision: str) -> NDArray[Any]:
    array = arguments.as_values(x, name)
    if array.dtype.kind == "b" and precision not in ("binary", "ubinary"):
        raise TypeError(f"{name} must be float16, float32 or float64 for {precision!r}; got bool")
    return array


def _bounds(
    arrays: list[NDArray[Any]],
    precision: str,
    ranges: ArrayLike | Calibrator | None,
    calibration_embeddings: ArrayLike | None,
) -> NDArray[np.float32]:
    """Return bounds for all arrays together; of no columns where none are needed."""
    dim = arrays[0].shape[-1]
    for i, array in enumerate(arrays):
        if len(arrays) > 1 and (array.ndim, array.shape[-1]) != (2, dim):
            raise ValueError(
                f"embeddings[{i}] must have shape (n, {dim}), as embeddings[0] has {dim} columns; "
                f"got shape {array.shape}"
            )
    n = sum(len(arguments.as_rows(array)) for array in arrays)
    if precision not in _WITH_RANGES or n == 0:
        return np.empty((2, 0), np.float32)
    if isinstance(ranges, Calibrator):
        ranges = ranges.ranges
    if ranges is not None:
        bounds = _as_bounds(ranges, dim)
        return bounds if precision in ("int8", "uint8") else as_ranges(bounds)
    calibrator = default_calibrator(precision)
    if calibration_embeddings is not None:
        add_rows(calibrator, calibration_embeddings, "calibration_embeddings")
        if calibrator.n == 0:
            raise ValueError("calibration_embeddings must have at least one row; got none")
        if calibrator.dim != dim:
            raise ValueError(
                f"calibration_embeddings have {calibrator.dim} values per row; embeddings {dim}"
            )
    else:
        if n == 1:
            raise ValueError(
                f"bounds for {precision} cannot come from a single embedding; give ranges or "
                "calibration_embeddings from a representative set"
            )
        if n < _FEW_EMBEDDINGS:
            warnings.warn(
                f"bounds for {precision} come from {n} embeddings; ranges or "
                f"calibration_embeddings from a representative set, {_FEW_EMBEDDINGS} or more, "
                "give better ones",
                BitsiftWarning,
                stacklevel=3,
            )
        for i, array in enumerate(arrays):
            add_rows(calibrator, array, f"embeddings[{i}]" if len(arrays) > 1 else "embeddings")
    if isinstance(calibrator, MinMaxCalibrator):  # int8, uint8: a constant gets no range
        return calibrator.state()[1].astype(np.float32)
    return calibrator.ranges


def _as_bounds(ranges: ArrayLike, dim: int) -> NDArray[np.float32]:
    array = np.asarray(ranges)
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
        raise TypeError(f"ranges must be real numbers or a calibrator; got {array.dtype}")
    if array.shape != (2, dim):
        raise ValueError(
            f"ranges must have shape (2, {dim}), lower and upper bounds of each dimension; "
            f"got shape {array.shape}"
        )
    with np.errstate(over="ignore"):
        bounds = array.astype(np.float32)
    wrong = ~(np.isfinite(bounds).all(axis=0) & (bounds[0] <= bounds[1]))
    if wrong.any():
        dimension = int(wrong.argmax())
        raise ValueError(
            "ranges must be within float32's range, lower <= upper; dimension "
            f"{dimension} has {array[0, dimension]} and {array[1, dimension]}"
        )
    return bounds


def _quantized(
    rows: NDArray[Any], precision: str, bounds: NDArray[np.float32], name: str
) -> NDArray[Any]:
    n, dim = rows.shape
    if precision in ("binary", "ubinary"):
        thresholds = kernel_thresholds(0.0, dim, rows.dtype)
        packed, finite = native.pack(rows, thresholds, resolve_isa(None), 0)
        if not finite:
            arguments.refuse_non_finite(rows, name)
        return packed if precision == "ubinary" else _minus_128(packed)
    kept = np.dtype(np.float16 if precision == "float16" else np.float32)
    if precision in _WITH_RANGES:
        columns, dtype = PRECISIONS[precision].n_columns(dim), PRECISIONS[precision].dtype
    else:
        columns, dtype = dim, kept
    quantized = np.empty((n, columns), dtype)
    for begin, end in row_blocks(n, dim):
        block = rows[begin:end]
        narrowed = _within(block, kept, name, begin)
        if precision in ("float32", "float16"):
            quantized[begin:end] = narrowed
        elif precision == "uint8":
            quantized[begin:end] = _truncated(block, bounds)
        elif precision == "int8":
            quantized[begin:end] = _minus_128(_truncated(block, bounds))
        else:
            quantized[begin:end] = PRECISIONS[precision].encode(block, bounds)
    return quantized


def _truncated(block: NDArray[Any], bounds: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the steps of 1/255 of the range that a value is above the lower bound, rounded down.

    The order of operations and their types are those of sentence-transformers.
    """
    lower, upper = bounds
    with np.errstate(over="ignore", invalid="ignore"):
        steps = (upper - lower) / 255
        steps[steps == 0] = 1
        codes = np.floor((block - lower) / steps)
    np.clip(codes, 0, 255, out=codes)
    codes[np.isnan(codes)] = 0
    truncated: NDArray[np.uint8] = codes.astype(np.uint8)
    return truncated


def _minus_128(codes: NDArray[np.uint8]) -> NDArray[np.int8]:
    offset: NDArray[np.int8] = (codes ^ np.uint8(0x80)).view(np.int8)
    return offset


def _within(block: NDArray[Any], kept: np.dtype[Any], name: str, first_row: int) -> NDArray[Any]:
    """Return a block in the type `kept`, if its values are in that type's range."""
    with np.errstate(over="ignore"):
        narrowed = block.astype(kept, copy=False)
    finite = np.isfinite(narrowed)
    if not finite.all():
        arguments.refuse_non_finite(block, name, first_row)
        row, column = (int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name} must be within {kept}'s range; row {first_row + row}, dimension {column} "
            f"is {block[row, column]}"
        )
    return narrowed
