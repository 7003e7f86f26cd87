# SPDX-License-Identifier: Apache-2.0
"""Indexes with threshold='auto' follow the advice on their first vectors."""

import numpy as np
import pytest

import bitsift
from bitsift.retrieval.advice import Advice
from bitsift.retrieval.comparison import Use
from bitsift.retrieval.trials import advise_on
from helpers.made_vectors import centred, loud, shifted

pytestmark = pytest.mark.usefixtures("fits_at_once")

METRICS = ["cosine", "dot", "l2"]


@pytest.mark.parametrize("make", [centred, shifted, loud])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("way", [pytest.param("fit", marks=pytest.mark.slow), "add"])
@pytest.mark.parametrize("n", [250, pytest.param(1_000, marks=pytest.mark.slow)])
def test_the_index_follows(isa, rng, make, metric, way, n):
    sample = make(rng, n)
    index = bitsift.Index(64, metric=metric, threshold="auto", isa=isa)
    assert index.threshold == "auto"
    assert index.advice is None
    getattr(index, way)(sample)
    assert isinstance(index.advice, Advice)
    assert index.advice == bitsift.advise(sample, metric=metric)
    best = index.advice.best
    assert index.rotate == best.rotate
    if way == "fit":
        index.add(sample)
    rule = 0.0 if best.threshold == "zero" else best.threshold
    same = bitsift.Index(64, metric=metric, threshold=rule, rotate=best.rotate, isa=isa)
    same.fit(sample)
    for begin in range(0, n, 200):  # too few at once to be judged
        same.add(sample[begin : begin + 200])
    np.testing.assert_array_equal(index.threshold, same.threshold)
    np.testing.assert_array_equal(index.codes, same.codes)


@pytest.mark.slow
def test_many_vectors_are_advised_as_by_the_function(rng):
    sample = shifted(rng, 70_000, 3)
    index = bitsift.Index(3, threshold="auto", store=None, correction=True).fit(sample)
    assert index.advice == advise_on(
        sample, "cosine", "scalar", use=Use.of_index(None, has_originals=False, is_corrected=True)
    )


def test_advice_is_for_the_ranking_of_the_index(rng):
    sample = centred(rng, 300)
    for options, what_for in [
        ({"store": "int8"}, "rescored"),
        ({"store": ["int8", "float32"], "correction": True}, "rescored"),
        ({"store": None, "correction": True}, "corrected"),
        ({"store": None}, "asymmetric"),
    ]:
        index = bitsift.Index(64, threshold="auto", **options).fit(sample)
        assert index.advice.what_for == what_for
        assert index.advice.correction is (what_for == "corrected")
        recommended = f"* recommended, by the column {what_for!r}: metric='cosine', threshold="
        assert recommended in str(index.advice)


def test_a_chosen_rotation_stays(rng):
    index = bitsift.Index(64, threshold="auto", rotate=True).fit(centred(rng, 300))
    assert index.rotate
    assert {trial.rotate for trial in index.advice.trials} == {True}


def test_later_vectors_do_not_change_it(rng):
    index = bitsift.Index(64, metric="l2", threshold="auto").fit(shifted(rng))
    before = index.threshold, index.advice
    index.add(centred(rng))
    np.testing.assert_array_equal(index.threshold, before[0])
    assert index.advice is before[1]


def test_loaded_indexes_have_the_choice_without_the_advice(tmp_path, rng):
    index = bitsift.Index(64, metric="l2", threshold="auto", store=None)
    sample = loud(rng)
    index.add(sample)
    assert index.rotate
    index.save(tmp_path / "index")
    loaded = bitsift.Index.load(tmp_path / "index")
    assert loaded.advice is None
    assert loaded.rotate
    np.testing.assert_array_equal(loaded.threshold, index.threshold)
    index.add(sample)
    loaded.add(sample)
    np.testing.assert_array_equal(loaded.codes, index.codes)


def test_few_vectors_keep_0(rng):
    sample = shifted(rng, 239)
    message = (
        r"^threshold='auto' keeps 0: 239 vectors are too few to choose by; call fit\(sample\) with "
        "240 or more before the first add$"
    )
    index = bitsift.Index(64, threshold="auto")
    with pytest.warns(bitsift.BitsiftWarning, match=message) as caught:
        index.add(sample)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert (index.threshold, index.rotate) == (0, False)
    assert index.advice.has_few_queries
    enough = bitsift.Index(64, threshold="auto").fit(shifted(rng, 240))
    assert not enough.advice.has_few_queries


def test_too_few_vectors(rng):
    index = bitsift.Index(64, threshold="auto")
    message = "too few vectors to choose a threshold: must be 20 or more; got 19"
    with pytest.raises(ValueError, match=message):  # and no warning besides
        index.add(centred(rng, 19))
    assert (len(index), index.threshold, index.advice) == (0, "auto", None)
