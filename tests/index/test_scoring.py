# SPDX-License-Identifier: Apache-2.0
"""What an index scans with unless a search says so: decided once by its first vectors, and kept."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

import bitsift
from bitsift.core.limits import LEAST_ROWS_FITTED
from bitsift.retrieval.scoring import LEAST_VECTORS
from helpers import subclasses
from helpers.storage_samples import some_vectors

# Of vectors far from their threshold.
pytestmark = pytest.mark.filterwarnings("ignore:the bits of these vectors say little")


def through_files(index, tmp_path, **options):
    index.save(tmp_path / "index")
    return type(index).load(tmp_path / "index", **options)


WAYS = {
    "same": lambda index, _: index,
    "copy": lambda index, _: copy.copy(index),
    "deepcopy": lambda index, _: copy.deepcopy(index),
    "pickle": lambda index, _: pickle.loads(pickle.dumps(index)),
    "load": through_files,
    "map": lambda index, tmp_path: through_files(index, tmp_path, mmap=True),
}


def uncentred(n, dim=13, seed=0):
    return some_vectors(n, dim, seed) + np.float32(9)


DATA = pytest.mark.parametrize(
    ("make", "expected"), [(some_vectors, "asymmetric"), (uncentred, "hamming")]
)


@pytest.mark.parametrize("scoring", ["hamming", "asymmetric"])
def test_a_scoring_that_is_given_is_kept(scoring, tmp_path):
    index = bitsift.Index(13, scoring=scoring)
    assert index.scoring == scoring
    index.fit(some_vectors(100))
    index.add(uncentred(100))
    for way in WAYS.values():
        assert way(index, tmp_path).scoring == scoring


@pytest.mark.parametrize("wrong", ["", "Hamming", None, 1, ["auto"], True])
def test_an_unknown_scoring(wrong):
    with pytest.raises(ValueError, match=r"scoring must be one of \('auto', 'hamming', 'asymm"):
        bitsift.Index(13, scoring=wrong)


@pytest.mark.parametrize("store", [None, "float32", "float16", ("float16", "float32")])
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize(
    ("make", "expected"), [(some_vectors, "asymmetric"), (uncentred, "hamming")]
)
def test_first_vectors_decide(store, metric, make, expected):
    index = bitsift.Index(13, store=store, metric=metric)
    assert index.scoring is None
    index.add(make(LEAST_ROWS_FITTED + 50))
    assert index.scoring == expected
    # and nothing that comes later
    index.add((some_vectors if expected == "hamming" else uncentred)(200))
    assert index.scoring == expected


@pytest.mark.parametrize(
    ("make", "expected"), [(some_vectors, "asymmetric"), (uncentred, "hamming")]
)
def test_a_sample_decides(make, expected):
    index = bitsift.Index(13).fit(make(200))
    assert index.scoring == expected
    index.add((some_vectors if expected == "hamming" else uncentred)(200))
    assert index.scoring == expected


def test_a_small_sample_decides_nothing():
    index = bitsift.Index(13).fit(uncentred(LEAST_VECTORS - 1))
    assert index.scoring is None
    index.add(some_vectors(LEAST_ROWS_FITTED - 1))
    assert index.scoring is None
    index.add(some_vectors(1))
    assert index.scoring == "asymmetric"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f8"])
@pytest.mark.parametrize(
    "sizes", [[1] * 1000, [999, 1], [1, 999], [300, 300, 300, 300], [999, 2000], [0, 7, 1600]]
)
def test_small_adds_wait_for_each_other(sizes, dtype):
    vectors = uncentred(sum(sizes)).astype(dtype)
    index = bitsift.Index(13)
    begin = 0
    for size in sizes:
        assert index.scoring is None
        index.add(vectors[begin : begin + size])
        begin += size
    assert index.scoring == "hamming"


def test_waiting_vectors_are_copies():
    vectors = uncentred(900)
    index = bitsift.Index(13)
    index.add(vectors)
    vectors[:] = some_vectors(900)
    index.add(uncentred(100, seed=1))
    assert index.scoring == "hamming"


@pytest.mark.parametrize("way", WAYS)
def test_copies_decide_alike(way, tmp_path):
    index = bitsift.Index(13, store=None)
    index.add(uncentred(600))
    other = WAYS[way](index, tmp_path)
    assert other.scoring is None
    more = uncentred(400, seed=1)  # alone too few
    for one in (other, index):
        if len(one) == 600:
            one.add(more)
    assert (index.scoring, other.scoring) == ("hamming", "hamming")
    assert other.add(some_vectors(300)).tolist() == list(range(1000, 1300))
    assert other.scoring == "hamming"


@pytest.mark.parametrize("n", [0, 10])
@pytest.mark.parametrize("bits", ["bool", "codes"])
def test_bits_are_compared_by_hamming_distance(bits, n):
    index = bitsift.Index(13, store=None)
    index.add(some_vectors(n))
    rows = some_vectors(1) > 0
    index.add(rows if bits == "bool" else np.packbits(rows, axis=1))
    assert index.scoring == "hamming"
    index.add(some_vectors(100))
    assert index.scoring == "hamming"


def test_no_vectors_decide_nothing(tmp_path):
    index = bitsift.Index(13)
    index.add(some_vectors(0))
    for way in WAYS.values():
        assert way(index, tmp_path).scoring is None


def test_errors_decide_nothing():
    index = bitsift.Index(13)
    wrong = some_vectors(100)
    wrong[70, 3] = np.nan
    with pytest.raises(ValueError, match=r"vectors must be finite.*row 70"):
        index.add(wrong)
    with pytest.raises(ValueError, match=r"sample must be finite.*row 70"):
        index.fit(wrong)
    with pytest.raises(ValueError, match="ids"):
        index.add(some_vectors(100), ids=[0] * 100)
    assert index.scoring is None
    assert len(index) == 0


def test_a_rule_is_fitted_first():
    """The trial has the threshold of the index: these are centred by it."""
    vectors = uncentred(1200)
    assert bitsift.Index(13, threshold="mean").fit(vectors).scoring == "asymmetric"
    index = bitsift.Index(13, threshold="mean", rotate=True, correction=True, metric="l2")
    index.add(vectors)
    assert index.scoring == "asymmetric"


def test_the_same_on_every_level_and_number_of_threads(isa):
    for seed in range(6):
        vectors = some_vectors(1100, 24, seed) + np.float32(0.25 * seed)
        index = bitsift.Index(24, metric="l2", isa=isa)
        index.add(vectors)
        best = bitsift.Index(24, metric="l2")
        best.add(vectors)
        assert index.scoring == best.scoring is not None


def test_repr():
    index = bitsift.Index(13)
    assert repr(index) == (
        "Index(dim=13, metric='cosine', store='float16', scoring='auto', n=0, nbytes=0)"
    )
    index.add(some_vectors(100))
    assert "scoring='auto', n=100" in repr(index)
    index.add(some_vectors(1000))
    assert "scoring='asymmetric', n=1100" in repr(index)


def test_files_say_it(tmp_path):
    for n, scoring in ((0, None), (5, None), (1100, "asymmetric")):
        index = bitsift.Index(13)
        index.add(some_vectors(n))
        index.save(tmp_path)
        fields = json.loads((tmp_path / "manifest.json").read_bytes())
        assert fields["version"] == 3
        assert fields["required_features"] == (["pending"] if n == 5 else [])
        assert fields["defaults"] == {"scoring": scoring, "candidates": "by-position"}
        assert ("vectors" in fields["files"]) == (n == 5)


@pytest.mark.parametrize("make", [subclasses.Labelled, subclasses.Mixed])
@pytest.mark.parametrize("way", WAYS)
def test_subclasses(make, way, tmp_path):
    index = make(12) if make is subclasses.Labelled else make("x")
    index.add(uncentred(1100, 12))
    assert WAYS[way](index, tmp_path).scoring == "hamming"


def test_an_interrupt_in_the_trial_changes_nothing(monkeypatch):
    index = bitsift.Index(13)
    index.add(some_vectors(10))

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("bitsift.index.fitting.decide_scoring", interrupted)
        with pytest.raises(KeyboardInterrupt):
            index.add(uncentred(1000))
    assert (len(index), index.scoring) == (10, None)
    index.add(some_vectors(990))
    assert index.scoring == "asymmetric"
