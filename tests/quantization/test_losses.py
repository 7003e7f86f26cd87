# SPDX-License-Identifier: Apache-2.0
"""Warnings of what small types lose: said where much is lost, once a call, and else never."""

import warnings

import numpy as np
import pytest

import bitsift
from bitsift import BitsiftWarning, MinMaxCalibrator, RollingCalibrator
from bitsift.core.options import INTEGER_STORES
from bitsift.quantization import losses

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
