# SPDX-License-Identifier: Apache-2.0
"""A range search of an index finds what a search for all of it finds, cut at the radius."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsift
from bitsift.retrieval import ranges

pytestmark = pytest.mark.usefixtures("fits_at_once")

DIM = 40
N = 600


def made_vectors(n=N, seed=0):
    return np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)


def made_ids(n=N):
    return np.random.default_rng(1).permutation(3 * n)[:n].astype(np.int64)


def made_index(n=N, **options):
    index = bitsift.Index(DIM, **options)
    vectors = made_vectors(n)
    if options.get("store") in ("int8", "int4") and n < N:
        index.fit(made_vectors())
    # Each of some vectors three times: scores tie.
    vectors[n // 2 : n // 2 + n // 4] = vectors[: n // 4]
    index.add(vectors, made_ids(n))
    return index


QUERIES = made_vectors(5, 2)
# How an index is made, how its range is searched, and the search that finds all it could find.
ORIGINALS = [
    *(
        {"store": store, "metric": metric}
        for store in ("float32", "int4")
        for metric in ("cosine", "l2")
    ),
    {"store": ("float32", "float16"), "metric": "dot", "correction": True},
    {"store": "int8", "metric": "l2", "threshold": "mean", "rotate": True},
]
BITS = [
    {"store": None},
    {"store": None, "metric": "l2", "rotate": True},
    {"store": "float16", "metric": "dot", "threshold": "mean"},
]
CORRECTED = [
    {"store": None, "correction": True},
    {"store": "float32", "correction": True, "metric": "l2", "threshold": "mean"},
]
ALL = {"oversampling": N}
LADDER = {"ladder": [("asymmetric", N), "asymmetric"]}
CASES = [
    *((options, {}, ALL) for options in ORIGINALS),
    *((options, {"rescore": True}, ALL) for options in ORIGINALS[:1]),
    *(
        (options, {"scoring": scoring}, {"scoring": scoring, "rescore": False})
        for options in [*BITS, ORIGINALS[1]]
        for scoring in ("hamming", "asymmetric")
    ),
    *((options, {"rescore": False}, {"rescore": False}) for options in [*BITS, ORIGINALS[0]]),
    *((options, {"scoring": "asymmetric"}, LADDER) for options in CORRECTED),
]


def radii(everything, n):
    """Bounds among the scores, at them, and beyond all."""
    if n == 0:
        return [0 if everything.kind == "hamming" else 0.5]
    scores = everything.scores[:, :n]
    some = [scores[0, 0], scores[1, n // 3], scores.min()]
    some += [int(scores.max()) + 5, int(scores.min()) - 5]
    return [int(one) if everything.kind == "hamming" else one for one in some]


def cut(everything, radius):
    """For each query, the ids and scores within the radius."""
    if everything.descending:
        within = everything.scores >= np.float32(radius)
    else:
        within = everything.scores <= (
            radius if everything.kind == "hamming" else np.float32(radius)
        )
    within &= everything.ids >= 0
    return [(everything.ids[i, keep], everything.scores[i, keep]) for i, keep in enumerate(within)]


def check(found, wanted, kind):
    assert found.kind == kind
    assert len(found.lims) == len(wanted) + 1
    assert found.lims[0] == 0
    assert found.lims[-1] == len(found.ids) == len(found.distances)
    for i, (ids, scores) in enumerate(wanted):
        np.testing.assert_array_equal(found.of(i).ids, ids)
        assert found.of(i).scores.dtype == scores.dtype
        assert found.of(i).scores.tobytes() == scores.tobytes()


def check_chunks(chunks, found, chunk_size):
    """The chunks are bounded, and together what was found."""
    begin, parts = 0, [[] for _ in range(len(found.lims) - 1)]
    for numbers, some in chunks:
        assert len(some.ids) <= chunk_size
        assert len(some.lims) == len(numbers) + 1
        assert some.kind == found.kind
        assert numbers.start in (begin, begin - 1)
        begin = numbers.stop
        for i, number in enumerate(numbers):
            parts[number].append(some.of(i))
    for i, some in enumerate(parts):
        whole = found.of(i)
        assert some
        assert len(some) == 1 or len(whole.ids) > chunk_size
        order = np.argsort(whole.ids)
        ids = np.concatenate([part.ids for part in some])
        scores = np.concatenate([part.scores for part in some])
        if len(some) == 1:
            np.testing.assert_array_equal(ids, whole.ids)
        np.testing.assert_array_equal(np.sort(ids), whole.ids[order])
        np.testing.assert_array_equal(scores[np.argsort(ids)], whole.scores[order])


@pytest.mark.parametrize(("options", "how", "everything"), CASES, ids=str)
def test_it_is_a_search_for_all_cut_at_the_radius(options, how, everything):
    index = made_index(**options)
    for mask in (None, np.random.default_rng(3).random(N) < 0.3):
        n = N if mask is None else int(mask.sum())
        wanted = index.search(QUERIES, N, filter=mask, **everything)
        for radius in radii(wanted, n):
            some = cut(wanted, radius)
            found = index.range_search(QUERIES, radius, filter=mask, **how)
            check(found, some, wanted.kind)
            counts = index.range_search(QUERIES, radius, filter=mask, count_only=True, **how)
            np.testing.assert_array_equal(counts, [len(ids) for ids, _ in some])
            for chunk_size in (60, 10**6):
                options = {"filter": mask, "chunk_size": chunk_size, **how}
                check_chunks(index.iter_range(QUERIES, radius, **options), found, chunk_size)


@pytest.mark.parametrize("isa", bitsift.available_isas())
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_levels_and_threads(isa, threads):
    index, other = made_index(isa=isa, store="float16"), made_index(isa="scalar", store="float16")
    for how, radius in (({}, 0.1), ({"scoring": "asymmetric"}, 0.05), ({"scoring": "hamming"}, 19)):
        found = index.range_search(QUERIES, radius, threads=threads, **how)
        wanted = other.range_search(QUERIES, radius, threads=1, **how)
        assert [array.tobytes() for array in found] == [array.tobytes() for array in wanted]
        chunks = index.iter_range(QUERIES, radius, threads=threads, chunk_size=50, **how)
        others = other.iter_range(QUERIES, radius, threads=1, chunk_size=50, **how)
        for (numbers, some), (right, those) in zip(chunks, others, strict=True):
            assert numbers == right
            assert [array.tobytes() for array in some] == [array.tobytes() for array in those]


@pytest.mark.parametrize("how", [{}, {"scoring": "hamming"}, {"scoring": "asymmetric"}], ids=str)
def test_a_filter_for_each_query_and_ways_to_say_it(how):
    index, radius = made_index(), 0 if how != {"scoring": "hamming"} else 20
    mask = np.random.default_rng(3).random(N) < 0.2
    prepared = index.filter(index.ids[mask])
    filters = [mask, index.ids[:9], prepared, set(), [index.ids[4]]]
    found = index.range_search(QUERIES, radius, filter=filters, **how)
    counts = index.range_search(QUERIES, radius, filter=filters, count_only=True, **how)
    chunks = dict(index.iter_range(QUERIES, radius, filter=filters, **how))
    for i, one in enumerate(filters):
        wanted = index.range_search(QUERIES[i], radius, filter=one, **how)
        np.testing.assert_array_equal(found.of(i).ids, wanted.ids)
        np.testing.assert_array_equal(chunks[range(i, i + 1)].ids, wanted.ids)
        assert counts[i] == len(wanted.ids)
    assert len(index.range_search(QUERIES[:0], radius, filter=[], **how).lims) == 1


def test_one_query():
    index = made_index()
    one, same = index.range_search(QUERIES[1], 0.1), index.range_search(QUERIES[1:2], 0.1)
    assert [array.tobytes() for array in one] == [array.tobytes() for array in same]
    count = index.range_search(QUERIES[1], 0.1, count_only=True)
    assert count.shape == ()
    assert count == len(one.ids)
    ((numbers, found),) = index.iter_range(QUERIES[1], 0.1)
    assert numbers == range(1)
    np.testing.assert_array_equal(found.ids, one.ids)


def test_bits_as_queries():
    index, codes = made_index(), bitsift.pack(QUERIES)
    wanted = index.range_search(QUERIES, 18, scoring="hamming")
    for queries in (codes, QUERIES > 0):
        found = index.range_search(queries, 18)
        assert [array.tobytes() for array in found] == [array.tobytes() for array in wanted]


@pytest.mark.parametrize(
    "options",
    [{}, {"store": None}, {"store": "int8"}, {"store": None, "correction": True}],
    ids=str,
)
def test_an_empty_index_and_no_queries(options):
    for index in (bitsift.Index(DIM, **options), made_index(0, **options)):
        for how in ({}, {"scoring": "hamming"}, {"scoring": "asymmetric"}):
            found = index.range_search(QUERIES, 3, **how)
            assert [array.tolist() for array in found] == [[0] * 6, [], []]
            assert index.range_search(QUERIES, 3, count_only=True, **how).tolist() == [0] * 5
            ((numbers, found),) = index.iter_range(QUERIES, 3, **how)
            assert numbers == range(5)
            assert len(found.ids) == 0
    index = made_index(**options)
    for how in ({}, {"scoring": "hamming"}, {"scoring": "asymmetric"}):
        none = index.range_search(QUERIES[:0], 3, **how)
        assert [array.tolist() for array in none] == [[0], [], []]
        assert index.range_search(QUERIES[:0], 3, count_only=True, **how).shape == (0,)


def test_blocks_of_rows_and_of_queries(monkeypatch):
    """What is computed in blocks does not show where they end."""
    index, queries = made_index(correction=True, store="float32"), made_vectors(11, 4)
    mask = np.random.default_rng(3).random(N) < 0.4
    found = {}
    for small in (False, True):
        if small:
            monkeypatch.setattr(ranges, "_MOST_TOGETHER", 4)
            monkeypatch.setattr(ranges, "_MOST_OF_CODES", 3)
            monkeypatch.setattr(ranges, "_BLOCK_PAIRS", 29)
        for how, some in itertools.product(
            ({}, {"scoring": "asymmetric"}, {"scoring": "hamming"}), (None, mask)
        ):
            radius = 18 if how == {"scoring": "hamming"} else 0.05
            got = [
                *index.range_search(queries, radius, filter=some, **how),
                index.range_search(queries, radius, filter=some, count_only=True, **how),
            ]
            key = str(how), some is None
            for array, wanted in zip(got, found.setdefault(key, got), strict=True):
                assert array.tobytes() == wanted.tobytes()


def test_a_radius_is_rounded_as_scores_are():
    index = bitsift.Index(2, store="float32", metric="l2")
    index.add(np.array([[0.1, 0.0]], np.float32))
    assert index.range_search(np.zeros(2, np.float32), 0.1).ids.tolist() == [0]
    assert index.range_search(np.zeros(2, np.float32), 0.0999).ids.tolist() == []
    assert index.range_search(np.zeros(2, np.float32), np.inf).ids.tolist() == [0]
    assert index.range_search(np.zeros(2, np.float32), 1e300).ids.tolist() == [0]


@pytest.mark.parametrize("how", [{}, {"scoring": "hamming"}, {"scoring": "asymmetric"}], ids=str)
def test_removed_vectors_are_not_found(how):
    index = made_index()
    chunks = index.iter_range(QUERIES, 0, chunk_size=100)
    before = index.range_search(QUERIES, 0)
    index.remove(made_ids()[::3])
    check_chunks(chunks, before, 100)
    mask = index.ids % 2 == 0
    for given_filter in (None, mask, [mask] * 5, index.filter(made_ids()[:100])):
        search = {**how, "rescore": False} if how else ALL
        wanted = index.search(QUERIES, N, filter=given_filter, **search)
        radius = 19 if wanted.kind == "hamming" else 0.0
        found = index.range_search(QUERIES, radius, filter=given_filter, **how)
        check(found, cut(wanted, radius), wanted.kind)
        counts = index.range_search(QUERIES, radius, filter=given_filter, count_only=True, **how)
        np.testing.assert_array_equal(counts, np.diff(found.lims))
        some = index.iter_range(QUERIES, radius, filter=given_filter, chunk_size=30, **how)
        check_chunks(some, found, 30)


@pytest.mark.parametrize("options", [*ORIGINALS[1:4], *CORRECTED], ids=str)
def test_vectors_added_to_a_mapped_index(options, tmp_path):
    """They lie in a segment of their own."""
    whole = made_index(**options)
    whole.save(tmp_path / "index")
    index = bitsift.Index.load(tmp_path / "index", mmap=True)
    for one in (whole, index):
        one.add(made_vectors(70, 8), np.arange(5000, 5070))
        one.remove([5003, int(made_ids()[4])])
    for how, radius in (({}, 0.2), ({"scoring": "asymmetric"}, 0.1), ({"scoring": "hamming"}, 19)):
        if options["store"] is None and how == {}:
            continue
        is_l2 = options.get("metric") == "l2" and "hamming" not in how.values()
        bound = 8.2 if is_l2 else radius
        found = index.range_search(QUERIES, bound, **how)
        wanted = whole.range_search(QUERIES, bound, **how)
        assert len(found.ids) > 0
        assert [array.tobytes() for array in found] == [array.tobytes() for array in wanted]
        check_chunks(index.iter_range(QUERIES, bound, chunk_size=60, **how), wanted, 60)


def test_chunks_see_the_index_as_it_was():
    index = made_index()
    wanted = index.range_search(QUERIES, 0.0)
    chunks = index.iter_range(QUERIES, 0.0, chunk_size=100)
    first = next(chunks)
    index.add(made_vectors(200, 9))
    check_chunks([first, *chunks], wanted, 100)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_index(data):
    n = data.draw(st.integers(0, 70))
    index = made_index(n, store=data.draw(st.sampled_from([None, "float32", "int8"])))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), np.bool_)
    how = data.draw(st.sampled_from([{}, {"scoring": "hamming"}, {"scoring": "asymmetric"}]))
    search = {**how, "rescore": False} if how else {}
    wanted = index.search(QUERIES, 70, filter=mask, **search)
    radius = data.draw(st.integers(-1, DIM + 1) if wanted.kind == "hamming" else st.floats(-1, 1))
    found = index.range_search(QUERIES, radius, filter=mask, **how)
    check(found, cut(wanted, radius), wanted.kind)
    chunk_size = data.draw(st.integers(1, 400))
    chunks = index.iter_range(QUERIES, radius, filter=mask, chunk_size=chunk_size, **how)
    check_chunks(chunks, found, chunk_size)


@pytest.mark.parametrize(
    ("options", "arguments", "error", "words"),
    [
        ({}, {"radius": "0.5"}, TypeError, "radius must be a number; got str"),
        ({}, {"radius": float("nan")}, ValueError, "radius must be a number; got nan"),
        (
            {},
            {"radius": 0.5, "scoring": "hamming"},
            TypeError,
            "radius, a number of bits, must be an integer; got float",
        ),
        (
            {},
            {"rescore": True, "scoring": "hamming"},
            ValueError,
            "rescore=True .*give one of both",
        ),
        ({}, {"rescore": 1}, TypeError, "rescore must be True, False or None; got 1"),
        ({}, {"scoring": "cosine"}, ValueError, "scoring must be one of"),
        ({}, {"count_only": None}, TypeError, "count_only must be True or False"),
        (
            {"store": None},
            {"rescore": True},
            ValueError,
            "rescore=True needs float queries and original vectors",
        ),
        (
            {},
            {"queries": bitsift.pack(QUERIES), "scoring": "asymmetric"},
            ValueError,
            "needs float queries",
        ),
        ({}, {"queries": QUERIES[:, :7]}, ValueError, "queries must have 40 values a row"),
        ({}, {"filter": "all"}, TypeError, "filter must be allowed ids"),
        ({}, {"filter": [[1], [2]]}, ValueError, "filter must be one for all queries"),
        ({}, {"threads": 1.5}, TypeError, "threads must be an integer"),
    ],
    ids=str,
)
def test_wrong_arguments(options, arguments, error, words):
    index = made_index(30, **options)
    given_ = {"queries": QUERIES, "radius": 1} | arguments
    with pytest.raises(error, match=words):
        index.range_search(**given_)
    given_.pop("count_only", None)
    if "count_only" not in arguments:
        with pytest.raises(error, match=words):
            index.iter_range(**given_)


@pytest.mark.parametrize("chunk_size", [0, -1, 2.5, None])
def test_wrong_chunk_sizes(chunk_size):
    with pytest.raises((ValueError, TypeError), match="chunk_size must be"):
        made_index(30).iter_range(QUERIES, 1, chunk_size=chunk_size)
