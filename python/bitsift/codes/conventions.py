# SPDX-License-Identifier: Apache-2.0
"""Binary embeddings as other libraries and APIs write them, to codes and back.

Nothing in the data tells one convention from another, so each is named by the caller, always.
"""

from __future__ import annotations

from typing import Any, Literal, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.public import public

__all__ = ["codes_from_int8", "from_codes", "to_codes"]

Convention = Literal["ubinary", "binary", "vespa", "sqlite-vec", "bits", "signs"]

CONVENTIONS = ("ubinary", "binary", "vespa", "sqlite-vec", "bits", "signs")
BYTE_TYPES: dict[str, np.dtype[Any]] = {
    "ubinary": np.dtype(np.uint8),
    "binary": np.dtype(np.int8),
    "vespa": np.dtype(np.int8),
    "sqlite-vec": np.dtype(np.uint8),
}

# What else it may be, for error messages.
_SIGNED = '"binary" or "vespa"'
_UNSIGNED = '"ubinary" or "sqlite-vec"'
_UNPACKED = '"bits" (0 and 1) or "signs" (+1 and -1)'

# Each byte with its bits in reverse order.
_REVERSED = np.packbits(
    np.unpackbits(np.arange(256, dtype=np.uint8), bitorder="little").reshape(256, 8), axis=1
).ravel()


@public
def to_codes(
    embeddings: ArrayLike, convention: Convention, *, dim: SupportsIndex | None = None
) -> NDArray[np.uint8]:
    """Convert binary embeddings of a named convention to codes.

    Parameters
    ----------
    embeddings : array_like, shape (n, n_bytes), (n, dim), (n_bytes,) or (dim,)
        As another library or an embeddings API gave them. Packed ones are int8 or uint8, or wider
        integers, which lists become, if each value fits.
    convention : {"ubinary", "binary", "vespa", "sqlite-vec", "bits", "signs"}
        How they are written; never guessed, because the data does not tell.

        ``"ubinary"``
            uint8, packed, most significant bit first: codes as they are (sentence-transformers,
            Cohere, Voyage, Jina).
        ``"binary"``
            int8, the packed byte minus 128, "offset binary" (sentence-transformers, Cohere,
            Voyage, Jina).
        ``"vespa"``
            int8, the packed byte reinterpreted as two's complement (Vespa's ``pack_bits``,
            ``numpy.packbits(...).astype("int8")``).
        ``"sqlite-vec"``
            uint8, packed, least significant bit first (``vec_quantize_binary`` of sqlite-vec).
        ``"bits"``
            0 and 1, one value a dimension, of a bool, integer or float type.
        ``"signs"``
            +1 and -1, one value a dimension, of a signed integer or float type.
    dim : int, optional
        Dimensions, 1 to 65,536. Without it every bit counts: 8 dimensions a byte, or one a value.

    Returns
    -------
    ndarray of uint8, shape (n, ceil(dim / 8)) or (ceil(dim / 8),)
        Codes, most significant bit first, pad bits zero; a new array.

    Raises
    ------
    TypeError
        A dtype that the convention does not have.
    ValueError
        Another convention or shape; a value outside the convention's range; pad bits that are not
        zero.

    See Also
    --------
    from_codes : The inverse.
    codes_from_response : From the JSON of an embeddings API.

    Notes
    -----
    The bits beyond `dim` in the last byte must be zero. In ``"binary"`` a byte of zero bits is
    -128; in ``"sqlite-vec"`` the pad bits are the most significant ones.

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
    n_dims = None if dim is None else _check_dim(dim)
    array = arguments.as_array(embeddings, "embeddings")
    if convention in ("bits", "signs"):
        return _pack_values(array, convention, n_dims)
    array = _as_bytes(array, convention)
    _check_width(array, n_dims)
    codes = _swap_bytes(array, convention)
    if n_dims is not None:
        _check_pad_bits(codes, array, convention, n_dims)
    return codes


@public
def from_codes(
    codes: ArrayLike, convention: Convention, *, dim: SupportsIndex | None = None
) -> NDArray[Any]:
    """Convert codes to binary embeddings of a named convention; the inverse of `to_codes`.

    Parameters
    ----------
    codes : array_like of uint8, shape (n, n_bytes) or (n_bytes,)
        Packed codes, most significant bit first.
    convention : {"ubinary", "binary", "vespa", "sqlite-vec", "bits", "signs"}
        See :func:`to_codes`.
    dim : int, optional
        Dimensions, 1 to 65,536; 8 a byte by default.

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
        Another convention; `codes` have another number of bytes than `dim` needs, or pad bits that
        are not zero.

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
    n_dims = None if dim is None else _check_dim(dim)
    packed = arguments.as_codes(codes, "codes")
    _check_width(packed, n_dims)
    if n_dims is not None:
        _check_pad_bits(packed, packed, "ubinary", n_dims)
    if convention in BYTE_TYPES:
        return _swap_bytes(packed, convention).view(BYTE_TYPES[convention])
    bits = np.unpackbits(packed, axis=-1, count=n_dims)
    if convention == "bits":
        return bits
    signs: NDArray[np.int8] = bits.view(np.int8)
    signs *= 2
    signs -= 1
    return signs


@public
def codes_from_int8(
    codes: ArrayLike, *, convention: Literal["offset", "twos_complement"]
) -> NDArray[np.uint8]:
    """Convert int8 "binary" embeddings to codes. Their convention must be named.

    Parameters
    ----------
    codes : array_like of int8, shape (n, n_bytes) or (n_bytes,)
        As an embeddings API or another library gave them.
    convention : {"offset", "twos_complement"}
        ``"offset"``: the packed byte minus 128 (sentence-transformers, Cohere, Voyage, Jina);
        ``"binary"`` in :func:`to_codes`. ``"twos_complement"``: the packed byte reinterpreted
        (Vespa); ``"vespa"`` in :func:`to_codes`. The two differ in the first bit of every byte;
        nothing in the data tells which it is.

    Returns
    -------
    ndarray of uint8, same shape
        Codes, most significant bit first; a new array.

    Raises
    ------
    TypeError
        `codes` are not int8.
    ValueError
        The convention is none of the two.

    Examples
    --------
    >>> bitsift.codes_from_int8(numpy.array([16], dtype="int8"), convention="offset")
    array([144], dtype=uint8)
    """
    array = arguments.as_array(codes, "codes")
    if array.dtype != np.int8:
        raise TypeError(f"codes must be int8; got {array.dtype}")
    if convention == "offset":
        return _swap_bytes(array, "binary")
    if convention == "twos_complement":
        return _swap_bytes(array, "vespa")
    raise ValueError(f'convention must be "offset" or "twos_complement"; got {convention!r}')


def _check_dim(dim: SupportsIndex) -> int:
    return arguments.integer(dim, "dim", 1, arguments.MAX_DIM)


def _swap_bytes(array: NDArray[Any], convention: str) -> NDArray[np.uint8]:
    """Return codes of bytes in `convention`, or such bytes of codes: each is its own inverse."""
    raw: NDArray[np.uint8] = np.array(array, order="C").view(np.uint8)
    if convention == "binary":
        raw ^= 0x80
    elif convention == "sqlite-vec":
        raw = _REVERSED[raw]
    return raw


def _as_bytes(array: NDArray[Any], convention: str) -> NDArray[Any]:
    """Return int8 or uint8, whichever the convention has; wider integers must fit."""
    wanted = BYTE_TYPES[convention]
    if array.dtype == wanted:
        return array
    if array.dtype.kind not in "iu" or array.dtype.itemsize == 1:
        hint = {
            "i": f"; packed int8 is {_SIGNED}",
            "u": f"; packed uint8 is {_UNSIGNED}",
            "b": f"; one value a dimension is {_UNPACKED}",
            "f": f"; one value a dimension is {_UNPACKED}",
        }.get(array.dtype.kind, "")
        raise TypeError(
            f'embeddings in convention "{convention}" must be {wanted}; got {array.dtype}{hint}'
        )
    limits = np.iinfo(wanted)
    outside = np.argwhere((array < limits.min) | (array > limits.max))
    if len(outside):
        hint = ""
        if limits.min == 0 and array.min() >= -128 and array.max() <= 127:
            hint = f"; negative values look like {_SIGNED}"
        if limits.min < 0 and array.min() >= 0 and array.max() <= 255:
            hint = f"; values of 0 to 255 look like {_UNSIGNED}"
        raise ValueError(
            f'embeddings in convention "{convention}" must be {limits.min} to {limits.max}; '
            f"{_place(outside[0], 'value')} is {array[tuple(outside[0])]}{hint}"
        )
    return array.astype(wanted)


def _check_width(array: NDArray[Any], dim: int | None) -> None:
    """Raise unless rows of packed bytes have `dim` dimensions, or at most as many as codes may."""
    n_bytes = array.shape[-1]
    if dim is None:
        if n_bytes * 8 > arguments.MAX_DIM:
            raise ValueError(
                f"embeddings must have at most {arguments.MAX_DIM} bits a row; got {n_bytes} bytes "
                f"= {n_bytes * 8} bits"
            )
        return
    needed = (dim + 7) // 8
    if n_bytes != needed:
        hint = f"; one value a dimension is {_UNPACKED}" if n_bytes == dim else ""
        raise ValueError(
            f"got {n_bytes} bytes = {n_bytes * 8} bits per row; dim {dim} needs {needed} bytes"
            f"{hint}"
        )


def _check_pad_bits(
    codes: NDArray[np.uint8], given: NDArray[Any], convention: str, dim: int
) -> None:
    """Raise for the first row with a pad bit that is set; `given` are the bytes as they came."""
    n_pad = 8 * codes.shape[-1] - dim
    last = arguments.as_rows(codes)[:, -1]
    bad = np.flatnonzero(last & ((1 << n_pad) - 1))
    if len(bad):
        row = int(bad[0])
        zero = '; in "binary" a byte of zero bits is -128' if convention == "binary" else ""
        raise ValueError(
            f"the last {n_pad} bits of a row must be zero: dim is {dim}, a row has "
            f"{codes.shape[-1]} bytes; the last byte of row {row} is "
            f"{arguments.as_rows(given)[row, -1]}, its bits are {last[row]:08b}{zero}"
        )


def _pack_values(array: NDArray[Any], convention: str, dim: int | None) -> NDArray[np.uint8]:
    """Pack one value a dimension."""
    kinds, types, low = (
        ("biuf", "bool, integers or floats", 0)
        if convention == "bits"
        else ("if", "signed integers or floats", -1)
    )
    if array.dtype.kind not in kinds:
        raise TypeError(
            f'embeddings in convention "{convention}" must be {types}; got {array.dtype}'
        )
    n_values = array.shape[-1]
    if dim is None and n_values > arguments.MAX_DIM:
        raise ValueError(
            f"embeddings must have at most {arguments.MAX_DIM} values a row; got {n_values}"
        )
    if dim is not None and n_values != dim:
        raise ValueError(
            f'got {n_values} values per row; dim {dim} needs {dim} in convention "{convention}", '
            "one a dimension"
        )
    high = array == 1
    bad = np.argwhere(~(high | (array == low)))
    if len(bad):
        raise ValueError(
            f'embeddings in convention "{convention}" must be {low} or 1; '
            f"{_place(bad[0], 'dimension')} is {array[tuple(bad[0])]}"
        )
    return np.packbits(high, axis=-1)


def _place(where: NDArray[np.intp], column: str) -> str:
    """Name a place of an array of one or two axes."""
    row, place = (0, where[0]) if len(where) == 1 else where
    return f"row {row}, {column} {place}"
