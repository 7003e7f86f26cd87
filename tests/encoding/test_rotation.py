# SPDX-License-Identifier: Apache-2.0
"""Rotation equals the oracle, is the same in every process, and helps loud dimensions."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

import bitsift
from bitsift.encoding.binarizer import Binarizer
from bitsift.encoding.rotation import random_flips
from oracle import reference

pytestmark = pytest.mark.usefixtures("fits_at_once")

METRICS = ["cosine", "dot", "l2"]


def shifted(rng, n, dim):
    """Vectors far from centred, by another amount in each dimension."""
    return rng.standard_normal((n, dim), dtype=np.float32) + np.linspace(-1, 2, dim, dtype="f4")


@pytest.mark.parametrize("dim", [1, 2, 3, 5, 8, 13, 64, 100, 384, 1000])
def test_rows_equal_the_oracle(isa, rng, dim):
    vectors = shifted(rng, 40, dim)
    centre = rng.standard_normal(dim, dtype=np.float32)
    binarizer = Binarizer(dim, centre, isa, flips=random_flips(dim))
    block = binarizer.encode(vectors, "vectors", 0, 2)
    expected = reference.prepared(vectors, centre, rotate=True)
    np.testing.assert_array_equal(binarizer.centred_rows(block), expected)
    np.testing.assert_array_equal(block.codes, reference.pack(expected))
    expected = reference.prepared(vectors, 0, rotate=True)
    np.testing.assert_array_equal(binarizer.rotated_rows(block, 1), expected)
    expected = reference.prepared(centre[np.newaxis], 0, rotate=True)[0]
    np.testing.assert_array_equal(binarizer.rotated_threshold(), expected)


def test_stages_make_a_hadamard_matrix():
    matrix = np.eye(16, dtype=np.float32)
    for stage in reference.hadamard_stages(16):
        matrix = matrix @ stage
    i, j = np.indices((16, 16))
    parities = [
        [(a & b).bit_count() % 2 for a, b in zip(*row, strict=True)]
        for row in zip(i.tolist(), j.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(matrix, np.where(parities, -1, 1))


@pytest.mark.parametrize("dim", [1, 2, 13, 100, 128])
def test_products_and_norms_are_kept(rng, dim):
    vectors = shifted(rng, 60, dim)
    binarizer = Binarizer(dim, 0.0, "scalar", flips=random_flips(dim))
    rows = binarizer.centred_rows(binarizer.encode(vectors, "vectors", 0, 1))
    exact = vectors.astype(np.float64)
    scale = np.square(exact).sum(axis=1).max()
    np.testing.assert_allclose(rows @ rows.T, exact @ exact.T, atol=1e-5 * scale)


@pytest.mark.parametrize("dim", [8, 13, 100])
def test_every_dimension_is_spread(dim):
    binarizer = Binarizer(dim, 0.0, "scalar", flips=random_flips(dim))
    rows = binarizer.centred_rows(binarizer.encode(np.eye(dim, dtype="f4"), "vectors", 0, 1))
    assert np.abs(rows).max() < 0.95


@pytest.mark.parametrize("dim", [1, 13, 64, 384])
@pytest.mark.parametrize("threshold", [0.0, 0.3, "array"])
@pytest.mark.parametrize("metric", METRICS)
def test_codes(isa, rng, dim, threshold, metric):
    vectors = shifted(rng, 100, dim)
    if threshold == "array":
        threshold = rng.standard_normal(dim, dtype=np.float32)
    index = bitsift.Index(dim, metric=metric, threshold=threshold, rotate=True, isa=isa)
    index.add(vectors)
    expected = reference.prepared(vectors, threshold, rotate=True)
    np.testing.assert_array_equal(index.codes, reference.pack(expected))


def test_the_same_in_every_index_and_process(rng):
    vectors = np.arange(5 * 77, dtype=np.float32).reshape(5, 77) % 13 - 6
    digests = set()
    for metric in METRICS:
        index = bitsift.Index(77, metric=metric, store=None, rotate=True)
        index.add(vectors)
        digests.add(hashlib.sha256(index.codes.tobytes()).hexdigest())
    program = (
        "import bitsift, hashlib, numpy as np\n"
        "vectors = np.arange(5 * 77, dtype=np.float32).reshape(5, 77) % 13 - 6\n"
        "np.random.seed(1)\n"
        "index = bitsift.Index(77, rotate=True)\n"
        "index.add(vectors)\n"
        "print(hashlib.sha256(index.codes.tobytes()).hexdigest())"
    )
    command = [sys.executable, "-c", program]
    digests.add(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    assert len(digests) == 1


def test_loud_dimensions(rng):
    vectors = rng.standard_normal((3_000, 64), dtype=np.float32)
    vectors[:, :4] *= 8  # their sizes decide the neighbours, but a bit holds only the sign
    queries = vectors[:100] + np.float32(0.3) * rng.standard_normal((100, 64), dtype=np.float32)

    def recall(rotate):
        index = bitsift.Index(64, metric="l2", rotate=rotate)
        index.add(vectors)
        exact = index.search(queries, 10, oversampling=1000).ids
        found = index.search(queries, 10).ids
        return np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact, strict=True)])

    assert recall(rotate=True) > recall(rotate=False) + 0.1


def test_values_too_large_to_be_rotated():
    index = bitsift.Index(8, rotate=True)
    vectors = np.ones((3, 8), np.float32)
    vectors[1] = np.finfo(np.float32).max
    message = "vectors must be smaller, to be rotated within float32; row 1, dimension"
    with pytest.raises(ValueError, match=message):
        index.add(vectors)
    assert len(index) == 0
    index.add(vectors[[0, 2]])
    with pytest.raises(ValueError, match="queries must be smaller, to be rotated"):
        index.search(vectors, 1)
