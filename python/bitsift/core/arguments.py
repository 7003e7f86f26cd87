# SPDX-License-Identifier: Apache-2.0
"""Arguments, checked once, at the door: each error says what came and what was wanted.

`parse` and its kin turn an array of the caller's into `Codes` or `Values`; everything below the
public functions takes these and checks no more than that their width fits. Nothing is copied here
unless the core could not read it where it lies.
"""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple, SupportsIndex, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

T = TypeVar("T")

MAX_DIM = 65_536
MAX_THREADS = 1024
MAX_K = 2**31 - 1


def choice(value: T, name: str, choices: tuple[T, ...]) -> T:
    """Return `value` if it is one of the strings, or None, in `choices`."""
    if not (value is None or isinstance(value, str)) or value not in choices:
        raise ValueError(f"{name} must be one of {choices}; got {value!r}")
    return value


def integer(value: SupportsIndex, name: str, low: int, high: int) -> int:
    """Return `value` as an int of [`low`, `high`]."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer; got {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {type(value).__name__}") from None
    if not low <= number <= high:
        raise ValueError(f"{name} must be {low} to {high}; got {number}")
    return number


def check_bool(value: bool, name: str) -> bool:
    """Return `value` as a bool if it is one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return bool(value)


def check_k(k: SupportsIndex) -> int:
    """Return the number of results asked for."""
    return integer(k, "k", 0, MAX_K)


def check_threads(threads: SupportsIndex) -> int:
    """Return the number of threads asked for; 0 means all."""
    return integer(threads, "threads", 0, MAX_THREADS)


def check_oversampling(oversampling: float) -> float:
    """Return the candidates per result asked for."""
    try:
        if isinstance(oversampling, (str, bytes, bool, np.bool_)):  # float takes them
            raise TypeError
        number = float(oversampling)
    except (TypeError, ValueError):
        raise TypeError(
            f"oversampling must be a number; got {type(oversampling).__name__}"
        ) from None
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and number >= 1):
        raise ValueError(f"oversampling must be finite and at least 1; got {number}")
    return number


class Codes(NamedTuple):
    """Packed bits that a caller handed over.

    Attributes
    ----------
    rows : ndarray of uint8, shape (n, n_bytes)
        Each row contiguous; the caller's own memory wherever the core can read it there.
    is_single : bool
        The caller gave one row, of one axis.
    """

    rows: NDArray[np.uint8]
    is_single: bool


class Values(NamedTuple):
    """Numbers, one a dimension, that a caller handed over.

    Attributes
    ----------
    rows : ndarray of float16, float32, float64 or bool, shape (n, dim)
        In native byte order, aligned, each row contiguous; the caller's own memory wherever the
        core can read it there. Maybe not finite: what reads them looks.
    is_single : bool
        The caller gave one row, of one axis.
    """

    rows: NDArray[Any]
    is_single: bool

    @property
    def are_bits(self) -> bool:
        """Whether the values are bool."""
        return bool(self.rows.dtype == np.bool_)


def parse(x: ArrayLike, name: str) -> Codes | Values:
    """Return an array of the caller's as packed codes, if it is uint8, or as values."""
    array = as_array(x, name)
    return _codes(array, name) if is_packed(array) else _values(array, name)


def parse_codes(x: ArrayLike, name: str) -> Codes:
    """Return an array of the caller's as packed codes."""
    array = as_array(x, name)
    if not is_packed(array):
        raise TypeError(f"{name} must be packed bits (uint8); got {array.dtype}")
    return _codes(array, name)


def parse_values(x: ArrayLike, name: str, *, floats: bool = False) -> Values:
    """Return an array of the caller's as values; `floats` refuses bool."""
    values = _values(as_array(x, name), name)
    if floats and values.are_bits:
        raise TypeError(f"{name} must be float16, float32 or float64; got bool")
    return values


def parse_matrix(x: ArrayLike, name: str) -> NDArray[Any]:
    """Return an array of the caller's as floats of two axes, shape (n, dim)."""
    values = parse_values(x, name, floats=True)
    if values.is_single:
        raise ValueError(f"{name} must have shape (n, dim); got shape {values.rows.shape[1:]}")
    return values.rows


def _codes(array: NDArray[Any], name: str) -> Codes:
    if array.shape[-1] * 8 > MAX_DIM:
        raise ValueError(
            f"{name} must have at most {MAX_DIM} bits a row; got {array.shape[-1]} bytes = "
            f"{array.shape[-1] * 8} bits"
        )
    return Codes(as_rows(rows_in_place(array)), array.ndim == 1)


def _values(array: NDArray[Any], name: str) -> Values:
    is_float = array.dtype.kind == "f" and array.dtype.itemsize <= 8
    if not is_float and array.dtype.kind != "b":
        hint = ""
        if array.dtype.kind in "iu":
            hint = "; numbers to compare with a threshold need a float type: .astype('float32')"
        raise TypeError(
            f"{name} must be float16, float32, float64 or bool; got {array.dtype}{hint}"
        )
    if array.shape[-1] > MAX_DIM:
        raise ValueError(f"{name} must have at most {MAX_DIM} values a row; got {array.shape[-1]}")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return Values(as_rows(rows_in_place(native)), array.ndim == 1)


def narrow(
    values: NDArray[Any],
    dtype: type[np.floating[Any]],
    name: str,
    first_row: int = 0,
    purpose: str = "",
) -> NDArray[Any]:
    """Return finite values in a float type that can hold them; not copied if they have it.

    Errors name the first value that is not finite, or beyond the range of `dtype`: `first_row` is
    the number of the first row in what the caller handed over, `purpose` says what the type is for.
    """
    with np.errstate(over="ignore"):
        narrowed: NDArray[Any] = values.astype(dtype, copy=False)
    finite = np.isfinite(narrowed)
    if not finite.all():
        refuse_non_finite(values, name, first_row)
        row, column = (int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name} must be within {np.dtype(dtype)}'s range{purpose}; row {first_row + row}, "
            f"dimension {column} is {values[row, column]}"
        )
    return narrowed


def as_array(x: ArrayLike, name: str) -> NDArray[Any]:
    """Return `x` as an array of one or two axes with at least one value a row."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a plain array; got a masked one, whose mask would be lost")
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array: {error}") from None
    if array.dtype.hasobject:
        raise TypeError(f"{name} must hold numbers; got an array of Python objects")
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{name} must have shape (n, d) or (d,); got {array.ndim} axes, shape {array.shape}"
        )
    if array.shape[-1] == 0:
        raise ValueError(f"{name} must have at least one value a row; got shape {array.shape}")
    return array


def is_packed(array: NDArray[Any]) -> bool:
    """Tell packed codes by their dtype: uint8 always is, int8 is of unknown convention."""
    if array.dtype == np.int8:
        raise TypeError(
            "got int8: packed codes come as int8 in two conventions that differ in one bit of "
            "every byte; name it with bitsift.codes_from_int8(codes, convention="
            '"offset" | "twos_complement")'
        )
    return bool(array.dtype == np.uint8)


def as_codes(x: ArrayLike, name: str) -> NDArray[np.uint8]:
    """Return packed codes, rows contiguous; not copied if they are uint8 and rows are."""
    array = as_array(x, name)
    if not is_packed(array):
        raise TypeError(f"{name} must be packed bits (uint8); got {array.dtype}")
    if array.shape[-1] * 8 > MAX_DIM:
        raise ValueError(
            f"{name} must have at most {MAX_DIM} bits a row; got {array.shape[-1]} bytes = "
            f"{array.shape[-1] * 8} bits"
        )
    return rows_in_place(array)


def as_values(x: ArrayLike, name: str) -> NDArray[Any]:
    """Return float16, float32, float64 or bool values in native byte order, rows contiguous."""
    array = as_array(x, name)
    is_float = array.dtype.kind == "f" and array.dtype.itemsize <= 8
    if not is_float and array.dtype.kind != "b":
        hint = ""
        if array.dtype.kind in "iu":
            hint = "; numbers to compare with a threshold need a float type: .astype('float32')"
        raise TypeError(
            f"{name} must be float16, float32, float64 or bool; got {array.dtype}{hint}"
        )
    if array.shape[-1] > MAX_DIM:
        raise ValueError(f"{name} must have at most {MAX_DIM} values a row; got {array.shape[-1]}")
    native = array.dtype.newbyteorder("=")
    return rows_in_place(array.astype(native, copy=False))


def refuse_bool(array: NDArray[Any], name: str) -> None:
    """Raise if values are bits, where numbers are wanted."""
    if array.dtype.kind == "b":
        raise TypeError(f"{name} must be float16, float32 or float64; got bool")


def as_finite_float32(values: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Return values as float32, refusing what it cannot hold; a copy."""
    refuse_non_finite(values, name)
    with np.errstate(over="ignore"):
        rounded: NDArray[np.float32] = values.astype(np.float32)
    if not np.isfinite(rounded).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(rounded))[0])
        raise ValueError(
            f"{name} must be within float32's range; row {row}, dimension {column} is "
            f"{values[row, column]}"
        )
    return rounded


def rows_in_place(array: NDArray[Any]) -> NDArray[Any]:
    """Return `array` itself if the core can read its rows where they lie, else a copy."""
    contiguous = array.shape[-1] == 1 or array.strides[-1] == array.itemsize
    return array if contiguous and array.flags.aligned else np.array(array, order="C")


def as_rows(array: NDArray[Any]) -> NDArray[Any]:
    """Return one row as a matrix of one row."""
    return array[np.newaxis] if array.ndim == 1 else array


def refuse_non_finite(values: NDArray[Any], name: str, first_row: int = 0) -> None:
    """Raise for the first value that is NaN or infinite, if there is one."""
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = (int(i) for i in bad[0])
        raise ValueError(
            f"{name} must be finite; row {first_row + row}, dimension {column} is "
            f"{values[row, column]}"
        )
