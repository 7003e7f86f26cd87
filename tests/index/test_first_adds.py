# SPDX-License-Identifier: Apache-2.0
"""An index that gets its first vectors one or few at a time finds what one add finds."""

from pathlib import Path

import numpy as np
import pytest

import bitsift
from bitsift.core.limits import LEAST_ROWS_FITTED

ARXIV = Path(bitsift.__file__).parent / "data" / "arxiv"
STORES = ["int8", "uint8", "int4", "ternary"]
K = 10


@pytest.fixture(scope="module")
def papers():
    """Documents and queries of the demonstration, and the ten documents nearest to each query."""
    kept = bitsift.Index.load(ARXIV / "index")
    documents = kept.get(kept.ids).astype(np.float32)
    queries = np.load(ARXIV / "queries.npy").astype(np.float32)
    return documents, queries, np.argsort(-(queries @ documents.T), axis=1)[:, :K]


def overlap(papers, store, threshold, sizes):
    documents, queries, best = papers
    index = bitsift.Index(documents.shape[1], store=store, threshold=threshold)
    begin = 0
    for size in sizes:
        index.add(documents[begin : begin + size])
        begin += size
    assert begin == len(documents) == len(index)
    found = index.search(queries, K).ids
    return (found[:, :, np.newaxis] == best[:, np.newaxis]).any(axis=1).mean()


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(
    ("threshold", "lost"),
    [
        (0.0, 0.005),
        ("mean", 0.02),
        pytest.param("half-mean", 0.02, marks=pytest.mark.slow),
        pytest.param("median", 0.02, marks=pytest.mark.slow),
    ],
)
def test_few_first_vectors_lose_nothing(papers, store, threshold, lost):
    n = len(papers[0])
    whole = overlap(papers, store, threshold, [n])
    for first in (1, 2, 10, 100):
        assert overlap(papers, store, threshold, [first, n - first]) == whole
    assert overlap(papers, store, threshold, [100] * (n // 100)) >= whole - lost
    # What comes after those that an index is fitted to changes no fit.
    ones = [1] * LEAST_ROWS_FITTED
    assert overlap(papers, store, threshold, [*ones, n - len(ones)]) >= whole - lost


@pytest.mark.parametrize("store", [None, "float16", "int8", "ternary"])
def test_while_there_are_few_nothing_is_lost(papers, store):
    documents, queries, _ = papers
    for n in (1, 10, 100, LEAST_ROWS_FITTED - 1):
        index = bitsift.Index(documents.shape[1], store=store, threshold="mean")
        index.add(documents[:n])
        best = np.argsort(-(queries @ documents[:n].T), axis=1, kind="stable")[:, :K]
        found = index.search(queries, K).ids
        assert (found[:, :, np.newaxis] == best[:, np.newaxis]).any(axis=1).mean() > 0.999
