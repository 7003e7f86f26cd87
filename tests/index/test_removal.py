# SPDX-License-Identifier: Apache-2.0
"""Removal and upsert: an index answers as one of its live vectors alone, byte for byte."""

import copy
import json
import pickle

import numpy as np
import pytest

import bitsift
from helpers.same_results import check_same

pytestmark = pytest.mark.usefixtures("fits_or_waits")

DIM = 40
N = 700
WAYS = {
    "automatic": lambda n: None,
    "ascending": lambda n: np.arange(n) * 3 + 5,
    "arbitrary": lambda n: np.random.default_rng(1).permutation(3 * n)[:n],
}


def made_vectors(n=N, seed=0):
    return np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)


def made_queries(n=5):
    return made_vectors(n, 2)


def new_index(vectors, **options):
    """An empty index, fitted to all vectors if it fits."""
    index = bitsift.Index(DIM, **options)
    fits = isinstance(options.get("threshold"), str) or options.get("store") in ("int8", "int4")
    return index.fit(vectors) if fits else index


def without(way="arbitrary", share=0.4, **options):
    """An index from which vectors were removed, and one of the others alone."""
    vectors, ids = made_vectors(), WAYS[way](N)
    index, alone = new_index(vectors, **options), new_index(vectors, **options)
    ids = index.add(vectors, ids)
    gone = np.random.default_rng(3).random(N) < share
    assert index.remove(ids[gone]) == gone.sum()
    alone.add(vectors[~gone], ids[~gone])
    return index, alone


KINDS = [
    {"store": None},
    {"store": None, "scoring": "asymmetric", "metric": "l2"},
    {"store": "float32", "metric": "l2"},
    {"store": "float16", "metric": "dot", "threshold": "mean"},
    {"store": "int8", "rotate": True},
    {"store": None, "correction": True},
    {"store": ("float32", "float16"), "correction": True, "metric": "l2"},
]
SEARCHES = [
    {},
    {"scoring": "hamming"},
    {"scoring": "asymmetric", "offset": 3},
    {"scoring": "hamming", "rescore": False, "threads": 1},
]


class TestAgainstAnIndexOfTheLiveVectors:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("options", KINDS, ids=str)
    def test_searches(self, way, options):
        for share in (0.01, 0.4, 0.99):
            index, alone = without(way, share, **options)
            for search in SEARCHES:
                for k in (1, 10, 150, N):
                    check_same(
                        index.search(made_queries(), k, **search),
                        alone.search(made_queries(), k, **search),
                    )

    @pytest.mark.parametrize("options", KINDS, ids=str)
    @pytest.mark.parametrize("share", [0.02, 0.85, 0.9])
    def test_one_query(self, options, share):
        """Those of its native function, with candidates by position near the number of rows."""
        index, alone = without("arbitrary", share, **options)
        for query in (made_queries()[0], made_queries()[:1].astype(np.float64)):
            for k in (0, 1, 10, 16, 17, 60, 99, 100, 101, 130, N):
                check_same(index.search(query, k), alone.search(query, k))
                assert len(index.search(query, k).ids.reshape(-1)) == min(k, len(alone))
        code = bitsift.pack(made_queries()[0])
        check_same(index.search(code, 9), alone.search(code, 9))

    @pytest.mark.parametrize("candidates", ["by-position", "fixed"])
    def test_rules_of_candidates(self, candidates):
        index, alone = without(store="float32", share=0.9)
        for one in (index, alone):
            snapshot = one._table.snapshot
            defaults = snapshot.fitting.defaults._replace(candidates=candidates)
            object.__setattr__(snapshot.documents, "defaults", defaults)
        for k in (1, 5, 16, 17, 40, 90, 200):
            check_same(index.search(made_queries()[0], k), alone.search(made_queries()[0], k))
            check_same(index.search(made_queries(), k), alone.search(made_queries(), k))

    @pytest.mark.parametrize("isa", bitsift.available_isas())
    @pytest.mark.parametrize("threads", [1, 2, 7])
    def test_levels_and_threads(self, isa, threads):
        index, alone = without(isa=isa, store="float16")
        for queries in (made_queries(), made_queries()[0]):
            for scoring in ("hamming", "asymmetric", "auto"):
                check_same(
                    index.search(queries, 10, scoring=scoring, threads=threads),
                    alone.search(queries, 10, scoring=scoring),
                )

    def test_a_ladder_and_pages(self):
        index, alone = without(store=("float16", "float32"), metric="l2")
        ladder = [("hamming", 20), ("asymmetric", 6), ("float16", 2), "float32"]
        searches = ({"ladder": ladder}, {"oversampling": 2.5, "offset": 4}, {"offset": 400})
        for search in searches:
            check_same(
                index.search(made_queries(), 20, **search),
                alone.search(made_queries(), 20, **search),
            )

    @pytest.mark.parametrize("way", WAYS)
    def test_filters(self, way):
        index, alone = without(way)
        mask = np.random.default_rng(4).random(len(index)) < 0.3
        chosen = index.ids[mask]
        removed = np.setdiff1d(np.arange(3 * N), index.ids)
        wanted = alone.search(made_queries(), 10, filter=mask)
        given = [mask, chosen, np.concatenate([chosen, removed]), set(chosen.tolist())]
        for one in [*given, *(index.filter(one) for one in given)]:
            check_same(index.search(made_queries(), 10, filter=one), wanted)
            assert not isinstance(one, bitsift.Filter) or len(one) == mask.sum()
        check_same(
            index.search(made_queries(), 10, filter=[mask, *given]),
            alone.search(made_queries(), 10, filter=[mask] * 5),
        )

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("options", KINDS, ids=str)
    def test_what_it_says_of_itself(self, way, options):
        index, alone = without(way, **options)
        same = lambda: (  # noqa: E731
            np.testing.assert_array_equal(index.ids, alone.ids),
            np.testing.assert_array_equal(index.codes, alone.codes),
            np.testing.assert_array_equal(index.get(alone.ids[::-1]), alone.get(alone.ids[::-1])),
        )
        same()
        assert list(index) == alone.ids.tolist()
        assert len(index) == len(alone)
        per_vector = index.nbytes // len(index)
        assert index.nbytes == per_vector * len(index)
        assert alone.nbytes - index.nbytes in (0, 8 * len(index))  # ids 0, 1, 2, ... take none
        index.compact()
        same()
        assert repr(index) == repr(alone)
        for search in SEARCHES:
            check_same(
                index.search(made_queries(), 9, **search),
                alone.search(made_queries(), 9, **search),
            )

    @pytest.mark.parametrize("way", WAYS)
    def test_what_is_made_of_it(self, way, tmp_path):
        index, alone = without(way, store=("int8", "float32"), correction=True)
        index.save(tmp_path)
        loaded = bitsift.Index.load(tmp_path)
        mapped = bitsift.Index.load(tmp_path, mmap=True)
        copies = [copy.copy(index), copy.deepcopy(index), pickle.loads(pickle.dumps(index))]
        for one in (loaded, mapped, *copies):
            np.testing.assert_array_equal(one.ids, alone.ids)
            check_same(one.search(made_queries(), 9), alone.search(made_queries(), 9))
            check_same(one.search(made_queries()[0], 9), alone.search(made_queries()[0], 9))
            one.remove(alone.ids[:10])
            assert len(one) == len(alone) - 10
        assert len(index) == len(alone)
        bitsift.verify(tmp_path)


class TestRemove:
    @pytest.mark.parametrize("way", WAYS)
    def test_ways_to_say_it(self, way):
        index = new_index(made_vectors(), store=None)
        ids = index.add(made_vectors(), WAYS[way](N))
        assert index.remove(int(ids[0])) == 1
        assert index.remove(ids[1]) == 1
        assert index.remove(ids[2:4].tolist()) == 2
        assert index.remove(ids[[4, 5, 5, 4]]) == 2
        assert index.remove([]) == 0
        assert index.remove(np.array(ids[6], np.uint32)) == 1
        np.testing.assert_array_equal(index.ids, ids[7:])
        assert not index.contains(ids[:7]).any()
        assert index.contains(ids[7:]).all()

    @pytest.mark.parametrize("way", WAYS)
    def test_ids_that_are_missing(self, way):
        index = new_index(made_vectors(), store=None)
        ids = index.add(made_vectors(), WAYS[way](N))
        index.remove(ids[3])
        for missing in (10**6, -1, int(ids[3]), 2**63 - 1, np.int32(-5)):
            with pytest.raises(KeyError, match=f"id {missing} is not in the index"):
                index.remove(missing)
            with pytest.raises(KeyError, match=f"id {missing} is not in the index"):
                index.remove([ids[0], missing])
            assert index.remove(missing, missing="ignore") == 0
        assert len(index) == N - 1
        assert index.remove([ids[0], 10**6, ids[3], ids[1]], missing="ignore") == 2
        assert len(index) == N - 3

    @pytest.mark.parametrize(
        ("ids", "options", "error", "message"),
        [
            ([[1, 2]], {}, ValueError, r"ids must be one id or have shape \(m,\); got shape"),
            ([1.0], {}, TypeError, "ids must be integers below"),
            ("a", {}, TypeError, "ids must be integers below"),
            (True, {}, TypeError, "ids must be integers below"),
            (1, {"missing": "none"}, ValueError, "missing must be one of .*; got 'none'"),
            (1, {"missing": None}, ValueError, "missing must be one of"),
        ],
    )
    def test_wrong_arguments_change_nothing(self, ids, options, error, message):
        index = new_index(made_vectors(), store=None)
        index.add(made_vectors())
        with pytest.raises(error, match=message):
            index.remove(ids, **options)
        assert len(index) == N

    def test_all(self):
        index = new_index(made_vectors(), store="float32")
        index.add(made_vectors())
        assert index.remove(index.ids) == N
        assert len(index) == len(index.ids) == len(index.codes) == index.nbytes == 0
        for queries in (made_queries(), made_queries()[0]):
            assert index.search(queries, 3).ids.shape[-1] == 0
            assert index.search(queries, 3, filter=[4]).ids.shape[-1] == 0
        assert list(index) == []
        assert index.add(made_vectors(2)).tolist() == [N, N + 1]
        assert len(index.search(made_queries()[0], 5).ids) == 2

    def test_an_id_may_return(self):
        for ids_of in WAYS.values():
            index = new_index(made_vectors(), store="float32")
            ids = index.add(made_vectors(), ids_of(N))
            index.remove(ids[10:20])
            with pytest.raises(ValueError, match=f"ids must be new; got {ids[9]}, which"):
                index.add(made_vectors(2), ids=[ids[9], ids[10]])
            index.add(-made_vectors()[10:20], ids=ids[10:20])
            np.testing.assert_array_equal(index.get(ids[10:20]), -made_vectors()[10:20])
            np.testing.assert_array_equal(index.ids[-10:], ids[10:20])
            index.remove(ids[12])
            assert not index.contains(ids[12])
            assert index.add(made_vectors(1)).tolist() == [ids.max() + 1]

    def test_automatic_ids_do_not_return(self, tmp_path):
        index = bitsift.Index(DIM, store=None, scoring="hamming")
        index.add(made_vectors())
        index.remove(range(N - 100, N))
        index.compact()
        index.save(tmp_path / "index")
        loaded = [bitsift.Index.load(tmp_path / "index", mmap=mmap) for mmap in (False, True)]
        bitsift.verify(tmp_path / "index")
        pickled = pickle.loads(pickle.dumps(loaded[1]))
        for one in (index, copy.copy(index), copy.deepcopy(index), *loaded, pickled):
            assert one.add(made_vectors(1)).tolist() == [N]
            one.save(tmp_path / "again")
            fields = json.loads((tmp_path / "again" / "manifest.json").read_text())
            assert fields["required_features"] == []
            assert "largest_id" not in fields

    def test_the_room_of_removed_vectors_is_used(self):
        index = bitsift.Index(DIM, store=None)
        index.add(made_vectors())
        for turn in range(60):
            index.add(made_vectors(N // 10, seed=turn))
            index.remove(index.ids[: N // 10])
        assert len(index) == N
        assert index._table.snapshot.memory.codes.capacity < 2.2 * N
        np.testing.assert_array_equal(index.codes[-N // 10 :], bitsift.pack(made_vectors(70, 59)))

    def test_compact_gives_memory_back(self):
        index = bitsift.Index(DIM, store="float32")
        index.add(made_vectors())
        before = index._table.snapshot
        index.compact()
        assert index._table.snapshot is before
        index.remove(range(100))
        index.compact()
        assert index._table.snapshot.memory.codes.capacity == N - 100
        assert index._table.snapshot.live.current() is None


class TestUpsert:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("options", KINDS, ids=str)
    def test_as_an_index_of_the_live_vectors(self, way, options):
        vectors, ids = made_vectors(), WAYS[way](N)
        index = new_index(vectors, **options)
        ids = index.add(vectors, ids)
        some = np.random.default_rng(5).permutation(N)[:90]
        new_ids = np.concatenate([ids[some], [10**7, 10**6]])
        new = made_vectors(92, 6)
        found = index.upsert(new, new_ids)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, new_ids)
        rest = np.ones(N, np.bool_)
        rest[some] = False
        alone = new_index(vectors, **options)
        alone.add(vectors[rest], ids[rest])
        alone.add(new, new_ids)
        np.testing.assert_array_equal(index.ids, alone.ids)
        np.testing.assert_array_equal(index.codes, alone.codes)
        for search in SEARCHES:
            check_same(
                index.search(made_queries(), 50, **search),
                alone.search(made_queries(), 50, **search),
            )
        check_same(index.search(made_queries()[0], 5), alone.search(made_queries()[0], 5))

    def test_one_vector(self):
        index = bitsift.Index(DIM, store="float32")
        index.add(made_vectors())
        assert index.upsert(made_vectors()[0] * 2, [5]).tolist() == [5]
        assert index.upsert(made_vectors()[0], (9,)).tolist() == [9]
        np.testing.assert_array_equal(index.get([5, 9]), made_vectors()[[0, 0]] * [[2], [1]])
        assert len(index) == N

    def test_of_bits(self):
        index = bitsift.Index(DIM, store=None)
        index.upsert(bitsift.pack(made_vectors()), range(N))
        index.upsert(bitsift.pack(-made_vectors(3)), [7, 5, 1000])
        np.testing.assert_array_equal(index.get([7, 5, 1000]), bitsift.pack(-made_vectors(3)))
        assert len(index) == N + 1

    @pytest.mark.parametrize(
        ("ids", "error", "message"),
        [
            ([4, 4], ValueError, "ids must be unique; got 4 more than once"),
            ([4], ValueError, r"ids must have shape \(2,\)"),
            ([-1, 4], ValueError, "ids must be 0 or greater"),
            ([0.5, 4], TypeError, "ids must be integers"),
            (None, TypeError, "ids must be integers"),
        ],
    )
    def test_wrong_ids_change_nothing(self, ids, error, message):
        index = bitsift.Index(DIM, store="float32")
        index.add(made_vectors())
        with pytest.raises(error, match=message):
            index.upsert(made_vectors(2) * 2, ids)
        with pytest.raises(ValueError, match="must be finite"):
            index.upsert(made_vectors(1) * np.nan, [4])
        np.testing.assert_array_equal(index.get(range(N)), made_vectors())

    def test_one_id_again_and_again(self):
        index = bitsift.Index(DIM, store="float32")
        index.add(made_vectors(100), ids=range(100, 0, -1))
        for turn in range(3000):
            index.upsert(made_vectors(1, turn), [7])
        assert len(index) == 100
        np.testing.assert_array_equal(index.get(7), made_vectors(1, 2999)[0])
        assert index._table.snapshot.memory.codes.capacity < 250

    def test_an_interrupted_one_is_none(self, monkeypatch):
        """Ids that were entered for rows which were never published still find their old rows."""
        index = bitsift.Index(DIM, store="float32")
        ids = index.add(made_vectors(), WAYS["arbitrary"](N))
        index.upsert(made_vectors(1), ids[:1])  # makes the hash table
        vectors = index.get(ids)

        def interrupted(*args):
            raise KeyboardInterrupt

        table_of = bitsift.index.table.Snapshot.of_memory
        monkeypatch.setattr(bitsift.index.table.Snapshot, "of_memory", interrupted)
        for some in (ids[50:60], ids[55:70]):
            with pytest.raises(KeyboardInterrupt):
                index.upsert(made_vectors(len(some)) * 3, some)
            np.testing.assert_array_equal(index.get(ids), vectors)
            assert int(ids[55]) in index
        monkeypatch.setattr(bitsift.index.table.Snapshot, "of_memory", table_of)
        with pytest.raises(ValueError, match=f"ids must be new; got {ids[55]}, which"):
            index.add(made_vectors(1), ids[55:56])
        assert index.remove(int(ids[56])) == 1
        index.upsert(made_vectors(4), ids[57:61])
        assert len(index) == N - 1
        np.testing.assert_array_equal(index.get(ids[57:61]), made_vectors(4))
        vectors[57:61] = made_vectors(4)
        rest = np.delete(np.arange(N), 56)
        np.testing.assert_array_equal(index.get(ids[rest]), vectors[rest])
        assert all(int(id) in index for id in ids[50:56])


class TestGet:
    def test_missing_ones(self):
        index = bitsift.Index(DIM, store="float32")
        index.add(made_vectors())
        index.remove(3)
        found = index.get([2, 3, 10**6, 5, -1, 2], missing="none")
        assert isinstance(found, list)
        assert [one is None for one in found] == [False, True, True, False, True, False]
        for i, id in ((0, 2), (3, 5), (5, 2)):
            np.testing.assert_array_equal(found[i], made_vectors()[id])
        assert index.get(3, missing="none") is None
        assert index.get([], missing="none") == []
        np.testing.assert_array_equal(index.get(4, missing="none"), made_vectors()[4])
        for ids in (3, [3], [4, 3]):
            with pytest.raises(KeyError, match="id 3 is not in the index"):
                index.get(ids)
        with pytest.raises(ValueError, match=r"missing must be one of .*; got 'ignore'"):
            index.get(4, missing="ignore")

    def test_contains(self):
        index = bitsift.Index(DIM, store=None)
        index.add(made_vectors(3), ids=[7, 5, 9])
        index.remove(5)
        found = index.contains([9, 5, 7, 7, -3])
        assert found.dtype == np.bool_
        assert found.tolist() == [True, False, True, True, False]
        assert index.contains([]).shape == (0,)
        assert index.contains(9).shape == ()
        assert 9 in index
        assert 5 not in index
        with pytest.raises(TypeError, match="ids must be integers"):
            index.contains([0.5])
        with pytest.raises(ValueError, match="ids must be one id or have shape"):
            index.contains([[5]])

    def test_iteration_is_over_one_state(self):
        index = bitsift.Index(DIM, store=None)
        index.add(made_vectors(), WAYS["arbitrary"](N))
        ids = index.ids.tolist()
        for number, id in enumerate(index):
            assert type(id) is int
            assert id == ids[number]
            index.remove(id)
        assert number == N - 1
        assert len(index) == 0


class TestPreparedFilters:
    @pytest.mark.parametrize("way", WAYS)
    def test_they_go_by_ids(self, way):
        index = bitsift.Index(DIM, store="float32")
        ids = index.add(made_vectors(), WAYS[way](N))
        allowed = np.random.default_rng(7).permutation(ids)[:200]
        prepared, empty = index.filter(allowed), index.filter([])
        changes = [
            lambda: index.remove(allowed[:20]),
            lambda: index.add(made_vectors(5)),
            lambda: index.upsert(made_vectors(60, 8), np.sort(ids)[-60:]),
            index.compact,
            lambda: index.upsert(made_vectors(40, 9), ids[100:140]),
            lambda: index.add(made_vectors(2), allowed[[3, 4]]),
            lambda: index.remove(allowed[-9:]),
            lambda: index.upsert(made_vectors(9), allowed[-9:]),
            index.compact,
        ]
        for change in changes:
            change()
            live = allowed[index.contains(allowed)]
            wanted = index.search(made_queries(), N, filter=live)
            check_same(index.search(made_queries(), N, filter=prepared), wanted)
            assert wanted.ids.shape == (5, len(live))
            assert index.search(made_queries(), 3, filter=empty).ids.shape == (5, 0)
            again = index.filter(prepared)
            assert len(again) == len(live)
            check_same(index.search(made_queries(), N, filter=again), wanted)
        assert len(prepared) == 200
