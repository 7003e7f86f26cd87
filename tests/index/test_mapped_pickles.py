# SPDX-License-Identifier: Apache-2.0
"""A mapped index that has not changed pickles as its place."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest

import bitsift


@pytest.fixture
def mapped(tmp_path):
    index = bitsift.Index(64, store=["float32", "int8"], scoring="hamming")
    index.add(np.random.default_rng(0).standard_normal((2000, 64)).astype(np.float32))
    index.save(tmp_path / "index")
    return bitsift.Index.load(tmp_path / "index", mmap=True)


def test_it_is_small_and_the_same(mapped, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    relative = bitsift.Index.load("index", mmap=True)
    monkeypatch.chdir("/")
    for index in (mapped, relative):
        data = pickle.dumps(index)
        assert len(data) < 10_000
        other = pickle.loads(data)
        queries = index.get(index.ids[:20])
        np.testing.assert_array_equal(other.search(queries, 3).ids, index.search(queries, 3).ids)
        np.testing.assert_array_equal(other.codes, index.codes)
        assert (other.store, repr(other)) == (index.store, repr(index))
        assert len(pickle.dumps(other)) < 10_000
        other.add(queries)
        assert len(other) == 2020


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.remove(7),
        lambda index: index.add(np.ones((1, 64), np.float32)),
        lambda index: index.upsert(np.ones((1, 64), np.float32), [7]),
    ],
    ids=["remove", "add", "upsert"],
)
def test_once_it_has_changed_the_pickle_has_its_rows(mapped, change, tmp_path):
    change(mapped)
    data = pickle.dumps(mapped)
    shutil.rmtree(tmp_path / "index")
    other = pickle.loads(data)
    np.testing.assert_array_equal(other.ids, mapped.ids)
    np.testing.assert_array_equal(other.get(other.ids), mapped.get(mapped.ids))


def test_a_folder_that_has_changed_is_an_error(mapped, tmp_path):
    data = pickle.dumps(mapped)
    small = bitsift.Index(64)
    small.save(tmp_path / "index")
    with pytest.raises(bitsift.IndexStaleError, match="is another one than that which was"):
        pickle.loads(data)
    shutil.rmtree(tmp_path / "index")
    with pytest.raises(bitsift.IndexNotFoundError):
        pickle.loads(data)
