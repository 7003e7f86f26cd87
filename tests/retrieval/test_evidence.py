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
    assert not Gain(1.0, None, 1).is_certain(is_rescored=False)


@pytest.mark.parametrize(("is_rescored", "least"), [(False, 0.02), (True, 0.04)])
def test_beyond_doubt(is_rescored, least):
    for gain, is_certain in [
        (Gain(least + 0.001, 0.0, 200), True),
        (Gain(least, 0.0, 200), False),
        (Gain(least + 0.031, 0.01, 200), True),
        (Gain(least + 0.029, 0.01, 200), False),
        (Gain(-0.5, 0.01, 200), False),
        (Gain(0.9, 0.01, LEAST_QUERIES), True),
        (Gain(0.9, 0.01, LEAST_QUERIES - 1), False),
    ]:
        assert gain.is_certain(is_rescored=is_rescored) is is_certain
    assert least_gain(0.01, is_rescored=is_rescored) == pytest.approx(least + 0.03)
