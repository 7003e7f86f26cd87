# SPDX-License-Identifier: Apache-2.0
"""Vectors that wait as floats until an index is fitted to them, and what becomes of them then."""

import copy
import pickle
import warnings

import numpy as np
import pytest

import bitsift
import bitsift.core.native as native
from bitsift import BitsiftWarning
from bitsift.core.limits import LEAST_ROWS_FITTED
from helpers.same_results import check_same
from helpers.storage_samples import STORES, assert_same
from helpers.waiting import (
    DIM,
    KINDS,
    METRICS,
    RULES,
    added,
    contents_of,
    made,
    made_vectors,
    waits,
)
from oracle import reference

BITS_ASKED = [
    lambda index: index.codes,
    lambda index: index.search(made_vectors(1), 3, rescore=False),
    lambda index: index.search(made_vectors(1), 3, scoring="hamming"),
    lambda index: index.search(made_vectors(1) > 0, 3),
    lambda index: index.search(np.packbits(made_vectors(1)[0] > 0), 3),
    lambda index: index.search(made_vectors(1), 3, ladder=["hamming"]),
    lambda index: index.range_search(made_vectors(1), 3, scoring="hamming"),
    lambda index: index.range_search(made_vectors(1) > 0, 3),
]


def exact(vectors, queries, k, metric):
    """The results of a search of all floats."""
    # Rounded, as ties are by the rounded scores.
    scores = np.stack([reference.scores(metric, query, vectors) for query in queries])
    scores = scores.astype(np.float32)
    order = np.lexsort((np.broadcast_to(np.arange(len(vectors)), scores.shape),
                        scores if metric == "l2" else -scores))[:, :k]  # fmt: skip
    return np.take_along_axis(scores, order, axis=1), order


def through_files(index, tmp_path, mmap=False):
    index.save(tmp_path / "index")
    bitsift.verify(tmp_path / "index")
    return bitsift.Index.load(tmp_path / "index", mmap=mmap)


WAYS = {
    "copy": lambda index, _: copy.copy(index),
    "deepcopy": lambda index, _: copy.deepcopy(index),
    "pickle": lambda index, _: pickle.loads(pickle.dumps(index)),
    "load": through_files,
    "map": lambda index, path: through_files(index, path, mmap=True),
}


@pytest.mark.parametrize("options", KINDS)
class TestFit:
    @pytest.mark.parametrize(
        "sizes", [[1, 1199], [10, 990, 200], [999, 1, 200], [1] * 30 + [969, 201], [0, 1200]]
    )
    def test_small_adds_end_as_one_add(self, options, sizes):
        """What is fitted to the same vectors is the same, byte for byte."""
        vectors = made_vectors(1200)
        n_fitted = next(n for n in np.cumsum(sizes) if n >= LEAST_ROWS_FITTED)
        one = bitsift.Index(DIM, **options)
        one.add(vectors[:n_fitted])
        one.add(vectors[n_fitted:])
        index = added(bitsift.Index(DIM, **options), vectors, sizes)
        assert not waits(index)
        assert_same(contents_of(index), contents_of(one))
        assert repr(index) == repr(one)

    def test_until_then_answers_are_exact(self, options):
        index, queries = made(300, **options), made_vectors(5, 1)
        vectors = made_vectors(300)
        assert waits(index)
        scores, ids = exact(vectors, queries, 40, index.metric)
        found = index.search(queries, 40)
        np.testing.assert_array_equal(found.ids, ids)
        np.testing.assert_array_equal(found.scores, scores)
        assert found.kind == index.metric
        check_same(index.search(queries, 30, offset=10), type(found)(
            found.scores[:, 10:], found.ids[:, 10:], kind=found.kind))  # fmt: skip
        for i, query in enumerate(queries):
            np.testing.assert_array_equal(index.search(query, 40).ids, ids[i])
        mask = np.arange(300) % 3 == 0
        some = np.flatnonzero(mask)[exact(vectors[mask], queries, 40, index.metric)[1]]
        np.testing.assert_array_equal(index.search(queries, 40, filter=mask).ids, some)
        ranged = index.range_search(queries[0], float(found.scores[0, 20]))
        np.testing.assert_array_equal(ranged.ids, ids[0, :21])
        assert ranged.kind == index.metric

    @pytest.mark.parametrize("way", WAYS)
    def test_copies_lose_nothing(self, options, way, tmp_path):
        index = made(700, **options)
        index.remove(range(0, 700, 7))
        other = WAYS[way](index, tmp_path)
        assert waits(other)
        assert_same(contents_of(other), contents_of(index))
        check_same(other.search(made_vectors(3, 1), 20), index.search(made_vectors(3, 1), 20))
        assert repr(other) == repr(index)
        for one in (index, other):
            one.upsert(made_vectors(500, 2), np.arange(600, 1100))
            assert not waits(one)
        assert_same(contents_of(other), contents_of(index))

    def test_changes_before_and_after(self, options):
        """An index that changes while it waits is fitted to the vectors that are left."""
        index, alone = made(500, **options), bitsift.Index(DIM, **options)
        vectors = made_vectors(500)
        prepared = index.filter([3, 20, 21])
        assert index.remove([3, 4]) == 2
        assert index.remove(5) == 1
        assert index.remove(3, missing="ignore") == 0
        with pytest.raises(KeyError, match="id 3 is not in the index"):
            index.remove(3)
        index.upsert(-vectors[:2], ids=[20, 900])
        assert len(index) == 498
        assert index.search(vectors[0], 9, filter=prepared).ids.tolist() in ([20, 21], [21, 20])
        index.add(vectors[3:4], ids=[3])
        assert set(index.search(vectors[0], 9, filter=prepared).ids) == {3, 20, 21}
        kept = [i for i in range(500) if i not in (3, 4, 5, 20)]
        ids = [*kept, 20, 900, 3]
        rows = np.concatenate([vectors[kept], -vectors[:2], vectors[3:4]])
        assert index.ids.tolist() == ids
        assert index.contains([3, 4, 5, 20, 900]).tolist() == [True, False, False, True, True]
        more = made_vectors(600, 5)
        index.add(more, ids=range(2000, 2600))
        alone.add(np.concatenate([rows, more]), ids=[*ids, *range(2000, 2600)])
        assert set(index.search(vectors[0], 9, filter=prepared).ids) == {3, 20, 21}
        found, wanted = contents_of(index), contents_of(alone)
        assert found.ids.tolist() == wanted.ids.tolist()
        np.testing.assert_array_equal(found.codes, wanted.codes)
        for store in found.originals:
            np.testing.assert_array_equal(found.originals[store], wanted.originals[store])

    def test_an_error_changes_nothing(self, options):
        index = made(600, **options)
        before = contents_of(index)
        wrong = made_vectors(900)
        wrong[700, 3] = np.nan
        for rows in (wrong, wrong[650:750]):  # of which the index would be fitted, or not
            row = 700 if len(rows) == 900 else 50
            with pytest.raises(ValueError, match=rf"vectors must be finite.*row {row}\b"):
                index.add(rows)
        with pytest.raises(ValueError, match="ids must be new; got 5"):
            index.add(made_vectors(500), ids=range(5, 505))
        assert_same(contents_of(index), before)
        index.add(made_vectors(400))
        assert not waits(index)

    def test_a_sample_ends_it(self, options):
        index, sample = made(300, **options), made_vectors(400, 3)
        assert index.fit(sample) is index
        assert not waits(index)
        first = bitsift.Index(DIM, **options).fit(sample)
        first.add(made_vectors(300))
        assert_same(contents_of(index), contents_of(first))

    @pytest.mark.parametrize("mmap", [False, True])
    def test_what_was_loaded_changes(self, options, mmap, tmp_path):
        changes = [
            lambda index: index.fit(made_vectors(400, 3)),
            lambda index: index.add(made_vectors(3), ids=range(50, 53)),
            lambda index: index.remove(7),
            lambda index: index.upsert(made_vectors(1200, 1), ids=range(1200)),
        ]
        for change in changes:
            loaded = through_files(made(40, **options), tmp_path, mmap)
            loaded.reserve(100)
            change(loaded)
            for way in (lambda one: pickle.loads(pickle.dumps(one)), copy.copy):
                assert_same(contents_of(way(loaded)), contents_of(loaded))

    def test_extend(self, options):
        one = bitsift.Index(DIM, **options)
        one.add(made_vectors(1300))
        parts = [bitsift.Index(DIM, **options) for _ in range(3)]
        for part, begin in zip(parts, (0, 500, 900), strict=True):
            part.add(made_vectors(1300)[begin : begin + (500, 400, 400)[begin // 450]],
                     ids=range(begin, begin + (500, 400, 400)[begin // 450]))  # fmt: skip
        index = parts[0]
        for part in parts[1:]:
            index.extend(part)
        assert_same(contents_of(index), contents_of(one))
        late = bitsift.Index(DIM, **options)  # which waits still
        late.add(made_vectors(10, 9), ids=range(5000, 5010))
        for grown in (index, one):
            grown.extend(late) if grown is index else grown.add(
                made_vectors(10, 9), ids=range(5000, 5010)
            )
        assert_same(contents_of(index), contents_of(one))


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
def test_other_types_are_narrowed_once(dtype):
    vectors = made_vectors(1000).astype(dtype)
    one, index = (bitsift.Index(DIM, store="float32", threshold="mean") for _ in range(2))
    one.add(vectors.astype(np.float32))
    added(index, vectors, [400, 599, 1])
    assert_same(contents_of(index), contents_of(one))


def test_what_is_known_needs_no_waiting():
    for options in (
        {"scoring": "hamming"},
        {"scoring": "asymmetric", "store": None, "correction": True},
        {"scoring": "hamming", "threshold": 0.25, "store": ("float32", "float16")},
        {"scoring": "hamming", "store": "int8",
         "calibrator": bitsift.MinMaxCalibrator().fit(made_vectors(500))},
    ):  # fmt: skip
        index = bitsift.Index(DIM, **options)
        assert not waits(index)
        index.add(made_vectors(3))
        assert not waits(index)
        assert index.codes.shape == (3, DIM // 8)


@pytest.mark.parametrize("store", [None, *STORES])
def test_vectors_are_as_the_store_keeps_them(store):
    index = made(40, store=store, threshold=0.0, scoring="auto")
    found = index.get([3, 7, 3])
    if store is None:
        np.testing.assert_array_equal(found, bitsift.pack(made_vectors(40))[[3, 7, 3]])
        return
    wanted = made_vectors(40)[[3, 7, 3]]
    np.testing.assert_array_equal(found, wanted.astype("float16" if store == "float16" else "f4"))
    assert found.dtype == (np.float16 if store == "float16" else np.float32)
    assert index.get(99, missing="none") is None


def test_what_a_store_cannot_hold_is_refused_at_once():
    index = made(5, store="float16")
    with pytest.raises(ValueError, match=r"row 1.*65504|65504.*row 1"):
        index.add(np.array([[1.0] * DIM, [1e5] * DIM]))
    assert len(index) == 5


class TestProvisionalBits:
    @pytest.mark.parametrize("asked", BITS_ASKED)
    @pytest.mark.parametrize("rule", RULES)
    def test_they_warn_once(self, asked, rule):
        index = made(30, threshold=rule, scoring="hamming")
        message = (
            rf"are provisional: threshold='{rule}' is computed from the first 1000 vectors, and "
            r"there are 30\. fit\(sample\) computes it at once"
        )
        with pytest.warns(BitsiftWarning, match=message) as caught:
            asked(index)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        asked(index)
        index.add(made_vectors(1))
        asked(index)
        assert waits(index)

    @pytest.mark.parametrize("asked", BITS_ASKED)
    def test_bits_of_a_known_threshold_do_not_warn(self, asked):
        for options in ({}, {"store": "int8"}, {"threshold": 0.25, "store": "float32"}):
            asked(made(30, **options))
        asked(made(0, threshold="mean"))

    @pytest.mark.parametrize("rotate", [False, True])
    @pytest.mark.parametrize("rule", RULES[:3])
    @pytest.mark.parametrize("metric", METRICS)
    def test_they_are_those_of_what_is_there(self, rule, metric, rotate):
        options = {"threshold": rule, "metric": metric, "rotate": rotate, "store": None}
        index = bitsift.Index(DIM, scoring="hamming", **options)
        for n in (3, 40, 300):
            index.add(made_vectors(n - len(index), seed=n))
            rows = np.concatenate([made_vectors(m - b, seed=m)
                                   for b, m in ((0, 3), (3, 40), (40, 300)) if m <= n])  # fmt: skip
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", BitsiftWarning)
                fitted = bitsift.Index(DIM, scoring="hamming", **options).fit(rows)
                fitted.add(rows)
                np.testing.assert_array_equal(index.codes, fitted.codes)
                queries = made_vectors(4, 7)
                check_same(index.search(queries, 9), fitted.search(queries, 9))
                check_same(
                    index.search(queries, 9, scoring="asymmetric"),
                    fitted.search(queries, 9, scoring="asymmetric"),
                )
            assert index.threshold == rule

    def test_auto_is_zero(self):
        with pytest.warns(BitsiftWarning, match="these codes are provisional"):
            codes = made(30, threshold="auto").codes
        np.testing.assert_array_equal(codes, bitsift.pack(made_vectors(30)))

    def test_integers_without_bounds_are_floats(self):
        index, floats = made(300, store="int8"), made(300, store="float32")
        for ladder in ([("hamming", 4), "int8"], [("hamming", 9), ("asymmetric", 3), "int8"]):
            wanted = [*ladder[:-1], "float32"]
            check_same(
                index.search(made_vectors(3, 1), 5, ladder=ladder),
                floats.search(made_vectors(3, 1), 5, ladder=wanted),
            )

    def test_no_originals_is_said(self):
        index = made(30, store=None, threshold="mean", scoring="asymmetric")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BitsiftWarning)
            with pytest.raises(ValueError, match="store=None keeps no original vectors"):
                index.search(made_vectors(1), 3, rescore=True)


class TestFewVectorsAndBits:
    def test_a_small_sample_leaves_the_scoring_open(self):
        index = made(50, store="int8", threshold="mean")
        with pytest.warns(BitsiftWarning, match="fitted to 20 vectors only"):
            index.fit(made_vectors(20, 4))
        assert waits(index)
        assert isinstance(index.threshold, np.ndarray)
        assert index.calibrators["int8"].n == 20
        with pytest.warns(BitsiftWarning, match="fitted to 20 vectors only"):
            first = bitsift.Index(DIM, store="int8", threshold="mean").fit(made_vectors(20, 4))
        first.add(made_vectors(50))
        np.testing.assert_array_equal(index.codes, first.codes)
        np.testing.assert_array_equal(index.get(range(50)), first.get(range(50)))

    @pytest.mark.parametrize("bits", ["bool", "codes"])
    def test_bits_end_it(self, bits):
        index = made(40, store=None)
        rows = made_vectors(5, 1) > 0
        index.add(rows if bits == "bool" else np.packbits(rows, axis=1))
        assert not waits(index)
        assert index.scoring == "hamming"
        together = np.concatenate([made_vectors(40) > 0, rows])
        np.testing.assert_array_equal(index.codes, np.packbits(together, axis=1))

    def test_bits_for_what_needs_floats(self):
        for options in ({"store": "int8"}, {"threshold": "mean", "store": None}):
            index = made(40, **options)
            with pytest.raises(TypeError, match="got bool, but"):
                index.add(made_vectors(5) > 0)
            assert len(index) == 40

    def test_a_sample_may_come_after_all_were_removed(self):
        index = made(2, threshold="mean")
        index.remove(range(2))
        assert len(index) == index.nbytes == 0
        assert index.fit(made_vectors(300)) is index
        assert not waits(index)

    def test_a_part_that_is_fitted_decides_the_scoring(self):
        decided = bitsift.Index(DIM, store="float32", scoring="hamming")
        decided.add(made_vectors(5))
        index = bitsift.Index(DIM, store="float32")
        index.add(made_vectors(600), range(100, 700))
        index.extend(decided)
        assert index.scoring == "hamming"
        assert len(index) == 605
        unfitted, fitted = made(5, threshold="mean"), bitsift.Index(DIM, threshold="mean")
        fitted.fit(made_vectors(200)).add(made_vectors(5), ids=range(10, 15))
        with pytest.raises(ValueError, match="differs in being fitted, as this one is not yet"):
            unfitted.extend(fitted)
        fitted.extend(unfitted)
        assert len(fitted) == 10

    @pytest.mark.parametrize(
        ("theirs", "said"),
        [({"threshold": "median"}, "threshold"), ({"rotate": True}, "threshold"),
         ({"metric": "dot"}, "metric"), ({"store": "int4"}, "store"), ({}, None)],
    )  # fmt: skip
    def test_another_schema(self, theirs, said):
        ours = {"threshold": "mean", "store": "int8"}
        index, other = made(5, **ours), bitsift.Index(DIM, **(ours | theirs))
        other.add(made_vectors(5, 1), ids=range(10, 15))
        if said is None:
            index.extend(other)
            assert len(index) == 10
        else:
            with pytest.raises(ValueError, match=f"differs in {said}"):
                index.extend(other)

    def test_memory_is_reserved(self):
        index = bitsift.Index(DIM, threshold="mean", correction=True)
        index.add(made_vectors(5))
        index.reserve(5000)
        index.add(made_vectors(1500))
        places = [index._table.snapshot.memory.codes.rows.ctypes.data]
        index.add(made_vectors(3000))
        places.append(index._table.snapshot.memory.codes.rows.ctypes.data)
        assert places[0] == places[1]


class TestWarnings:
    def test_of_poor_bits_come_once_there_are_enough(self):
        far = made_vectors(1000) + np.float32(9)
        index = bitsift.Index(DIM)
        index.add(far[:999])
        with pytest.warns(BitsiftWarning, match="the bits of these vectors say little"):
            index.add(far[999:])

    def test_where_they_are_errors_vectors_that_waited_do_not_refuse_each_add(self):
        vectors = made_vectors(1000)
        vectors[0] = 1e30  # so that all others become one integer
        index = bitsift.Index(DIM, store="int8", scoring="hamming")
        index.add(vectors[:900])
        before = contents_of(index)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(BitsiftWarning, match="int8"):
                index.add(vectors[900:])
            assert_same(contents_of(index), before)
            index.add(vectors[900:])
        assert len(index) == 1000

    def test_of_float16_come_at_once(self):
        index = bitsift.Index(DIM, store="float16")
        with pytest.warns(BitsiftWarning, match="float16"):
            index.add(made_vectors(40) * np.float32(1e-7))


@pytest.mark.parametrize("rule", [0.0, *RULES])
@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_any_number_of_threads_fits_alike(rule, metric):
    options = {"threshold": rule, "metric": metric, "store": "int8", "correction": rule != 0.0}
    made_by = []
    for threads in (1, 2, 7, 0):
        fitted = bitsift.Index(DIM, **options).fit(made_vectors(500), threads=threads)
        fitted.add(made_vectors(100), threads=threads)
        waited = bitsift.Index(DIM, **options)
        waited.add(made_vectors(100), threads=threads)
        waited.add(made_vectors(1100, 1), threads=threads)
        made_by.append((contents_of(fitted), contents_of(waited)))
    for found in made_by[1:]:
        for ours, theirs in zip(found, made_by[0], strict=True):
            assert_same(ours, theirs)


def test_a_number_of_threads_is_the_most_that_work(monkeypatch):
    """Every call of compiled code that fits an index gets it."""
    asked = []
    for name in ("pack", "centre_and_rotate", "encode_integers", "correction_factors", "search"):
        function = getattr(native, name)

        def noted(*args, function=function, name=name, **options):
            number = options.get("threads", args[-1])
            asked.append((name, number))
            return function(*args, **options)

        monkeypatch.setattr(native, name, noted)
    index = made(0, threshold="auto", store="int8", rotate=True)
    index.fit(made_vectors(500), threads=1)
    assert {name for name, _ in asked} >= {"pack", "centre_and_rotate", "search"}
    assert {number for _, number in asked if type(number) is int} == {1}


def test_a_wrong_number_of_threads():
    with pytest.raises(ValueError, match="threads must be"):
        bitsift.Index(DIM).fit(made_vectors(100), threads=-1)


def test_bytes_of_float32_and_of_codes():
    index = made(10, store=None)
    assert index.nbytes == 10 * (4 * DIM + DIM // 8)


def test_an_interrupt_while_it_is_fitted_changes_nothing(monkeypatch):
    index = made(900, store="int8", threshold="mean")
    before = contents_of(index)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    for place in ("decide_scoring", "compute_threshold"):
        with monkeypatch.context() as patch:
            patch.setattr(f"bitsift.index.fitting.{place}", interrupted)
            with pytest.raises(KeyboardInterrupt):
                index.add(made_vectors(100, 1))
        assert_same(contents_of(index), before)
    index.add(made_vectors(100, 1))
    assert not waits(index)
