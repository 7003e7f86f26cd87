# SPDX-License-Identifier: Apache-2.0
"""The part of a sample that learns and the part that judges share nothing."""

import numpy as np
import pytest

from bitsift.retrieval.parts import LEAST_ROWS_TO_CHOOSE, split


def numbered(n, first=1):
    """Rows that say their numbers."""
    return np.repeat(np.arange(first, first + n, dtype=np.float32)[:, np.newaxis], 3, axis=1)


def numbers(part):
    return part.given_rows[:, 0].tolist(), part.given_queries[:, 0].tolist()


@pytest.mark.parametrize("n", [20, 21, 239, 240, 241, 999, 3_000])
def test_each_row_has_one_place(n):
    (rows, asked), (judged, judging) = map(numbers, split(numbered(n), None, "dot"))
    together = rows + asked + judged + judging
    assert sorted(together) == list(range(1, n + 1))
    n_queries = min(512, n // 4)
    assert len(asked + judging) == n_queries
    assert len(asked) == (n_queries // 2 if n >= LEAST_ROWS_TO_CHOOSE else 0)
    assert 0 <= len(judged) - len(rows) <= 1
    for part in (rows, asked, judged, judging):
        assert part == sorted(part)


@pytest.mark.parametrize(
    ("n_queries", "n_learnt"), [(1, 0), (59, 0), (60, 30), (75, 37), (512, 256)]
)
def test_queries_that_are_given(n_queries, n_learnt):
    learnt, judged = split(numbered(101), numbered(n_queries, 1_000), "l2")
    (rows, asked), (others, judging) = numbers(learnt), numbers(judged)
    assert sorted(rows + others) == list(range(1, 102))
    assert sorted(asked + judging) == list(range(1_000, 1_000 + n_queries))
    assert (len(rows), len(asked)) == (50, n_learnt)


def test_at_most_so_many_are_used():
    learnt, judged = split(numbered(25_000), None, "dot")
    assert len(learnt.rows) == len(judged.rows) == 10_000
    assert len(learnt.queries) == len(judged.queries) == 256
    learnt, judged = split(numbered(25_000), numbered(700), "dot")
    assert len(learnt.rows) == len(judged.rows) == 10_000
    assert len(learnt.queries) == len(judged.queries) == 256


@pytest.mark.parametrize("period", [2, 3, 4, 5, 8])
def test_rows_with_a_period_are_in_all_parts(period):
    learnt, judged = split(numbered(2_000, 0) % period, None, "dot")
    for part in (learnt, judged):
        for rows in (part.given_rows, part.given_queries):
            shares = np.bincount(rows[:, 0].astype(int), minlength=period) / len(rows)
            assert shares.min() > 0.7 / period


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_both_parts_are_scaled_alike(rng, metric):
    sample = rng.standard_normal((300, 5), dtype=np.float32) * np.float32(100)
    sample[0] *= 1_000  # in one part alone
    for part in split(sample, None, metric):
        for scaled, given in (
            (part.rows, part.given_rows), (part.queries, part.given_queries),
        ):  # fmt: skip
            if metric == "cosine":
                expected = given / np.linalg.norm(given.astype(np.float64), axis=1, keepdims=True)
                np.testing.assert_allclose(scaled, expected, rtol=1e-6)
            else:
                exponent = np.frexp(np.abs(sample).max())[1]
                np.testing.assert_array_equal(scaled, np.ldexp(given, -exponent))
