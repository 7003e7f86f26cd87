# SPDX-License-Identifier: Apache-2.0
"""Extending: the vectors of another index, byte for byte as they are stored there."""

import copy

import numpy as np
import pytest

import bitsift
from bitsift.index import growable

pytestmark = pytest.mark.usefixtures("fits_or_waits")

DIM = 20
OPTIONS = [
    {"store": None},
    {"store": "float16", "metric": "dot", "threshold": "mean"},
    {"store": ("int8", "float32"), "rotate": True, "threshold": "median"},
    {"store": "ternary", "correction": True, "metric": "l2"},
]


def made_vectors(n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)


def made(**options):
    return bitsift.Index(DIM, **options).fit(made_vectors(300))


def stored(index):
    codes, originals, factors = index._table.snapshot.documents.columns
    arrays = (codes, *originals, *(() if factors is None else (factors,)))
    return [np.asarray(array).tobytes() for array in arrays]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_as_if_all_had_been_added(options):
    index, part, together = made(**options), made(**options), made(**options)
    ids = np.random.default_rng(3).permutation(1000)[:250]
    vectors = made_vectors(250, 1)
    for one in (index, together):
        one.add(vectors[:100], ids[:100])
    part.add(vectors[100:], ids[100:])
    part.remove(ids[120:140])
    added = index.extend(part)
    rest = np.r_[100:120, 140:250]
    np.testing.assert_array_equal(added, ids[rest])
    together.add(vectors[rest], ids[rest])
    assert stored(index) == stored(together)
    np.testing.assert_array_equal(index.ids, together.ids)
    for queries in (made_vectors(4, 2), made_vectors(1, 2)[0]):
        found, wanted = index.search(queries, 20), together.search(queries, 20)
        np.testing.assert_array_equal(found.ids, wanted.ids)
        np.testing.assert_array_equal(found.scores, wanted.scores)
    assert len(part) == 130
    part.remove(part.ids)
    assert len(index) == 230
    assert index.add(vectors[:1]).tolist() == [ids.max() + 1]


def test_of_a_mapped_one(tmp_path, monkeypatch):
    monkeypatch.setattr(growable, "_MOST_BYTES_COPIED", 0)
    part = made(store="float32")
    part.add(made_vectors(100), range(50, 150))
    part.save(tmp_path)
    mapped = bitsift.Index.load(tmp_path, mmap=True)
    mapped.add(made_vectors(10, 4))
    index = copy.copy(made(store="float32"))
    for one in (index, bitsift.Index.load(tmp_path, mmap=True)):
        other = mapped if one is index else index
        one.remove(one.ids)
        one.extend(other)
        np.testing.assert_array_equal(one.ids, np.arange(50, 160))
        np.testing.assert_array_equal(one.get(one.ids[:100]), made_vectors(100))
        np.testing.assert_array_equal(one.get(one.ids[100:]), made_vectors(10, 4))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "l2"}, "metric: 'l2', and here 'cosine'"),
        ({"store": "float32"}, r"store: \('float32',\), and here \('int8',\)"),
        ({"threshold": 0.5}, "threshold"),
        ({"rotate": True}, "rotation"),
        ({"calibrator": bitsift.MinMaxCalibrator()}, "bounds of store='int8'"),
        ({"correction": True}, "correction: True, and here False"),
    ],
)
def test_another_schema_is_refused(options, words):
    index = made(store="int8")
    index.add(made_vectors(5))
    if "calibrator" in options:
        other = bitsift.Index(DIM, store="int8").fit(2 * made_vectors(300))
    else:
        other = made(**{"store": "int8"} | options)
    other.add(made_vectors(5), range(10, 15))
    with pytest.raises(ValueError, match=f"the same schema; it differs in {words}.* Fit both"):
        index.extend(other)
    assert len(index) == 5


def test_what_is_refused():
    index = made(store="float32")
    index.add(made_vectors(5))
    with pytest.raises(ValueError, match="ids must be new; got 0, which the index has already"):
        index.extend(index)
    with pytest.raises(TypeError, match="other must be an Index; got ndarray"):
        index.extend(made_vectors(3))
    other = bitsift.Index(DIM + 1, store="float32")
    other.add(np.ones((1, DIM + 1)), [9])
    with pytest.raises(ValueError, match="it differs in dim: 21, and here 20"):
        index.extend(other)
    assert len(index) == 5
    assert index.extend(bitsift.Index(3)).shape == (0,)
    unfitted = bitsift.Index(DIM, store="float32", threshold="auto")
    with pytest.raises(ValueError, match="it differs in being fitted, as this one is not yet"):
        unfitted.extend(index)
