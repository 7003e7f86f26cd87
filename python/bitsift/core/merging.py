# SPDX-License-Identifier: Apache-2.0
"""Results of several searches as one: those of the shards of a corpus."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from bitsift.core import arguments
from bitsift.core.blocks import row_blocks
from bitsift.core.floats import in_default_floats
from bitsift.core.public import public
from bitsift.core.results import SearchResult, worst_score
from bitsift.core.unreadable import shown

__all__ = ["merge"]


@public
@in_default_floats
def merge(
    results: Iterable[SearchResult], k: SupportsIndex, *, offset: SupportsIndex = 0
) -> SearchResult:
    """Merge the results of searches in several shards into those of one search.

    Parameters
    ----------
    results : iterable of SearchResult
        What the same queries found in each shard, at least one; all of one kind. Their numbers of
        columns may differ. For the best `k` of all, each search asks its shard for at least
        ``offset + k``.
    k : int
        Results for each query.
    offset : int
        Results of each query that are left out, the best ones first.

    Returns
    -------
    SearchResult
        The results number `offset` to ``offset + k - 1`` of each query by (score, id), in as many
        columns as the query with most results fills; the others end with the worst score and -1. A
        shard's own ids of -1 count for nothing. Results of 1-D queries give a 1-D result.

    Raises
    ------
    TypeError
        Something is not a `SearchResult`, or `k` or `offset` is no integer.
    ValueError
        No results, kinds or numbers of queries that differ, a kind that is not known, or a negative
        `k` or `offset`.

    Notes
    -----
    Ids must tell documents of different shards apart: one id from two shards stays twice. Merged
    Hamming distances, and scores of all candidates, are those of one search over all shards, byte
    for byte. Rescored results may be better than those of one search, because each shard rescores
    as many candidates as one search does. Asymmetric scores of different distances may round to the
    same float32; then the smaller id is first. Takes ``24 * n`` bytes for `n` results of a block of
    queries. Thread-safe.

    Examples
    --------
    >>> codes = numpy.array([[0b1111_0000], [0b1110_0000], [0b0000_1111]], dtype="uint8")
    >>> first, last = (bitsift.search(part, codes[1], k=2) for part in (codes[:2], codes[2:]))
    >>> bitsift.merge([first, last._replace(ids=last.ids + 2)], k=2).ids
    array([1, 0])
    """
    shards = _checked(results)
    k, offset = arguments.check_k(k), arguments.check_offset(offset)
    first = shards[0]
    kind = first.kind
    assert kind is not None
    is_single = first.ids.ndim == 1
    scores = [arguments.as_rows(shard.scores) for shard in shards]
    ids = [arguments.as_rows(shard.ids) for shard in shards]
    n_queries, n_columns = len(ids[0]), sum(part.shape[1] for part in ids)
    n_found = np.sum([np.count_nonzero(part >= 0, axis=1) for part in ids], axis=0)
    most = int(n_found.max(initial=0))
    page = slice(min(offset, most), min(offset + k, most))
    shape = n_queries, page.stop - page.start
    merged_scores = np.empty(shape, np.result_type(*scores))
    merged_ids = np.empty(shape, np.int64)
    for begin, end in row_blocks(n_queries, n_columns):
        found = np.concatenate([part[begin:end] for part in scores], axis=1)
        names = np.concatenate([part[begin:end] for part in ids], axis=1)
        best = _order(found, names, descending=bool(first.descending))[:, page]
        merged_scores[begin:end] = np.take_along_axis(found, best, axis=1)
        merged_ids[begin:end] = np.take_along_axis(names, best, axis=1)
    is_missing = merged_ids < 0
    merged_scores[is_missing] = worst_score(kind)
    merged_ids[is_missing] = -1
    if is_single:
        return SearchResult(merged_scores[0], merged_ids[0], kind=kind)
    return SearchResult(merged_scores, merged_ids, kind=kind)


def _order(scores: NDArray[Any], ids: NDArray[np.int64], *, descending: bool) -> NDArray[np.int64]:
    """Return the places of each row's elements, best first, missing ones last."""
    badness = -scores if descending else scores
    order: NDArray[np.int64] = np.lexsort((ids, badness, ids < 0), axis=-1)
    return order


def _checked(results: Iterable[SearchResult]) -> list[SearchResult]:
    """Return results that can be merged."""
    if isinstance(results, SearchResult):
        raise TypeError("results must be several of SearchResult; got one: put it in a list")
    if isinstance(results, np.ndarray) or not isinstance(results, Iterable):
        raise TypeError(f"results must be a list of SearchResult; got {shown(results)}")
    shards = list(results)
    if not shards:
        raise ValueError("results must be those of at least one shard; got none")
    for number, shard in enumerate(shards):
        if not isinstance(shard, SearchResult):
            raise TypeError(
                f"results must be a list of SearchResult; {number} is {shown(shard)}. Of scores "
                'and ids, bitsift.SearchResult(scores, ids, kind="cosine") makes one'
            )
        if shard.kind is None:
            raise ValueError(
                f"results must be of a known kind; that of result {number} is not known. "
                'bitsift.SearchResult(scores, ids, kind="cosine") says it'
            )
        if shard.kind != shards[0].kind:
            raise ValueError(
                f"results must be of one kind; result 0 is {shards[0].kind!r}, result {number} "
                f"{shard.kind!r}"
            )
        if np.shape(shard.scores) != np.shape(shard.ids) or shard.ids.ndim not in (1, 2):
            raise ValueError(
                "results must have scores and ids of one shape, (n_queries, k) or (k,); those of "
                f"result {number} have {np.shape(shard.scores)} and {np.shape(shard.ids)}"
            )
        if shard.ids.shape[:-1] != shards[0].ids.shape[:-1]:
            raise ValueError(
                "results must be of the same queries; the ids of result 0 have shape "
                f"{shards[0].ids.shape}, those of result {number} {shard.ids.shape}"
            )
    return shards
