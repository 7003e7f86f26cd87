# SPDX-License-Identifier: Apache-2.0
"""Real embeddings, those of the demo: what bits lose and rescoring brings back."""

from importlib.resources import as_file, files

import numpy as np
import pytest

import bitsift
from oracle import reference

K = 10


@pytest.fixture(scope="module")
def arxiv():
    """The index, its vectors and 40 prepared queries as float32, and the float top 10 of each."""
    with as_file(files("bitsift") / "data" / "arxiv") as folder:
        index = bitsift.Index.load(folder / "index")
        queries = np.load(folder / "queries.npy").astype(np.float32)
    vectors = index.get(index.ids).astype(np.float32)
    best = [
        np.argsort(-reference.scores("cosine", query, vectors), kind="stable")[:K]
        for query in queries
    ]
    return index, vectors, queries, np.array(best)


def overlap(ids, best):
    return np.mean([len(np.intersect1d(a, b)) for a, b in zip(ids, best, strict=True)]) / K


def test_codes_are_the_signs(arxiv):
    index, vectors, _, _ = arxiv
    np.testing.assert_array_equal(index.codes, reference.pack(vectors))


def test_hamming_search(isa, arxiv):
    index, vectors, queries, _ = arxiv
    distances, rows = bitsift.search(index.codes, bitsift.pack(queries), K, isa=isa)
    expected = reference.search(reference.pack(vectors), reference.pack(queries), K)
    np.testing.assert_array_equal(distances, expected[0])
    np.testing.assert_array_equal(rows, expected[1])


def test_rescoring_recovers_the_float_neighbours(arxiv):
    index, _, queries, best = arxiv
    assert 0.5 < overlap(index.search(queries, K, rescore=False).ids, best) < 0.6
    shares = [
        overlap(index.search(queries, K, oversampling=x).ids, best) for x in (1, 2, 4, 10, 40)
    ]
    assert shares == sorted(shares)
    assert shares[2] > 0.92
    assert shares[3] > 0.98
    assert shares[4] == 1


def test_the_default_search_finds_what_float_search_finds(isa, arxiv):
    _, vectors, queries, best = arxiv
    index = bitsift.Index(vectors.shape[1], isa=isa)
    index.add(vectors)
    assert (index.scoring, index.store) == ("asymmetric", "float16")
    assert overlap(index.search(queries, K).ids, best) >= 0.995  # 100 %, says the README


def test_all_candidates_is_float_search(arxiv):
    index, vectors, queries, best = arxiv
    scores, ids = index.search(queries, K, oversampling=len(index))
    np.testing.assert_array_equal(ids, best)
    for i, query in enumerate(queries):
        expected = reference.scores("cosine", query, vectors[ids[i]])
        np.testing.assert_allclose(scores[i], expected, rtol=2e-7)
