# SPDX-License-Identifier: Apache-2.0
"""Documents, queries and judgments, checked; without queries, some documents become queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.blocks import row_blocks
from bitsift.core.interruptible import interruptibly
from bitsift.core.samples import evenly_spaced

__all__ = ["EvaluationCorpus", "as_corpus"]

_LEAST_DOCUMENTS = 20  # threshold="auto" needs as many
_MOST_HELD_OUT = 1000
_HELD_OUT_OF = 10


@dataclass(frozen=True)
class EvaluationCorpus:
    """Documents and queries of the same dimensions.

    Attributes
    ----------
    documents, queries : ndarray of float16, float32 or float64, shape (n, dim)
    qrels : ndarray of int64, shape (n_judgments, 3), or None
        Judgments: query row, document row, grade.
    held_out : int
        Documents that became queries and are no longer among `documents`.
    """

    documents: NDArray[Any]
    queries: NDArray[Any]
    qrels: NDArray[np.int64] | None
    held_out: int

    @property
    def dim(self) -> int:
        """Dimensions of documents and queries."""
        return int(self.documents.shape[1])


def as_corpus(
    documents: ArrayLike, queries: ArrayLike | None, qrels: ArrayLike | None, k: int
) -> EvaluationCorpus:
    """Check the arguments of a caller; without queries, every tenth document becomes one."""
    # One condition keeps documents as float16, and every condition narrows queries to float32.
    rows = _as_rows(documents, "documents", np.float16)
    if queries is None:
        if qrels is not None:
            raise ValueError("qrels must come with queries, which they judge; got no queries")
        return _held_out(rows, k)
    _check_enough(len(rows), k)
    query_rows = _as_rows(queries, "queries", np.float32)
    if query_rows.shape[1] != rows.shape[1]:
        raise ValueError(
            f"queries must have {rows.shape[1]} values a row, as documents have; got "
            f"{query_rows.shape[1]}"
        )
    if len(query_rows) == 0:
        raise ValueError(f"queries must have at least one row; got shape {query_rows.shape}")
    judgments = None if qrels is None else _as_qrels(qrels, len(query_rows), len(rows))
    return EvaluationCorpus(rows, query_rows, judgments, 0)


def _as_rows(x: ArrayLike, name: str, narrowest: type[np.floating[Any]]) -> NDArray[Any]:
    rows = arguments.parse_matrix(x, name)
    for begin, end in row_blocks(*rows.shape):
        arguments.narrow(rows[begin:end], narrowest, name, begin)
    return rows


def _check_enough(n: int, k: int, n_held: int = 0) -> None:
    """Raise if there are too few documents, `n_held` of them to be queries and not searched."""
    least = max(k, _LEAST_DOCUMENTS)
    if n - n_held < least:
        besides = f" besides {n_held} that would serve as queries" if n_held else ""
        raise ValueError(f"documents must have at least {least} rows{besides}; got {n}")


def _held_out(rows: NDArray[Any], k: int) -> EvaluationCorpus:
    n_held = max(1, min(_MOST_HELD_OUT, len(rows) // _HELD_OUT_OF))
    _check_enough(len(rows), k, n_held)
    is_query = np.zeros(len(rows), np.bool_)
    is_query[evenly_spaced(len(rows), n_held)] = True
    return EvaluationCorpus(rows[~is_query], rows[is_query], None, n_held)


def _as_qrels(x: ArrayLike, n_queries: int, n_documents: int) -> NDArray[np.int64]:
    array = arguments.plain_array(x, "qrels", "be integers")
    if array.dtype.kind not in "iu":
        raise TypeError(f"qrels must be integers; got {array.dtype}")
    if array.ndim != 2 or array.shape[1] != 3 or len(array) == 0:
        raise ValueError(
            "qrels must have shape (n, 3) with n at least 1: query row, document row, grade; got "
            f"shape {array.shape}"
        )
    for column, name, end in ((0, "query", n_queries), (1, "document", n_documents)):
        wrong = (array[:, column] < 0) | (array[:, column] >= end)
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(
                f"qrels must name {name} rows from 0 to {end - 1}; row {row} names "
                f"{array[row, column]}"
            )
    wrong = (array[:, 2] < 0) | (array[:, 2] >= 2**31)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"qrels must have grades from 0 to {2**31 - 1}; row {row} has {array[row, 2]}"
        )
    qrels: NDArray[np.int64] = array.astype(np.int64)
    twice = interruptibly(len(qrels), _judged_twice, qrels)
    if twice is not None:
        raise ValueError(
            f"qrels must judge each document once for a query; row {twice} judges query "
            f"{qrels[twice, 0]}, document {qrels[twice, 1]} again"
        )
    if not qrels[:, 2].any():
        raise ValueError("qrels must have at least one grade above 0; got none")
    return qrels


def _judged_twice(qrels: NDArray[np.int64]) -> int | None:
    """Return the first row that judges the query and document of an earlier one, or None."""
    order = np.lexsort((qrels[:, 1], qrels[:, 0]))  # stable: of equal rows, the first comes first
    ordered = qrels[order, :2]
    again = order[1:][(ordered[1:] == ordered[:-1]).all(axis=1)]
    return int(again.min()) if len(again) else None
