# SPDX-License-Identifier: Apache-2.0
"""Ladders: every chain of rungs against the same steps in NumPy, and ladders that are refused."""

import itertools
import math

import numpy as np
import pytest

import bitsift
from bitsift.quantization.integers import INTEGER_CODECS
from oracle import integers, reference

pytestmark = pytest.mark.usefixtures("fits_at_once")

METRICS = ["cosine", "dot", "l2"]
N, DIM = 260, 45
OVERSAMPLINGS = (20, 8.3, 3.05, 1)


class ByHand:
    """Every score of a query and a document, and the steps of a ladder."""

    def __init__(self, index, vectors, queries):
        self.metric, self.ids = index.metric, index.ids
        centre = np.broadcast_to(np.float32(index.threshold), (DIM,)).astype(np.float64)
        relative, asked = vectors - centre, queries - centre
        if not index.correction and self.metric == "dot":
            asked = queries.astype(np.float64)
        bits = np.unpackbits(reference.pack(relative), axis=1, count=DIM)
        codes = reference.pack(queries, np.float32(index.threshold))
        self.hamming = reference.hamming(codes, reference.pack(relative))
        self.kept = {"float32": vectors.astype(np.float64)}
        if "int8" in index.calibrators:
            ranges = index.calibrators["int8"].ranges
            base, step = INTEGER_CODECS["int8"].affine(ranges)
            self.kept["int8"] = base + step * integers.quantize_array("int8", vectors, ranges)
        self.queries = queries
        rounded = [reference.round_query(query) for query in asked]
        self.weighted = np.array(
            [((integers > 0) != bits).astype(int) @ np.abs(integers) for integers, _ in rounded]
        )
        self.asymmetric = np.array(
            [
                self.of_signs(query, 2.0 * bits - 1, *r)
                for query, r in zip(asked, rounded, strict=True)
            ]
        )
        self.estimates = None
        if index.correction:
            is_centred = bool(centre.any())
            given = centre if is_centred else None
            factors = reference.correction(self.metric, relative.astype(np.float32), given)
            self.estimates = np.array(
                [reference.estimates(self.metric, query, bits, factors, given) for query in asked]
            )

    def of_signs(self, query, signs, integers, scale):
        products = scale * (signs @ integers)
        norm = np.linalg.norm(query)
        if self.metric == "cosine":
            return products / (norm * np.sqrt(DIM))
        return np.sqrt(norm**2 + DIM - 2 * products) if self.metric == "l2" else products

    def scores(self, name, query, *, is_scan):
        """Scores and what is sorted by, ascending."""
        if name == "hamming":
            return self.hamming[query], self.hamming[query]
        sign = 1 if self.metric == "l2" else -1
        if name == "asymmetric" and (is_scan or self.estimates is None):
            return self.asymmetric[query].astype(np.float32), self.weighted[query]
        if name == "asymmetric":
            scores = self.estimates[query].astype(np.float32)
        else:
            exact = reference.scores(self.metric, self.queries[query], self.kept[name])
            scores = exact.astype(np.float32)
        return scores, sign * scores

    def climb(self, ladder, k):
        """Scores and ids of all queries."""
        rungs = [rung if isinstance(rung, tuple) else (rung, 1) for rung in ladder]
        found = [], []
        for query in range(len(self.queries)):
            rows = np.arange(len(self.ids))
            for i, (name, oversampling) in enumerate(rungs):
                scores, badness = self.scores(name, query, is_scan=i == 0)
                order = np.lexsort((self.ids[rows], badness[rows]))
                rows = rows[order][: math.ceil(k * oversampling)]
            found[0].append(scores[rows])
            found[1].append(self.ids[rows])
        return np.array(found[0]), np.array(found[1])


def chains():
    """All orders of all sources, after either scan."""
    sources = ("asymmetric", "int8", "float32")
    for first in ("hamming", "asymmetric"):
        for n in range(4):
            for others in itertools.permutations(sources, n):
                names = (first, *others)
                numbers = [*OVERSAMPLINGS[: len(names) - 1], 1]
                yield [*zip(names[:-1], numbers[:-1], strict=True), names[-1]]


def some_vectors(rng, n, *, shift=0.0):
    # Multiples of 1/4: ties of every kind.
    return (np.round(4 * rng.standard_normal((n, DIM))) / 4 + shift).astype(np.float32)


@pytest.fixture
def data(rng):
    vectors = some_vectors(rng, N)
    vectors[200:] = vectors[:60]
    return vectors, some_vectors(rng, 3), rng.permutation(10_000)[:N]


def assert_equal(found, expected):
    np.testing.assert_array_equal(found.ids, expected[1])
    if found.scores.dtype == np.int32:
        np.testing.assert_array_equal(found.scores, expected[0])
    else:
        np.testing.assert_allclose(found.scores, expected[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("correction", "threshold"), [(False, 0.0), (False, 0.25), (True, 0.0), (True, 0.25)]
)
def test_every_chain(isa, data, metric, correction, threshold):
    if metric == "cosine" and correction and threshold:
        threshold = 0.0
    vectors, queries, ids = data
    index = bitsift.Index(
        DIM, metric=metric, store=["int8", "float32"], threshold=threshold,
        correction=correction, isa=isa,
    )  # fmt: skip
    index.add(vectors, ids=ids)
    by_hand = ByHand(index, vectors, queries)
    n_chains = 0
    for ladder in chains():
        for k in (1, 7):
            found = index.search(queries, k, ladder=ladder)
            assert found.scores.dtype == (np.int32 if ladder == ["hamming"] else np.float32)
            assert_equal(found, by_hand.climb(ladder, k))
        n_chains += 1
    assert n_chains == 32


def test_how_a_ladder_is_written(data):
    vectors, queries, ids = data
    index = bitsift.Index(DIM, store=["int8", "float32"])
    index.add(vectors, ids=ids)
    expected = index.search(queries, 5, ladder=[("hamming", 9), ("int8", 2.5), "float32"])
    for same in (
        (("hamming", 9), ("int8", 2.5), "float32"),
        [["hamming", 9.0], ["int8", np.float32(2.5)], ["float32", 1]],
        [("hamming", np.int64(9)), ("int8", 2.5), ("float32", 1.0)],
    ):
        found = index.search(queries, 5, ladder=same)
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("store", [None, "int8", ["int8", "float32"]])
@pytest.mark.parametrize("correction", [False, True])
@pytest.mark.filterwarnings("ignore:correction=True is:bitsift.BitsiftWarning")
@pytest.mark.filterwarnings("ignore:oversampling=.* does nothing:bitsift.BitsiftWarning")
@pytest.mark.parametrize("scoring", ["hamming", "asymmetric"])
def test_default_paths_are_ladders(data, metric, store, correction, scoring):
    vectors, queries, ids = data
    index = bitsift.Index(DIM, metric=metric, store=store, correction=correction, scoring=scoring)
    index.add(vectors, ids=ids)
    last = [] if store is None else ["int8" if store == "int8" else "float32"]
    paths = [({"rescore": False, "scoring": "hamming"}, ["hamming"])]
    for oversampling in (1, 2.5, 4):
        options = {"oversampling": oversampling, "scoring": "hamming"}
        passed_on = oversampling if last else 1
        scan = [("hamming", passed_on), *last] if last else ["hamming"]
        paths.append((options, scan))
        scan = [("asymmetric", passed_on), *last] if last else ["asymmetric"]
        if correction:
            scan = [("asymmetric", 8 * passed_on), *scan]
        paths.append(({**options, "scoring": "asymmetric"}, scan))
        paths.append(({"oversampling": oversampling}, paths[-2 if scoring == "hamming" else -1][1]))
    # By position: 100 candidates for the first results.
    scan = [("asymmetric", 20), "asymmetric"] if correction else ["asymmetric"]
    paths.append(({"scoring": "asymmetric", "rescore": False}, scan))
    for options, ladder in paths:
        found = index.search(queries, 5, **options)
        expected = index.search(queries, 5, ladder=ladder)
        assert found.scores.tobytes() == expected.scores.tobytes()
        assert found.scores.dtype == expected.scores.dtype
        np.testing.assert_array_equal(found.ids, expected.ids)
    plain = index.search(queries, 5)
    said = index.search(queries, 5, scoring=scoring)
    np.testing.assert_array_equal(plain.scores, said.scores)
    if last or not correction:
        by_20 = index.search(queries, 5, oversampling=20, scoring=scoring)
        np.testing.assert_array_equal(plain.scores, by_20.scores)


LADDERS = [
    ["hamming"],
    ["asymmetric"],
    [("hamming", 3), "asymmetric"],
    [("asymmetric", 3), "asymmetric"],
    [("hamming", 40), ("asymmetric", 10), ("int8", 2), "float32"],
    [("asymmetric", 1), ("float32", 1), ("asymmetric", 1), "int8"],
]


@pytest.mark.parametrize("ladder", LADDERS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("correction", [False, True])
def test_edges(rng, metric, ladder, correction):
    index = bitsift.Index(DIM, metric=metric, store=["int8", "float32"], correction=correction)
    queries = some_vectors(rng, 3)
    is_float = ladder != ["hamming"]
    dtype = np.float32 if is_float else np.int32
    for n in (0, 130):
        if n:
            index.add(some_vectors(rng, n), ids=rng.permutation(1000)[:n])
        scores, ids = index.search(queries, n + 5, ladder=ladder)
        assert scores.dtype == dtype
        assert scores.shape == ids.shape == (3, n)
        assert (np.sort(ids) == np.sort(index.ids)).all()
        assert np.isfinite(scores).all()
        for k in (1, 10):
            one, many = (index.search(q, k, ladder=ladder) for q in (queries[1], queries))
            assert one.scores.shape == one.ids.shape == (min(k, n),)
            np.testing.assert_array_equal(one.scores, many.scores[1])
            np.testing.assert_array_equal(one.ids, many.ids[1])
        assert index.search(queries, 0, ladder=ladder).ids.shape == (3, 0)
        assert index.search(queries[:0], 4, ladder=ladder).scores.shape == (0, min(4, n))
        assert index.search(queries[0], 0, ladder=ladder).scores.dtype == dtype


@pytest.mark.parametrize("ladder", LADDERS)
def test_ties_go_to_the_smaller_id(rng, ladder):
    index = bitsift.Index(DIM, store=["int8", "float32"])
    index.add(np.repeat(some_vectors(rng, 1), 200, axis=0), ids=rng.permutation(200))
    for k in (1, 13, 200):
        assert index.search(some_vectors(rng, 1)[0], k, ladder=ladder).ids.tolist() == [*range(k)]


@pytest.mark.parametrize("ladder", LADDERS)
def test_the_same_bytes_on_every_level_and_number_of_threads(rng, ladder):
    vectors, queries = some_vectors(rng, 5_000), some_vectors(rng, 20)
    ids = rng.permutation(10**6)[:5_000]
    results = set()
    for isa in bitsift.available_isas():
        index = bitsift.Index(DIM, metric="l2", store=["int8", "float32"], isa=isa)
        index.add(vectors, ids=ids)
        for threads in (1, 2, 5):
            scores, found = index.search(queries, 11, ladder=ladder, threads=threads)
            results.add((scores.tobytes(), found.tobytes()))
    assert len(results) == 1


BAD = [
    ([], TypeError, r"ladder must be a list such as .*; got \[\]"),
    ("hamming", TypeError, "ladder must be a list such as .*; got 'hamming'"),
    ({"hamming": 1}, TypeError, "ladder must be a list such as"),
    (7, TypeError, "ladder must be a list such as .*; got 7"),
    (iter(["hamming"]), TypeError, "ladder must be a list such as"),
    ([7], TypeError, r"this rung of ladder must be a name, or \(name, 1\); got 7"),
    ([None], TypeError, "this rung of ladder must be a name"),
    ([("hamming", 4, 1)], TypeError, "this rung of ladder must be a name"),
    ([(4, "hamming")], TypeError, "this rung of ladder must be a name"),
    (["hamming", "int8"], TypeError, r"this rung .* be \(name, oversampling\); got 'hamming'"),
    ([("hamming",), "int8"], TypeError, r"this rung .* \(name, oversampling\); got \('hamming',\)"),
    ([("hamming", 4), ("int8", 2)], ValueError, r"the last rung .* is 1; got \('int8', 2\)"),
    ([("hamming", 0.5), "int8"], ValueError, "oversampling must be finite and at least 1; got 0.5"),
    ([("hamming", np.nan), "int8"], ValueError, "oversampling must be finite"),
    ([("hamming", np.inf), "int8"], ValueError, "oversampling must be finite"),
    ([("hamming", "x"), "int8"], TypeError, "oversampling must be a number; got str"),
    ([("hamming", None), "int8"], TypeError, "oversampling must be a number; got NoneType"),
    (["int8"], ValueError, r"the first rung .* one of \('hamming', 'asymmetric'\); got 'int8'"),
    (["cosine"], ValueError, "the first rung of ladder must be one of .*; got 'cosine'"),
    ([("int8", 4), "float32"], ValueError, "the first rung of ladder must be .*; got 'int8'"),
    (
        [("hamming", 4), "float16"],
        ValueError,
        r"after the first must be among \('asymmetric', 'int8', 'float32'\), what this index has; "
        "got 'float16'",
    ),
    ([("hamming", 4), "hamming"], ValueError, "after the first must be among .*got 'hamming'"),
    ([("asymmetric", 4), "hamming"], ValueError, "after the first must be among .*got 'hamming'"),
    ([("hamming", 4), "int4"], ValueError, "after the first must be among .*; got 'int4'"),
    ([("hamming", 4), ("int8", 2), "int8"], ValueError, "rescore from each source once; got"),
    (
        [("hamming", 9), ("asymmetric", 4), ("int8", 2), "asymmetric"],
        ValueError,
        "rescore from each source once; got",
    ),
    (
        [("hamming", 2), ("int8", 4), "float32"],
        ValueError,
        "no more than the one before it; got hamming 2, then int8 4",
    ),
]


@pytest.mark.parametrize(("ladder", "error", "message"), BAD)
def test_bad_ladders(rng, ladder, error, message):
    index = bitsift.Index(DIM, store=["int8", "float32"])
    for n in (0, 150):
        index.add(some_vectors(rng, n))
        with pytest.raises(error, match=message):
            index.search(np.ones(DIM), 3, ladder=ladder)


@pytest.mark.parametrize(
    "options",
    [{"oversampling": 3}, {"rescore": True}, {"rescore": False}, {"scoring": "asymmetric"}],
)
def test_a_ladder_excludes_the_other_options(rng, options):
    index = bitsift.Index(DIM)
    with pytest.raises(ValueError, match="ladder must come without rescore, scoring and"):
        index.search(np.ones(DIM), 3, ladder=["hamming"], **options)


def test_without_stores(rng):
    index = bitsift.Index(DIM, store=None)
    index.add(some_vectors(rng, 20))
    assert index.search(np.ones(DIM), 3, ladder=[("hamming", 2), "asymmetric"]).ids.shape == (3,)
    message = r"must be among \('asymmetric',\), what this index has; got 'float32'"
    with pytest.raises(ValueError, match=message):
        index.search(np.ones(DIM), 3, ladder=[("hamming", 2), "float32"])


def test_queries_of_bits_end_with_the_scan(rng):
    index = bitsift.Index(DIM, store=["int8", "float32"])
    vectors = some_vectors(rng, 150)
    index.add(vectors)
    for bits in (reference.pack(vectors[:2]), vectors[:2] > 0):
        found = index.search(bits, 4, ladder=["hamming"])
        np.testing.assert_array_equal(found.ids, index.search(bits, 4).ids)
        for ladder in LADDERS[1:]:
            message = r"ladder=\[.*\] needs float queries; the queries are bits"
            with pytest.raises(ValueError, match=message):
                index.search(bits, 4, ladder=ladder)
