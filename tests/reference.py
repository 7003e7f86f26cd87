# SPDX-License-Identifier: Apache-2.0
"""The oracle: NumPy only, obviously right, never fast."""

from __future__ import annotations

import numpy as np

NO_DISTANCE = np.iinfo(np.int32).max


def pack(x, threshold=0.0):
    return np.packbits(np.asarray(x) > threshold, axis=-1)


def hamming(a, b):
    differing = np.unpackbits(a[:, np.newaxis, :] ^ b[np.newaxis, :, :], axis=-1)
    return differing.sum(axis=-1, dtype=np.int32)


def search(codes, queries, k, ids=None):
    """Distances and rows of the k nearest by (distance, id), padded with (NO_DISTANCE, -1)."""
    n = len(codes)
    ids = np.arange(n) if ids is None else ids
    distances = np.full((len(queries), k), NO_DISTANCE, np.int32)
    rows = np.full((len(queries), k), -1, np.int64)
    for i, all_distances in enumerate(hamming(queries, codes)):
        best = np.lexsort((ids, all_distances))[:k]
        distances[i, : len(best)] = all_distances[best]
        rows[i, : len(best)] = best
    return distances, rows


def weighted_hamming(queries, magnitudes, codes):
    """The sum of a query's magnitudes over the bits that differ; one magnitude a bit."""
    differing = np.unpackbits(queries[:, np.newaxis, :] ^ codes[np.newaxis, :, :], axis=-1)
    return (differing * magnitudes[:, np.newaxis, :].astype(np.int64)).sum(axis=-1)


def knn_graph(codes, k):
    """The k nearest other rows of each row."""
    n = len(codes)
    distances, rows = search(codes, codes, n)
    others = rows != np.arange(n)[:, np.newaxis]
    wanted = np.full((n, k), NO_DISTANCE, np.int32), np.full((n, k), -1, np.int64)
    for i in range(n):
        m = min(k, n - 1)
        wanted[0][i, :m] = distances[i][others[i]][:m]
        wanted[1][i, :m] = rows[i][others[i]][:m]
    return wanted


def scores(metric, query, vectors):
    """The metric in float64."""
    query, vectors = query.astype(np.float64), vectors.astype(np.float64)
    if metric == "l2":
        return np.linalg.norm(vectors - query, axis=1)
    products = vectors @ query
    if metric == "dot":
        return products
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    return np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)
