# SPDX-License-Identifier: Apache-2.0
"""Indexes of few vectors, which wait as floats: their kinds, and what tests do to them."""

import numpy as np

import bitsift
from bitsift.index.persistence import to_contents

DIM = 24
RULES = ("half-mean", "mean", "median", "auto")
METRICS = ("cosine", "dot", "l2")
# What there is to decide: bounds, a threshold, a rotation, the scoring.
KINDS = [
    {},
    {"store": None},
    {"store": "int8"},
    {"store": "int8", "scoring": "hamming"},
    {"store": ("ternary", "float16"), "metric": "dot", "scoring": "asymmetric"},
    {"store": None, "threshold": "mean", "scoring": "asymmetric"},
    {"store": "int4", "threshold": "median", "rotate": True, "metric": "l2"},
    {"store": "uint8", "threshold": "mean", "correction": True},
    {"threshold": "auto", "metric": "dot"},
    {"store": "float32", "threshold": "half-mean", "correction": True, "metric": "l2"},
]


def made_vectors(n, seed=0, dim=DIM):
    return (np.random.default_rng(seed).standard_normal((n, dim)) + 0.3).astype(np.float32)


def made(n=0, **options):
    index = bitsift.Index(DIM, **options)
    index.add(made_vectors(n))
    return index


def added(index, vectors, sizes):
    begin = 0
    for size in sizes:
        index.add(vectors[begin : begin + size])
        begin += size
    assert begin == len(vectors)
    return index


def contents_of(index):
    return to_contents(*index._table.snapshot[:3])


def waits(index):
    return index._table.snapshot.fitting.waiting is not None
