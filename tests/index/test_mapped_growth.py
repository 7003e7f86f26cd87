# SPDX-License-Identifier: Apache-2.0
"""Vectors added to a mapped index: it is as if all had been added to one in memory."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift
from bitsift.core import native
from bitsift.index import growable
from helpers.same_results import check_same

pytestmark = pytest.mark.usefixtures("fits_at_once")

DIM = 40
N_MAPPED = 700
N_ADDED = (1, 300, 2, 450)
QUERIES = np.random.default_rng(9).standard_normal((9, DIM)).astype(np.float32)

KINDS: dict[str, dict[str, Any]] = {
    "default": {},
    "bits": {"store": None},
    "corrected": {"store": None, "correction": True, "threshold": "mean"},
    "ladder": {"store": ("int8", "float16"), "metric": "l2", "correction": True},
    "packed": {"store": "int4", "metric": "dot", "rotate": True, "threshold": "median"},
    "ternary": {"store": ("ternary", "float32"), "scoring": "hamming"},
}


@pytest.fixture(autouse=True)
def _keeps_even_few_mapped_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growable, "_MOST_BYTES_COPIED", 0)


def some_vectors(n: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)


def some_ids(given: str, begin: int, n: int) -> NDArray[np.int64] | None:
    if given == "automatic":
        return None
    ids = 3 * np.arange(begin, begin + n)
    return ids if given == "ascending" else ids[::-1] ^ 1


def both(tmp_path: Path, kind: str, given: str) -> tuple[bitsift.Index, bitsift.Index]:
    """Return an index in memory, and one of the same vectors of which the first are mapped."""
    in_memory = bitsift.Index(DIM, **KINDS[kind])
    in_memory.add(some_vectors(N_MAPPED, 0), some_ids(given, 0, N_MAPPED))
    in_memory.save(tmp_path / "index")
    mapped = bitsift.Index.load(tmp_path / "index", mmap=True)
    begin = N_MAPPED
    for seed, n in enumerate(N_ADDED, 1):
        for index in (in_memory, mapped):
            index.add(some_vectors(n, seed), some_ids(given, begin, n))
        begin += n
    return in_memory, mapped


def assert_equal(one: bitsift.Index, other: bitsift.Index) -> None:
    """Everything that an index says is the same."""
    assert repr(one) == repr(other)
    np.testing.assert_array_equal(one.ids, other.ids, strict=True)
    np.testing.assert_array_equal(one.codes, other.codes, strict=True)
    some = one.ids[:: max(1, len(one) // 50)]
    np.testing.assert_array_equal(one.get(some), other.get(some), strict=True)
    for queries, options in searches(one, some):
        check_same(other.search(queries, **options), one.search(queries, **options))


def searches(
    index: bitsift.Index, some: NDArray[np.int64]
) -> list[tuple[NDArray[Any], dict[str, Any]]]:
    """Return queries and options of every kind that the index takes."""
    each = [some] * 3 + [some[:2]] * 6
    found: list[tuple[NDArray[Any], dict[str, Any]]] = [
        (QUERIES, {"k": 2000}),
        (QUERIES, {"k": 7, "offset": 3}),
        (QUERIES[0], {}),
        (QUERIES[:1] > 0, {"k": 7}),
        (QUERIES, {"k": 7, "filter": some}),
        (QUERIES, {"k": 7, "filter": each}),
        (QUERIES, {"k": 7, "scoring": "hamming"}),
    ]
    if index.store is not None:
        found += [(QUERIES, {"k": 7, "rescore": False}), (QUERIES, {"k": 7, "oversampling": 2})]
    if isinstance(index.store, tuple):
        first, second = index.store
        found.append((QUERIES, {"k": 2, "ladder": [("hamming", 30), (first, 6), (second, 1)]}))
    return found


@pytest.mark.parametrize(
    "given", [*(pytest.param(g, marks=pytest.mark.slow) for g in ("automatic", "ascending")), "any"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_as_if_all_were_in_memory(tmp_path: Path, kind: str, given: str) -> None:
    in_memory, mapped = both(tmp_path, kind, given)
    assert isinstance(mapped._table.snapshot.documents.columns.codes, native.Segments)
    assert_equal(in_memory, mapped)
    for index in (in_memory, mapped):
        assert index.remove(index.ids[5:900:7].copy()) == 128
    assert_equal(in_memory, mapped)
    fresh = some_vectors(40, 77)
    for index in (in_memory, mapped):
        index.upsert(fresh, index.ids[100:500:10].copy())
    assert_equal(in_memory, mapped)
    mapped.save(tmp_path / "again")
    for loaded in (bitsift.Index.load(tmp_path / "again", mmap=m) for m in (False, True)):
        assert_equal(in_memory, loaded)
    mapped.save(tmp_path / "index")  # over the files that are mapped
    for other in (pickle.loads(pickle.dumps(mapped)), copy.copy(mapped), copy.deepcopy(mapped)):
        assert_equal(in_memory, other)
        other.add(some_vectors(3, 78), np.array([10**6, 10**6 + 2, 10**6 + 1]))
        assert len(other) == len(mapped) + 3
    assert_equal(in_memory, mapped)
    mapped.compact()
    assert_equal(in_memory, mapped)
    assert not isinstance(mapped._table.snapshot.documents.columns.codes, native.Segments)


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65])
def test_indexes_that_have_decided_nothing_yet(tmp_path: Path, n: int) -> None:
    index = bitsift.Index(DIM)
    if n:
        index.add(some_vectors(n, 0))
    index.save(tmp_path)
    mapped = bitsift.Index.load(tmp_path, mmap=True)
    for one in (index, mapped):
        one.add(some_vectors(80, 1))
    assert_equal(index, mapped)


def test_mapped_rows_are_not_copied(tmp_path: Path) -> None:
    _, mapped = both(tmp_path, "default", "automatic")
    columns = mapped._table.snapshot.documents.columns
    loaded = bitsift.Index.load(tmp_path / "index", mmap=True)
    for rows, of_file in zip(
        (columns.codes, columns.originals[0]),
        (loaded.codes, loaded._table.snapshot.documents.columns.originals[0]),
        strict=True,
    ):
        first, others = rows.arrays
        assert len(first) == N_MAPPED
        assert len(others) == sum(N_ADDED)
        assert not first.flags.writeable
        assert first.base is not None
        assert first.shape == of_file.shape
    shared = copy.copy(mapped)._table.snapshot.documents.columns.codes
    assert np.shares_memory(shared.arrays[0], columns.codes.arrays[0])


def test_few_mapped_rows_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    in_memory, mapped = both(tmp_path, "default", "any")
    assert isinstance(mapped._table.snapshot.documents.columns.codes, np.ndarray)
    assert_equal(in_memory, mapped)


def test_one_add_more_takes_no_time_of_all(tmp_path: Path) -> None:
    """Room for added rows grows by their number, whatever the number of mapped ones."""
    _, mapped = both(tmp_path, "bits", "automatic")
    memory = mapped._table.snapshot.memory.codes
    assert memory.capacity < N_MAPPED + 2 * sum(N_ADDED)
    mapped.reserve(5000)
    assert mapped._table.snapshot.memory.codes.capacity == 5000
    before = mapped._table.snapshot.documents.columns.codes.arrays
    mapped.add(some_vectors(1000, 3))
    after = mapped._table.snapshot.documents.columns.codes.arrays
    assert all(np.shares_memory(a, b) for a, b in zip(before, after, strict=True))
