# SPDX-License-Identifier: Apache-2.0
"""Trials: searches of one part of a sample, and how many true neighbours they find."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core.options import Metric
from bitsift.encoding.binarizer import Binarizer
from bitsift.encoding.encoder import Encoder, Queries
from bitsift.retrieval.ladder import BEFORE_CORRECTION, Plan, Rung
from bitsift.retrieval.parts import Part
from bitsift.retrieval.pipeline import Documents, find_rows

__all__ = ["ALL_WAYS", "Counts", "K", "Scan", "Trials", "Way"]

# How bits are compared: "corrected" is asymmetric scoring with a correction.
Scan = Literal["hamming", "asymmetric", "corrected"]


class Way(NamedTuple):
    """A way to search: by a scan alone, or by rescoring its candidates from the originals."""

    scan: Scan
    is_rescored: bool = False


ALL_WAYS = [
    Way("hamming"),
    Way("asymmetric"),
    Way("corrected"),
    Way("hamming", True),
    Way("asymmetric", True),
    Way("corrected", True),
]

# How many of its true neighbours each query finds.
Counts = dict[Way, NDArray[np.int64]]

K = 10
# So many candidates are rescored, but at most one of so many documents: a small sample stands for a
# larger collection, of which candidates are a small part.
_MOST_CANDIDATES = 40
_DOCUMENTS_FOR_A_CANDIDATE = 25


class Trials:
    """Searches of a part of a sample.

    Attributes
    ----------
    k : int
        Neighbours of each query that are to be found: 10, or all there are.
    n_candidates : int
        Candidates that are rescored for each query.
    n_rows, n_queries : int
        Documents and queries.
    """

    def __init__(self, part: Part, metric: Metric, isa: str, threads: int) -> None:
        self._part = part
        self._metric, self._isa, self._threads = metric, isa, threads
        n = self.n_rows = len(part.rows)
        self.n_queries = len(part.queries)
        self.k = min(K, n)
        self.n_candidates = max(self.k, min(_MOST_CANDIDATES, n // _DOCUMENTS_FOR_A_CANDIDATE))
        everyone = np.broadcast_to(np.arange(n), (self.n_queries, n))
        self._true = self._rescore(np.ascontiguousarray(everyone))

    def count(
        self, binarizer: Binarizer, ways: Collection[Way], *, as_given: bool = False
    ) -> Counts:
        """Return how many true neighbours each query finds in some ways with a binarizer.

        `as_given` says that the binarizer is for the vectors as they came.
        """
        part = self._part
        rows, asked = (
            (part.given_rows, part.given_queries) if as_given else (part.rows, part.queries)
        )
        corrects = any(way.scan == "corrected" for way in ways)
        encoder = Encoder(binarizer, (), self._metric, corrected=corrects)
        columns = encoder.empty_columns(len(rows))
        encoder.encode_into(columns, rows, self._threads)
        block = binarizer.encode(asked, "queries", 0, self._threads)
        queries = Queries(block.codes, block)
        found = {}
        for way in ways:
            scan, is_rescored = way
            is_corrected = scan == "corrected"
            documents = Documents(
                encoder, columns if is_corrected else columns._replace(factors=None)
            )
            rungs = [Rung("asymmetric" if is_corrected else scan, 1.0)]
            if is_corrected:
                rungs.insert(0, Rung("asymmetric", BEFORE_CORRECTION))
            plan = Plan(self.n_candidates if is_rescored else self.k, rungs, self._threads)
            rows_found = find_rows(documents, queries, plan)[1]
            if is_rescored:
                rows_found = self._rescore(rows_found)
            found[way] = self._hits(rows_found)
        return found

    def share(self, hits: NDArray[np.int64]) -> float:
        """Return the mean share of true neighbours that these are."""
        return int(hits.sum()) / (self.n_queries * self.k)

    def _rescore(self, candidates: NDArray[np.int64]) -> NDArray[np.int64]:
        return native.rescore(
            self._part.rows,
            self._part.queries,
            candidates,
            k=self.k,
            metric=self._metric,
            ids=None,
            isa=self._isa,
            threads=self._threads,
        )[1]

    def _hits(self, found: NDArray[np.int64]) -> NDArray[np.int64]:
        is_hit = (found[:, :, np.newaxis] == self._true[:, np.newaxis, :]).any(axis=1)
        hits: NDArray[np.int64] = is_hit.sum(axis=1, dtype=np.int64)
        return hits
