# SPDX-License-Identifier: Apache-2.0
"""Errors for what is no array of numbers: what came, and how to make one of it.

Each remedy is Python that can be run as it stands: `numpy`, `bitsift` and the caller's argument,
under the parameter's name, are all that it uses.
"""

from __future__ import annotations

import numbers
import os
import re
import reprlib
from collections.abc import Iterator, Mapping, MappingView, Set
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "axes_error",
    "codes_hint",
    "conversion_error",
    "int8_error",
    "objects_error",
    "shown",
    "values_hint",
]

_AROUND_NUMBERS = "[]() "
_NUMBER = re.compile(r"\s*[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|inf)\s*")
_quoted = reprlib.Repr()
_quoted.maxstring = _quoted.maxother = 80


def shown(value: object) -> str:
    """Return a caller's value as it is written in Python, or what it is, in one short line."""
    if isinstance(value, np.ndarray) and value.ndim > 0:
        return f"an array of {value.dtype}, shape {value.shape}"
    if isinstance(value, (list, tuple)) and any(isinstance(one, np.ndarray) for one in value):
        return f"{_kind(value)} of arrays"
    text = " ".join(_quoted.repr(value).split())
    return _kind(value) if " at 0x" in text else text


def conversion_error(x: object, name: str, error: Exception) -> Exception:
    """Return the error for an object that NumPy cannot make an array of; `error` is NumPy's."""
    if isinstance(x, (list, tuple)):
        differing = _differing_rows(x)
        if differing:
            return ValueError(
                f"{name} must be a rectangular array, with rows of one length; got {differing}"
            )
        if isinstance(error, ValueError):
            return ValueError(f"{name} must be a rectangular array: {error}")
    hint = ""
    if "bfloat16" in str(error).lower():
        hint = "; convert it to float32 first, in PyTorch by .float()"
    return TypeError(f"{name} must be an array that NumPy can read; got {_kind(x)}: {error}{hint}")


def objects_error(x: object, array: NDArray[Any], name: str, wanted: str) -> Exception:
    """Return the error for what NumPy has made an array of Python objects of.

    `wanted` follows "NAME must".
    """
    wanted = f"{name} must {wanted}"
    if array.ndim == 0:
        return TypeError(f"{wanted}; got {_kind(x)}{_single_remedy(x, name)}")
    # Columns of data frames: pandas and Arrow give them as objects, one for each row.
    columns = [array] if array.ndim == 1 else list(array.T) if array.ndim == 2 else []
    for number, column in enumerate(columns):
        cells = list(column)
        if not cells or not all(_is_row(cell) for cell in cells):
            continue
        if differing := _differing_rows(cells):
            return ValueError(
                f"{name} must be a rectangular array, with rows of one length; got {differing}"
            )
        part = "" if array.ndim == 1 else f"[:, {number}]"
        return TypeError(
            f"{wanted}; got Python objects, each a whole row ({type(cells[0]).__name__}): "
            f"numpy.stack(numpy.asarray({name}){part})"
        )
    cells = list(array.flat)
    if remedy := _texts_remedy(array, name):
        return TypeError(f"{wanted}; got texts of numbers: {remedy}")
    are_rows = sum(map(_is_row, cells)) > len(cells) / 2
    for place, cell in enumerate(cells):
        if not (_is_row(cell) if are_rows else isinstance(cell, (numbers.Real, Decimal))):
            row, *rest = np.unravel_index(place, array.shape)
            where = f"row {row}" + "".join(f", column {number}" for number in rest)
            return TypeError(f"{wanted}; got Python objects: {where} is {_kind(cell)}")
    kinds = ", ".join(sorted({type(cell).__name__ for cell in cells}))
    remedy = f": numpy.asarray({name}, 'float32')"
    if all(isinstance(cell, numbers.Integral) for cell in cells):
        fit = all(-(2**63) <= int(cell) < 2**63 for cell in cells)
        remedy = f": numpy.asarray({name}, 'int64')" if fit else " beyond 64 bits"
    return TypeError(f"{wanted}; got Python objects ({kinds}){remedy}")


def axes_error(x: object, array: NDArray[Any], name: str) -> Exception:
    """Return the error for a single text, or an array that has neither one axis nor two."""
    if array.dtype.kind in "US" and array.ndim == 0:
        return TypeError(f"{name} must hold numbers; got {_kind(x)}{_single_remedy(x, name)}")
    remedy = ""
    if array.ndim > 2:
        remedy = f"; one row for each of the first: {name}.reshape(len({name}), -1)"
    elif array.ndim == 0:
        remedy = ", one number"
    return ValueError(
        f"{name} must have shape (n, d) or (d,); got {array.ndim} axes, shape {array.shape}{remedy}"
    )


def int8_error(array: NDArray[Any], name: str, dim: int | None) -> Exception:
    """Return the error for int8, which is packed codes or numbers; `dim` is that of an index."""
    width = array.shape[-1]
    is_packed = dim is not None and width == (dim + 7) // 8
    is_numbers = width == dim
    told = f", dim={dim}" if is_packed else ""
    packed = (
        "packed codes come as int8 in two conventions that differ in one bit of every byte; "
        f'convert them with bitsift.to_codes({name}, "binary"{told}) or '
        f'bitsift.to_codes({name}, "vespa"{told})'
    )
    as_floats = f"numpy.asarray({name}, 'float32')"
    if dim is None:
        return TypeError(
            f"{name} must not be int8; got {width} values a row. As packed bits that is "
            f"{width * 8} dimensions: {packed}. As numbers, one a dimension, it is {width} "
            f"dimensions: bitsift.pack({as_floats}) makes codes of them"
        )
    if is_numbers and not is_packed:
        return TypeError(
            f"{name} must not be int8; got {width} values a row for dim {dim}: numbers, one a "
            f"dimension, not packed bits, which would be {width * 8} dimensions. Give them as "
            f"floats: {as_floats}"
        )
    if is_packed and not is_numbers:
        return TypeError(f"{name} must not be int8: {packed}")
    return TypeError(
        f"{name} must not be int8; got {width} values a row for dim {dim}. As packed bits that is "
        f"{width * 8} dimensions: {packed}. As numbers, one a dimension, it is {width} "
        f"dimensions: {as_floats}"
    )


def values_hint(array: NDArray[Any], name: str) -> str:
    """Return how to make floats of an array of another type, as the end of a message."""
    dtype = array.dtype
    if dtype.kind in "iu" and dtype.itemsize == 1:
        return (
            "; packed codes hold bits, not values (bitsift.unpack shows them); numbers, one a "
            f"dimension, become floats by numpy.asarray({name}, 'float32')"
        )
    if dtype.kind in "iu":
        return f"; convert integers to a float type: numpy.asarray({name}, 'float32')"
    if dtype.kind == "f":
        return f"; {name}.astype('float64') narrows it"
    if dtype.kind == "U" and (remedy := _texts_remedy(array, name)):
        return f"; these are texts of numbers: {remedy}"
    return _odd_hint(dtype, name)


def codes_hint(dtype: np.dtype[Any], name: str) -> str:
    """Return how to make packed codes of an array of another type, as the end of a message."""
    if dtype.kind in "fb":
        return f"; bitsift.pack({name}) makes codes of floats and bool"
    if dtype.kind in "iu":
        return (
            f'; bitsift.to_codes({name}, "bits") packs 0 and 1, one a dimension, and '
            f'"ubinary" takes packed bytes; hashes in integers: {name}.view("uint8")'
            f".reshape(len({name}), -1)"
        )
    return _odd_hint(dtype, name)


def _odd_hint(dtype: np.dtype[Any], name: str) -> str:
    if dtype.kind == "U":
        return "; text has to be embedded by a model first"
    if dtype.kind == "S":
        return (
            f"; bytes of packed codes: numpy.frombuffer(b''.join({name}), 'uint8')"
            f".reshape(len({name}), -1)"
        )
    if dtype.names:
        return f"; numpy.lib.recfunctions.structured_to_unstructured({name}) makes one array of it"
    if dtype.name.startswith(("bfloat", "float")):  # an extension such as ml_dtypes
        return f"; {name}.astype('float32') widens it"
    return ""


def _texts_remedy(array: NDArray[Any], name: str) -> str:
    """Return how to read numbers that are written as text; "" if some cell is no such text."""
    counts = [_n_numbers(cell) for cell in array.flat]
    if not counts or not all(counts):
        return ""
    if max(counts) == 1:
        return f"numpy.asarray({name}, 'float32')"
    return f"numpy.stack([{_parsed('text', array.flat[0])} for text in {name}])"


def _n_numbers(cell: object) -> int:
    """Return how many numbers a text holds, such as "[0.1, 0.2]"; 0 if it is something else."""
    if not isinstance(cell, str):
        return 0
    inner = cell.strip(_AROUND_NUMBERS)
    words = inner.split("," if "," in inner else None)
    return len(words) if all(_NUMBER.fullmatch(word) for word in words) else 0


def _parsed(name: str, text: str) -> str:
    """Return the call that reads a text of numbers; the others are written as `text` is."""
    separator = "," if "," in text else " "
    return f"numpy.fromstring({name}.strip({_AROUND_NUMBERS!r}), sep={separator!r})"


def _single_remedy(x: object, name: str) -> str:
    """Return the remedy for an object that is no array and no list."""
    if isinstance(x, os.PathLike) or (isinstance(x, str) and x.endswith(".npy")):
        return f"; numpy.load({name}) reads a .npy file"
    if isinstance(x, str) and _n_numbers(x):
        return f"; it is a text of numbers: {_parsed(name, x)}"
    if isinstance(x, str):
        return "; text has to be embedded by a model first"
    if isinstance(x, (bytes, bytearray)):
        return f"; numpy.frombuffer({name}, 'uint8') reads packed bytes"
    if isinstance(x, Mapping):
        if not all(_is_row(row) for row in x.values()):
            return ""
        return f"; numpy.stack(list({name}.values()))"
    if isinstance(x, Set) and not isinstance(x, MappingView):
        return ", whose order is open; a list keeps it"
    if isinstance(x, (Iterator, MappingView)):
        return f"; numpy.stack(list({name}))"
    if hasattr(x, "toarray"):  # sparse matrices of SciPy
        return f"; {name}.toarray()"
    return ""


def _differing_rows(rows: Any) -> str:
    """Return the first row that has another length than row 0, in words; "" if there is none."""
    first = _length(rows[0]) if len(rows) else None
    for number, row in enumerate(rows):
        if _length(row) != first:
            return f"{_of_length(number, _length(row))}, {_of_length(0, first)}"
    return ""


def _of_length(number: int, length: int | None) -> str:
    if length is None:
        return f"row {number} that is no row but one value"
    return f"row {number} of {length} value{'' if length == 1 else 's'}"


def _length(row: Any) -> int | None:
    return len(row) if _is_row(row) else None


def _is_row(cell: object) -> bool:
    if isinstance(cell, (str, bytes, Mapping, Set)):
        return False
    shape = getattr(cell, "shape", None)
    return hasattr(cell, "__len__") if shape is None else len(shape) > 0


def _kind(x: object) -> str:
    """Return what an object is, with an article."""
    if x is None or x is Ellipsis:
        return str(x)
    name = type(x).__name__
    if name in ("bytes", "dict_keys", "dict_values", "dict_items"):
        return name
    article = "an" if name[0] in "aeiouAEIOU" or name == "ndarray" else "a"
    return f"{article} {name}"
