# SPDX-License-Identifier: Apache-2.0
"""Convert codes to and from the conventions of other libraries and embeddings APIs.

The data does not show its convention, so the caller always names it.
"""

from __future__ import annotations

from typing import Any, Literal, SupportsIndex, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.codes.numbers_or_bits import check_packed
from bitsift.core import arguments
from bitsift.core.blocks import fill, row_blocks
from bitsift.core.floats import in_default_floats
from bitsift.core.interruptible import copied, interruptibly
from bitsift.core.limits import MAX_DIM
from bitsift.core.public import public
from bitsift.core.unreadable import codes_hint, shown

__all__ = ["codes_from_int8", "from_codes", "to_codes"]

Convention = Literal["ubinary", "binary", "vespa", "sqlite-vec", "bits", "signs"]

CONVENTIONS: tuple[Convention, ...] = get_args(Convention)
BYTE_TYPES: dict[str, np.dtype[Any]] = {
    "ubinary": np.dtype(np.uint8),
    "binary": np.dtype(np.int8),
    "vespa": np.dtype(np.int8),
    "sqlite-vec": np.dtype(np.uint8),
}

# Other conventions that the data may be in, for error messages.
_SIGNED = '"binary" or "vespa"'
_UNSIGNED = '"ubinary" or "sqlite-vec"'
_UNPACKED = '"bits" (0 and 1) or "signs" (+1 and -1)'

# Each byte with its bits in reverse order.
_REVERSED = np.packbits(
    np.unpackbits(np.arange(256, dtype=np.uint8), bitorder="little").reshape(256, 8), axis=1
).ravel()


@public
@in_default_floats
def to_codes(
    embeddings: ArrayLike, convention: Convention, *, dim: SupportsIndex | None = None
) -> NDArray[np.uint8]:
    """Convert binary embeddings in a named convention to codes.

    Parameters
    ----------
    embeddings : array_like, shape (n, n_bytes), (n, dim), (n_bytes,) or (dim,)
        Binary embeddings of another library or an embeddings API. Packed embeddings are int8 or
        uint8, or wider integers (which a list becomes) if each value fits into a byte.
    convention : {"ubinary", "binary", "vespa", "sqlite-vec", "bits", "signs"}
        How the bits are written. It is never guessed, because the data does not show it.

        ``"ubinary"``
            uint8, packed, most significant bit first: the same as codes (sentence-transformers,
            Cohere, Voyage, Jina).
        ``"binary"``
            int8, the packed byte minus 128, "offset binary" (sentence-transformers, Cohere,
            Voyage, Jina).
        ``"vespa"``
            int8, the packed byte read as two's complement (Vespa's ``pack_bits``,
            ``numpy.packbits(...).astype("int8")``).
        ``"sqlite-vec"``
            uint8, packed, least significant bit first (``vec_quantize_binary`` of sqlite-vec).
        ``"bits"``
            0 and 1, one value for each dimension, of a bool, integer or float type.
        ``"signs"``
            +1 and -1, one value for each dimension, of a signed integer or float type.
    dim : int, optional
        Number of dimensions, 1 to 65,536. By default every bit is a dimension.

    Returns
    -------
    ndarray of uint8, shape (n, ceil(dim / 8)) or (ceil(dim / 8),)
        Codes, most significant bit first, with pad bits of zero; a new array.

    Raises
    ------
    TypeError
        `embeddings` have a dtype that the convention does not use.
    ValueError
        The convention is unknown; `embeddings` have another shape; a value is outside the range of
        the convention; a pad bit is not zero. Or bytes look like numbers, one a dimension, and
        `dim` does not say that they are packed bits: see Notes.

    Warns
    -----
    BitsiftWarning
        Bytes in convention ``"vespa"`` look like numbers, and `dim` is not given.

    See Also
    --------
    from_codes : Convert codes back.
    codes_from_response : Convert the JSON response of an embeddings API.

    Notes
    -----
    Pad bits, the bits beyond `dim` in the last byte, must be zero. In ``"binary"`` a byte of zero
    bits is -128. In ``"sqlite-vec"`` the pad bits are the most significant bits.

    APIs and sentence-transformers also give int8 and uint8 that are rounded numbers, one a
    dimension. Where `dim` is given, their row has too many bytes. Without it, rows of 128 bytes or
    more are taken for numbers if more than three quarters of them lie in the middle half of the
    range.

    Examples
    --------
    The same eight bits, 01001101, in each convention:

    >>> bitsift.to_codes(numpy.array([77], dtype="uint8"), "ubinary")
    array([77], dtype=uint8)
    >>> bitsift.to_codes(numpy.array([-51], dtype="int8"), "binary")
    array([77], dtype=uint8)
    >>> bitsift.to_codes(numpy.array([77], dtype="int8"), "vespa")
    array([77], dtype=uint8)
    >>> bitsift.to_codes(numpy.array([178], dtype="uint8"), "sqlite-vec")
    array([77], dtype=uint8)
    >>> bitsift.to_codes([0, 1, 0, 0, 1, 1, 0, 1], "bits")
    array([77], dtype=uint8)
    >>> bitsift.to_codes([-1, 1, -1, -1, 1, 1, -1, 1], "signs")
    array([77], dtype=uint8)
    """
    arguments.choice(convention, "convention", CONVENTIONS)
    n_dims = None if dim is None else arguments.check_dim(dim)
    array = arguments.as_array(embeddings, "embeddings")
    if convention in ("bits", "signs"):
        return _pack_values(array, convention, n_dims)
    return _bytes_to_codes(_as_bytes(array, convention), "embeddings", convention, n_dims)


@public
def from_codes(
    codes: ArrayLike, convention: Convention, *, dim: SupportsIndex | None = None
) -> NDArray[Any]:
    """Convert codes to binary embeddings in a named convention; the inverse of `to_codes`.

    Parameters
    ----------
    codes : array_like of uint8, shape (n, n_bytes) or (n_bytes,)
        Packed codes, most significant bit first.
    convention : {"ubinary", "binary", "vespa", "sqlite-vec", "bits", "signs"}
        How to write the bits; see :func:`to_codes`.
    dim : int, optional
        Number of dimensions, 1 to 65,536; 8 for each byte by default.

    Returns
    -------
    ndarray, shape (n, n_bytes), (n, dim), (n_bytes,) or (dim,)
        A new array: uint8 for ``"ubinary"``, ``"sqlite-vec"`` and ``"bits"``, int8 for
        ``"binary"``, ``"vespa"`` and ``"signs"``.

    Raises
    ------
    TypeError
        `codes` are not uint8.
    ValueError
        The convention is unknown; `codes` do not have the number of bytes that `dim` needs; a pad
        bit is not zero.

    Examples
    --------
    >>> codes = bitsift.pack(numpy.array([-0.5, 1.0, -2.0, -1.0, 2.0, 0.5, -1.0, 1.0]))
    >>> bitsift.from_codes(codes, "binary")
    array([-51], dtype=int8)
    >>> bitsift.from_codes(codes, "vespa")
    array([77], dtype=int8)
    >>> bitsift.from_codes(codes, "signs")
    array([-1,  1, -1, -1,  1,  1, -1,  1], dtype=int8)
    """
    arguments.choice(convention, "convention", CONVENTIONS)
    n_dims = None if dim is None else arguments.check_dim(dim)
    packed = arguments.parse_codes(codes, "codes")
    if n_dims is not None:
        arguments.check_n_bytes(packed.rows.shape[1], "codes", n_dims)
        _check_pad_bits(packed.rows, packed.rows, "ubinary", n_dims)
    converted = _from_rows(packed.rows, convention, n_dims)
    return converted[0] if packed.is_single else converted


@public
def codes_from_int8(
    codes: ArrayLike,
    *,
    convention: Literal["offset", "twos_complement"],
    dim: SupportsIndex | None = None,
) -> NDArray[np.uint8]:
    """Convert int8 binary embeddings to codes; the caller names their convention.

    Parameters
    ----------
    codes : array_like of int8, shape (n, n_bytes) or (n_bytes,)
        Binary embeddings of an embeddings API or another library.
    convention : {"offset", "twos_complement"}
        ``"offset"``: the packed byte minus 128 (sentence-transformers, Cohere, Voyage, Jina);
        called ``"binary"`` in :func:`to_codes`. ``"twos_complement"``: the packed byte read as
        two's complement (Vespa); called ``"vespa"`` in :func:`to_codes`. The two differ in the
        first bit of every byte; the data does not show which one it is.
    dim : int, optional
        Number of dimensions, as in :func:`to_codes`.

    Returns
    -------
    ndarray of uint8, same shape
        Codes, most significant bit first; a new array.

    Raises
    ------
    TypeError
        `codes` are not int8.
    ValueError
        The convention is unknown, or `codes` have another shape; or they look like numbers, one a
        dimension, and `dim` is not given.

    Warns
    -----
    BitsiftWarning
        As :func:`to_codes` does.

    See Also
    --------
    to_codes : Convert from these and other conventions.

    Examples
    --------
    >>> bitsift.codes_from_int8(numpy.array([16], dtype="int8"), convention="offset")
    array([144], dtype=uint8)
    """
    array = arguments.as_array(codes, "codes")
    if array.dtype != np.int8:
        hint = codes_hint(array.dtype, "codes")
        if array.dtype == np.uint8:
            hint = f"; packed uint8 is {_UNSIGNED} of bitsift.to_codes"
        raise TypeError(f"codes must be int8; got {array.dtype}{hint}")
    names: dict[object, Convention] = {"offset": "binary", "twos_complement": "vespa"}
    if not isinstance(convention, str) or convention not in names:
        raise ValueError(
            f'convention must be "offset" or "twos_complement"; got {shown(convention)}'
        )
    n_dims = None if dim is None else arguments.check_dim(dim)
    return _bytes_to_codes(array, "codes", names[convention], n_dims)


def _bytes_to_codes(
    array: NDArray[Any], name: str, convention: Convention, dim: int | None
) -> NDArray[np.uint8]:
    """Return the codes of packed bytes in `convention`, which `array` has the dtype of."""
    width, hint = array.shape[-1], ""
    if dim is None:
        check_packed(array, convention, name)
    elif width == dim:
        hint = (
            f"; one value a dimension is {_UNPACKED}, or of numbers "
            f"bitsift.pack(numpy.asarray({name}, 'float32'))"
        )
    arguments.check_n_bytes(width, name, dim, hint)
    codes = _swap_bytes(array, convention)
    if dim is not None:
        _check_pad_bits(codes, array, convention, dim)
    return codes


def _from_rows(
    codes: NDArray[np.uint8], convention: Convention, dim: int | None
) -> NDArray[np.uint8] | NDArray[np.int8]:
    """Return codes, shape (n, n_bytes), in `convention`; a new array."""
    if convention in BYTE_TYPES:
        return _swap_bytes(codes, convention).view(BYTE_TYPES[convention])
    bits = np.empty((len(codes), 8 * codes.shape[1] if dim is None else dim), np.uint8)
    if convention == "bits":
        fill(bits, lambda block: np.unpackbits(block, axis=1, count=dim), codes)
        return bits
    signs = bits.view(np.int8)
    fill(signs, lambda block: _signs(np.unpackbits(block, axis=1, count=dim)), codes)
    return signs


def _signs(bits: NDArray[np.uint8]) -> NDArray[np.int8]:
    signs = bits.view(np.int8)
    signs *= 2
    signs -= 1
    return signs


def _swap_bytes(array: NDArray[Any], convention: str) -> NDArray[np.uint8]:
    """Convert between codes and bytes in `convention`; the same swap converts back. A new array."""
    given: NDArray[np.uint8] = array.view(np.uint8)
    if convention not in ("binary", "sqlite-vec"):
        return copied(given)
    raw = np.empty(given.shape, np.uint8)
    rows, given = arguments.as_rows(raw), arguments.as_rows(given)
    if convention == "binary":
        fill(rows, lambda block: block ^ np.uint8(0x80), given)
    else:
        fill(rows, lambda block: _REVERSED[block], given)
    return raw


def _as_bytes(array: NDArray[Any], convention: str) -> NDArray[Any]:
    """Return int8 or uint8, as the convention requires; each wider integer must fit."""
    wanted = BYTE_TYPES[convention]
    if array.dtype == wanted:
        return array
    if array.dtype.kind not in "iu" or array.dtype.itemsize == 1:
        hint = {
            "i": f"; packed int8 is {_SIGNED}",
            "u": f"; packed uint8 is {_UNSIGNED}",
            "b": f"; one value a dimension is {_UNPACKED}",
            "f": f"; one value a dimension is {_UNPACKED}",
        }.get(array.dtype.kind) or codes_hint(array.dtype, "embeddings")
        raise TypeError(
            f'embeddings in convention "{convention}" must be {wanted}; got {array.dtype}{hint}'
        )
    if array.shape[-1] > MAX_DIM:  # a row longer than a block should be
        arguments.check_n_bytes(array.shape[-1], "embeddings")
    limits = np.iinfo(wanted)
    rows = arguments.as_rows(array)
    made = np.empty(array.shape, wanted)
    for begin, end in row_blocks(*rows.shape):
        block = rows[begin:end]
        outside = (block < limits.min) | (block > limits.max)
        if outside.any():
            name = f'embeddings in convention "{convention}"'
            hint, within = _range_hint(array, limits.min), f"{limits.min} to {limits.max}"
            arguments.refuse_where(outside, block, name, within, begin, column="value", hint=hint)
        arguments.as_rows(made)[begin:end] = block
    return made


def _range_hint(array: NDArray[Any], low: int) -> str:
    """Return which convention integers look like, some of which are out of the range from `low`."""
    smallest = interruptibly(array.size, array.min)
    largest = interruptibly(array.size, array.max)
    if low == 0 and smallest >= -128 and largest <= 127:
        return f"; negative values look like {_SIGNED}"
    if low < 0 and smallest >= 0 and largest <= 255:
        return f"; values of 0 to 255 look like {_UNSIGNED}"
    return ""


def _check_pad_bits(
    codes: NDArray[np.uint8], given: NDArray[Any], convention: str, dim: int
) -> None:
    """Raise for the first row with a pad bit that is not zero; `given` are the caller's bytes."""
    n_pad = 8 * codes.shape[-1] - dim
    last = arguments.as_rows(codes)[:, -1]
    for begin, end in row_blocks(len(last), 1):
        bad = np.flatnonzero(last[begin:end] & ((1 << n_pad) - 1))
        if len(bad) == 0:
            continue
        row = begin + int(bad[0])
        zero = '; in "binary" a byte of zero bits is -128' if convention == "binary" else ""
        raise ValueError(
            f"the last {n_pad} bits of a row must be zero: dim is {dim}, a row has "
            f"{codes.shape[-1]} bytes; the last byte of row {row} is "
            f"{arguments.as_rows(given)[row, -1]}, its bits are {last[row]:08b}{zero}"
        )


def _pack_values(array: NDArray[Any], convention: str, dim: int | None) -> NDArray[np.uint8]:
    """Pack arrays of one value for each dimension."""
    kinds, types, low = (
        ("biuf", "bool, integers or floats", 0)
        if convention == "bits"
        else ("if", "signed integers or floats", -1)
    )
    name = f'embeddings in convention "{convention}"'
    if array.dtype.kind not in kinds:
        raise TypeError(f"{name} must be {types}; got {array.dtype}")
    arguments.check_n_values(array.shape[-1], name, dim)
    rows = arguments.as_rows(array)
    codes = np.empty((len(rows), (rows.shape[1] + 7) // 8), np.uint8)
    for begin, end in row_blocks(*rows.shape):
        block = rows[begin:end]
        high = block == 1
        known = high | (block == low)
        if not known.all():
            arguments.refuse_where(~known, block, name, f"{low} or 1", begin)
        codes[begin:end] = np.packbits(high, axis=-1)
    return codes[0] if array.ndim == 1 else codes
