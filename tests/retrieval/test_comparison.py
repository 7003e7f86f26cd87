# SPDX-License-Identifier: Apache-2.0
"""The option that one part of a sample chooses is taken only if the other part bears it out."""

import numpy as np
import pytest

from bitsift.retrieval.comparison import Option, Use, Way, choose, options

BITS, CORRECTED = Way("asymmetric"), Way("corrected")
RESCORED, BY_HAMMING = Way("asymmetric", True), Way("hamming", True)
K = 10


def counts(*found, way=BITS, n=40):
    """What options find, each query the same."""
    return [{way: np.full(n, each)} for each in found]


def test_the_options():
    both = options(rotate=False)
    assert both[0] == Option("zero", False)
    assert len(both) == len(set(both)) == 8
    assert options(rotate=True) == both[4:]


def test_the_best_of_one_part_is_judged_by_the_other():
    chosen = choose(Use((BITS,)), K, counts(5, 7, 8), counts(5, 9, 7))
    assert (chosen.contender, chosen.best, chosen.is_certain) == (2, 2, True)
    assert [gain.mean for gain in chosen.gains] == [0, 0.4, 0.2]


@pytest.mark.parametrize(
    ("learnt", "judged"),
    [
        (counts(5, 7, 8), counts(5, 9, 5)),  # the other part shows no gain
        (counts(5, 4, 4), counts(5, 9, 9)),  # the first one shows none
        (counts(5, 5, 4), counts(5, 9, 9)),
        (None, counts(5, 9, 9)),  # nothing was learnt
        (counts(5, 9, 9), counts(5, 9, 9, n=29)),  # few queries
    ],
)
def test_otherwise_the_first_option_is_kept(learnt, judged):
    chosen = choose(Use((BITS,)), K, learnt, judged)
    assert (chosen.best, chosen.best_way, chosen.is_certain) == (0, BITS, False)
    assert chosen.contender > 0


def test_a_gain_that_its_error_may_explain_is_none():
    for few, is_certain in ((4, False), (16, True)):
        judged = counts(5, 5)
        judged[1][BITS][:few] = 10  # the mean is .05 or .2, its error .024 or .039
        assert choose(Use((BITS,)), K, counts(5, 6), judged).is_certain is is_certain


def test_of_equal_options_the_first_is_the_contender():
    assert choose(Use((BITS,)), K, counts(5, 7, 7), counts(5, 7, 7)).contender == 1


def test_each_option_is_used_in_the_way_that_finds_more_where_it_learns():
    use = Use((RESCORED, BY_HAMMING))
    learnt = [
        {RESCORED: np.full(30, a), BY_HAMMING: np.full(30, h)} for a, h in ((4, 5), (6, 6), (7, 2))
    ]
    judged = [
        {RESCORED: np.full(30, a), BY_HAMMING: np.full(30, h)} for a, h in ((9, 4), (6, 9), (7, 9))
    ]
    chosen = choose(use, K, learnt, judged)
    assert chosen.ways == [BY_HAMMING, RESCORED, RESCORED]
    assert [gain.mean for gain in chosen.gains] == [0, 0.2, 0.3]
    assert (chosen.best, chosen.best_way) == (2, RESCORED)


class TestCorrection:
    """It may pay with the first option, or with another one that finds more than both."""

    USE = Use((CORRECTED,), plain=BITS)

    def chosen(self, *found, n=40, learns=True):
        both = [{CORRECTED: np.full(n, c), BITS: np.full(n, b)} for c, b in found]
        return choose(self.USE, K, both if learns else None, both)

    def test_with_the_first_option(self):
        chosen = self.chosen((8, 5), (8, 6), (7, 9))
        assert (chosen.best, chosen.best_way, chosen.is_certain) == (0, CORRECTED, False)
        assert [gain.mean for gain in chosen.gains] == pytest.approx([0, 0, -0.1])
        assert chosen.correction.mean == pytest.approx(0.3)

    def test_with_another(self):
        chosen = self.chosen((6, 5), (8, 6), (7, 9))
        assert (chosen.best, chosen.best_way, chosen.is_certain) == (1, CORRECTED, True)
        assert chosen.gains[1].mean == pytest.approx(0.2)
        assert chosen.correction.mean == pytest.approx(0.3)

    def test_with_none(self):
        for found in [((5, 5), (5, 6), (4, 9)), ((3, 5), (5, 6), (4, 9))]:
            chosen = self.chosen(*found)
            assert (chosen.best, chosen.best_way, chosen.is_certain) == (0, BITS, False)
            # The first option counts as it finds most: without a correction.
            assert chosen.gains[1].mean == 0

    def test_few_queries(self):
        for few in ({"n": 29}, {"learns": False}):
            chosen = self.chosen((9, 5), (10, 6), (4, 9), **few)
            assert (chosen.best, chosen.best_way, chosen.is_certain) == (0, BITS, False)


@pytest.mark.parametrize(
    ("scoring", "has_originals", "is_corrected", "ways"),
    [
        (None, True, False, (RESCORED, BY_HAMMING)),
        (None, True, True, (Way("corrected", True), BY_HAMMING)),
        ("asymmetric", True, False, (RESCORED,)),
        ("hamming", True, True, (BY_HAMMING,)),
        (None, False, False, (BITS,)),
        (None, False, True, (CORRECTED,)),
        ("asymmetric", False, True, (CORRECTED,)),
        ("hamming", False, False, (Way("hamming"),)),
    ],
)
def test_the_use_of_an_index(scoring, has_originals, is_corrected, ways):
    use = Use.of_index(scoring, has_originals=has_originals, is_corrected=is_corrected)
    assert use == Use(ways)
    assert use.what_for == ("rescored" if has_originals else ways[0].scan)
