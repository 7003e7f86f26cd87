# SPDX-License-Identifier: Apache-2.0
"""Gains, their standard errors, and when they are beyond doubt."""

import numpy as np
import pytest

from bitsift.retrieval.evidence import LEAST_QUERIES, Gain, gain_over, least_gain


@pytest.mark.parametrize("n", [2, 3, 30, 256])
@pytest.mark.parametrize("k", [1, 7, 10])
def test_a_gain_is_the_mean_of_paired_differences(rng, n, k):
    hits, base = rng.integers(0, k + 1, (2, n))
    gain = gain_over(hits, base, k)
    differences = (hits - base) / k
    assert gain.mean == pytest.approx(differences.mean(), abs=1e-15)
    assert gain.error == pytest.approx(differences.std(ddof=1) / np.sqrt(n), rel=1e-12)
    assert gain.n_queries == n
    assert (type(gain.mean), type(gain.error)) == (float, float)


def test_the_order_of_queries_means_nothing(rng):
    hits, base = rng.integers(0, 11, (2, 300))
    order = rng.permutation(300)
    assert gain_over(hits, base, 10) == gain_over(hits[order], base[order], 10)


def test_one_query_has_no_error():
    assert gain_over(np.array([7]), np.array([2]), 10) == Gain(0.5, None, 1)
    assert not Gain(1.0, None, 1).is_certain


@pytest.mark.parametrize(
    ("gain", "is_certain"),
    [
        (Gain(0.021, 0.0, 200), True),
        (Gain(0.02, 0.0, 200), False),
        (Gain(0.051, 0.01, 200), True),
        (Gain(0.049, 0.01, 200), False),
        (Gain(-0.5, 0.01, 200), False),
        (Gain(0.9, 0.01, LEAST_QUERIES), True),
        (Gain(0.9, 0.01, LEAST_QUERIES - 1), False),
    ],
)
def test_beyond_doubt(gain, is_certain):
    assert gain.is_certain is is_certain
    assert gain.n_queries < LEAST_QUERIES or (gain.mean > least_gain(gain.error)) is is_certain
