# SPDX-License-Identifier: Apache-2.0
"""Convert the JSON response of an embeddings API to codes.

The keys of a response show its layout. They do not always show its convention: then the caller
names it.
"""

from __future__ import annotations

import base64
import json
import reprlib
from typing import Any, Literal, SupportsIndex, get_args

import numpy as np
from numpy.typing import NDArray

from bitsift.codes import conventions
from bitsift.core import arguments
from bitsift.core.blocks import row_blocks
from bitsift.core.handlers import call_raised
from bitsift.core.limits import MAX_DIM
from bitsift.core.public import public

__all__ = ["codes_from_response"]

EncodingType = Literal["binary", "ubinary"]

ENCODING_TYPES: tuple[EncodingType, ...] = get_args(EncodingType)

_MOST_BYTES = MAX_DIM // 8
# Packages of Python that parse JSON, and decode the bytes of it.
_JSON = ("json", "encodings", "codecs")

_quoted = reprlib.Repr()  # quotes parts of a response in errors, in a few lines at most
_quoted.maxlevel = 3
_quoted.maxstring = _quoted.maxother = 200


@public
def codes_from_response(
    response: dict[str, Any] | list[Any] | str | bytes,
    encoding_type: EncodingType | None = None,
    *,
    dim: SupportsIndex | None = None,
) -> NDArray[np.uint8]:
    """Convert the JSON response of an embeddings API to codes.

    Parameters
    ----------
    response : dict, list, str or bytes
        The JSON of the response, parsed or as text, in one of these layouts:

        * ``{"data": [{"index": 0, "embedding": ...}, ...]}`` (Voyage, Jina, and other APIs with
          the layout of OpenAI), or that list alone. Rows are sorted by ``"index"``. An embedding
          is a list of integers; or a base64 string of their bytes (Voyage), which needs `dim`; or,
          if the request named several types, a dict with one embedding for each type (Jina).
        * ``{"embeddings": {"binary": [[...], ...], "ubinary": ...}}`` (Cohere v1 and v2).
        * ``{"embeddings": [[...], ...]}``, or a list of lists alone (client libraries).
    encoding_type : {"binary", "ubinary"}, optional
        The type that the request named, as ``embedding_types`` (Cohere), ``output_dtype`` (Voyage)
        or ``embedding_type`` (Jina): ``"binary"``, int8, the packed byte minus 128; or
        ``"ubinary"``, uint8. Required unless the response has exactly one of these keys.
    dim : int, optional
        Number of dimensions, 1 to 65,536; 8 for each byte by default.

    Returns
    -------
    ndarray of uint8, shape (n, ceil(dim / 8))
        Codes, most significant bit first, with pad bits of zero.

    Raises
    ------
    TypeError
        `response` has another type, or an embedding is not a list of integers: it holds floats, for
        example.
    ValueError
        The text is not JSON; the API answered with an error; the layout is unknown; `encoding_type`
        is required; rows have different lengths; an index is missing or occurs twice; a value is
        outside the range of its type; a pad bit is not zero.

    See Also
    --------
    to_codes : Convert arrays, also in other conventions.

    Examples
    --------
    >>> text = '{"data": [{"index": 0, "embedding": [-51, 0]}]}'
    >>> bitsift.codes_from_response(text, "binary")
    array([[ 77, 128]], dtype=uint8)
    >>> bitsift.codes_from_response({"embeddings": {"ubinary": [[77, 128]]}})
    array([[ 77, 128]], dtype=uint8)
    """
    arguments.choice(encoding_type, "encoding_type", (*ENCODING_TYPES, None))
    n_dims = None if dim is None else arguments.check_dim(dim)
    embeddings, convention = _find(_parse(response), encoding_type)
    rows = [_as_row(row, place, convention, n_dims) for place, row in enumerate(embeddings)]
    if not rows:
        if n_dims is None:
            raise ValueError("the response holds no embeddings; without dim, their length is open")
        return np.zeros((0, (n_dims + 7) // 8), np.uint8)
    for place, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"embeddings must be of one length; embedding {place} has {len(row)} values, "
                f"embedding 0 has {len(rows[0])}"
            )
    return conventions.to_codes(_stacked(rows), convention, dim=n_dims)


def _stacked(rows: list[NDArray[Any]]) -> NDArray[Any]:
    """Return ``numpy.stack(rows)``, a block at a time, so that signal handlers run."""
    dtype = np.result_type(*{row.dtype for row in rows})
    stacked = np.empty((len(rows), len(rows[0])), dtype)
    for begin, end in row_blocks(*stacked.shape):
        np.stack(rows[begin:end], out=stacked[begin:end])
    return stacked


def _parse(response: object) -> dict[str, Any] | list[Any]:
    """Return the JSON object or list."""
    content = response
    if isinstance(response, (str, bytes, bytearray)):
        try:
            content = json.loads(response)
        except (RecursionError, ValueError) as error:
            if not call_raised(error, *_JSON):
                raise
            if isinstance(error, RecursionError):
                raise ValueError(
                    "response must be JSON of embeddings; got one nested too deep"
                ) from None
            raise ValueError(
                f"response must be JSON; got {response[:60]!r} ({len(response)} long): {error}"
            ) from None
        if not isinstance(content, (dict, list)):
            raise ValueError(f"response must be JSON of an object or list; got {response[:60]!r}")
    if not isinstance(content, (dict, list)):
        raise TypeError(
            "response must be the JSON of a response: a dict, list, str or bytes; got "
            f"{type(content).__name__}"
        )
    return content


def _find(
    content: dict[str, Any] | list[Any], encoding_type: EncodingType | None
) -> tuple[list[Any], EncodingType]:
    """Return the embeddings, in order, and their encoding type."""
    embeddings: Any = content
    if isinstance(content, dict):
        _refuse_error(content)
        if "data" in content:
            embeddings = _in_order(content["data"])
        elif "embeddings" in content:
            embeddings = content["embeddings"]
        else:
            raise ValueError(
                'response must have "data" or "embeddings"; its keys are '
                f"{_quoted.repr(list(content))}"
            )
    elif content and isinstance(content[0], dict):
        embeddings = _in_order(content)

    if isinstance(embeddings, list) and embeddings and isinstance(embeddings[0], dict):
        embeddings = _by_type(embeddings)
    if isinstance(embeddings, dict):
        encoding_type = _choose_type(embeddings, encoding_type)
        embeddings = embeddings[encoding_type]
    if not isinstance(embeddings, list):
        raise TypeError(f"embeddings must be a list; got {type(embeddings).__name__}")
    if encoding_type is None:
        raise ValueError(
            'encoding_type must be "binary" or "ubinary": the response does not tell which it holds'
        )
    return embeddings, encoding_type


def _refuse_error(content: dict[str, Any]) -> None:
    """Raise, quoting the API, if it answered with an error."""
    keys = ["error"]
    if "data" not in content and "embeddings" not in content:
        keys += ["detail", "message"]  # beside embeddings, these are not errors
    for key in keys:
        if content.get(key):
            raise ValueError(
                f"the API answered with an error, not with embeddings: {key}: "
                f"{_quoted.repr(content[key])}"
            )


def _in_order(items: Any) -> list[Any]:
    """Return the embeddings of items that have "index" and "embedding", sorted by "index"."""
    if not isinstance(items, list):
        raise TypeError(f'"data" must be a list; got {type(items).__name__}')
    found: dict[int, Any] = {}
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            raise TypeError(
                f'item {place} of "data" must be an object with "index" and "embedding"; got '
                f"{type(item).__name__}"
            )
        for key in ("index", "embedding"):
            if key not in item:
                raise ValueError(
                    f'item {place} of "data" has no "{key}"; its keys are '
                    f"{_quoted.repr(list(item))}"
                )
        index = item["index"]
        if type(index) is not int or not 0 <= index < len(items):
            raise ValueError(
                f'item {place} of "data" has index {_quoted.repr(index)}; {len(items)} items must '
                f"have the indices 0 to {len(items) - 1}"
            )
        if index in found:
            raise ValueError(f'item {place} of "data" has index {index}, as an earlier one has')
        found[index] = item["embedding"]
    return [found[index] for index in range(len(items))]


def _by_type(embeddings: list[Any]) -> dict[str, list[Any]]:
    """Turn a list of dicts with one embedding for each type into a dict of lists."""
    for place, types in enumerate(embeddings):
        if not isinstance(types, dict) or types.keys() != embeddings[0].keys():
            raise ValueError(
                "embeddings must all be of the same types; embedding 0 has "
                f"{_quoted.repr(list(embeddings[0]))}, embedding {place} is {_quoted.repr(types)}"
            )
    return {key: [types[key] for types in embeddings] for key in embeddings[0]}


def _choose_type(by_type: dict[str, Any], encoding_type: EncodingType | None) -> EncodingType:
    """Return `encoding_type` if the response has it, or the only packed type."""
    packed = [key for key in ENCODING_TYPES if by_type.get(key) is not None]
    if encoding_type in packed:
        return encoding_type
    if encoding_type is None and len(packed) == 1:
        return packed[0]
    if encoding_type is None and packed:
        raise ValueError(
            'encoding_type must be "binary" or "ubinary": the response holds both, so name one'
        )
    present = [key for key in by_type if by_type[key] is not None]
    numbers = [key for key in ("float", "int8", "uint8") if key in present]
    hint = ""
    if numbers:
        hint = (
            f". {' and '.join(numbers)} embeddings are numbers, one a dimension: "
            "numpy.array(embeddings, 'float32') makes floats of them, for bitsift.pack or Index.add"
        )
    raise ValueError(
        f"the response must hold {encoding_type or 'binary or ubinary'} embeddings; it holds "
        f"{_quoted.repr(present)}{hint}"
    )


def _as_row(row: Any, place: int, convention: EncodingType, dim: int | None) -> NDArray[Any]:
    """Return one embedding as an array of integers, whose range is not checked."""
    if isinstance(row, str):
        return _decode(row, place, convention, dim)
    if not isinstance(row, list):
        hint = "; one embedding alone goes into a list" if type(row) in (int, float) else ""
        raise TypeError(
            f"embedding {place} must be a list of integers or a base64 string; got "
            f"{type(row).__name__}{hint}"
        )
    if len(row) > _MOST_BYTES:
        raise ValueError(
            f"embedding {place} must have at most {MAX_DIM} bits a row; got {len(row)} bytes"
        )
    if not set(map(type, row)) <= {int}:  # bool, a subclass of int, is refused
        value = next(value for value in row if type(value) is not int)
        hint = "; pack floats with bitsift.pack" if type(value) is float else ""
        raise TypeError(
            f'embedding {place} must be integers, as "{convention}" ones are; got '
            f"{_quoted.repr(value)}, a {type(value).__name__}{hint}"
        )
    try:
        return np.array(row, np.int64)
    except OverflowError as error:
        if not call_raised(error):
            raise
        raise ValueError(
            f'embedding {place} must be "{convention}"; got an integer of more than 64 bits'
        ) from None


def _decode(text: str, place: int, convention: EncodingType, dim: int | None) -> NDArray[Any]:
    """Return the bytes of a base64 string.

    The same APIs send float32 as base64, too. Without `dim`, float32 would pass for packed bits of
    32 times the dimensions.
    """
    if dim is None:
        raise ValueError(
            f"embedding {place} is a base64 string, which does not tell packed bits from float32: "
            "give dim, too"
        )
    needed = (dim + 7) // 8
    # Longer than float32 in base64: not decoded, as the copy could fill memory.
    if len(text) > 4 * -(-4 * dim // 3) + 4:
        raise ValueError(
            f"embedding {place} must have {needed} bytes for dim {dim}; got base64 of "
            f"{len(text)} characters, about {len(text) // 4 * 3} bytes"
        )
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        if not call_raised(error, "base64"):
            raise
        raise ValueError(
            f"embedding {place} must be base64; got {_quoted.repr(text)}: {error}"
        ) from None
    if len(raw) != needed:
        hint = "; 4 bytes a dimension look like float32" if len(raw) == 4 * dim else ""
        raise ValueError(
            f"embedding {place} must have {needed} bytes for dim {dim}; got {len(raw)} bytes of "
            f"base64{hint}"
        )
    return np.frombuffer(raw, conventions.BYTE_TYPES[convention])
