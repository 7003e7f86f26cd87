# SPDX-License-Identifier: Apache-2.0
"""The door: public functions check their arguments here, once.

`parse` and its kin turn a caller's array into `Codes` or `Values`. Functions below the public ones
take these, and check only that the width fits. An array is copied only where the compiled core
cannot read it in place. A message says "NAME must be WANTED; got CAME".
"""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple, SupportsIndex, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.core import unreadable
from bitsift.core.blocks import converted, listed, row_blocks
from bitsift.core.handlers import call_raised
from bitsift.core.interruptible import copied
from bitsift.core.limits import MAX_DIM, MAX_K, MAX_OFFSET, MAX_THREADS

__all__ = [
    "MAX_DIM",
    "MAX_K",
    "Codes",
    "Values",
    "as_array",
    "as_rows",
    "check_bits",
    "check_bool",
    "check_dim",
    "check_k",
    "check_n_bytes",
    "check_n_values",
    "check_oversampling",
    "check_progress",
    "check_score",
    "check_threads",
    "choice",
    "integer",
    "narrow",
    "parse",
    "parse_codes",
    "parse_matrix",
    "parse_values",
    "plain_array",
    "real",
    "refuse_non_finite",
    "refuse_where",
]

T = TypeVar("T")


def choice(value: T, name: str, choices: tuple[T, ...]) -> T:
    """Return `value` if it is one of the strings, or None, in `choices`."""
    if not (value is None or isinstance(value, str)) or value not in choices:
        raise ValueError(f"{name} must be one of {choices}; got {unreadable.shown(value)}")
    return value


def integer(value: SupportsIndex, name: str, low: int, high: int) -> int:
    """Return `value` as an int if it is an integer from `low` to `high`."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer; got {unreadable.shown(value)}")
    try:
        number = operator.index(value)
    except TypeError as error:
        if not call_raised(error, methods=True):
            raise
        raise TypeError(f"{name} must be an integer; got {type(value).__name__}") from None
    if not low <= number <= high:
        raise ValueError(f"{name} must be {low} to {high}; got {_digits(number)}")
    return number


def _digits(number: int) -> str:
    """Return an integer as text; a huge one has more digits than help, or than Python prints."""
    if number.bit_length() <= 128:
        return str(number)
    return f"a {'negative ' if number < 0 else ''}number of {number.bit_length()} bits"


def check_bits(n_bits: SupportsIndex, name: str) -> int:
    """Return a bound of Hamming distances; none is negative, or beyond 524,288."""
    return integer(n_bits, f"{name}, a number of bits,", -(2**63), 2**63 - 1)


def check_score(score: float, name: str) -> np.float32:
    """Return a number as a score, rounded to float32."""
    with native.DefaultFloats():
        number = real(score, name, "a number")
        if math.isnan(number):
            raise ValueError(f"{name} must be a number; got nan")
        return np.float32(number)


def check_bool(value: bool, name: str) -> bool:
    """Return `value` as a bool if it is one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {unreadable.shown(value)}")
    return bool(value)


def check_dim(dim: SupportsIndex) -> int:
    """Return the number of dimensions."""
    return integer(dim, "dim", 1, MAX_DIM)


def check_k(k: SupportsIndex) -> int:
    """Return the number of results for each query."""
    return integer(k, "k", 0, MAX_K)


def check_offset(offset: SupportsIndex) -> int:
    """Return the number of results of each query that a page leaves out."""
    return integer(offset, "offset", 0, MAX_OFFSET)


def check_threads(threads: SupportsIndex) -> int:
    """Return the number of threads; 0 means all."""
    return integer(threads, "threads", 0, MAX_THREADS)


def check_progress(progress: object) -> None:
    """Raise unless `progress` can be called, or is None."""
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be callable or None; got {type(progress).__name__}")


def check_oversampling(oversampling: float, name: str = "oversampling") -> float:
    """Return the number of candidates for each result."""
    number = real(oversampling, name, "a number")
    if not (math.isfinite(number) and number >= 1):
        raise ValueError(f"{name} must be finite and at least 1; got {number}")
    return number


def real(value: float, name: str, wanted: str) -> float:
    """Return a number of any type as a float; infinity beyond the largest one."""
    try:
        if isinstance(value, (str, bytes, bool, np.bool_)):  # float() accepts these
            raise TypeError
        return float(value)
    except (TypeError, ValueError) as error:
        if not call_raised(error, methods=True):
            raise
        raise TypeError(f"{name} must be {wanted}; got {type(value).__name__}") from None
    except OverflowError as error:
        if not call_raised(error, methods=True):
            raise
        return -math.inf if value < 0 else math.inf


class Codes(NamedTuple):
    """A caller's packed codes.

    Attributes
    ----------
    rows : ndarray of uint8, shape (n, n_bytes)
        Each row is contiguous. Shares the caller's memory where the compiled core can read it.
    is_single : bool
        Whether the caller gave one row, as an array of one axis.
    """

    rows: NDArray[np.uint8]
    is_single: bool


class Values(NamedTuple):
    """A caller's vectors: one value for each dimension.

    Attributes
    ----------
    rows : ndarray of float16, float32, float64 or bool, shape (n, dim)
        In native byte order and aligned; each row is contiguous. Shares the caller's memory where
        the compiled core can read it. Values may be NaN or infinite: the reader checks.
    is_single : bool
        Whether the caller gave one row, as an array of one axis.
    """

    rows: NDArray[Any]
    is_single: bool

    @property
    def are_bits(self) -> bool:
        """Whether the values are bool."""
        return bool(self.rows.dtype == np.bool_)


def parse(x: ArrayLike, name: str, dim: int | None = None) -> Codes | Values:
    """Return a caller's array as packed codes if it is uint8, else as values.

    `dim` is that of the index, for the message: it tells int8 numbers from packed int8.
    """
    array = as_array(x, name)
    return _codes(array, name) if _is_packed(array, name, dim) else _values(array, name)


def parse_codes(x: ArrayLike, name: str) -> Codes:
    """Return a caller's array as packed codes."""
    array = as_array(x, name)
    if not _is_packed(array, name):
        hint = unreadable.codes_hint(array.dtype, name)
        raise TypeError(f"{name} must be packed bits (uint8); got {array.dtype}{hint}")
    return _codes(array, name)


def parse_values(x: ArrayLike, name: str, *, floats: bool = False) -> Values:
    """Return a caller's array as values; `floats` refuses bool."""
    return _values(as_array(x, name), name, floats=floats)


def parse_matrix(x: ArrayLike, name: str, *, any_layout: bool = False) -> NDArray[Any]:
    """Return a caller's array as floats of two axes, shape (n, dim).

    `any_layout` leaves strides and byte order as they are, so nothing is copied: for a reader that
    converts a block of rows at a time.
    """
    array = as_array(x, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must have shape (n, dim); got shape {array.shape}")
    if any_layout:
        _check_values(array, name, floats=True)
        return array
    return _values(array, name, floats=True).rows


def _codes(array: NDArray[Any], name: str) -> Codes:
    check_n_bytes(array.shape[-1], name)
    return Codes(as_rows(_rows_in_place(array)), array.ndim == 1)


def _values(array: NDArray[Any], name: str, *, floats: bool = False) -> Values:
    _check_values(array, name, floats=floats)
    ordered = array if array.dtype.isnative else copied(array, array.dtype.newbyteorder("="))
    return Values(as_rows(_rows_in_place(ordered)), array.ndim == 1)


def _check_values(array: NDArray[Any], name: str, *, floats: bool) -> None:
    is_float = array.dtype.kind == "f" and array.dtype.itemsize <= 8
    if not is_float and (floats or array.dtype.kind != "b"):
        wanted = "float16, float32 or float64" if floats else "float16, float32, float64 or bool"
        hint = unreadable.values_hint(array, name)
        raise TypeError(f"{name} must be {wanted}; got {array.dtype}{hint}")
    check_n_values(array.shape[-1], name)


def narrow(
    values: NDArray[Any],
    dtype: type[np.floating[Any]],
    name: str,
    first_row: int = 0,
    purpose: str = "",
    *,
    numbers: NDArray[np.int64] | None = None,
) -> NDArray[Any]:
    """Return finite values in a float type that can hold them; not copied if they have it.

    An error names the first value that is not finite, or that is beyond the range of `dtype`.
    `first_row` is the number of the first row in the caller's array, or `numbers` are those of all
    rows; `purpose` says what the type is for.
    """
    with native.DefaultFloats():
        narrowed: NDArray[Any] = values.astype(dtype, copy=False)
        finite = np.isfinite(narrowed)
        if not finite.all():
            refuse_non_finite(values, name, first_row, numbers=numbers)
            wanted = f"within {np.dtype(dtype)}'s range{purpose}"
            refuse_where(~finite, values, name, wanted, first_row, numbers=numbers)
        return narrowed


def refuse_non_finite(
    values: NDArray[Any],
    name: str,
    first_row: int = 0,
    *,
    numbers: NDArray[np.int64] | None = None,
) -> None:
    """Raise for the first value of a matrix that is NaN or infinite, if there is one."""
    for begin, end in row_blocks(*values.shape):
        block = values[begin:end]
        finite = np.isfinite(block)
        if not finite.all():
            those = None if numbers is None else numbers[begin:end]
            refuse_where(~finite, block, name, "finite", first_row + begin, numbers=those)


def refuse_where(
    bad: NDArray[np.bool_],
    values: NDArray[Any],
    name: str,
    wanted: str,
    first_row: int = 0,
    *,
    column: str = "dimension",
    hint: str = "",
    numbers: NDArray[np.int64] | None = None,
) -> None:
    """Raise for the first value of a matrix that is bad, if there is one.

    `first_row` is the number of the first row in the caller's array, or `numbers` are those of all
    rows.
    """
    places = np.argwhere(bad)
    if len(places):
        i, j = (int(place) for place in places[0])
        row = first_row + i if numbers is None else numbers[i]
        raise ValueError(
            f"{name} must be {wanted}; row {row}, {column} {j} is {values[i, j]}{hint}"
        )


def check_n_bytes(
    n_bytes: int, name: str, dim: int | None = None, hint: str = "", *, of_index: bool = False
) -> None:
    """Raise unless codes of `n_bytes` bytes have `dim` bits, or at most as many as codes can.

    `of_index` says that `dim` is that of an index, which may be the wrong one.
    """
    needed = None if dim is None else (dim + 7) // 8
    if n_bytes == needed or (needed is None and n_bytes * 8 <= MAX_DIM):
        return
    wanted = (
        f"at most {MAX_DIM} bits a row" if dim is None else f"{needed} bytes a row for dim {dim}"
    )
    if n_bytes == dim and not hint:
        hint = (
            f"; numbers, one a dimension, are given as floats: numpy.asarray({name}, 'float32'), "
            "minus 128 if they are bytes with that offset"
        )
    if of_index and n_bytes * 8 <= MAX_DIM:
        n_bits = n_bytes * 8
        hint += (
            f"; codes of {n_bytes} bytes a row need an index of {n_bits} dimensions: "
            f"bitsift.Index({n_bits})"
        )
    raise ValueError(f"{name} must have {wanted}; got {n_bytes} bytes = {n_bytes * 8} bits{hint}")


def check_n_values(n_values: int, name: str, dim: int | None = None, hint: str = "") -> None:
    """Raise unless rows of `n_values` values have `dim`, or at most as many as rows can."""
    if n_values == dim or (dim is None and n_values <= MAX_DIM):
        return
    wanted = f"at most {MAX_DIM} values a row" if dim is None else f"{dim} values a row"
    raise ValueError(f"{name} must have {wanted}; got {n_values}{hint}")


def as_array(x: ArrayLike, name: str) -> NDArray[Any]:
    """Return `x` as an array of one or two axes with at least one value a row."""
    is_plain = type(x) is np.ndarray and not x.dtype.hasobject
    array: NDArray[Any] = x if is_plain else plain_array(x, name)  # type: ignore[assignment]
    if array.ndim not in (1, 2):
        raise unreadable.axes_error(x, array, name)
    if array.shape[-1] == 0:
        raise ValueError(f"{name} must have at least one value a row; got shape {array.shape}")
    return array


def plain_array(x: ArrayLike, name: str, wanted: str = "hold numbers") -> NDArray[Any]:
    """Return `x` as an array of any shape that holds no Python objects and has no mask.

    `wanted` says in errors what `x` must do or be.
    """
    is_list = isinstance(x, (list, tuple)) and len(x) > 0 and not isinstance(x[0], (int, float))
    for one in (x, *x) if is_list else (x,):  # type: ignore[misc]
        if isinstance(one, np.ma.MaskedArray):
            raise TypeError(
                f"{name} must be a plain array; got a masked one, whose mask would be lost: "
                "numpy.ma.filled gives its masked values a number"
            )
    with native.DefaultFloats():
        array = listed(x) if isinstance(x, (list, tuple)) else None
        if array is None:
            whole = converted(x)
            if isinstance(whole, Exception):
                raise unreadable.conversion_error(x, name, whole) from whole
            array = whole
        if array.dtype.hasobject:
            raise unreadable.objects_error(x, array, name, wanted)
    return array


def _is_packed(array: NDArray[Any], name: str, dim: int | None = None) -> bool:
    """Tell packed codes by their dtype: uint8 always is, int8 is of unknown convention."""
    if array.dtype == np.int8:
        raise unreadable.int8_error(array, name, dim)
    return bool(array.dtype == np.uint8)


def _rows_in_place(array: NDArray[Any]) -> NDArray[Any]:
    """Return `array` itself if the compiled core can read its rows in place, else a copy."""
    contiguous = array.shape[-1] == 1 or array.strides[-1] == array.itemsize
    return array if contiguous and array.flags.aligned else copied(array)


def as_rows(array: NDArray[Any]) -> NDArray[Any]:
    """Return one row as a matrix of one row."""
    return array[np.newaxis] if array.ndim == 1 else array
