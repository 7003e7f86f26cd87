# SPDX-License-Identifier: Apache-2.0
"""The share of float32's quality that bits keep, on real embeddings.

The corpora are not part of the repository. The tests run where the environment variable
BITSIFT_DATA names the folder that holds them, and skip elsewhere.
"""

from __future__ import annotations

import numpy as np
import pytest

import bitsift
from helpers.evaluation_samples import real_arrays
from oracle import reference

pytestmark = pytest.mark.slow

JUDGED = ("nfcorpus", "cranfield", "npl")
K = 10


@pytest.fixture(scope="module")
def shares():
    """The share of float32's NDCG@10 of each condition, on each judged corpus."""
    found = {}
    for name in JUDGED:
        evaluation = bitsift.evaluate(*real_arrays(name, "docs", "queries", "qrels"))
        found[name] = {row.name: evaluation.share(row) for row in evaluation.rows}
    return found


@pytest.mark.parametrize("store", ["float32", "float16", "int8"])
def test_bits_and_rescoring(shares, store):
    for name in JUDGED:
        assert shares[name][f"Hamming x4 -> {store}"] >= 0.98
        assert shares[name][f"Hamming x10 -> {store}"] >= 0.993


def test_the_default_search(shares):
    for name in JUDGED:
        assert shares[name]["default search -> float16"] >= 0.995


def test_bits_alone(shares):
    best = [shares[name]["binary, corrected, rotated"] for name in JUDGED]
    hamming = [shares[name]["binary x binary (Hamming)"] for name in JUDGED]
    assert min(best) >= 0.915
    assert np.mean(best) >= 0.94
    assert np.mean(best) - np.mean(hamming) >= 0.04
    plain = [shares[name]["binary (asymmetric)"] for name in JUDGED]
    assert min(plain) >= 0.914
    assert np.mean(plain) - np.mean(hamming) >= 0.04


def test_hamming_candidates_are_as_good_as_an_asymmetric_scan(shares):
    for name in JUDGED:
        full = shares[name]["binary (asymmetric)"]
        assert shares[name]["Hamming x4 -> bits"] >= full - 0.005


def test_small_stores(shares):
    for name in JUDGED:
        assert shares[name]["asymmetric x4 -> int8"] >= 0.993
        assert shares[name]["Hamming x10 -> int4"] >= 0.985


def overlap(found, best):
    return np.mean([len(np.intersect1d(a, b)) for a, b in zip(found, best, strict=True)]) / K


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_auto_on_data_far_from_centred(metric):
    arrays = real_arrays("fashion-mnist", "docs", "queries")
    documents, queries = (array.astype(np.float32) for array in arrays)
    float_search = bitsift.Index(documents.shape[1], metric=metric)
    with pytest.warns(bitsift.BitsiftWarning, match="say little"):
        float_search.add(documents)
    best = float_search.search(queries, K, oversampling=len(documents) / K).ids
    for query, ids in zip(queries[:5], best, strict=False):
        expected = reference.scores(metric, query, documents[ids])
        order = -expected if metric == "cosine" else expected
        assert (np.diff(order) > -1e-6).all()
    at_zero = overlap(float_search.search(queries, K, oversampling=10).ids, best)
    assert at_zero < 0.85
    index = bitsift.Index(documents.shape[1], metric=metric, threshold="auto")
    index.add(documents)
    assert overlap(index.search(queries, K, oversampling=10).ids, best) >= 0.97


@pytest.mark.parametrize("name", ["arxiv", *JUDGED])
def test_auto_is_never_worse_than_threshold_0(name):
    documents, queries = real_arrays(name, "docs", "queries")
    at_zero = bitsift.Index(documents.shape[1])
    at_zero.add(documents)
    auto = bitsift.Index(documents.shape[1], threshold="auto")
    auto.add(documents)
    best = at_zero.search(queries, K, oversampling=len(documents) / K).ids
    for oversampling in (4, 10):
        before = overlap(at_zero.search(queries, K, oversampling=oversampling).ids, best)
        after = overlap(auto.search(queries, K, oversampling=oversampling).ids, best)
        assert after >= before - 0.005


def test_correction_on_arxiv():
    documents, queries = real_arrays("arxiv", "docs", "queries")
    queries = queries[-1000:]
    floats = bitsift.Index(documents.shape[1])
    floats.add(documents)
    best = floats.search(queries, K, oversampling=len(documents) / K).ids
    found = {}
    for correction in (False, True):
        index = bitsift.Index(
            documents.shape[1], store=None, threshold="mean", rotate=True, correction=correction
        )
        index.add(documents)
        found[correction] = overlap(index.search(queries, K, scoring="asymmetric").ids, best)
    assert found[True] >= 0.6335
    assert found[True] - found[False] > 0.05
