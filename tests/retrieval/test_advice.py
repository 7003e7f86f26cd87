# SPDX-License-Identifier: Apache-2.0
"""Advice on made vectors, for which it is known what helps."""

import dataclasses
import re

import numpy as np
import pytest

import bitsift
from bitsift.retrieval.advice import Trial
from bitsift.retrieval.comparison import Use, Way
from bitsift.retrieval.parts import split
from bitsift.retrieval.trials import advise_on
from helpers.made_vectors import centred, loud, shifted
from oracle import reference

pytestmark = pytest.mark.usefixtures("fits_at_once")

METRICS = ["cosine", "dot", "l2"]
OPTIONS = [
    (threshold, rotate)
    for rotate in (False, True)
    for threshold in ("zero", "half-mean", "mean", "median")
]


def columns(advice):
    """What was found, shape (n_trials, 4)."""
    return np.array([dataclasses.astuple(trial)[2:6] for trial in advice.trials])


@pytest.mark.parametrize("metric", METRICS)
def test_centred_data_need_nothing(rng, metric):
    advice = bitsift.advise(centred(rng), metric=metric)
    assert advice.best is advice.trials[0]
    assert not advice.is_certain
    assert advice.recommendation == {"metric": metric, "threshold": 0.0, "rotate": False}


@pytest.mark.parametrize("metric", METRICS)
def test_a_correction_is_advised_if_it_finds_more_beyond_doubt(rng, metric):
    advice = bitsift.advise(centred(rng), metric=metric, bits_alone=True)
    assert advice.best is advice.trials[0]
    assert ("correction" in advice.recommendation) is advice.correction is (metric == "l2")
    zero = advice.trials[0]
    assert advice.correction_gain == pytest.approx(zero.corrected - zero.asymmetric, abs=1e-12)
    least = 0.02 + 3 * advice.correction_error
    assert (advice.correction_gain > least) is advice.correction


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


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n", [300, 1_100])
def test_what_is_measured(isa, rng, metric, n):
    """Each column is the share of the true neighbours that an index with these options finds."""
    sample, queries = (shifted(rng, m, 24) - np.float32(3) for m in (n, 90))
    learnt, judged = split(sample, queries, metric)
    rows, asked = judged.given_rows, judged.given_queries
    advice = bitsift.advise(sample, metric=metric, queries=queries, isa=isa)
    assert (advice.n_rows, advice.n_queries, advice.metric) == (n // 2, 45, metric)
    assert advice.n_candidates == max(10, n // 50)
    assert [(trial.threshold, trial.rotate) for trial in advice.trials] == OPTIONS
    true = [
        set(
            reference.ranked(metric, reference.scores(metric, q, rows), np.arange(len(rows)), 10)[1]
        )
        for q in asked
    ]

    def share(found):
        return np.mean([len(set(a) & b) / 10 for a, b in zip(found.ids, true, strict=True)])

    for trial in advice.trials:
        threshold = 0.0 if trial.threshold == "zero" else trial.threshold
        plain, corrected = (
            bitsift.Index(
                24, metric=metric, store="float32", threshold=threshold, rotate=trial.rotate,
                correction=correction, isa=isa,
            )
            for correction in (False, True)
        )  # fmt: skip
        for index in (plain, corrected):
            index.fit(learnt.given_rows)
            for begin in range(0, len(rows), 100):  # too few at once to be judged
                index.add(rows[begin : begin + 100])
        oversampling = advice.n_candidates / 10
        expected = [
            share(plain.search(asked, 10, rescore=False, scoring="hamming")),
            share(plain.search(asked, 10, oversampling=oversampling, scoring=trial.scan)),
            share(plain.search(asked, 10, rescore=False, scoring="asymmetric")),
            share(corrected.search(asked, 10, ladder=[("asymmetric", 8), "asymmetric"])),
        ]
        found = [trial.hamming, trial.rescored, trial.asymmetric, trial.corrected]
        # Advice scales vectors to length 1, an index does not: last digits may decide a tie.
        np.testing.assert_allclose(found, expected, atol=0.0051)
        gain = trial.rescored - advice.trials[0].rescored
        assert trial.gain == pytest.approx(gain, abs=1e-12)


def test_the_measure_is_what_the_index_does(rng):
    sample = shifted(rng, 300, 24) - np.float32(3)
    for use, what_for, column in [
        (Use.of_index(None, has_originals=True, is_corrected=False), "rescored", "rescored"),
        (Use.of_index("hamming", has_originals=True, is_corrected=True), "rescored", "rescored"),
        (Use.of_index("hamming", has_originals=False, is_corrected=True), "hamming", "hamming"),
        (Use.of_index(None, has_originals=False, is_corrected=False), "asymmetric", "asymmetric"),
        (Use.of_index(None, has_originals=False, is_corrected=True), "corrected", "corrected"),
    ]:
        advice = advise_on(sample, "l2", "scalar", use=use)
        assert advice.what_for == what_for
        assert advice.correction is (what_for == "corrected")
        base = getattr(advice.trials[0], column)
        for trial in advice.trials:
            gain = getattr(trial, column) - base
            assert trial.gain == pytest.approx(gain, abs=1e-12)
    scans = {
        scoring: {
            trial.scan
            for trial in advise_on(
                sample, "l2", "scalar",
                use=Use.of_index(scoring, has_originals=True, is_corrected=False),
            ).trials
        }
        for scoring in (None, "hamming", "asymmetric")
    }  # fmt: skip
    assert scans["hamming"] == {"hamming"}
    assert scans["asymmetric"] == {"asymmetric"}
    assert scans[None] <= {"hamming", "asymmetric"}


@pytest.mark.parametrize("make", [pytest.param(centred, marks=pytest.mark.slow), shifted, loud])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n", [240, pytest.param(600, marks=pytest.mark.slow)])
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
        "Share of float search's top 10 (l2), 50 queries among 150 vectors; rescored: 10 "
        "candidates:",
        "",
        "  threshold  rotate  hamming  rescored  asymmetric  corrected             gain",
    ]
    rows = lines[3:11]
    for row, trial in zip(rows, advice.trials, strict=True):
        assert row[0] == ("*" if trial is advice.best else " ")
        name, rotate, *numbers = row[1:].split()
        assert name == trial.threshold
        assert rotate == ("yes" if trial.rotate else "no")
        assert numbers.pop(5) == "+-"
        expected = *dataclasses.astuple(trial)[2:6], trial.gain, trial.error
        assert [float(number) for number in numbers] == [round(number, 3) for number in expected]
        assert len(row) == len(lines[2])
    assert sum(row[0] == "*" for row in rows) == 1
    chosen = f"metric='l2', threshold={advice.best.threshold!r}, rotate={advice.best.rotate}"
    assert lines[11:] == [
        "",
        *f"{advice.verdict}.".replace(". ", ".\n").splitlines(),
        f"* recommended, by the column 'corrected': {chosen}, correction=True",
        '  search it with scoring="asymmetric"',
    ]


class TestVerdict:
    def test_another_option(self, rng):
        advice = bitsift.advise(shifted(rng), metric="l2")
        assert advice.is_certain
        assert advice.best is advice.contender
        rotate = ", rotate=True" if advice.best.rotate else ""
        assert advice.verdict == (
            f"threshold={advice.best.threshold!r}{rotate} finds more than threshold=0, beyond "
            f"doubt: {advice.gain:+.3f} +- {advice.error:.3f}"
        )

    def test_with_a_correction(self, rng):
        advice = bitsift.advise(shifted(rng), metric="l2", bits_alone=True)
        gain = f"{advice.correction_gain:+.3f} +- {advice.correction_error:.3f}"
        assert advice.verdict.endswith(
            f". With correction=True, it gains {gain} over threshold=0 without"
        )
        for metric, is_certain in (("l2", "beyond doubt"), ("cosine", "not beyond doubt")):
            advice = bitsift.advise(centred(rng, 1_000), metric=metric, bits_alone=True)
            gain = f"{advice.correction_gain:+.3f} +- {advice.correction_error:.3f}"
            assert advice.verdict.endswith(f". correction=True gains {gain}: {is_certain}")

    def test_nothing_is_better(self, rng):
        advice = bitsift.advise(centred(rng, 500))
        assert not advice.is_certain
        assert advice.contender in advice.trials[1:]
        assert advice.verdict.startswith(
            "threshold=0 is kept: nothing finds more beyond doubt. The best other, threshold="
        )
        least = 0.04 + 3 * advice.error
        assert advice.verdict.endswith(
            f", gains {advice.gain:+.3f} +- {advice.error:.3f}; with 63 queries, {least:.3f} would "
            "be beyond doubt"
        )

    @pytest.mark.parametrize(("n_queries", "were"), [(1, "1 query is"), (59, "59 queries are")])
    def test_few_queries(self, rng, n_queries, were):
        advice = bitsift.advise(shifted(rng, 300), queries=shifted(rng, n_queries))
        assert advice.has_few_queries
        assert not advice.is_certain
        assert advice.best is advice.trials[0]
        assert advice.n_queries == n_queries
        assert advice.verdict == (
            f"threshold=0 is kept: {were} too few to choose by; give 60 or more, or 240 vectors, "
            "of which some serve as queries"
        )
        assert f"{advice.verdict}.\n" in str(advice)

    def test_few_vectors(self, rng):
        sample = shifted(rng, 240)
        few, enough = bitsift.advise(sample[:239]), bitsift.advise(sample)
        assert (few.has_few_queries, enough.has_few_queries) == (True, False)
        assert (few.n_queries, enough.n_queries) == (59, 30)
        assert few.best.threshold == "zero" != enough.best.threshold


@pytest.mark.parametrize("make", [centred, shifted, loud])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bits_alone", [False, True])
@pytest.mark.parametrize("n", [500, pytest.param(2_000, marks=pytest.mark.slow)])
def test_a_recommendation_makes_an_index(rng, make, metric, bits_alone, n):
    sample = make(rng, n)
    advice = bitsift.advise(sample, metric=metric, bits_alone=bits_alone)
    index = bitsift.Index(64, store=None if bits_alone else "int8", **advice.recommendation)
    assert (index.metric, index.rotate) == (metric, advice.best.rotate)
    assert index.correction is advice.correction
    index.add(sample)  # and no warning of poor bits
    assert index.search(sample[:3], 5, scoring="asymmetric").ids.shape == (3, 5)


@pytest.mark.parametrize(("asymmetric", "corrected"), [(0.8, 0.8), (0.8, 0.79), (0.8, 0.81)])
def test_advice_of_version_0_1_0(asymmetric, corrected):
    """It has no gains and no errors; a correction was advised by the means alone."""
    best = Trial("zero", False, 0.7, 0.9, asymmetric, corrected)
    advice = bitsift.Advice("cosine", 100, 10, (best,), best, "corrected")
    assert (advice.gain, advice.error, advice.is_certain) == (None, None, False)
    assert ("correction" in advice.recommendation) is (corrected > asymmetric)
    lines = str(advice).splitlines()
    assert lines[3].endswith(f"{corrected:9.3f}  {'-':>15}")
    assert lines[5] == "measured by version 0.1.0, which gave no standard errors."
    assert lines[-1] == '  search it with scoring="asymmetric"'
    assert "correction=True" in str(advice) or corrected <= asymmetric


class TestSampling:
    @pytest.mark.parametrize(
        ("n", "expected"), [(20, (8, 5)), (100, (38, 25)), (240, (90, 30)), (3_000, (1_244, 256))]
    )
    def test_what_is_counted_is_the_part_that_judges(self, rng, n, expected):
        advice = bitsift.advise(centred(rng, n, 16))
        assert (advice.n_rows, advice.n_queries) == expected

    def test_at_most_a_number_of_rows_and_queries(self, rng, monkeypatch):
        monkeypatch.setattr("bitsift.retrieval.parts.MOST_ROWS_ADVISED", 200)
        monkeypatch.setattr("bitsift.retrieval.parts.MOST_ROWS_COMPARED", 270)
        monkeypatch.setattr("bitsift.retrieval.parts._MOST_QUERIES", 70)
        sample, queries = centred(rng, 1_000, 16), centred(rng, 90, 16)
        advice = bitsift.advise(sample)
        assert (advice.n_rows, advice.n_queries) == (102, 34)
        assert advice == bitsift.advise(sample[np.linspace(0, 999, 270).astype(int)])
        advice = bitsift.advise(sample, queries=queries)
        assert (advice.n_rows, advice.n_queries) == (100, 35)
        documents = sample[np.linspace(0, 999, 200).astype(int)]
        asked = queries[np.linspace(0, 89, 70).astype(int)]
        assert advice == bitsift.advise(documents, queries=asked)

    def test_fewer_than_the_results_that_are_compared(self, rng):
        sample, query = centred(rng, 20, 16), centred(rng, 1, 16)[0]
        for few in (bitsift.advise(sample, queries=query), bitsift.advise(sample[:, :1])):
            assert columns(few).max() <= 1
            assert few.best is few.trials[0]
        one = bitsift.advise(sample, queries=query)
        assert (one.n_rows, one.n_queries, one.error) == (10, 1, None)
        assert {trial.gain_text for trial in one.trials} == {"-"}

    def test_constant_vectors(self):
        advice = bitsift.advise(np.ones((500, 8)))
        assert advice.best is advice.trials[0]
        assert (columns(advice) == 1).all()
        assert (advice.gain, advice.error) == (0, 0)

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
        sample = centred(rng, 250, 8)
        sample[::3] = 0
        for metric in METRICS:
            assert not np.isnan(columns(bitsift.advise(sample, metric=metric))).any()


class TestNothingIsAdvisedThatIsWorse:
    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("what_for", ["hamming", "rescored", "asymmetric", "corrected"])
    def test_on_any_data(self, rng, metric, what_for):
        use = Use((Way("asymmetric", True) if what_for == "rescored" else Way(what_for),))
        for make in (centred, shifted, loud):
            for n in (40, 300):
                sample = make(rng, n, 16) * rng.uniform(0.1, 3, (n, 1)).astype(np.float32)
                advice = advise_on(sample, metric, "scalar", use=use)
                zero, best = (getattr(t, what_for) for t in (advice.trials[0], advice.best))
                assert best >= zero
                if advice.best is not advice.trials[0]:
                    assert best > zero + (0.04 if what_for == "rescored" else 0.02)

    def test_chance_is_not_followed(self, rng):
        # Some of the seven other options are better by chance.
        better = 0
        for n in (60, 300):
            for _ in range(15):
                advice = bitsift.advise(centred(rng, n, 16))
                better += max(trial.gain for trial in advice.trials) > 0
                assert advice.best is advice.trials[0]
        assert better > 10

    def test_only_rotations_where_rotation_is_chosen(self, rng):
        use = Use.of_index(None, has_originals=True, is_corrected=False)
        advice = advise_on(shifted(rng, 300), "l2", "scalar", use=use, rotate=True)
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
    advice = bitsift.advise(centred(rng, 300))
    assert isinstance(advice.trials[0], Trial)
    assert all(type(number) is float for number in dataclasses.astuple(advice.best)[2:8])
    assert "np." not in repr(advice)
    assert [type(x) for x in (advice.n_candidates, advice.is_certain, advice.correction)] == [
        int, bool, bool,
    ]  # fmt: skip
    assert re.fullmatch(
        r"Advice\(metric='cosine', n_rows=113, n_queries=38, trials=.*", repr(advice)
    )
