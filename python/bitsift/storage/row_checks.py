# SPDX-License-Identifier: Apache-2.0
"""What must hold of the rows of each part, for writer and reader alike."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core.interruptible import interruptibly
from bitsift.quantization.integers import INTEGER_CODECS
from bitsift.storage.manifest import Manifest

__all__ = ["RowCheck", "find_duplicate", "row_check"]

# Takes some rows and the number of the first; returns what is wrong with one of them, or None. Each
# row of a part is checked once, in order.
RowCheck = Callable[[NDArray[Any], int], "str | None"]

_IDS_AT_A_TIME = 1 << 24


def row_check(part: str, manifest: Manifest) -> RowCheck:
    """Return the check for the rows of a part; a new one for each pass over them.

    Ids that do not ascend need `find_duplicate` as well.
    """
    if part in ("codes", "rotation"):
        return partial(_check_pad_bits, part, (1 << (-manifest.dim % 8)) - 1)
    if part == "ids":
        return _IdCheck(ascending=manifest.ids == "ascending", above_all=manifest.largest_id)
    if part == "live":
        return _check_nothing
    if part == "correction":
        return _check_factors
    store = part.removeprefix("originals_")
    if store in INTEGER_CODECS:
        return partial(_check_integers, part, store, manifest.dim)
    return partial(_check_finite, part)


def _check_pad_bits(part: str, pad_mask: int, rows: NDArray[Any], first: int) -> str | None:
    if pad_mask == 0:
        return None
    wrong = native.first_with_pad_bits(rows, pad_mask, 1)
    return None if wrong is None else f"{part}: row {first + wrong} has pad bits that are not zero"


def _check_nothing(_rows: NDArray[Any], _first: int) -> None:
    """Bits are checked together."""


def _check_finite(part: str, rows: NDArray[Any], first: int) -> str | None:
    matrix = rows if rows.ndim == 2 else rows.reshape(-1, 1)  # of a threshold, each value
    wrong = native.first_not_finite(matrix, 1)
    return None if wrong is None else f"{part}: row {first + wrong} has a value that is not finite"


def _check_integers(part: str, store: str, dim: int, rows: NDArray[Any], first: int) -> str | None:
    wrong = INTEGER_CODECS[store].check_stored(rows, dim, first)
    return None if wrong is None else f"{part}: {wrong}"


def _check_factors(rows: NDArray[Any], first: int) -> str | None:
    # Factors are the upper halves of float32. Only in infinities and NaN are these bits all set.
    wrong = (rows & np.uint16(0x7F80) == 0x7F80).any(axis=1)
    if not wrong.any():
        return None
    return f"correction: row {first + int(wrong.argmax())} has a number that is not finite"


class _IdCheck:
    """Ids must not be negative and, if the manifest says so, must ascend; also across chunks.

    All are below an id that there was, if there is one.
    """

    def __init__(self, *, ascending: bool, above_all: int | None) -> None:
        self._ascending = ascending
        self._above_all = above_all
        self._last = -1

    def __call__(self, rows: NDArray[Any], first: int) -> str | None:
        negative = rows < 0
        if negative.any():
            row = int(negative.argmax())
            return f"ids: row {first + row} has the negative id {rows[row]}"
        if self._above_all is not None and (large := rows >= self._above_all).any():
            row = int(large.argmax())
            return f"ids: row {first + row}, id {rows[row]}, is not below largest_id"
        if self._ascending:
            descends = np.empty(len(rows), np.bool_)
            descends[0] = rows[0] <= self._last
            np.less_equal(rows[1:], rows[:-1], out=descends[1:])
            if descends.any():
                row = int(descends.argmax())
                return f"ids: row {first + row}, id {rows[row]}, is not above the id before it"
            self._last = int(rows[-1])
        return None


def find_duplicate(chunks: Callable[[], Iterable[NDArray[Any]]], n_ids: int) -> int | None:
    """Return an id that is there twice, or None; holds about `_IDS_AT_A_TIME` ids in memory.

    Equal ids have equal hashes, so each pass collects the ids of one range of hashes. The hash
    multiplies by a random number: no choice of ids is uneven for all multipliers.
    """
    n_groups = -(-n_ids // _IDS_AT_A_TIME)
    multiplier = np.uint64(secrets.randbits(64) | 1)
    for group in range(n_groups):
        held: list[NDArray[Any]] = []
        n_held, limit = 0, 2 * _IDS_AT_A_TIME
        for ids in chunks():
            hashes = (ids.view(np.uint64) * multiplier) >> np.uint64(32)
            mine = ids[(hashes * np.uint64(n_groups)) >> np.uint64(32) == group]
            held.append(mine)
            n_held += len(mine)
            if n_held > limit:  # few ids that repeat often, or a very unlikely multiplier
                if (twice := _twice(held)) is not None:
                    return twice
                limit *= 2
        if (twice := _twice(held)) is not None:
            return twice
    return None


def _sorted(ids: list[NDArray[Any]]) -> NDArray[Any]:
    return np.sort(np.concatenate(ids))


def _twice(ids: list[NDArray[Any]]) -> int | None:
    ordered = interruptibly(sum(map(len, ids)), _sorted, ids)
    equal = ordered[1:] == ordered[:-1]
    return int(ordered[int(equal.argmax())]) if equal.any() else None
