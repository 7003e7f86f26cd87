# SPDX-License-Identifier: Apache-2.0
"""The truth in NumPy alone: packing, searching, scoring, rotating, correcting; plain, not fast."""

from __future__ import annotations

from functools import cache

import numpy as np

BITS_OF_BYTE = np.array([byte.bit_count() for byte in range(256)], np.uint8)


def pack(x, threshold=0.0):
    return np.packbits(np.asarray(x) > threshold, axis=-1)


def hamming(a, b):
    differing = BITS_OF_BYTE[a[:, np.newaxis, :] ^ b[np.newaxis, :, :]]
    return differing.sum(axis=-1, dtype=np.int32)


def search(codes, queries, k, ids=None):
    """Distances and rows of the k nearest by (distance, id); of all, if there are fewer."""
    n = len(codes)
    ids = np.arange(n) if ids is None else ids
    distances = hamming(queries, codes)
    rows = np.array([np.lexsort((ids, some))[:k] for some in distances], np.int64)
    rows = rows.reshape(len(queries), min(k, n))
    return np.take_along_axis(distances, rows, axis=1), rows


def weighted_hamming(queries, magnitudes, codes):
    """The sum of a query's magnitudes, one a bit, over the bits that differ."""
    differing = np.unpackbits(queries[:, np.newaxis, :] ^ codes[np.newaxis, :, :], axis=-1)
    return (differing * magnitudes[:, np.newaxis, :].astype(np.int64)).sum(axis=-1)


def knn_graph(codes, k):
    """The k nearest other rows of each row; all others, if there are fewer."""
    n = len(codes)
    distances, rows = search(codes, codes, n)
    others = rows != np.arange(n)[:, np.newaxis]
    shape = n, max(n - 1, 0)
    return distances[others].reshape(shape)[:, :k], rows[others].reshape(shape)[:, :k]


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


def ranked(metric, all_scores, ids, k):
    """The best k of all scores as float32, by (score, id): scores and ids."""
    rounded = all_scores.astype(np.float32)
    best = np.lexsort((ids, rounded if metric == "l2" else -rounded))[:k]
    return rounded[best], ids[best]


def sums(values):
    """The sum of each row, from left to right."""
    return np.add.accumulate(values, axis=-1)[..., -1]


def unit_rows(vectors):
    """Rows of length 1, as float32; zeros as they are."""
    exact = vectors.astype(np.float64)
    norms = np.sqrt(sums(exact * exact))[:, np.newaxis]
    return np.divide(exact, norms, out=np.zeros_like(exact), where=norms > 0).astype(np.float32)


@cache
def random_flips(dim):
    """The signs of the rotation: three rounds of one flip, or of two if dim is no power of two."""
    n = 3 if dim.bit_count() == 1 else 6
    stream = np.random.PCG64(24)
    return np.array(
        [[1 if stream.random_raw() >= 2**63 else -1 for _ in range(dim)] for _ in range(n)],
        np.float32,
    )


@cache
def hadamard_stages(n):
    """Matrices whose product is the Hadamard matrix of n, a power of two.

    Each column has two numbers, 1 or -1, so that a product with it is one addition of float32.
    """
    pairs, half = np.float32([[1, 1], [1, -1]]), 1
    stages = []
    while half < n:
        ones = np.eye(n // (2 * half), dtype=np.float32), np.eye(half, dtype=np.float32)
        stages.append(np.kron(np.kron(ones[0], pairs), ones[1]))
        half *= 2
    return stages


@cache
def hadamard_additions(n):
    """The two rows of each column of each stage, and the numbers that stand there.

    Products of whole matrices would take many times as long.
    """
    additions = []
    for stage in hadamard_stages(n):
        first, second = np.nonzero(stage.T)[1].reshape(n, 2).T
        columns = np.arange(n)
        additions.append((first, second, stage[first, columns], stage[second, columns]))
    return additions


def rotated(vectors, flips):
    """Rows after all rounds: signs flipped, then the first or the last 2^m values transformed."""
    dim = vectors.shape[1]
    block = 2 ** (dim.bit_length() - 1)
    rows = vectors.astype(np.float32)
    for i, signs in enumerate(flips):
        begin = dim - block if i % 2 == 1 and block < dim else 0
        rows *= signs
        part = rows[:, begin : begin + block]
        for first, second, signs_of_first, signs_of_second in hadamard_additions(block):
            part[:] = part[:, first] * signs_of_first + part[:, second] * signs_of_second
        part *= np.float32(1 / np.sqrt(block))
    return rows


def prepared(vectors, centre, *, rotate=False, normalize=False):
    """Rows, float32, whose signs are the bits."""
    rows = unit_rows(vectors) if normalize else vectors.astype(np.float32)
    rows = rows - np.broadcast_to(centre, rows.shape[1:]).astype(np.float32)
    return rotated(rows, random_flips(rows.shape[1])) if rotate else rows


def round_query(query):
    """A query as integers of -31 to 31 and their scale."""
    largest = np.abs(query).max()
    if largest == 0:
        return np.zeros_like(query), 0.0
    return np.sign(query) * np.rint(31 * (np.abs(query) / largest)), largest / 31


def bfloat16(x):
    """The nearer of the two upper halves of float32 on either side of x, the even one of two."""
    rounded = np.asarray(x, np.float64).astype(np.float32)
    down = rounded.view(np.uint32) >> np.uint32(16)
    up = down + np.uint32(1)
    to_down = np.abs(rounded - from_bfloat16(down))
    to_up = np.abs(rounded - from_bfloat16(up))
    is_up = (to_up < to_down) | ((to_up == to_down) & (down % 2 == 1))
    return np.where(is_up, up, down).astype(np.uint16)


def from_bfloat16(numbers):
    return (numbers.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)


def correction(metric, relative, centre):
    """Factors, shape (n, 1 or 2), of float32 rows relative to a centre; without one it is None."""
    rows = relative.astype(np.float64)
    square, absolute = sums(rows * rows), sums(np.abs(rows))
    above = np.sqrt(square) if metric == "cosine" and centre is None else square
    columns = [np.divide(above, absolute, out=np.zeros_like(above), where=absolute > 0)]
    if metric == "l2":
        columns.append(np.sqrt(square))
    elif centre is not None:
        columns.append(sums(rows * centre) + sums(np.square(centre)))
    return bfloat16(np.stack(columns, axis=1))


def estimates(metric, query, bits, factors, centre):
    """Corrected scores of a query, relative to the centre, and documents of these bits."""
    query = query.astype(np.float64)
    integers, scale = round_query(query)
    numbers = from_bfloat16(factors)
    products = scale * ((2.0 * bits - 1) @ integers) * numbers[:, 0]
    norm = np.sqrt(sums(query * query))
    if metric == "l2":
        return np.sqrt(np.maximum(norm**2 + numbers[:, 1] ** 2 - 2 * products, 0))
    if centre is not None:
        return sums(query * centre) + products + numbers[:, 1]
    if metric == "cosine":
        return products / norm if norm > 0 else 0 * products
    return products
