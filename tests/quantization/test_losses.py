# SPDX-License-Identifier: Apache-2.0
"""Warnings of what small types lose: said where much is lost, once a call, and else never."""

import copy
import pickle
import warnings

import numpy as np
import pytest

import bitsift
from bitsift import BitsiftWarning, MinMaxCalibrator, RollingCalibrator
from bitsift.core.options import INTEGER_STORES
from bitsift.quantization import losses

pytestmark = pytest.mark.usefixtures("fits_at_once")

OUTSIDE = "lie outside the bounds"
ALIKE = "so rows hardly differ"


def normal(rng, n, dim=64, scale=1.0):
    return (scale * rng.standard_normal((n, dim))).astype(np.float32)


def caught(call):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call()
    assert all(warning.category is BitsiftWarning for warning in seen)
    assert all(warning.filename == __file__ for warning in seen)
    return [str(warning.message) for warning in seen]


def share_in(message):
    return float(message.partition("%")[0].rpartition(" ")[2]) / 100


@pytest.mark.parametrize("store", INTEGER_STORES)
@pytest.mark.parametrize("how", ["add", "fit", "calibrator"])
def test_later_vectors_outside_the_bounds(rng, store, how):
    first, later = normal(rng, 500), normal(rng, 3_000, scale=20)
    if how == "calibrator":
        calibrator = bitsift.Index(64, store=store).fit(first).calibrators[store]
        index = bitsift.Index(64, store=store, calibrator=calibrator)
    else:
        index = bitsift.Index(64, store=store)
        index.fit(first) if how == "fit" else index.add(first)
    messages = caught(lambda: index.add(later))
    assert len(messages) == 1  # also where several blocks are encoded
    assert OUTSIDE in messages[0]
    assert f"store={store!r}" in messages[0]
    assert "fit(sample)" in messages[0]
    share = index.calibrators[store].share_clipped(later)
    assert share_in(messages[0]) == pytest.approx(share, abs=0.02)
    with pytest.warns(BitsiftWarning, match=OUTSIDE):
        index.add(later[:10])  # as do few


@pytest.mark.parametrize("store", INTEGER_STORES)
def test_the_remedy_helps(rng, store):
    first, later = normal(rng, 500), normal(rng, 500, scale=20)
    index = bitsift.Index(64, store=store).fit(np.concatenate((first, later)))
    assert caught(lambda: index.add(later)) == []


@pytest.mark.parametrize("store", INTEGER_STORES)
@pytest.mark.parametrize("make", ["normal", "uniform", "two values", "laplace"])
def test_the_same_kind_of_vectors_is_no_warning(rng, store, make):
    """What the bounds' rule clips by design does not count, whatever the distribution."""
    made = {
        "normal": lambda n: rng.standard_normal((n, 64)),
        "uniform": lambda n: rng.uniform(-1, 1, (n, 64)),
        "two values": lambda n: rng.choice([-1.0, 1.0], (n, 64)) + rng.normal(0, 1e-3, (n, 64)),
        "laplace": lambda n: rng.laplace(0, 1, (n, 64)),
    }[make]
    index = bitsift.Index(64, store=store)

    def adds():
        index.add(made(200))
        for n in (1, 1, 1, 7, 8, 50, 2_000):
            index.add(made(n))

    assert caught(adds) == []


@pytest.mark.parametrize("n_std", [0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("store", ["int8", "int4"])
def test_narrow_bounds_are_no_warning(rng, store, n_std):
    calibrator = RollingCalibrator(n_std).fit(normal(rng, 500))
    index = bitsift.Index(64, store=store, calibrator=calibrator)
    assert caught(lambda: index.add(normal(rng, 500))) == []
    with pytest.warns(BitsiftWarning, match=r"\(\d+% would be usual\)|lie outside the bounds and"):
        index.add(normal(rng, 500, scale=5))


def test_a_part_of_a_batch_counts(rng):
    index = bitsift.Index(64, store="int8")
    index.add(normal(rng, 1_000))
    mixed = normal(rng, 10_000)
    mixed[2_000:3_000] *= 20  # a tenth, nearly all outside
    (message,) = caught(lambda: index.add(mixed))
    assert share_in(message) == pytest.approx(0.09, abs=0.02)


def test_several_stores_warn_each(rng):
    index = bitsift.Index(64, store=("int4", "float32", "int8"))
    index.add(normal(rng, 1_000))
    messages = caught(lambda: index.add(normal(rng, 100, scale=20)))
    assert [message.partition(":")[0] for message in messages] == ["store='int4'", "store='int8'"]


def test_an_error_leaves_the_index_as_it_was(rng):
    index = bitsift.Index(64, store="int8")
    index.add(normal(rng, 200))
    with pytest.raises(BitsiftWarning, match=OUTSIDE):  # the filter of the tests
        index.add(normal(rng, 200, scale=20))
    assert len(index) == 200


def test_loaded_bounds_warn(rng, tmp_path):
    index = bitsift.Index(64, store="int4")
    index.add(normal(rng, 200))
    index.save(tmp_path / "index")
    for mmap in (False, True):
        loaded = bitsift.Index.load(tmp_path / "index", mmap)
        with pytest.warns(BitsiftWarning, match=OUTSIDE):
            loaded.add(normal(rng, 200, scale=20))


class TestAlike:
    @pytest.mark.parametrize("how", ["add", "fit"])
    def test_ternary_with_minimum_and_maximum(self, rng, how):
        vectors = normal(rng, 200)
        index = bitsift.Index(64, store="ternary", calibrator=MinMaxCalibrator())
        if how == "fit":
            index.fit(vectors)
        (message,) = caught(lambda: index.add(vectors))
        assert "store='ternary': 100% of the values become 0" in message
        assert not index.get(0).any() or np.array_equal(index.get(0), index.get(1))

    def test_its_remedy(self, rng):
        vectors = normal(rng, 200)
        with pytest.warns(BitsiftWarning, match=ALIKE) as seen:
            bitsift.Index(64, store="ternary", calibrator=MinMaxCalibrator()).add(vectors)
        remedy = str(seen[0].message).partition("calibrator=")[2].partition(" has ")[0]
        calibrator = eval(remedy, {"bitsift": bitsift})  # the text of our own message
        index = bitsift.Index(64, store="ternary", calibrator=calibrator)
        assert caught(lambda: index.add(vectors)) == []

    @pytest.mark.parametrize("store", ["int4", "ternary"])
    def test_outliers_that_widen_all_bounds(self, rng, store):
        vectors = normal(rng, 1_000)
        vectors[::100] *= 1_000
        index = bitsift.Index(64, store=store, calibrator=MinMaxCalibrator())
        with pytest.warns(BitsiftWarning, match=ALIKE):
            index.add(vectors)

    @pytest.mark.parametrize("store", INTEGER_STORES)
    def test_later_vectors_that_are_much_smaller(self, rng, store):
        index = bitsift.Index(64, store=store)
        index.add(normal(rng, 200))
        with pytest.warns(BitsiftWarning, match=f"{ALIKE}.*fit\\(sample\\)"):
            index.add(normal(rng, 200, scale=1e-3))

    @pytest.mark.parametrize("store", INTEGER_STORES)
    def test_values_that_are_alike_themselves_lose_nothing(self, rng, store):
        sparse = np.where(rng.random((1_000, 64)) < 0.9, 0, normal(rng, 1_000))
        for vectors in (np.ones((200, 64)), np.zeros((200, 64)), sparse):
            index = bitsift.Index(64, store=store, threshold="mean", metric="dot")
            assert [
                m for m in caught(lambda index=index, v=vectors: index.add(v)) if ALIKE in m
            ] == []

    @pytest.mark.parametrize("n", [1, 2, 7, 8, 30])
    def test_few_vectors(self, rng, n):
        index = bitsift.Index(4, store="ternary").fit(normal(rng, 200, 4))
        for _ in range(30):
            assert caught(lambda: index.add(normal(rng, n, 4))) == []


class TestSmallAdds:
    """Rows that come a few at a time are judged together."""

    @staticmethod
    def one_by_one(index, rows, n=1):
        def adds():
            for begin in range(0, len(rows), n):
                index.add(rows[begin : begin + n])

        return adds

    @pytest.mark.parametrize("store", INTEGER_STORES)
    @pytest.mark.parametrize(
        ("dim", "n"),
        [
            *((1, 1), (3, 5), (300, 1), (64, 7)),
            *(pytest.param(dim, 1, marks=pytest.mark.slow) for dim in (64, 99)),
        ],
    )
    def test_values_outside_the_bounds(self, rng, store, dim, n):
        index = bitsift.Index(dim, store=store)
        index.add(normal(rng, 500, dim))
        assert caught(self.one_by_one(index, normal(rng, 210, dim), n)) == []
        messages = caught(self.one_by_one(index, normal(rng, 1_050, dim, scale=100), n))
        assert any(OUTSIDE in message for message in messages)

    @pytest.mark.parametrize("scale", [1, 100])
    def test_ternary_with_minimum_and_maximum_of_few(self, rng, scale):
        index = bitsift.Index(64, store="ternary", calibrator=MinMaxCalibrator())
        with pytest.warns(BitsiftWarning, match="fitted to 5 vectors only"):
            index.add(normal(rng, 5) * 5)
        messages = caught(self.one_by_one(index, normal(rng, 70, scale=scale)))
        assert any((ALIKE if scale == 1 else OUTSIDE) in message for message in messages)

    def test_the_same_vector_again_and_again(self, rng):
        vectors = normal(rng, 500)
        index = bitsift.Index(64, store="ternary")
        index.add(vectors)
        assert caught(self.one_by_one(index, np.repeat(vectors[:1], 100, axis=0))) == []

    def test_bounded_memory(self, rng):
        for dim in (4, 64, 4096):
            index = bitsift.Index(dim, store="int8")
            index.add(normal(rng, 200, dim))
            for _ in range(200):
                index.add(normal(rng, 7, dim))
                few = index._table.snapshot.few
                assert few.n == sum(map(len, few.batches)) < 32
                assert all(batch.base is None for batch in few.batches)

    def test_an_add_that_failed_does_not_count(self, rng):
        index = bitsift.Index(64, store="int8")
        index.add(normal(rng, 200), ids=range(200))
        index.add(normal(rng, 1, scale=100), ids=[200])
        before = index._table.snapshot
        for wrong in (normal(rng, 1), np.full((1, 64), np.nan, np.float32)):
            with pytest.raises(ValueError, match=r"ids|finite"):
                index.add(wrong, ids=[200])
            assert index._table.snapshot is before

    def test_where_warnings_are_errors_good_adds_go_on(self, rng):
        """The filter of the tests makes errors of them."""
        index = bitsift.Index(64, store="int8")
        index.add(normal(rng, 200))
        n_refused = 0
        for row in normal(rng, 320, scale=100):
            try:
                index.add(row[np.newaxis])
            except BitsiftWarning:
                n_refused += 1
        assert n_refused == 10
        assert len(index) == 510
        assert caught(self.one_by_one(index, normal(rng, 100))) == []

    @pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
    def test_copies_go_on_by_themselves(self, rng, how):
        index = bitsift.Index(64, store="int8")
        index.add(normal(rng, 200))
        assert caught(self.one_by_one(index, normal(rng, 20, scale=100))) == []
        copied, remade = how(index), pickle.loads(pickle.dumps(index))
        rows = normal(rng, 12, scale=100)
        for one, n in ((index, 1), (copied, 1), (remade, 0)):
            assert len(caught(self.one_by_one(one, rows))) == n

    def test_a_trickle_of_wrong_vectors_after_many_good_ones(self, rng):
        index = bitsift.Index(64, store="int4")
        index.add(normal(rng, 200))
        assert caught(self.one_by_one(index, normal(rng, 1_000))) == []
        mixed = normal(rng, 1_000)
        mixed[::2] *= 100
        assert any(OUTSIDE in one for one in caught(self.one_by_one(index, mixed)))


class TestSamples:
    @pytest.mark.parametrize("period", [2, 3, 4, 8, 100])
    @pytest.mark.parametrize("n", [2_048, 3_072, 100_000])
    def test_no_period_hides(self, n, period):
        for phase in range(min(period, 4)):
            rows = np.zeros((n, 1), np.float32)
            rows[phase::period] = 1
            share = losses.sample_of(rows).mean()
            assert 0.6 / period - 0.005 < share < 1.4 / period + 0.005

    def test_rows_are_in_order_one_from_each_part(self):
        for n in (1_024, 1_025, 1_500, 2_047, 2_048, 70_000):
            rows = losses.sample_of(np.arange(n, dtype=np.float32)[:, np.newaxis])[:, 0]
            assert len(rows) == 1_024
            assert (np.diff(rows) > 0).all()
            parts = np.searchsorted(np.arange(1, 1_025) * n // 1_024, rows, side="right")
            np.testing.assert_array_equal(parts, np.arange(1_024))

    def test_the_same_rows_on_every_machine(self):
        rows = losses.sample_of(np.arange(10_000, dtype=np.float32)[:, np.newaxis], 4)
        assert rows[:, 0].tolist() == [0, 4045, 5590, 9635]

    def test_every_other_row_outside(self, rng):
        index = bitsift.Index(64, store="int8")
        index.add(normal(rng, 500))
        vectors = normal(rng, 2_048)
        vectors[1::2] *= 20
        (message,) = caught(lambda: index.add(vectors))
        assert share_in(message) == pytest.approx(
            index.calibrators["int8"].share_clipped(vectors), abs=0.02
        )


@pytest.mark.parametrize(("store", "n_std"), [("int4", 3.0), ("int4", 9.0), ("ternary", 0.7)])
def test_the_remedy_is_not_what_is_there(rng, store, n_std):
    vectors = np.zeros((1_000, 64), np.float32) + normal(rng, 1_000, scale=1e-3)
    vectors[::40] *= 1e6  # at 3 standard deviations too, nearly all of the others are alike
    default = bitsift.Index(64, store=store).calibrators[store].n_std
    index = bitsift.Index(64, store=store, calibrator=RollingCalibrator(n_std))
    (message,) = [m for m in caught(lambda: index.add(vectors)) if ALIKE in m]
    assert ("RollingCalibrator" in message) == (n_std > default)
    assert 'store="float16"' in message


@pytest.mark.parametrize("n", [8, 9, 10, 20])
def test_few_sparse_rows_are_no_warning(rng, n):
    sparse = np.where(rng.random((4_000, 128)) < 0.95, 0, normal(rng, 4_000, 128))
    index = bitsift.Index(128, store="ternary", threshold="mean")

    def adds():
        index.add(sparse[:2_000])
        for begin in range(2_000, 4_000, n):
            index.add(sparse[begin : begin + n])

    assert [m for m in caught(adds) if ALIKE in m] == []


def test_float16_of_tiny_values(rng):
    with pytest.warns(BitsiftWarning, match="100% of the rows have no value above 6.1e-05"):
        bitsift.Index(64, store="float16").add(normal(rng, 50, scale=1e-7))
    for vectors in (normal(rng, 50, scale=1e-2), np.zeros((50, 64))):
        assert caught(lambda v=vectors: bitsift.Index(64, store="float16").add(v)) == []
    with pytest.warns(BitsiftWarning, match="precision='float16'"):
        bitsift.quantize_embeddings(normal(rng, 50, scale=1e-7), "float16")


def test_any_state_of_numpy(rng):
    values = normal(rng, 200).astype(np.float64)
    values[0, :8] = 1e-310, 3e38, -3e38, 1e-45, 3e38, 0, -0.0, 1
    wide, narrow = RollingCalibrator(1e308), RollingCalibrator(1e-300)
    for calibrator in (wide.fit(normal(rng, 200)), narrow.fit(normal(rng, 200))):
        ranges = np.stack((np.zeros(64, np.float32), np.ones(64, np.float32)))
        with np.errstate(all="raise"), warnings.catch_warnings():
            warnings.simplefilter("ignore", BitsiftWarning)
            rows = losses.sample_of(values)
            for n in (0, 1, 2, 200):
                losses.warn_of_clipped(rows[:n], ranges, "int8", calibrator, "", "")
            losses.warn_of_tiny(rows, "")


class TestQuantizeEmbeddings:
    @pytest.mark.parametrize("precision", INTEGER_STORES)
    def test_bounds_of_others(self, rng, precision):
        first, later = normal(rng, 300), normal(rng, 300, scale=20)
        calibrator = bitsift.Index(64, store=precision).fit(first).calibrators[precision]
        for bounds in ({"ranges": calibrator}, {"calibration_embeddings": first}):
            assert caught(lambda b=bounds: bitsift.quantize_embeddings(first, precision, **b)) == []
            (message,) = caught(lambda b=bounds: bitsift.quantize_embeddings(later, precision, **b))
            assert OUTSIDE in message
            assert f"precision={precision!r}" in message
        (message,) = caught(
            lambda: bitsift.quantize_embeddings([first, later], precision, calibrator)
        )
        assert OUTSIDE in message

    @pytest.mark.parametrize("precision", ["int8", "uint8", "int4"])
    def test_plain_bounds(self, rng, precision):
        vectors = normal(rng, 300)
        for limit, expected in ((9.0, 0), (1.0, 1)):
            ranges = np.stack((np.full(64, -limit), np.full(64, limit)))
            call = lambda r=ranges: bitsift.quantize_embeddings(vectors, precision, r)  # noqa: E731
            assert len(caught(call)) == expected

    def test_plain_bounds_of_ternary_leave_values_out_by_design(self, rng):
        vectors = normal(rng, 300)
        for limit, expected in ((0.7, []), (9.0, [ALIKE])):
            ranges = np.stack((np.full(64, -limit), np.full(64, limit)))
            messages = caught(lambda r=ranges: bitsift.quantize_embeddings(vectors, "ternary", r))
            assert [ALIKE for message in messages if ALIKE in message] == expected
