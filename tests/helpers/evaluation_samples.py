# SPDX-License-Identifier: Apache-2.0
"""Corpora for tests of evaluate, and its measures in NumPy."""

import os
from pathlib import Path

import numpy as np
import pytest


def real_arrays(corpus, *names):
    """Arrays of a real corpus, which is not part of the repository; without it, the test skips."""
    folder = os.environ.get("BITSIFT_DATA")
    paths = [Path(folder or ".") / corpus / f"{name}.npy" for name in names]
    if not folder or not all(path.exists() for path in paths):
        pytest.skip(f"NOT TESTED on {corpus}: set BITSIFT_DATA to the folder that holds it")
    return [np.load(path) for path in paths]


def random_corpus(seed=0, n=150, n_queries=12, dim=43, shift=0.0):
    rng = np.random.default_rng(seed)
    documents = rng.standard_normal((n, dim), dtype=np.float32) + np.float32(shift)
    queries = rng.standard_normal((n_queries, dim), dtype=np.float32) + np.float32(shift)
    return documents, queries


def random_qrels(seed, n, n_queries):
    rng = np.random.default_rng(seed)
    pairs = rng.choice(n * n_queries, 60, replace=False)
    return np.stack([pairs // n, pairs % n, rng.integers(0, 4, len(pairs))], axis=1)


def arc(n):
    """Unit vectors that turn away from (1, 0), and that direction: the nearest n are the first."""
    angles = 0.02 * np.arange(n)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def ndcg(found, qrels, n_documents, k):
    """NDCG@k of each judged query in NumPy: linear gain, log2 discount."""
    n_queries = int(qrels[:, 0].max()) + 1
    grades = np.zeros((n_queries, n_documents))
    grades[qrels[:, 0], qrels[:, 1]] = qrels[:, 2]
    discounts = 1 / np.log2(np.arange(k) + 2)
    values = []
    for query in np.flatnonzero(grades.any(axis=1)):
        best = -np.sort(-grades[query])[:k]
        gained = grades[query][found[query][:k]]
        values.append(gained @ discounts[: len(gained)] / (best @ discounts[: len(best)]))
    return np.array(values)


def measures(evaluation):
    return [(row.name, row.ndcg, row.recall, row.overlap, row.deep_overlap)
            for row in evaluation.rows]  # fmt: skip
