# SPDX-License-Identifier: Apache-2.0
"""Input of bitsift.evaluate: dtypes, missing queries and judgments, uncentred data, and errors."""

import math
import sys

import numpy as np
import pytest

import bitsift
from bitsift.encoding.thresholds import unit_rows
from bitsift.evaluation.corpus import as_corpus
from bitsift.evaluation.judging import overlaps
from helpers.evaluation_samples import measures, random_corpus, random_qrels

# Data


@pytest.mark.parametrize(
    "dtype",
    ["float16", *(pytest.param(t, marks=pytest.mark.slow) for t in ("float32", "float64")), ">f4"],
)
def test_dtypes_and_memory_maps(tmp_path, dtype):
    documents, queries = random_corpus(7)
    documents, queries = documents.astype("float16"), queries.astype("float16")
    wanted = measures(bitsift.evaluate(documents, queries, conditions="quick"))
    np.save(tmp_path / "d.npy", documents.astype(dtype))
    mapped = np.load(tmp_path / "d.npy", mmap_mode="r")
    got = bitsift.evaluate(mapped, queries.astype(dtype), conditions="quick")
    assert measures(got) == wanted


@pytest.mark.parametrize("conditions", ["quick", pytest.param("all", marks=pytest.mark.slow)])
def test_threads_and_levels_change_nothing(isa, conditions):
    corpus = random_corpus(8)
    wanted = measures(bitsift.evaluate(*corpus, conditions=conditions, isa="scalar", threads=1))
    found = measures(bitsift.evaluate(*corpus, conditions=conditions, isa=isa, threads=3))
    assert found == wanted


def test_without_judgments():
    documents, queries = random_corpus()
    judged = bitsift.evaluate(documents, queries, random_qrels(1, len(documents), len(queries)))
    made = bitsift.evaluate(documents, queries)
    assert made.n_judged is None
    assert made.measure == "overlap@10"
    assert judged.measure == "NDCG@10"
    assert [(row.ndcg, row.recall) for row in made.rows] == [(None, None)] * len(made.rows)
    assert [r.overlap for r in made.rows] == [r.overlap for r in judged.rows]
    row = made["binary (asymmetric)"]
    assert made.share(row) == row.overlap < 1


def test_without_queries_some_documents_become_queries():
    documents, _ = random_corpus(9, n=505)
    made = bitsift.evaluate(documents, conditions="quick")
    assert (made.n_documents, made.n_queries, made.held_out) == (455, 50, 50)
    assert "50 documents held out" in made.summary()
    corpus = as_corpus(documents, None, None, 10)
    held_out = np.linspace(0, 504, 50).astype(int)
    np.testing.assert_array_equal(corpus.queries, documents[held_out])
    np.testing.assert_array_equal(corpus.documents, np.delete(documents, held_out, axis=0))


def test_no_more_than_a_thousand_are_held_out():
    corpus = as_corpus(np.ones((30_000, 2), np.float16), None, None, 10)
    assert (corpus.held_out, len(corpus.queries), len(corpus.documents)) == (1000, 1000, 29_000)


def test_warnings_are_kept_for_the_caller():
    documents, queries = random_corpus(10, n=400, shift=3.0)
    made = bitsift.evaluate(documents, queries, conditions="quick")  # warnings are errors here
    assert any("say little" in text for text in made.warnings)
    assert len(set(made.warnings)) == len(made.warnings)
    assert made.recommendation["threshold"] in ("half-mean", "mean", "median")
    centred = bitsift.evaluate(*random_corpus(10, n=400), conditions="quick")
    assert centred.warnings == ()


def test_the_default_search_with_another_threshold_is_measured_too():
    documents, queries = random_corpus(10, n=400, shift=3.0)
    made = bitsift.evaluate(documents, queries, conditions="quick")
    last = made["auto: default search -> float16"]
    assert last.group == "thresholds"
    assert last.overlap > made["default search -> float16"].overlap
    index = bitsift.Index(documents.shape[1], threshold="auto")
    index.fit(documents).add(documents)
    cosines = unit_rows(queries) @ unit_rows(documents).T
    exact = np.argsort(-cosines, axis=1)[:, :10]
    assert last.overlap == overlaps(index.search(queries, 10).ids, exact).mean()
    # Where "auto" keeps 0, that is the default search, which has been measured.
    centred = bitsift.evaluate(*random_corpus(10, n=400), conditions="quick")
    assert centred.recommendation["threshold"] == 0
    assert "auto: default search -> float16" not in [row.name for row in centred.rows]


def test_where_the_default_search_finds_too_little_more_candidates_are_measured():
    documents, queries = random_corpus(12, n=3000, dim=16)
    made = bitsift.evaluate(documents, queries, conditions="quick")
    names = ["default search", "default search, x20", "default search, x40"]
    shares = [made[f"{name} -> float16"].overlap for name in names]
    assert shares[0] < 0.99
    assert shares == sorted(shares)
    assert [row.name for row in made.rows if row.group == "more candidates"] == [
        f"{name} -> float16" for name in names[1:]
    ]
    assert made[f"{names[2]} -> float16"].code.endswith("search(queries, 10, oversampling=40.0)")
    # With another threshold, that search is the one that gets more.
    shifted = bitsift.evaluate(documents + np.float32(3), queries + np.float32(3))
    more = [row.name for row in shifted.rows if row.group == "more candidates"]
    assert more == [f"auto: {name} -> float16" for name in names[1:]]
    # A hundred candidates of 150 vectors find enough.
    few = bitsift.evaluate(*random_corpus(12), conditions="quick")
    assert few["default search -> float16"].overlap >= 0.99
    assert few.rows[-1].group == "thresholds"


def test_progress():
    documents, queries = random_corpus(11)
    told = []
    bitsift.evaluate(documents, queries, conditions="quick", progress=told.append)
    assert (told[0], told[-1]) == (0, 1)
    assert told == sorted(told)

    def stop(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bitsift.evaluate(documents, queries, progress=stop)


# Refusals


@pytest.mark.parametrize(
    ("arguments", "kind", "fragment"),
    [
        ({"documents": "few"}, ValueError, "documents must have at least 20 rows; got 19"),
        (
            {"documents": "few", "queries": None},
            ValueError,
            "documents must have at least 20 rows besides 1 that would serve as queries; got 19",
        ),
        (
            {"documents": "none", "queries": None},
            ValueError,
            "documents must have at least 20 rows besides 1 .*; got 0",
        ),
        ({"k": 200}, ValueError, "documents must have at least 200 rows; got 150"),
        ({"documents": "1-D"}, ValueError, r"documents must have shape \(n, dim\)"),
        ({"documents": "bits"}, TypeError, "documents must be float16, .* got uint8"),
        ({"documents": "bool"}, TypeError, "documents must be float16, .* got bool"),
        ({"documents": "NaN"}, ValueError, "documents must be finite; row 3, dimension 1 is nan"),
        ({"documents": "huge"}, ValueError, "documents must be within float16's range; row 3"),
        ({"queries": "NaN"}, ValueError, "queries must be finite; row 3, dimension 1 is nan"),
        ({"queries": "huge"}, ValueError, "queries must be within float32's range"),
        ({"queries": "narrow"}, ValueError, "queries must have 43 values a row, .*; got 42"),
        ({"queries": "none"}, ValueError, "queries must have at least one row"),
        (
            {"queries": None, "qrels": [[0, 0, 1]]},
            ValueError,
            "qrels must come with queries, .*; got no",
        ),
        ({"qrels": [[0.0, 0.0, 1.0]]}, TypeError, "qrels must be integers; got float64"),
        ({"qrels": [[0, 0]]}, ValueError, r"qrels must have shape \(n, 3\)"),
        ({"qrels": [0, 0, 1]}, ValueError, r"qrels must have shape \(n, 3\)"),
        ({"qrels": np.zeros((0, 3), int)}, ValueError, r"got shape \(0, 3\)"),
        ({"qrels": [[0, 0, 1], [12, 0, 1]]}, ValueError, "query rows from 0 to 11; row 1 names 12"),
        ({"qrels": [[-1, 0, 1]]}, ValueError, "query rows from 0 to 11; row 0 names -1"),
        ({"qrels": [[0, 150, 1]]}, ValueError, "document rows from 0 to 149; row 0 names 150"),
        ({"qrels": [[0, 0, -1]]}, ValueError, "grades from 0 to .*; row 0 has -1"),
        ({"qrels": [[0, 0, 2**31]]}, ValueError, "grades from 0 to"),
        ({"qrels": [[0, 0, 0]]}, ValueError, "qrels must have at least one grade above 0"),
        ({"qrels": [[0, 1, 1], [0, 1, 1]]}, ValueError, "row 1 judges query 0, document 1 again"),
        ({"metric": "hamming"}, ValueError, "metric must be one of"),
        ({"conditions": "none"}, ValueError, "conditions must be one of"),
        ({"k": 0}, ValueError, "k must be 1 to"),
        ({"k": 2.5}, TypeError, "k must be an integer"),
        ({"price_per_gb": -1}, ValueError, "price_per_gb must be from 0 to 1,000,000; got -1"),
        ({"price_per_gb": 1e308}, ValueError, "price_per_gb must be from 0 to 1,000,000; got 1e"),
        ({"price_per_gb": math.nan}, ValueError, "price_per_gb must be from 0 to 1,000,000"),
        ({"price_per_gb": "much"}, TypeError, "price_per_gb must be a number; got str"),
        ({"threads": -1}, ValueError, "threads must be 0 to"),
        ({"isa": "mmx"}, ValueError, "isa must be one of"),
    ],
)
def test_bad_input(arguments, kind, fragment):
    documents, queries = random_corpus()
    spoilt = {
        "few": lambda x: x[:19],
        "1-D": lambda x: x[0],
        "bits": lambda x: x.astype(np.uint8),
        "bool": lambda x: x > 0,
        "NaN": lambda x: with_value(x, np.nan),
        "huge": lambda x: with_value(x.astype(np.float64), 1e300),
        "narrow": lambda x: x[:, 1:],
        "none": lambda x: x[:0],
    }
    data = {"documents": documents, "queries": queries}
    for name, value in arguments.items():
        known = isinstance(value, str) and name in data
        data[name] = spoilt[value](data[name]) if known else value
    with pytest.raises(kind, match=fragment):
        bitsift.evaluate(**data)


def with_value(x, value):
    x = x.copy()
    x[3, 1] = value
    return x


@pytest.mark.parametrize("missing", ["ir_measures", "pytrec_eval"])
def test_the_extra_is_named_where_it_is_missing(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    documents, queries = random_corpus()
    with pytest.raises(ImportError, match=r"pip install 'bitsift\[eval\]'"):
        bitsift.evaluate(documents, queries, [[0, 0, 1]])
    assert bitsift.evaluate(documents, queries, conditions="quick").n_judged is None


@pytest.mark.parametrize("missing", ["ir_measures", "pytrec_eval"])
@pytest.mark.parametrize("line", ["import no_such_module", "from numpy import no_such_name"])
def test_a_broken_extra_is_no_missing_one(monkeypatch, tmp_path, missing, line):
    (tmp_path / f"{missing}.py").write_text(line, encoding="utf-8")
    monkeypatch.delitem(sys.modules, missing, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    documents, queries = random_corpus()
    wanted = "^qrels need the package ir-measures, which fails to import: .*no_such_"
    with pytest.raises(ImportError, match=wanted):
        bitsift.evaluate(documents, queries, [[0, 0, 1]])
