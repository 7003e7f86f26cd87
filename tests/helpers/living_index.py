# SPDX-License-Identifier: Apache-2.0
"""Any sequence of changes and questions, of an index and of a dictionary from ids to vectors."""

import copy
import pickle
import tempfile

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import bitsift
from bitsift.index import fitting, growable

DIM = 20
KINDS = [
    {"store": None, "scoring": "hamming"},
    {"store": None, "scoring": "asymmetric", "metric": "l2"},
    {"store": "float32", "metric": "dot", "scoring": "hamming"},
    {"store": ("int8", "float16"), "scoring": "asymmetric", "correction": True},
    {"store": "int8", "metric": "dot"},  # waits for ever
]
SAMPLE = np.random.default_rng(0).standard_normal((500, DIM)).astype(np.float32)
QUERIES = SAMPLE[:3]
few_ids = st.lists(st.integers(0, 40), max_size=6, unique=True)


def made(options, isa=None):
    index = bitsift.Index(DIM, isa=isa, **options)
    return index.fit(SAMPLE) if "correction" in options else index


class LivingIndex(RuleBasedStateMachine):
    """Does the same to both, and compares."""

    def __init__(self):
        super().__init__()
        self.model: dict[int, np.ndarray] = {}
        self.largest = -1
        self.seed = 0
        self.folders: list[tempfile.TemporaryDirectory[str]] = []
        self.filters: list[tuple[bitsift.Filter, set[int]]] = []
        # So that mapped rows stay where they are, however few.
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(growable, "_MOST_BYTES_COPIED", 0)
        self.patch.setattr(fitting, "LEAST_ROWS_FITTED", 1 << 40)

    def teardown(self):
        self.patch.undo()
        for folder in self.folders:
            folder.cleanup()

    @initialize(options=st.sampled_from(KINDS), isa=st.sampled_from(bitsift.available_isas()))
    def make(self, options, isa):
        self.options, self.isa = options, isa
        self.index = made(options, isa)

    def vectors(self, n):
        self.seed += 1
        return np.random.default_rng(self.seed).standard_normal((n, DIM)).astype(np.float32)

    def entered(self, ids, vectors):
        for id, vector in zip(ids, vectors, strict=True):
            self.model.pop(id, None)
            self.model[id] = vector
            self.largest = max(self.largest, id)

    def live(self, share):
        return [id for i, id in enumerate(self.model) if (i * 7919 + self.seed) % 10 < 10 * share]

    @rule(n=st.sampled_from([1, 2, 7, 100]))
    def add(self, n):
        vectors = self.vectors(n)
        ids = self.index.add(vectors).tolist()
        assert ids == list(range(self.largest + 1, self.largest + 1 + n))
        self.entered(ids, vectors)

    @rule(ids=few_ids)
    def add_with_ids(self, ids):
        vectors = self.vectors(len(ids))
        if self.model.keys() & set(ids):
            with pytest.raises(ValueError, match="ids must be new"):
                self.index.add(vectors, ids)
        else:
            self.index.add(vectors, ids)
            self.entered(ids, vectors)

    @rule(ids=few_ids)
    def upsert(self, ids):
        vectors = self.vectors(len(ids))
        assert self.index.upsert(vectors, ids).tolist() == ids
        self.entered(ids, vectors)

    @rule(share=st.sampled_from([0.1, 0.5, 1.0]))
    def upsert_many(self, share):
        ids = self.live(share)[::-1]
        vectors = self.vectors(len(ids))
        self.index.upsert(vectors, ids)
        self.entered(ids, vectors)

    @rule(ids=few_ids, ignore=st.booleans())
    def remove(self, ids, ignore):
        known = [id for id in ids if id in self.model]
        if ignore:
            assert self.index.remove(ids, missing="ignore") == len(known)
        elif len(known) < len(ids):
            with pytest.raises(KeyError, match="is not in the index"):
                self.index.remove(ids)
            return
        else:
            assert self.index.remove(ids) == len(ids)
        for id in known:
            del self.model[id]

    @precondition(lambda self: self.model)
    @rule(share=st.sampled_from([0.1, 0.5, 0.9, 1.0]), singly=st.booleans())
    def remove_many(self, share, singly):
        ids = self.live(share)
        n = sum(self.index.remove(id) for id in ids) if singly else self.index.remove(ids)
        assert n == len(ids)
        for id in ids:
            del self.model[id]

    @rule()
    def compact(self):
        self.index.compact()

    @rule(n=st.integers(0, 300))
    def reserve(self, n):
        self.index.reserve(n)

    @rule(way=st.sampled_from([copy.copy, copy.deepcopy]))
    def go_on_with_a_copy(self, way):
        self.index, old = way(self.index), self.index
        old.remove(old.ids)
        self.filters = []

    @rule(way=st.sampled_from(["save", "map", "pickle"]))
    def go_on_with_what_was_kept(self, way):
        if way == "pickle":
            self.index = pickle.loads(pickle.dumps(self.index))
        else:
            # Not removed before the end: a mapped index may be pickled as its path.
            self.folders.append(tempfile.TemporaryDirectory())
            folder = self.folders[-1].name
            self.index.save(folder)
            self.index = bitsift.Index.load(folder, mmap=way == "map", isa=self.isa)
            if way == "map" and "scoring" in self.options:
                assert self.index._table.snapshot.memory.are_mapped == bool(self.model)
        self.filters = []

    @rule(ids=st.lists(st.integers(-2, 45), max_size=8))
    def look_up(self, ids):
        known = [id in self.model for id in ids]
        assert self.index.contains(ids).tolist() == known
        assert [id in self.index for id in ids] == known
        found = self.index.get(ids, missing="none")
        assert [one is not None for one in found] == known
        if self.options["store"] == "float32":
            for id, one in zip(ids, found, strict=True):
                assert one is None or np.array_equal(one, self.model[id])

    @rule(ids=st.sets(st.integers(0, 40), max_size=20))
    def prepare_a_filter(self, ids):
        self.filters.append((self.index.filter(ids), ids & self.model.keys()))

    @rule(k=st.sampled_from([1, 5, 30, 1000]), share=st.sampled_from([0.1, 0.6]))
    def search(self, k, share):
        alone = made(self.options)
        ids = np.array(list(self.model), np.int64)
        if len(ids):
            alone.add(np.array(list(self.model.values())), ids)
        mask = np.arange(len(ids)) % 10 < 10 * share
        calls = [
            (QUERIES, {}, {}),
            (QUERIES[0], {}, {}),
            (QUERIES, {"offset": 2, "threads": 1}, {"offset": 2}),
            (QUERIES[0], {"filter": mask}, {"filter": mask}),
            (QUERIES, {"filter": ids[mask]}, {"filter": mask}),
            *(
                (QUERIES, {"filter": one}, {"filter": sorted(allowed)})
                for one, allowed in self.filters
            ),
        ]
        for queries, options, wanted_options in calls:
            found = self.index.search(queries, k, **options)
            wanted = alone.search(queries, k, **wanted_options)
            np.testing.assert_array_equal(found.ids, wanted.ids)
            np.testing.assert_array_equal(found.scores, wanted.scores)
            assert found.kind == wanted.kind

    @rule(radius=st.integers(0, 12), share=st.sampled_from([0.1, 0.6]))
    def range_search(self, radius, share):
        ids = np.array(list(self.model), np.int64)
        mask = np.arange(len(ids)) % 10 < 10 * share
        wanted_ids = [np.arange(len(ids)) >= 0, mask]
        codes = np.array(list(self.model.values()), np.float32).reshape(-1, DIM)
        distances = bitsift.hamming(bitsift.pack(QUERIES), bitsift.pack(codes))
        for options, allowed in zip(({}, {"filter": mask}), wanted_ids, strict=True):
            found = self.index.range_search(
                bitsift.pack(QUERIES), radius, scoring="hamming", **options
            )
            for i, row in enumerate(distances):
                near = np.flatnonzero((row <= radius) & allowed)
                near = near[np.lexsort((ids[near], row[near]))]
                part = slice(found.lims[i], found.lims[i + 1])
                np.testing.assert_array_equal(found.ids[part], ids[near])
                np.testing.assert_array_equal(found.distances[part], row[near])

    @rule(n=st.integers(0, 9), seed=st.integers(0, 3))
    def extend(self, n, seed):
        other = made(self.options)
        vectors = self.vectors(n)
        ids = list(range(self.largest + 1 + seed, self.largest + 1 + seed + n))[::-1]
        other.add(vectors, ids)
        if n > 2:
            other.remove(ids[1])
            vectors = np.delete(vectors, 1, axis=0)
            del ids[1]
        assert self.index.extend(other).tolist() == ids
        self.entered(ids, vectors)

    @invariant()
    def holds_what_the_dictionary_does(self):
        ids = list(self.model)
        assert len(self.index) == len(ids)
        assert self.index.ids.tolist() == list(self.index) == ids
        wanted = np.array(list(self.model.values()), np.float32).reshape(-1, DIM)
        np.testing.assert_array_equal(self.index.codes, bitsift.pack(wanted))
