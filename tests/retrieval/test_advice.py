# SPDX-License-Identifier: Apache-2.0
"""Advice on made vectors, for which it is known what helps."""

import dataclasses
import re

import numpy as np
import pytest

import bitsift
from bitsift.retrieval.advice import Trial, advise_on
from helpers.made_vectors import centred, loud, shifted
from oracle import reference

METRICS = ["cosine", "dot", "l2"]
OPTIONS = [
    (threshold, rotate)
    for rotate in (False, True)
    for threshold in ("zero", "half-mean", "mean", "median")
]


def columns(advice):
    """What was measured, shape (n_trials, 4)."""
    return np.array([dataclasses.astuple(trial)[2:] for trial in advice.trials])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bits_alone", [False, True])
def test_centred_data_need_nothing(rng, metric, bits_alone):
    advice = bitsift.advise(centred(rng), metric=metric, bits_alone=bits_alone)
    assert advice.best is advice.trials[0]
    assert (advice.best.threshold, advice.best.rotate) == ("zero", False)
    expected = {"metric": metric, "threshold": 0.0, "rotate": False}
    if bits_alone and advice.best.corrected > advice.best.asymmetric:
        expected["correction"] = True
    assert advice.recommendation == expected


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("bits_alone", [False, True])
def test_shifted_data_need_a_threshold(rng, metric, bits_alone):
    advice = bitsift.advise(shifted(rng), metric=metric, bits_alone=bits_alone)
    assert advice.best.threshold in ("mean", "median")
    column = "corrected" if bits_alone else "rescored"
    assert getattr(advice.best, column) > getattr(advice.trials[0], column) + 0.1
    assert advice.recommendation["threshold"] == advice.best.threshold


@pytest.mark.parametrize("bits_alone", [False, True])
def test_loud_dimensions_need_a_rotation(rng, bits_alone):
    advice = bitsift.advise(loud(rng), metric="l2", bits_alone=bits_alone)
    assert advice.best.rotate
    assert advice.recommendation["rotate"] is True


def test_what_is_measured(isa, rng):
    """Each column is the share of the true neighbours that an index with these options finds."""
    sample, queries = shifted(rng, 300, 24) - np.float32(3), shifted(rng, 40, 24) - np.float32(3)
    for metric in METRICS:
        advice = bitsift.advise(sample, metric=metric, queries=queries, isa=isa)
        assert (advice.n_rows, advice.n_queries, advice.metric) == (300, 40, metric)
        assert [(trial.threshold, trial.rotate) for trial in advice.trials] == OPTIONS
        true = [
            set(
                reference.ranked(metric, reference.scores(metric, q, sample), np.arange(300), 10)[1]
            )
            for q in queries
        ]

        def share(found, true=true):
            return np.mean([len(set(a) & b) / 10 for a, b in zip(found.ids, true, strict=True)])

        for trial in advice.trials:
            threshold = 0.0 if trial.threshold == "zero" else trial.threshold
            plain, corrected = (
                bitsift.Index(
                    24, metric=metric, threshold=threshold, rotate=trial.rotate,
                    correction=correction, isa=isa,
                )
                for correction in (False, True)
            )  # fmt: skip
            for index in (plain, corrected):
                index.fit(sample)
                for begin in range(0, 300, 100):  # too few at once to be judged
                    index.add(sample[begin : begin + 100])
            expected = [
                share(plain.search(queries, 10, rescore=False, scoring="hamming")),
                share(plain.search(queries, 10, oversampling=4, scoring="hamming")),
                share(plain.search(queries, 10, rescore=False, scoring="asymmetric")),
                share(corrected.search(queries, 10, ladder=[("asymmetric", 8), "asymmetric"])),
            ]
            found = [trial.hamming, trial.rescored, trial.asymmetric, trial.corrected]
            # Advice scales vectors to length 1, an index does not: last digits may decide a tie.
            np.testing.assert_allclose(found, expected, atol=0.0051)


@pytest.mark.parametrize("make", [pytest.param(centred, marks=pytest.mark.slow), shifted, loud])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n", [200, pytest.param(600, marks=pytest.mark.slow)])
def test_the_same_on_every_level_and_number_of_threads(rng, make, metric, n):
    sample = make(rng, n, 33)
    kept = sample.copy()
    found = {
        str(bitsift.advise(sample, metric=metric, isa=isa, threads=threads))
        for isa in bitsift.available_isas()
        for threads in (1, 2, 0)
    }
    assert len(found) == 1
    assert bitsift.advise(sample, metric=metric) == bitsift.advise(sample, metric=metric)
    np.testing.assert_array_equal(sample, kept)


def test_any_float_type(rng):
    sample = shifted(rng, 300).astype(np.float16)
    first = bitsift.advise(sample)
    for dtype in (np.float32, np.float64, ">f4"):
        assert bitsift.advise(sample.astype(dtype)) == first


def test_table(rng):
    advice = bitsift.advise(shifted(rng, 400), metric="l2", bits_alone=True)
    lines = str(advice).splitlines()
    assert lines[:3] == [
        "Share of float search's top 10 (l2), 100 queries among 300 vectors:",
        "",
        "  threshold  rotate  hamming  rescored x4  asymmetric  corrected",
    ]
    rows = lines[3:11]
    for row, trial in zip(rows, advice.trials, strict=True):
        assert row[0] == ("*" if trial is advice.best else " ")
        name, rotate, *numbers = row[1:].split()
        assert name == trial.threshold
        assert rotate == ("yes" if trial.rotate else "no")
        assert [float(number) for number in numbers] == [
            round(number, 3) for number in dataclasses.astuple(trial)[2:]
        ]
        assert len(row) == len(lines[2])
    assert sum(row[0] == "*" for row in rows) == 1
    chosen = f"metric='l2', threshold={advice.best.threshold!r}, rotate={advice.best.rotate}"
    assert lines[11:] == [
        "",
        f"* recommended, by the column 'corrected': {chosen}, correction=True",
        '  search it with scoring="asymmetric"',
    ]


@pytest.mark.every_pair
@pytest.mark.parametrize("make", [centred, shifted, loud])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bits_alone", [False, True])
@pytest.mark.parametrize("n", [500, pytest.param(2_000, marks=pytest.mark.slow)])
def test_a_recommendation_makes_an_index(rng, make, metric, bits_alone, n):
    sample = make(rng, n)
    advice = bitsift.advise(sample, metric=metric, bits_alone=bits_alone)
    index = bitsift.Index(64, store=None if bits_alone else "int8", **advice.recommendation)
    assert (index.metric, index.rotate) == (metric, advice.best.rotate)
    assert index.correction is (bits_alone and advice.best.corrected > advice.best.asymmetric)
    index.add(sample)  # and no warning of poor bits
    assert index.search(sample[:3], 5, scoring="asymmetric").ids.shape == (3, 5)


@pytest.mark.parametrize(("asymmetric", "corrected"), [(0.8, 0.8), (0.8, 0.79), (0.8, 0.81)])
def test_a_correction_is_advised_only_if_it_finds_more(asymmetric, corrected):
    best = Trial("zero", False, 0.7, 0.9, asymmetric, corrected)
    advice = bitsift.Advice("cosine", 100, 10, (best,), best, "corrected")
    assert ("correction" in advice.recommendation) is (corrected > asymmetric)
    assert str(advice).splitlines()[-1] == '  search it with scoring="asymmetric"'
    assert "correction=True" in str(advice) or corrected <= asymmetric


class TestSampling:
    def test_queries_are_left_out_of_what_is_searched(self, rng):
        for n, n_queries in ((20, 5), (100, 25), (2_000, 256)):
            advice = bitsift.advise(centred(rng, n, 16))
            assert (advice.n_rows, advice.n_queries) == (n - n_queries, n_queries)

    def test_at_most_a_number_of_rows_and_queries(self, rng, monkeypatch):
        monkeypatch.setattr("bitsift.retrieval.advice.MOST_ROWS_ADVISED", 200)
        monkeypatch.setattr("bitsift.retrieval.advice._MOST_QUERIES", 30)
        sample, queries = centred(rng, 1_000, 16), centred(rng, 90, 16)
        assert bitsift.advise(sample).n_rows == 200
        assert bitsift.advise(sample).n_queries == 30
        advice = bitsift.advise(sample, queries=queries)
        documents = sample[np.linspace(0, 999, 200).astype(int)]
        asked = queries[np.linspace(0, 89, 30).astype(int)]
        assert advice == bitsift.advise(documents, queries=asked)

    def test_fewer_than_the_results_that_are_compared(self, rng):
        sample, query = centred(rng, 20, 16), centred(rng, 1, 16)[0]
        advice = bitsift.advise(sample, queries=query)
        assert (advice.n_rows, advice.n_queries) == (20, 1)
        assert bitsift.advise(sample[:20]).n_rows == 15

    def test_constant_vectors(self):
        advice = bitsift.advise(np.ones((50, 8)))
        assert advice.best is advice.trials[0]
        assert (columns(advice) == 1).all()

    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("make", [shifted, loud])
    @pytest.mark.parametrize(
        "exponents",  # to the ends of float32
        [(-100, 121), pytest.param((-3, 40), marks=pytest.mark.slow)],
    )
    def test_sizes_mean_nothing(self, rng, metric, make, exponents):
        sample = make(rng, 300)
        expected = bitsift.advise(sample, metric=metric)
        for exponent in exponents:
            assert bitsift.advise(np.ldexp(sample, exponent), metric=metric) == expected
            index = bitsift.Index(64, metric=metric, store="float32")
            if make is shifted:
                with pytest.warns(bitsift.BitsiftWarning, match="say little"):
                    index.add(np.ldexp(sample, exponent))
            else:
                index.add(np.ldexp(sample, exponent))

    def test_zero_vectors(self, rng):
        sample = centred(rng, 50, 8)
        sample[::3] = 0
        for metric in METRICS:
            assert not np.isnan(columns(bitsift.advise(sample, metric=metric))).any()


class TestNothingIsAdvisedThatIsWorse:
    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("what_for", ["hamming", "rescored", "asymmetric", "corrected"])
    def test_on_any_data(self, rng, metric, what_for):
        for make in (centred, shifted, loud):
            for n in (40, 300):
                sample = make(rng, n, 16) * rng.uniform(0.1, 3, (n, 1)).astype(np.float32)
                advice = advise_on(sample, metric, "scalar", what_for=what_for, rotate=False)
                zero, best = (getattr(t, what_for) for t in (advice.trials[0], advice.best))
                assert best >= zero
                if advice.best is not advice.trials[0]:
                    assert best > zero + 0.005

    def test_chance_is_not_followed(self, rng):
        # With few queries, some of the seven other options are better by chance.
        better = 0
        for _ in range(30):
            advice = bitsift.advise(centred(rng, 60, 16))
            better += max(trial.rescored for trial in advice.trials) > advice.trials[0].rescored
            assert advice.best is advice.trials[0]
        assert better > 10

    def test_only_rotations_where_rotation_is_chosen(self, rng):
        advice = advise_on(shifted(rng, 300), "l2", "scalar", what_for="rescored", rotate=True)
        assert [(t.threshold, t.rotate) for t in advice.trials] == OPTIONS[4:]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sample": np.ones((19, 8))}, ValueError, "too few vectors .* be 20 or more; got 19"),
        ({"sample": np.ones((0, 8))}, ValueError, "too few vectors .*; got 0"),
        ({"sample": np.ones(8)}, ValueError, r"sample must have shape \(n, dim\); got shape \(8,"),
        ({"sample": np.ones((2, 3, 4))}, ValueError, "got 3 axes"),
        ({"sample": np.ones((30, 8), int)}, TypeError, "sample must be .*; got int64"),
        ({"sample": np.ones((30, 8), bool)}, TypeError, "sample must be .*; got bool"),
        ({"sample": np.full((30, 8), np.nan)}, ValueError, "sample must be finite; row 0, dimen"),
        ({"sample": np.full((30, 8), -np.inf)}, ValueError, "sample must be finite; row 0"),
        ({"sample": np.full((30, 8), 1e39)}, ValueError, "sample must be within float32's range"),
        ({"metric": "L2"}, ValueError, "metric must be one of .*; got 'L2'"),
        ({"metric": None}, ValueError, "metric must be one of"),
        ({"queries": np.ones((3, 7))}, ValueError, "must have 8 values a row, like sample; got 7"),
        ({"queries": np.ones((0, 8))}, ValueError, r"queries must have at least one row.*\(0, 8\)"),
        ({"queries": np.full(8, np.nan)}, ValueError, "queries must be finite; row 0, dimension 0"),
        ({"queries": np.full(8, 1e39)}, ValueError, "queries must be within float32's range"),
        ({"queries": np.ones((3, 8), int)}, TypeError, "queries must be .*; got int64"),
        ({"queries": np.ones((3, 8), bool)}, TypeError, "queries must be .*; got bool"),
        ({"isa": "sse9"}, ValueError, "isa must be one of"),
        ({"threads": -1}, ValueError, "threads must be 0 to 1024; got -1"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        bitsift.advise(**{"sample": np.ones((30, 8)), **arguments})


def test_measurements_are_plain_numbers(rng):
    advice = bitsift.advise(centred(rng, 100))
    assert isinstance(advice.trials[0], Trial)
    assert all(type(number) is float for number in dataclasses.astuple(advice.best)[2:])
    assert "np." not in repr(advice)
    assert re.fullmatch(
        r"Advice\(metric='cosine', n_rows=75, n_queries=25, trials=.*", repr(advice)
    )
