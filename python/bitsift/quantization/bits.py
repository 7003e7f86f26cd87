# SPDX-License-Identifier: Apache-2.0
"""Floats to bits and back."""

from __future__ import annotations

from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.core.isa import resolve_isa
from bitsift.core.public import public
from bitsift.quantization.comparison import kernel_thresholds

__all__ = ["pack", "unpack"]


@public
def pack(
    x: ArrayLike,
    threshold: ArrayLike = 0.0,
    *,
    isa: str | None = None,
    threads: SupportsIndex = 0,
) -> NDArray[np.uint8]:
    """Pack one bit per dimension: ``numpy.packbits(x > threshold, axis=-1)``, in one pass.

    Parameters
    ----------
    x : array_like, shape (n, d) or (d,)
        float16, float32, float64 or bool; finite; `d` from 1 to 65,536. Read where it lies; copied
        only if the values of a row are not contiguous, aligned and in native byte order.
    threshold : float or array_like, shape (d,)
        A bit is set where the value is greater. Compared as NumPy compares: a Python number in the
        type of `x`, an array in the common type of both. bool values need 0 <= threshold < 1.
    isa : str, optional
        Instruction set, one of :func:`available_isas`; the best one by default.
    threads : int
        Number of threads; 0 means all.

    Returns
    -------
    ndarray of uint8, shape (n, ceil(d / 8)) or (ceil(d / 8),)
        Codes, most significant bit first, pad bits zero.

    Raises
    ------
    TypeError
        Another dtype.
    ValueError
        Another shape, a value or a threshold that is NaN or infinite.

    Notes
    -----
    Exact: the same bits on every instruction set and number of threads. Safe to call from many
    threads; the GIL is released.

    Examples
    --------
    >>> bitsift.pack(numpy.array([[0.5, -1.0, 0.0, 2.0]], dtype="float32"))
    array([[144]], dtype=uint8)
    """
    values = arguments.as_values(x, "x")
    rows = arguments.as_rows(values)
    codes, finite = native.pack(
        rows,
        kernel_thresholds(threshold, rows.shape[1], rows.dtype),
        resolve_isa(isa),
        arguments.check_threads(threads),
    )
    if not finite:
        arguments.refuse_non_finite(rows, "x")
    return codes if values.ndim == 2 else codes[0]


@public
def unpack(codes: ArrayLike, dim: SupportsIndex) -> NDArray[np.uint8]:
    """Unpack codes to one 0 or 1 per dimension.

    Parameters
    ----------
    codes : array_like of uint8, shape (n, ceil(dim / 8)) or (ceil(dim / 8),)
        Packed codes, most significant bit first.
    dim : int
        Dimensions, 1 to 65,536.

    Returns
    -------
    ndarray of uint8, shape (n, dim) or (dim,)
        0 and 1.

    Raises
    ------
    TypeError
        `codes` are not uint8.
    ValueError
        `codes` have another number of bytes than `dim` needs.

    Examples
    --------
    >>> bitsift.unpack(numpy.array([144], dtype="uint8"), 4)
    array([1, 0, 0, 1], dtype=uint8)
    """
    packed = arguments.as_codes(codes, "codes")
    dim = arguments.integer(dim, "dim", 1, arguments.MAX_DIM)
    n_bytes = (dim + 7) // 8
    if packed.shape[-1] != n_bytes:
        raise ValueError(
            f"got {packed.shape[-1]} bytes = {packed.shape[-1] * 8} bits per row; "
            f"dim {dim} needs {n_bytes} bytes"
        )
    return np.unpackbits(packed, axis=-1, count=dim)
