# SPDX-License-Identifier: Apache-2.0
"""Ids: automatic, ascending or arbitrary, and always unique."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import bitsift
from bitsift.index.growable import GrowableArray
from bitsift.index.ids import IdTable, as_ids


def zeros(n):
    return np.zeros((n, 8), np.float32)


def test_automatic_ids_go_on_from_the_largest():
    index = bitsift.Index(8)
    assert index.add(zeros(3)).tolist() == [0, 1, 2]
    assert index.add(zeros(2)).tolist() == [3, 4]
    assert index.add(zeros(2), ids=[100, 50]).tolist() == [100, 50]
    assert index.add(zeros(2)).tolist() == [101, 102]
    assert index.ids.tolist() == [0, 1, 2, 3, 4, 100, 50, 101, 102]
    assert index.ids.dtype == np.int64


def test_ids_that_count_from_zero_take_no_memory():
    index = bitsift.Index(8, store=None, scoring="hamming")
    index.add(zeros(4), ids=[0, 1, 2, 3])
    assert index.nbytes == 4


@pytest.mark.parametrize("ids", [[7, 8], (7, 8), np.array([7, 8], np.uint64), range(7, 9)])
def test_integers_of_any_kind(ids):
    index = bitsift.Index(8)
    assert index.add(zeros(2), ids=ids).tolist() == [7, 8]


def test_contains():
    index = bitsift.Index(8)
    index.add(zeros(3), ids=[5, 2, 2**63 - 1])
    for known in (5, np.int8(2), 2**63 - 1):
        assert known in index
    for unknown in (0, -1, 2**63, -(2**70), "5", 5.0, None, [5]):
        assert unknown not in index


def test_get_in_any_order(rng):
    vectors = rng.standard_normal((50, 8), dtype=np.float32)
    ids = rng.permutation(1000)[:50]
    index = bitsift.Index(8, store="float32")
    index.add(vectors, ids=ids)
    wanted = rng.integers(0, 50, 80)
    np.testing.assert_array_equal(index.get(ids[wanted]), vectors[wanted])
    with pytest.raises(KeyError, match="id 1000 is not in the index"):
        index.get([ids[0], 1000])
    with pytest.raises(KeyError, match="id -1 is not in the index"):
        index.get(-1)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([1], ValueError, r"ids must have shape \(2,\), one for each vector; got shape \(1,\)"),
        ([[1, 2]], ValueError, r"ids must have shape \(2,\)"),
        ([4, 4], ValueError, "ids must be unique; got 4 more than once"),
        ([9, 7], ValueError, "ids must be new; got 7, which the index has already"),
        ([-1, 3], ValueError, "ids must be 0 or greater .*; got -1"),
        ([0.0, 1.0], TypeError, "ids must be integers below .*; got float64"),
        (["a", "b"], TypeError, "ids must be integers below .*; got <U1"),
        ([True, False], TypeError, "ids must be integers below .*; got bool"),
        ([2**63, 1], TypeError, "ids must be integers below 2\\*\\*63; got float64"),
        (
            np.array([2**63, 1], np.uint64),
            ValueError,
            "ids must be below .*; got 9223372036854775808",
        ),
        ([2**64, 1], TypeError, "ids must be integers below .*; got Python objects"),
    ],
)
def test_bad_ids_change_nothing(ids, error, message):
    index = bitsift.Index(8)
    index.add(zeros(2), ids=[7, 3])
    with pytest.raises(error, match=message):
        index.add(zeros(2), ids=ids)
    assert index.ids.tolist() == [7, 3]
    assert len(index.codes) == 2
    assert index.add(zeros(1)).tolist() == [8]


def test_no_more_automatic_ids():
    index = bitsift.Index(8)
    index.add(zeros(1), ids=[2**63 - 1])
    with pytest.raises(ValueError, match="there are no 1 more below"):
        index.add(zeros(1))
    assert len(index) == 1


class IdTableMachine(RuleBasedStateMachine):
    """An IdTable behaves as a dictionary from id to row."""

    def __init__(self):
        super().__init__()
        self.table = IdTable()
        self.model: dict[int, int] = {}

    def _append(self, ids):
        self.table = self.table.extended(ids)
        for id in ids.tolist():
            self.model[id] = len(self.model)

    @rule(n=st.integers(0, 5))
    def add_automatic(self, n):
        ids = self.table.check(None, n)
        largest = max(self.model, default=-1)
        assert ids.tolist() == list(range(largest + 1, largest + 1 + n))
        self._append(ids)

    @rule(ids=st.lists(st.integers(0, 60), max_size=6))
    def add_chosen(self, ids):
        if len(set(ids)) < len(ids) or self.model.keys() & set(ids):
            with pytest.raises(ValueError, match="ids must be"):
                self.table.check(as_ids(ids), len(ids))
        else:
            self._append(self.table.check(as_ids(ids), len(ids)))

    @rule(ids=st.lists(st.integers(-3, 70), max_size=6))
    def look_up(self, ids):
        rows = self.table.rows_of(np.array(ids, np.int64))
        assert rows.tolist() == [self.model.get(i, -1) for i in ids]

    @rule()
    def reopen(self):
        stored = self.table.stored
        self.table = IdTable(
            len(self.model),
            None if stored is None else GrowableArray(stored.copy()),
            ascending=self.table.ascending,
        )

    @invariant()
    def says_what_it_holds(self):
        ids = list(self.model)
        if self.table.stored is None:
            assert ids == list(range(len(ids)))
        else:
            assert self.table.stored.tolist() == ids
        if self.table.ascending:
            assert ids == sorted(ids)


TestIdTable = IdTableMachine.TestCase
TestIdTable.settings = settings(deadline=None, max_examples=60)


@pytest.mark.parametrize("n_late", [1, 40, 3000])
def test_tables_that_others_extend_keep_their_answers(rng, n_late):
    """All share the order of the ids, whichever of them was asked first."""
    ids = rng.permutation(10_000)[: 2000 + n_late]
    old = IdTable().extended(ids[:2000])
    new = old.extended(ids[2000:])
    for first, second in ((old, new), (new, old)):
        for table in (first, second, first):
            rows = table.rows_of(ids)
            wanted = np.arange(len(ids))
            np.testing.assert_array_equal(rows, np.where(wanted < table.n_rows, wanted, -1))
            for row in (0, 1999, 2000, len(ids) - 1):
                found = table.rows_of(ids[row : row + 1])
                assert found.tolist() == [row if row < table.n_rows else -1]
    np.testing.assert_array_equal(old.rows_of(np.tile(ids[:2000], 20))[-2000:], np.arange(2000))


def test_many_late_ids_are_sorted_in(rng):
    ids = rng.permutation(20_000)
    table = IdTable()
    for begin in range(0, len(ids), 700):
        new = ids[begin : begin + 700]
        table = table.extended(table.check(new, len(new)))
        known = ids[: begin + 700]
        np.testing.assert_array_equal(table.rows_of(known), np.arange(len(known)))
        assert (table.rows_of(ids[begin + 700 :]) == -1).all()
