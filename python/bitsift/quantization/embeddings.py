# SPDX-License-Identifier: Apache-2.0
"""Quantize embeddings as sentence-transformers does, and to more precisions."""

from __future__ import annotations

from typing import Any, Literal, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.blocks import fill, row_blocks
from bitsift.core.errors import warn
from bitsift.core.floats import in_default_floats
from bitsift.core.isa import resolve_isa
from bitsift.core.limits import FEW_VECTORS
from bitsift.core.options import INTEGER_STORES
from bitsift.core.public import public
from bitsift.quantization.bits import pack_rows
from bitsift.quantization.bounds import as_ranges
from bitsift.quantization.calibration import Calibrator, add_rows
from bitsift.quantization.calibrators import MinMaxCalibrator, default_calibrator
from bitsift.quantization.comparison import kernel_thresholds
from bitsift.quantization.integers import INTEGER_CODECS
from bitsift.quantization.losses import (
    MOST_ROWS_SAMPLED,
    sample_of,
    warn_of_alike,
    warn_of_clipped,
    warn_of_tiny,
)

__all__ = ["quantize_embeddings"]

QuantizedPrecision = Literal[
    "float32", "float16", "int8", "uint8", "int4", "ternary", "binary", "ubinary"
]

_PRECISIONS: tuple[QuantizedPrecision, ...] = get_args(QuantizedPrecision)


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
@in_default_floats
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
        Vectors of float16, float32 or float64; finite, and within float32's range; for
        ``"float16"`` within float16's range. ``"binary"`` and ``"ubinary"`` take bool as well.
    precision : str
        ``"float32"`` or ``"float16"``; ``"int8"``, ``"uint8"``, ``"int4"`` or ``"ternary"``, which
        need bounds of each dimension; ``"binary"`` or ``"ubinary"``.
    ranges : array_like, shape (2, dim), or Calibrator, optional
        Lower and upper bounds; finite, lower <= upper.
    calibration_embeddings : array_like, shape (n, dim), optional
        Sample from which the bounds are computed if `ranges` is None; by default the embeddings
        themselves. int8 and uint8 use a :class:`MinMaxCalibrator`, int4 a
        :class:`RollingCalibrator` with 3 standard deviations, ternary one with 0.7.

    Returns
    -------
    ndarray, shape (n, n_columns) or (n_columns,), or list of ndarray
        A new array; for a list of matrices, a list with one array for each of them.

        * float32, float16, int8 and uint8: `dim` columns of that type.
        * int4: ceil(dim / 2) bytes, uint8.
        * ternary: ceil(dim / 5) bytes, uint8.
        * ubinary: codes as :func:`pack` returns them, ceil(dim / 8) bytes, uint8.
        * binary: the same bytes minus 128, int8: the convention ``"binary"`` of :func:`to_codes`.

    Raises
    ------
    TypeError
        An array has another dtype.
    ValueError
        `precision` is unknown; an array has another shape; a value is NaN, infinite or too large;
        the bounds would have to come from a single embedding.

    Warns
    -----
    BitsiftWarning
        The bounds come from fewer than 100 embeddings: `ranges` and `calibration_embeddings` are
        not given. Or more than 5 % of the embeddings' values lie outside the bounds, beyond those
        that the rule of the bounds clips; or nearly all become the same integer. Or an argument
        does nothing: both are given, or `precision` has no bounds.

    Notes
    -----
    For ``"float32"``, ``"int8"``, ``"uint8"``, ``"binary"`` and ``"ubinary"`` the result is that of
    ``sentence_transformers.util.quantize_embeddings`` 6.2 [1]_, bit for bit, wherever both return
    one. Its rule for uint8 is ``clip(floor((x - lower) / ((upper - lower) / 255)), 0, 255)`` in the
    common type of embeddings and float32; a step of 0 is replaced by 1. So values beyond the bounds
    are clipped, and a constant dimension becomes 0. int8 is the same minus 128. If bounds are so
    far apart that the rule gives NaN, the result is 0 here; in sentence-transformers it depends on
    the processor.

    ``"int4"`` and ``"ternary"`` are the stores of an index. int4 divides the range into 16 steps:
    ``c = clip(rint(16 * (x - lower) / (upper - lower) - 8), -8, 7)`` stands for
    ``lower + (c + 8) * (upper - lower) / 16``. Two of these integers share a byte, in two's
    complement, the first in the high nibble; a pad nibble is 0. ternary takes -1 for values below
    the bounds, 1 for values above, else 0; `c` stands for
    ``(lower + upper) / 2 + c * (upper - lower)``. Five of them share a byte: the number in base 3
    with the digits ``c + 1``, the first digit the most significant; pad integers are 0. A constant
    dimension gets a range as in :attr:`Calibrator.ranges`.

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
            names = (f"embeddings[{i}]" for i in range(len(embeddings)))
            embeddings = list(map(arguments.plain_array, embeddings, names))
            if embeddings[0].ndim == 2:
                matrices = _parse_matrices(embeddings, precision)
                return _quantize(matrices, precision, ranges, calibration_embeddings)
    values = _parse(embeddings, "embeddings", precision)
    rows = {"embeddings": values.rows}
    quantized = _quantize(rows, precision, ranges, calibration_embeddings)[0]
    return quantized[0] if values.is_single else quantized


def _parse(x: ArrayLike, name: str, precision: str) -> arguments.Values:
    values = arguments.parse_values(x, name)
    if values.are_bits and precision not in ("binary", "ubinary"):
        raise TypeError(f"{name} must be float16, float32 or float64 for {precision!r}; got bool")
    return values


def _parse_matrices(embeddings: list[NDArray[Any]], precision: str) -> dict[str, NDArray[Any]]:
    """Return the rows of each matrix by its name in errors."""
    dim = embeddings[0].shape[1]
    matrices = {}
    for i, one in enumerate(embeddings):
        name = f"embeddings[{i}]"
        rows, is_single = _parse(one, name, precision)
        if is_single or rows.shape[1] != dim:
            raise ValueError(
                f"{name} must have shape (n, {dim}), like embeddings[0]; got shape {one.shape}"
            )
        matrices[name] = rows
    return matrices


def _quantize(
    matrices: dict[str, NDArray[Any]],
    precision: QuantizedPrecision,
    ranges: ArrayLike | Calibrator | None,
    calibration_embeddings: ArrayLike | None,
) -> list[NDArray[Any]]:
    _warn_of_unused(precision, ranges, calibration_embeddings)
    bounds, calibrator = _bounds(matrices, precision, ranges, calibration_embeddings)
    quantized = [_quantize_rows(rows, precision, bounds, name) for name, rows in matrices.items()]
    are_own = ranges is None and calibration_embeddings is None
    _warn_of_losses(matrices, precision, bounds, calibrator, are_own=are_own)
    return quantized


def _warn_of_unused(
    precision: QuantizedPrecision,
    ranges: ArrayLike | Calibrator | None,
    calibration_embeddings: ArrayLike | None,
) -> None:
    """Warn of arguments that change nothing."""
    given = {"ranges": ranges, "calibration_embeddings": calibration_embeddings}
    names = [name for name, value in given.items() if value is not None]
    if names and precision not in INTEGER_STORES:
        warn(f"{' and '.join(names)} does nothing: precision={precision!r} has no bounds")
    elif len(names) > 1:
        warn("calibration_embeddings does nothing beside ranges, which are the bounds")


def _warn_of_losses(
    matrices: dict[str, NDArray[Any]],
    precision: QuantizedPrecision,
    bounds: NDArray[np.float32],
    calibrator: Calibrator | None,
    *,
    are_own: bool,
) -> None:
    """Warn if the embeddings lose much; `are_own` says that the bounds were computed from them."""
    if precision not in (*INTEGER_STORES, "float16"):
        return
    most = -(-MOST_ROWS_SAMPLED // len(matrices))
    sample = np.concatenate([sample_of(rows, most) for rows in matrices.values()])
    what = f"precision={precision!r}:"
    if precision == "float16":
        warn_of_tiny(sample, "precision")
        return
    if len(sample) == 0:
        return
    remedy = "give ranges or calibration_embeddings of vectors of all kinds that come"
    # Only a calibrator tells how many values ternary bounds leave out, which is their purpose.
    knows_share = calibrator is not None or precision != "ternary"
    if (
        not are_own
        and knows_share
        and warn_of_clipped(sample, bounds, precision, calibrator, what, remedy)
    ):
        return
    warn_of_alike(sample, as_ranges(bounds), precision, what, remedy)


def _bounds(
    matrices: dict[str, NDArray[Any]],
    precision: QuantizedPrecision,
    ranges: ArrayLike | Calibrator | None,
    calibration_embeddings: ArrayLike | None,
) -> tuple[NDArray[np.float32], Calibrator | None]:
    """Return the bounds for all matrices together, without columns if none are needed.

    And the calibrator that they come from, None if they do not.
    """
    n = sum(len(rows) for rows in matrices.values())
    dim = next(iter(matrices.values())).shape[1]
    if precision not in INTEGER_STORES or n == 0:
        return np.empty((2, 0), np.float32), None
    given = None
    if isinstance(ranges, Calibrator):
        given, ranges = ranges, ranges.ranges
    if ranges is not None:
        bounds = _parse_ranges(ranges, dim)
        return (bounds if precision in ("int8", "uint8") else as_ranges(bounds)), given
    calibrator = default_calibrator(precision)
    if calibration_embeddings is None:
        _check_enough(n, precision)
        for name, rows in matrices.items():
            add_rows(calibrator, rows, name)
    else:
        name = "calibration_embeddings"
        sample = arguments.parse_matrix(calibration_embeddings, name, any_layout=True)
        add_rows(calibrator, sample, name)
        if calibrator.n == 0:
            raise ValueError(f"{name} must have at least one row; got none")
        arguments.check_n_values(sample.shape[1], name, dim)
    if isinstance(calibrator, MinMaxCalibrator):  # int8 and uint8 give a constant no range
        return calibrator.state()[1].astype(np.float32), calibrator
    return calibrator.ranges, calibrator


def _check_enough(n: int, precision: str) -> None:
    """Refuse, or warn of, too few embeddings to compute bounds from."""
    if n == 1:
        raise ValueError(
            f"bounds for {precision} cannot come from a single embedding: give ranges, or "
            "calibration_embeddings from a representative set"
        )
    if n < FEW_VECTORS:
        warn(
            f"bounds for {precision} come from {n} embeddings; ranges or calibration_embeddings "
            f"from a representative set, {FEW_VECTORS} or more, give better ones"
        )


def _parse_ranges(ranges: ArrayLike, dim: int) -> NDArray[np.float32]:
    array = arguments.plain_array(ranges, "ranges", "be real numbers or a calibrator")
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
        raise TypeError(f"ranges must be real numbers or a calibrator; got {array.dtype}")
    if array.shape != (2, dim):
        raise ValueError(
            f"ranges must have shape (2, {dim}), lower and upper bounds of each dimension; "
            f"got shape {array.shape}"
        )
    bounds = array.astype(np.float32)
    wrong = ~(np.isfinite(bounds).all(axis=0) & (bounds[0] <= bounds[1]))
    if wrong.any():
        dimension = int(wrong.argmax())
        raise ValueError(
            "ranges must be within float32's range, lower <= upper; dimension "
            f"{dimension} has {array[0, dimension]} and {array[1, dimension]}"
        )
    return bounds


def _quantize_rows(
    rows: NDArray[Any], precision: QuantizedPrecision, bounds: NDArray[np.float32], name: str
) -> NDArray[Any]:
    n, dim = rows.shape
    if precision in ("binary", "ubinary"):
        thresholds = kernel_thresholds(0.0, dim, rows.dtype)
        codes = pack_rows(rows, thresholds, name, resolve_isa(None), 0)
        if precision == "ubinary":
            return codes
        offset = codes.view(np.int8)
        fill(offset, _minus_128, codes)
        return offset
    codec = INTEGER_CODECS.get(precision)
    columns = dim if codec is None else codec.n_columns(dim)
    quantized = np.empty((n, columns), np.dtype(precision) if codec is None else codec.dtype)
    for begin, end in row_blocks(n, dim):
        block = rows[begin:end]
        narrowed = arguments.narrow(
            block, np.float16 if precision == "float16" else np.float32, name, begin
        )
        if codec is None:
            quantized[begin:end] = narrowed
        elif precision == "uint8":
            quantized[begin:end] = _truncate(block, bounds)
        elif precision == "int8":
            quantized[begin:end] = _minus_128(_truncate(block, bounds))
        else:
            quantized[begin:end] = codec.encode(block, bounds)
    return quantized


def _truncate(block: NDArray[Any], bounds: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return how many steps of 1/255 of the range a value is above the lower bound, rounded down.

    The order of operations and their types are those of sentence-transformers.
    """
    lower, upper = bounds
    steps = (upper - lower) / 255
    steps[steps == 0] = 1
    n_steps = np.floor((block - lower) / steps)
    np.clip(n_steps, 0, 255, out=n_steps)
    n_steps[np.isnan(n_steps)] = 0
    truncated: NDArray[np.uint8] = n_steps.astype(np.uint8)
    return truncated


def _minus_128(values: NDArray[np.uint8]) -> NDArray[np.int8]:
    offset: NDArray[np.int8] = (values ^ np.uint8(0x80)).view(np.int8)
    return offset
