# SPDX-License-Identifier: Apache-2.0
"""Vectors that wait as floats in a folder: commits of them, and damage."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

import bitsift
from bitsift.storage import writer
from helpers.same_results import check_same
from helpers.storage_samples import assert_same
from helpers.waiting import DIM, KINDS, contents_of, made, made_vectors, waits


@pytest.mark.parametrize("options", KINDS)
class TestCommits:
    def test_they_lose_nothing(self, options, tmp_path):
        path, vectors = tmp_path / "index", made_vectors(1400)
        alone = bitsift.Index(DIM, **options)
        with bitsift.Index.open(path, "a", dim=DIM, **options) as index:
            index.add(vectors[:300], ids=range(300, 0, -1))
            assert index.commit() == 1
            index.remove([5, 300])
            index.upsert(vectors[1300:], ids=range(1000, 1100))
            found = index.search(vectors[7], 20)
            assert index.commit() == 2
            index.remove(7)
            index.rollback()
            assert 7 in index
        bitsift.verify(path)
        kept = [i for i in range(300) if 300 - i not in (5, 300)]
        rows = np.concatenate([vectors[kept], vectors[1300:]])
        ids = [*(300 - i for i in kept), *range(1000, 1100)]
        with bitsift.Index.open(path) as reader, bitsift.Index.open(path, "a") as index:
            assert waits(reader)
            assert waits(index)
            assert reader.ids.tolist() == index.ids.tolist() == ids
            check_same(reader.search(vectors[7], 20), found)
            copied = pickle.loads(pickle.dumps(reader))
            check_same(copied.search(vectors[7], 20), found)
            index.add(vectors[300:1200], ids=range(2000, 2900))
            assert not waits(index)
            index.rollback()
            assert waits(index)
            assert index.ids.tolist() == ids
            index.add(vectors[300:1200], ids=range(2000, 2900))
            found = index.search(vectors[7], 20)
            assert index.commit() == 3
            check_same(index.search(vectors[7], 20), found)
            assert reader.refresh()
            assert not waits(reader)
            check_same(reader.search(vectors[7], 20), found)
            alone.add(np.concatenate([rows, vectors[300:1200]]), [*ids, *range(2000, 2900)])
            check_same(alone.search(vectors[7], 20), found)
        bitsift.verify(path)
        loaded = bitsift.Index.load(path)
        assert_same(contents_of(loaded), contents_of(alone))

    def test_a_commit_of_nothing(self, options, tmp_path):
        with bitsift.Index.open(tmp_path / "index", "w-", dim=DIM, **options) as index:
            assert index.commit() == 1
            assert index.commit() == 1
            index.add(made_vectors(3))
            index.compact() if index.commit() == 2 else None
        assert len(bitsift.Index.load(tmp_path / "index", mmap=True)) == 3


def test_commits_of_few_vectors_end_as_an_index_in_memory(tmp_path):
    alone = bitsift.Index(DIM)
    for turn in range(12):
        with bitsift.Index.open(tmp_path / "index", "a", dim=DIM) as index:
            for one in (alone, index):
                one.add(made_vectors(90, turn))
                one.remove([turn])
            index.commit()
            assert index.scoring == alone.scoring
            np.testing.assert_array_equal(index.ids, alone.ids)
            np.testing.assert_array_equal(index.codes, alone.codes)
            check_same(index.search(made_vectors(3), 9), alone.search(made_vectors(3), 9))
    assert alone.scoring is not None


@pytest.mark.parametrize("mmap", [False, True])
def test_damage_of_vectors_that_wait_is_found(mmap, tmp_path, monkeypatch):
    """Vectors that the index could not have taken, in a folder that agrees with itself."""
    index = made(5, store="float16", threshold="mean")
    contents = replace(contents_of(index), vectors=np.full((5, DIM), 1e9, np.float32))
    writer.write(tmp_path / "index", contents)
    with pytest.raises(bitsift.CorruptIndexError, match="65504"):
        bitsift.Index.load(tmp_path / "index", mmap=mmap)
    twice = replace(contents_of(index), ids=np.array([4, 1, 2, 1, 0]), ids_ascending=False)
    with monkeypatch.context() as patch:
        patch.setattr(writer, "find_duplicate", lambda *_: None)
        writer.write(tmp_path / "index", twice)
    for check in (bitsift.verify, bitsift.Index.load):
        with pytest.raises(bitsift.CorruptIndexError, match="1 is there twice"):
            check(tmp_path / "index")
