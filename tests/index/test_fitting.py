# SPDX-License-Identifier: Apache-2.0
"""Thresholds that are fitted to vectors, and the warning of bits that say little."""

import re
import warnings

import numpy as np
import pytest

import bitsift
from bitsift import BitsiftWarning
from bitsift.core.limits import MOST_ROWS_FITTED
from bitsift.core.samples import evenly_spaced
from bitsift.index import fitting
from oracle import reference

pytestmark = pytest.mark.usefixtures("fits_at_once")

METRICS = ["cosine", "dot", "l2"]
RULES = ["half-mean", "mean", "median"]
EVERYTHING = {
    "store": ["float16", "int8"],
    "threshold": "mean",
    "rotate": True,
    "correction": True,
}


def shifted(rng, n, dim):
    """Vectors far from centred, by another amount in each dimension."""
    return rng.standard_normal((n, dim), dtype=np.float32) + np.linspace(-1, 2, dim, dtype="f4")


def centre_of(rule, vectors, metric):
    """The threshold by the rule."""
    rows = reference.unit_rows(vectors) if metric == "cosine" else vectors
    exact = rows.astype(np.float64)
    if rule == "median":
        return np.median(exact, axis=0).astype(np.float32)
    mean = exact.mean(axis=0)
    return (mean if rule == "mean" else mean / 2).astype(np.float32)


def codes_of(vectors, centre, metric, *, rotate=False):
    prepared = reference.prepared(vectors, centre, rotate=rotate, normalize=metric == "cosine")
    return reference.pack(prepared)


def state_of(index):
    """What a failed call must not change."""
    return (
        repr(index),
        str(index.threshold),
        index.ids.tolist(),
        index.codes.tobytes(),
        {name: found.n for name, found in index.calibrators.items()},
        index.advice,
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "dim", [1, 5, *(pytest.param(dim, marks=pytest.mark.slow) for dim in (8, 100)), 13, 384]
)
@pytest.mark.parametrize("rotate", [False, True])
def test_thresholds(isa, rng, rule, metric, dim, rotate):
    vectors, others = shifted(rng, 200, dim), shifted(rng, 50, dim)
    index = bitsift.Index(dim, metric=metric, threshold=rule, rotate=rotate, isa=isa)
    assert index.threshold == rule
    index.add(vectors)
    centre = centre_of(rule, vectors, metric)
    assert index.threshold.dtype == np.float32
    np.testing.assert_array_equal(index.threshold, centre)
    np.testing.assert_array_equal(index.codes, codes_of(vectors, centre, metric, rotate=rotate))

    index.add(others)
    np.testing.assert_array_equal(index.threshold, centre)  # it is not fitted again
    expected = codes_of(others, centre, metric, rotate=rotate)
    np.testing.assert_array_equal(index.codes[200:], expected)
    # It applies to queries.
    found = index.search(others, 10, scoring="hamming", rescore=False)
    expected = reference.search(index.codes, expected, 10)
    np.testing.assert_array_equal(found.scores, expected[0])
    np.testing.assert_array_equal(found.ids, expected[1])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("metric", METRICS)
def test_fit(rng, rule, metric):
    sample, vectors = shifted(rng, 300, 20), shifted(rng, 5, 20)
    index = bitsift.Index(20, metric=metric, threshold=rule)
    assert index.fit(sample) is index
    assert len(index) == 0
    np.testing.assert_array_equal(index.threshold, centre_of(rule, sample, metric))
    index.add(vectors)  # no warning that they are few
    np.testing.assert_array_equal(index.threshold, centre_of(rule, sample, metric))
    np.testing.assert_array_equal(index.codes, codes_of(vectors, index.threshold, metric))


def test_fit_once_is_enough(rng):
    first, second = shifted(rng, 300, 20), -shifted(rng, 300, 20)
    index = bitsift.Index(20, threshold="mean", store="int8").fit(first)
    before = index.threshold, index.calibrators["int8"].ranges
    with pytest.warns(BitsiftWarning, match=r"fit\(sample\) does nothing"):
        index.fit(second)
    np.testing.assert_array_equal(index.threshold, before[0])
    np.testing.assert_array_equal(index.calibrators["int8"].ranges, before[1])


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_any_float_type(rng, dtype):
    vectors = shifted(rng, 200, 20).astype(np.float16)
    a, b = (bitsift.Index(20, threshold="mean", store=None) for _ in range(2))
    a.add(vectors.astype(np.float32))
    b.add(vectors.astype(dtype))
    np.testing.assert_array_equal(a.threshold, b.threshold)
    np.testing.assert_array_equal(a.codes, b.codes)


def test_at_most_a_number_of_rows_is_fitted_to(rng, monkeypatch):
    monkeypatch.setattr(fitting, "MOST_ROWS_FITTED", 150)
    vectors = shifted(rng, 1000, 20)
    index = bitsift.Index(20, metric="l2", threshold="mean")
    index.add(vectors)
    evenly = vectors[np.linspace(0, 999, 150).astype(int)]
    np.testing.assert_array_equal(index.threshold, centre_of("mean", evenly, "l2"))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("rotate", [False, True])
def test_lengths_do_not_change_the_cosine(rng, rule, rotate):
    # Multiples of 1/64, so that a small integer times these is exact.
    vectors = np.round(shifted(rng, 200, 30) * 64) / np.float32(64)
    factors = rng.integers(1, 1000, (200, 1)).astype(np.float32)
    a, b, l2 = (
        bitsift.Index(30, metric=metric, threshold=rule, rotate=rotate)
        for metric in ("cosine", "cosine", "l2")
    )
    a.add(vectors)
    b.add(vectors * factors)
    l2.add(vectors * factors)
    np.testing.assert_array_equal(a.threshold, b.threshold)
    np.testing.assert_array_equal(a.codes, b.codes)
    assert (l2.codes != b.codes).any()
    found = a.search(vectors[:9] * np.float32(0.001), 1, scoring="hamming", rescore=False)
    assert found.ids[:, 0].tolist() == list(range(9))
    np.testing.assert_array_equal(found.scores, 0)


def test_zero_vectors(rng):
    vectors = shifted(rng, 200, 30)
    vectors[[0, 7]] = 0
    index = bitsift.Index(30, threshold="mean")
    index.add(vectors)
    np.testing.assert_array_equal(index.threshold, centre_of("mean", vectors, "cosine"))
    expected = np.packbits(index.threshold < 0)
    np.testing.assert_array_equal(index.codes[[0, 7]], [expected, expected])


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("rule", [*RULES, "auto"])
@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("state", ["unfitted", "empty", "filled"])
def test_save_and_load(tmp_path, rng, mmap, rule, rotate, state):
    sample, vectors = shifted(rng, 300, 21), shifted(rng, 240, 21)
    options = {"store": ["int8", "float32"], "correction": True}
    index = bitsift.Index(21, threshold=rule, rotate=rotate, **options)
    if state != "unfitted":
        index.fit(sample)
    if state == "filled":
        index.add(vectors[:100])
    index.save(tmp_path / "index")
    bitsift.verify(tmp_path / "index")
    loaded = bitsift.Index.load(tmp_path / "index", mmap=mmap)
    for _ in range(2):
        assert repr(loaded) == repr(index)
        np.testing.assert_array_equal(loaded.threshold, index.threshold)
        assert loaded.rotate == index.rotate
        assert loaded.correction
        assert {n: repr(c) for n, c in loaded.calibrators.items()} == {
            n: repr(c) for n, c in index.calibrators.items()
        }
        np.testing.assert_array_equal(loaded.codes, index.codes)
        for options in ({"scoring": "hamming"}, {"scoring": "asymmetric", "rescore": False}):
            for a, b in zip(
                loaded.search(vectors, 5, **options),
                index.search(vectors, 5, **options),
                strict=True,
            ):
                np.testing.assert_array_equal(a, b)
        for each in (loaded, index):  # the unfitted one is fitted now
            each.add(vectors)
    if state == "unfitted" and rule != "auto":
        centre = centre_of(rule, vectors, "cosine")
        np.testing.assert_array_equal(loaded.threshold, centre)


class TestFailedFirstAdd:
    def check(self, rng, error, message, vectors, ids=None):
        index = bitsift.Index(10, **EVERYTHING)
        before = state_of(index)
        assert before[1] == "mean"
        for _ in range(2):
            with pytest.raises(error, match=message):
                index.add(vectors, ids=ids)
            assert state_of(index) == before
        good, other = shifted(rng, 150, 10), bitsift.Index(10, **EVERYTHING)
        assert index.add(good).tolist() == list(range(150))
        other.add(good)
        assert state_of(index) == state_of(other)
        ladder = [("asymmetric", 8), "asymmetric"]
        for a, b in zip(*(i.search(good, 9, ladder=ladder) for i in (index, other)), strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    @pytest.mark.parametrize("n", [150, 5000])
    def test_not_finite_in_the_last_row(self, rng, value, n, monkeypatch):
        monkeypatch.setattr("bitsift.encoding.encoder._CHUNK_BYTES", 1000)
        monkeypatch.setattr(fitting, "MOST_ROWS_FITTED", 120)
        vectors = shifted(rng, n, 10)
        vectors[-1, 3] = value
        self.check(rng, ValueError, f"must be finite; row {n - 1}, dimension 3 is {value}", vectors)

    def test_not_finite_in_a_row_that_is_not_fitted_to(self, rng, monkeypatch):
        monkeypatch.setattr(fitting, "MOST_ROWS_FITTED", 120)
        vectors = shifted(rng, 500, 10)
        vectors[498, 3] = np.nan
        self.check(rng, ValueError, "must be finite; row 498, dimension 3 is nan", vectors)

    def test_duplicate_ids(self, rng):
        ids = np.arange(150)
        ids[-1] = 7
        self.check(rng, ValueError, "7", shifted(rng, 150, 10), ids)

    def test_float16_overflow(self, rng):
        vectors = shifted(rng, 150, 10)
        vectors[-1, 3] = 70_000
        self.check(rng, ValueError, "within float16's range.*row 149, dimension 3", vectors)

    def test_too_large_for_float32(self, rng):
        vectors = shifted(rng, 150, 10).astype(np.float64)
        vectors[-1, 3] = 1e39
        self.check(rng, ValueError, "within float32's range.*row 149, dimension 3", vectors)

    def test_few_vectors_where_warnings_are_errors(self, rng):
        self.check(rng, BitsiftWarning, "fitted to 99 vectors only", shifted(rng, 99, 10))


def test_fit_after_add_is_an_error(rng):
    for threshold in (0.0, "mean"):
        index = bitsift.Index(10, threshold=threshold)
        index.add(rng.standard_normal((120, 10)))
        before = state_of(index)
        with pytest.raises(ValueError, match=r"fit comes before .* the index has encoded 120"):
            index.fit(rng.standard_normal((120, 10)))
        assert state_of(index) == before


@pytest.mark.parametrize(
    ("sample", "error", "message"),
    [
        (np.zeros((0, 20)), ValueError, r"sample must have shape \(n, 20\), n at least 1.*\(0, 20"),
        (np.ones(20), ValueError, r"sample must have shape \(n, 20\), n at.*got shape \(20,\)"),
        (np.ones((200, 19)), ValueError, "sample must have 20 values a row; got 19"),
        (np.ones((200, 20), bool), TypeError, "sample must be float16, float32 .*; got bool"),
        (np.ones((200, 20), int), TypeError, "sample must be .*; got int64"),
        (np.ones((200, 3), np.uint8), TypeError, "sample must be .*; got uint8"),
        (np.full((200, 20), np.nan), ValueError, "must be finite; row 0, dimension 0 is nan"),
        (np.full((200, 20), 1e39), ValueError, "within float32's range; row 0, dimension 0"),
        (np.ma.masked_array(np.ones((200, 20))), TypeError, "sample must be a plain array"),
        (None, TypeError, "sample must hold numbers"),
    ],
)
@pytest.mark.parametrize(
    "options",
    [
        {"threshold": "mean", "store": None},
        {"store": "int4"},
        {"threshold": "median", "store": "ternary", "rotate": True, "correction": True},
    ],
)
def test_wrong_samples(options, sample, error, message):
    index = bitsift.Index(20, **options)
    before = state_of(index)
    with pytest.raises(error, match=message):
        index.fit(sample)
    assert state_of(index) == before


@pytest.mark.parametrize("rule", RULES)
def test_few_vectors(rng, rule):
    vectors = shifted(rng, 100, 20)
    message = rf"threshold='{rule}' fitted to 99 vectors only; call fit\(sample\) with 100 or more"
    for call in ("fit", "add"):
        index = bitsift.Index(20, threshold=rule)
        with pytest.warns(BitsiftWarning, match=message) as caught:
            getattr(index, call)(vectors[:99])
        assert len(caught) == 1
        assert caught[0].filename == __file__  # the line that is to be changed
        bitsift.Index(20, threshold=rule).fit(vectors)  # none
    index = bitsift.Index(20, threshold=rule).fit(vectors)
    index.add(vectors[0])


@pytest.mark.parametrize("rule", [*RULES, "auto"])
@pytest.mark.parametrize(
    ("bits", "what"),
    [(np.zeros((2, 3), np.uint8), r"packed codes \(uint8\)"), (np.ones((2, 20), bool), "bool")],
)
def test_bits_before_the_threshold_is_fitted(rng, rule, bits, what):
    index = bitsift.Index(20, store=None, threshold=rule)
    message = f"got {what}, but threshold='{rule}' has to be fitted to vectors first: add float"
    with pytest.raises(TypeError, match=message):
        index.add(bits)
    assert len(index) == 0
    index.fit(shifted(rng, 300, 20))
    if what != "bool":  # codes are what they are
        index.add(bits)
        np.testing.assert_array_equal(index.codes, bits)


class TestPoorBits:
    def test_shifted_data(self, rng):
        vectors = np.abs(rng.standard_normal((1_000, 64), dtype=np.float32))
        index = bitsift.Index(64, metric="l2", store=None)
        message = (
            "the bits of these vectors say little: 100% of the dimensions have the same bit in 95% "
            "of them, and on average a bit is the more frequent one in 100%. On a sample, "
            r"a search finds 0\.\d\d of the true neighbours; with threshold='(mean|median)'"
            r"(, rotate=True)?, correction=True it finds 0\.\d\d. bitsift.advise compares the "
            "options"
        )
        with pytest.warns(BitsiftWarning, match=f"^{message}$") as caught:
            index.add(vectors)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert len(index) == 1_000  # the vectors are added
        index.add(vectors)  # no second warning

    def test_no_warning_with_what_it_recommends(self, rng):
        vectors = np.abs(rng.standard_normal((1_000, 64), dtype=np.float32))
        best = bitsift.advise(vectors, metric="l2").recommendation
        assert best["threshold"] != 0
        bitsift.Index(64, **best).add(vectors)

    def test_only_few_dimensions_are_poor(self, rng):
        vectors = rng.standard_normal((1_000, 100), dtype=np.float32)
        vectors[:, :5] += 5  # 5 %
        bitsift.Index(100).add(vectors)

    def test_uneven_bits(self, rng):
        # No dimension is constant, but the bits carry half the information that they could.
        vectors = rng.standard_normal((2_000, 64), dtype=np.float32) + np.float32(1)
        with pytest.warns(BitsiftWarning, match="0% of the dimensions .* in 84%"):
            bitsift.Index(64).add(vectors)

    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("dim", [1, 2, 64, 384])
    def test_centred_data(self, rng, metric, dim):
        bitsift.Index(dim, metric=metric).add(rng.standard_normal((1_000, dim), dtype=np.float32))

    def test_few_vectors_are_not_judged(self, rng):
        vectors = np.abs(rng.standard_normal((256, 64), dtype=np.float32))
        bitsift.Index(64).add(vectors[:255])
        with pytest.warns(BitsiftWarning, match="say little"):
            bitsift.Index(64).add(vectors)

    def test_no_warning_where_no_option_is_better(self):
        # One vector many times: nothing finds more.
        bitsift.Index(8).add(np.ones((300, 8)))

    def test_bits_are_not_judged(self, rng):
        codes = np.full((300, 8), 255, np.uint8)
        bitsift.Index(64, store=None).add(codes)
        bitsift.Index(64, store=None).add(np.unpackbits(codes, axis=1) > 0)

    @pytest.mark.parametrize("store", [None, "float32", ["float16", "int8"]])
    def test_an_error_filter_leaves_the_index_as_it_was(self, rng, store):
        vectors = np.abs(rng.standard_normal((300, 64), dtype=np.float32))
        index = bitsift.Index(64, store=store)
        before = state_of(index)
        with warnings.catch_warnings():
            warnings.simplefilter("error", BitsiftWarning)
            for _ in range(2):
                with pytest.raises(BitsiftWarning, match="say little"):
                    index.add(vectors)
                assert state_of(index) == before
        centred = vectors * rng.choice(np.float32([-1, 1]), vectors.shape)
        assert index.add(centred).tolist() == list(range(300))
        np.testing.assert_array_equal(index.codes, reference.pack(centred))

    @pytest.mark.parametrize("metric", METRICS)
    def test_the_threshold_of_the_index_is_judged(self, rng, metric):
        # At 0 these bits are fine; at 2.5, what the index has, they are not.
        vectors = rng.standard_normal((1_000, 64), dtype=np.float32)
        message = r"say little.* with threshold=0\.0 it finds"
        with pytest.warns(BitsiftWarning, match=message):
            bitsift.Index(64, metric=metric, threshold=2.5).add(vectors)
        # And the other way round.
        shifted_by_3 = vectors * np.float32(0.1) + np.float32(3)
        with pytest.warns(BitsiftWarning, match="say little"):
            bitsift.Index(64, metric=metric).add(shifted_by_3)
        bitsift.Index(64, metric=metric, threshold=3.0).add(shifted_by_3)

    def test_the_warning_tells_what_the_index_finds_now(self, rng):
        vectors = np.abs(rng.standard_normal((1_000, 64), dtype=np.float32))
        numbers = []
        for threshold in (0.0, 2.2):
            index = bitsift.Index(64, metric="l2", threshold=threshold)
            with pytest.warns(BitsiftWarning, match="say little") as caught:
                index.add(vectors)
            numbers.append(re.findall(r"(0\.\d\d) of the true", str(caught[0].message)))
        assert numbers[0] != numbers[1]

    @pytest.mark.parametrize("metric", METRICS)
    def test_the_rotation_of_the_index_is_judged(self, rng, metric):
        # All vectors point one way, so rotated bits are constant too; the mean would help.
        vectors = shifted(rng, 1_000, 64) + np.float32(20)
        message = r"say little.* with threshold='(half-)?(mean|median)'(, rotate=False)? it finds"
        with pytest.warns(BitsiftWarning, match=message):
            bitsift.Index(64, metric=metric, rotate=True).add(vectors)

    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("store", [None, "float32"])
    @pytest.mark.parametrize("n", [256, pytest.param(3_000, marks=pytest.mark.slow)])
    def test_the_advice_on_the_same_vectors_says_the_same(self, rng, metric, store, n):
        n_warned = 0
        for shift in (0.8, 1.0, 1.2, 1.5, 2.0, 4.0):
            vectors = rng.standard_normal((n, 48), dtype=np.float32) + np.float32(shift)
            advice = bitsift.advise(vectors, metric=metric, bits_alone=store is None)
            chosen = {
                name: value
                for name, value in advice.recommendation.items()
                if name != "metric" and value not in (0.0, False)
            }
            named = ", ".join(f"{name}={value!r}" for name, value in chosen.items())
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                bitsift.Index(48, metric=metric, store=store).add(vectors)
            n_warned += len(caught)
            for warning in caught:
                assert chosen
                assert f"; with {named} it finds " in str(warning.message)
        assert n_warned > 1


class TestRowsInErrors:
    """Of many vectors, a threshold reads some: errors name the caller's array and its row."""

    @pytest.mark.parametrize("rule", [*RULES, "auto"])
    @pytest.mark.parametrize("n", [200, 70_000, 131_073])
    def test_row_and_name(self, rule, n):
        rows = evenly_spaced(n, MOST_ROWS_FITTED)
        for bad in (int(rows[len(rows) // 2]), int(rows[-1])):
            vectors = np.ones((n, 2), np.float32)
            vectors[bad, 1] = np.inf
            for name, call in (
                ("sample", lambda index, given: index.fit(given)),
                ("vectors", lambda index, given: index.add(given)),
            ):
                index = bitsift.Index(2, threshold=rule)
                with pytest.raises(ValueError, match=f"^{name} must be finite; row {bad}, dim"):
                    call(index, vectors)
                assert index.threshold == rule

    @pytest.mark.parametrize("store", ["int8", "ternary"])
    def test_bounds_of_integers(self, store):
        vectors = np.ones((300, 2))
        vectors[7, 1] = 1e39
        index = bitsift.Index(2, store=store)
        for name, call in (("sample", index.fit), ("vectors", index.add)):
            with pytest.raises(ValueError, match=f"^{name} must be within float32's range; row 7"):
                call(vectors)
