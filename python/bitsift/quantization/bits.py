# SPDX-License-Identifier: Apache-2.0
"""Pack floats into codes, and unpack codes."""

from __future__ import annotations

from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.core.blocks import fill
from bitsift.core.floats import in_default_floats
from bitsift.core.isa import resolve_isa
from bitsift.core.public import public
from bitsift.quantization.comparison import kernel_thresholds

__all__ = ["pack", "unpack"]


@public
@in_default_floats
def pack(
    x: ArrayLike,
    threshold: ArrayLike = 0.0,
    *,
    isa: str | None = None,
    threads: SupportsIndex = 0,
) -> NDArray[np.uint8]:
    """Pack one bit for each dimension: ``numpy.packbits(x > threshold, axis=-1)`` in one pass.

    Parameters
    ----------
    x : array_like, shape (n, d) or (d,)
        Vectors of float16, float32, float64 or bool; finite; `d` is 1 to 65,536. They are read in
        place; copied only if the values of a row are not contiguous, aligned and in native byte
        order.
    threshold : float or array_like, shape (d,)
        A bit is set where the value is greater than the threshold. The comparison is NumPy's: with
        a Python number in the type of `x`, with an array in the common type of both. bool values
        need 0 <= threshold < 1.
    isa : str, optional
        Instruction set, one of :func:`available_isas`; the best one by default.
    threads : int
        Number of threads; 0 means all.

    Returns
    -------
    ndarray of uint8, shape (n, ceil(d / 8)) or (ceil(d / 8),)
        Codes, most significant bit first, with pad bits of zero.

    Raises
    ------
    TypeError
        `x` or `threshold` has another dtype.
    ValueError
        `x` or `threshold` has another shape, or a value that is NaN or infinite.

    Notes
    -----
    The result is exact: the same bits on every instruction set and with any number of threads. Many
    threads may call this at once; the GIL is released.

    Examples
    --------
    >>> bitsift.pack(numpy.array([[0.5, -1.0, 0.0, 2.0]], dtype="float32"))
    array([[144]], dtype=uint8)
    """
    values = arguments.parse_values(x, "x")
    thresholds = kernel_thresholds(threshold, values.rows.shape[1], values.rows.dtype)
    codes = pack_rows(
        values.rows, thresholds, "x", resolve_isa(isa), arguments.check_threads(threads)
    )
    return codes[0] if values.is_single else codes


@public
def unpack(codes: ArrayLike, dim: SupportsIndex) -> NDArray[np.uint8]:
    """Unpack codes to one 0 or 1 for each dimension.

    Parameters
    ----------
    codes : array_like of uint8, shape (n, ceil(dim / 8)) or (ceil(dim / 8),)
        Packed codes, most significant bit first.
    dim : int
        Number of dimensions, 1 to 65,536.

    Returns
    -------
    ndarray of uint8, shape (n, dim) or (dim,)
        0 and 1.

    Raises
    ------
    TypeError
        `codes` are not uint8.
    ValueError
        `codes` do not have the number of bytes that `dim` needs.

    Examples
    --------
    >>> bitsift.unpack(numpy.array([144], dtype="uint8"), 4)
    array([1, 0, 0, 1], dtype=uint8)
    """
    packed = arguments.parse_codes(codes, "codes")
    dim = arguments.check_dim(dim)
    arguments.check_n_bytes(packed.rows.shape[1], "codes", dim)
    bits = np.empty((len(packed.rows), dim), np.uint8)
    fill(bits, lambda block: np.unpackbits(block, axis=1, count=dim), packed.rows)
    return bits[0] if packed.is_single else bits


def pack_rows(
    rows: NDArray[Any], thresholds: NDArray[Any], name: str, isa: str, threads: int
) -> NDArray[np.uint8]:
    """Return the codes of rows, with thresholds of :func:`kernel_thresholds`; refuse NaN."""
    codes, finite = native.pack(rows, thresholds, isa, threads)
    if not finite:
        arguments.refuse_non_finite(rows, name)
    return codes
