# SPDX-License-Identifier: Apache-2.0
"""An index saved and loaded is the same index, mapped or in memory."""

import copy
import pickle
import sys

import numpy as np
import pytest

import bitsift
from helpers.storage_samples import resident_bytes

pytestmark = pytest.mark.usefixtures("fits_at_once")

METRICS = ["cosine", "dot", "l2"]
STORES = [None, "float32", "float16"]


def build(rng, n, *, dim=77, ids=None, **options):
    index = bitsift.Index(dim, **options)
    index.add(rng.standard_normal((n, dim), dtype=np.float32), ids=ids)
    return index


def assert_same(a, b, queries):
    assert repr(a) == repr(b)
    assert (a.metric, a.store, a.dim) == (b.metric, b.store, b.dim)
    np.testing.assert_array_equal(a.threshold, b.threshold)
    np.testing.assert_array_equal(a.codes, b.codes)
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.get(a.ids), b.get(b.ids))
    for part in (queries, queries[:1]):
        for found, expected in zip(a.search(part, k=9), b.search(part, k=9), strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("ids", ["automatic", "ascending", "arbitrary"])
@pytest.mark.parametrize("n", [0, 1, 500])
def test_round_trip(tmp_path, rng, mmap, store, ids, n):
    chosen = {
        "automatic": None,
        "ascending": np.arange(n) * 3,
        "arbitrary": rng.permutation(10_000)[:n],
    }[ids]
    index = build(rng, n, store=store, ids=chosen, threshold=0.1)
    queries = rng.standard_normal((6, 77))
    index.save(tmp_path / "index")
    loaded = bitsift.Index.load(tmp_path / "index", mmap=mmap)
    assert_same(loaded, index, queries)
    bitsift.verify(tmp_path / "index")

    more = rng.standard_normal((40, 77))
    assert loaded.add(more).tolist() == index.add(more).tolist()
    assert_same(loaded, index, queries)
    loaded.save(tmp_path / "index")  # over the files that it was mapped from
    assert_same(bitsift.Index.load(tmp_path / "index", mmap=mmap), index, queries)
    assert_same(loaded, index, queries)


@pytest.mark.parametrize("metric", METRICS)
def test_metric_and_thresholds(tmp_path, rng, metric):
    index = build(rng, 90, metric=metric, threshold=rng.standard_normal(77))
    index.save(tmp_path / "index")
    for mmap in (False, True):
        loaded = bitsift.Index.load(tmp_path / "index", mmap=mmap, isa="scalar")
        assert loaded.isa == "scalar"
        assert_same(loaded, index, rng.standard_normal((6, 77)))


def test_a_saved_index_keeps_its_rows_while_the_index_grows(tmp_path, rng):
    index = build(rng, 50)
    codes = index.codes.copy()
    index.save(tmp_path / "index")
    index.add(rng.standard_normal((500, 77)))
    np.testing.assert_array_equal(bitsift.Index.load(tmp_path / "index").codes, codes)


def test_errors_are_typed(tmp_path, rng):
    index = build(rng, 5)
    with pytest.raises(bitsift.IndexNotFoundError, match="there is nothing here"):
        bitsift.Index.load(tmp_path / "nothing")
    (tmp_path / "file").write_text("text")
    with pytest.raises(bitsift.NotAnIndexError, match="it is a file"):
        bitsift.Index.load(tmp_path / "file")
    with pytest.raises(bitsift.IndexWriteError, match="it is a file, expected a folder"):
        index.save(tmp_path / "file")
    with pytest.raises(bitsift.IndexWriteError, match="cannot be written"):
        index.save(tmp_path / "file" / "below")
    index.save(tmp_path / "index")
    next((tmp_path / "index").glob("codes-*")).write_bytes(b"")
    for mmap in (False, True):
        with pytest.raises(bitsift.CorruptIndexError, match="codes-"):
            bitsift.Index.load(tmp_path / "index", mmap=mmap)
    with pytest.raises(bitsift.BitsiftError):
        bitsift.verify(tmp_path / "index")


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_originals_stay_on_disk_until_rescoring_touches_them(tmp_path, rng):
    index = build(rng, 20_000, dim=512)
    index.save(tmp_path / "index")
    originals = next((tmp_path / "index").glob("originals*"))
    query = rng.standard_normal(512)

    loaded = bitsift.Index.load(tmp_path / "index", mmap=True)
    loaded.search(query, k=10, rescore=False)
    assert resident_bytes(originals) == 0
    loaded.search(query, k=10)
    assert resident_bytes(originals) > 0


@pytest.mark.parametrize("way", ["pickle", "copy", "deepcopy"])
@pytest.mark.parametrize("mmap", [False, True])
def test_copies_are_indexes_of_their_own(tmp_path, rng, way, mmap):
    index = build(rng, 60, store="float16", metric="l2", ids=rng.permutation(100)[:60])
    index.save(tmp_path / "index")
    loaded = bitsift.Index.load(tmp_path / "index", mmap=mmap)
    make = {
        "pickle": lambda x: pickle.loads(pickle.dumps(x)),
        "copy": copy.copy,
        "deepcopy": copy.deepcopy,
    }[way]
    copied = make(loaded)
    queries = rng.standard_normal((4, 77))
    assert_same(copied, index, queries)
    copied.add(rng.standard_normal((9, 77)))
    assert_same(loaded, index, queries)
    assert len(copied) == 69


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("rule", ["mean", "auto"])
def test_a_correction_that_waits_for_its_threshold(tmp_path, rng, mmap, metric, rule):
    options = {"metric": metric, "store": None, "threshold": rule, "correction": True}
    index = bitsift.Index(20, **options)
    index.save(tmp_path / "index")
    loaded = bitsift.Index.load(tmp_path / "index", mmap=mmap)
    assert loaded.correction
    assert loaded.threshold == rule
    vectors = rng.standard_normal((240, 20), dtype=np.float32) + 1
    for one in (index, loaded):
        one.add(vectors)
    for found, wanted in zip(
        loaded.search(vectors, scoring="asymmetric"),
        index.search(vectors, scoring="asymmetric"),
        strict=True,
    ):
        np.testing.assert_array_equal(found, wanted)
