# SPDX-License-Identifier: Apache-2.0
"""What is evaluated: documents, queries and judgments, checked; or some documents as queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.blocks import row_blocks

__all__ = ["Corpus", "as_corpus"]

_LEAST_DOCUMENTS = 20  # fewer are no sample to choose a threshold by
_MOST_HELD_OUT = 1000
_HELD_OUT_OF = 10


@dataclass(frozen=True)
class Corpus:
    """Documents and queries of the same dimensions.

    Attributes
    ----------
    documents, queries : ndarray of float16, float32 or float64, shape (n, dim)
    qrels : ndarray of int64, shape (n_judgments, 3), or None
        Query row, document row, grade.
    held_out : int
        How many documents were taken as queries, and are not among the documents any more.
    """

    documents: NDArray[Any]
    queries: NDArray[Any]
    qrels: NDArray[np.int64] | None
    held_out: int

    @property
    def dim(self) -> int:
        """Dimensions."""
        return int(self.documents.shape[1])


def as_corpus(
    documents: ArrayLike, queries: ArrayLike | None, qrels: ArrayLike | None, k: int
) -> Corpus:
    """Return what a caller handed over, checked; without queries, every tenth document is one."""
    # One condition keeps them as float16, and all narrow them to float32.
    rows = _as_rows(documents, "documents", np.float16)
    if queries is None:
        if qrels is not None:
            raise ValueError("qrels judge documents for queries; got qrels, but no queries")
        return _held_out(rows, k)
    _check_enough(len(rows), k)
    asked = _as_rows(queries, "queries", np.float32)
    if asked.shape[1] != rows.shape[1]:
        raise ValueError(
            f"queries must have as many values as documents: got {asked.shape[1]}; documents have "
            f"{rows.shape[1]}"
        )
    if len(asked) == 0:
        raise ValueError(f"queries must have at least one row; got shape {asked.shape}")
    judged = None if qrels is None else _as_qrels(qrels, len(asked), len(rows))
    return Corpus(rows, asked, judged, 0)


def _as_rows(x: ArrayLike, name: str, narrowest: type[np.floating[Any]]) -> NDArray[Any]:
    rows = arguments.as_values(x, name)
    if rows.dtype.kind != "f":
        raise TypeError(f"{name} must be float16, float32 or float64; got {rows.dtype}")
    if rows.ndim != 2:
        raise ValueError(f"{name} must have shape (n, dim); got shape {rows.shape}")
    most = float(np.finfo(narrowest).max)
    for begin, end in row_blocks(*rows.shape):
        block = rows[begin:end]
        arguments.refuse_non_finite(block, name, begin)
        beyond = np.abs(block.astype(np.float64)) > most
        if beyond.any():
            row, column = (int(i) for i in np.argwhere(beyond)[0])
            raise ValueError(
                f"{name} must be within {narrowest.__name__}'s range, {most:g}; row {begin + row}, "
                f"dimension {column} is {block[row, column]}"
            )
    return rows


def _check_enough(n: int, k: int) -> None:
    least = max(k, _LEAST_DOCUMENTS)
    if n < least:
        raise ValueError(f"documents must be {least} or more, queries not counted; got {n}")


def _held_out(rows: NDArray[Any], k: int) -> Corpus:
    n_held = max(1, min(_MOST_HELD_OUT, len(rows) // _HELD_OUT_OF))
    _check_enough(len(rows) - n_held, k)
    is_query = np.zeros(len(rows), np.bool_)
    is_query[np.linspace(0, len(rows) - 1, n_held).astype(np.int64)] = True
    return Corpus(rows[~is_query], rows[is_query], None, n_held)


def _as_qrels(x: ArrayLike, n_queries: int, n_documents: int) -> NDArray[np.int64]:
    array = np.asarray(x)
    if array.dtype.kind not in "iu":
        raise TypeError(f"qrels must be integers; got {array.dtype}")
    if array.ndim != 2 or array.shape[1] != 3 or len(array) == 0:
        raise ValueError(
            "qrels must have shape (n, 3), query row, document row and grade, n at least 1; got "
            f"shape {array.shape}"
        )
    for column, name, end in ((0, "query", n_queries), (1, "document", n_documents)):
        wrong = (array[:, column] < 0) | (array[:, column] >= end)
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(
                f"qrels must name {name} rows from 0 to {end - 1}; row {row} has "
                f"{array[row, column]}"
            )
    wrong = (array[:, 2] < 0) | (array[:, 2] >= 2**31)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"qrels must have grades from 0 to {2**31 - 1}; row {row} has {array[row, 2]}"
        )
    qrels: NDArray[np.int64] = array.astype(np.int64)
    _, firsts = np.unique(qrels[:, :2], axis=0, return_index=True)
    if len(firsts) < len(qrels):
        twice = int(np.setdiff1d(np.arange(len(qrels)), firsts)[0])
        raise ValueError(
            f"qrels must judge a document once for a query; row {twice} judges query "
            f"{qrels[twice, 0]}, document {qrels[twice, 1]} again"
        )
    if not qrels[:, 2].any():
        raise ValueError("qrels must have a grade above 0 somewhere; got none")
    return qrels
