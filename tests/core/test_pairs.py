# SPDX-License-Identifier: Apache-2.0
"""What the quick run takes of tests with several parameters."""

import itertools

from helpers.pairs import covering


def pairs_of(*values):
    return frozenset(itertools.combinations(enumerate(values), 2))


def test_every_pair_is_taken_and_not_every_set():
    sets = [pairs_of(*values) for values in itertools.product(range(3), range(8), range(5))]
    chosen = covering(sets)
    assert frozenset().union(*(sets[i] for i in chosen)) == frozenset().union(*sets)
    assert 8 * 5 <= len(chosen) < len(sets) / 2


def test_no_set_and_sets_of_one_pair():
    assert covering([]) == set()
    assert covering([pairs_of(1, 2), pairs_of(1, 2), pairs_of(2, 1)]) == {0, 2}
