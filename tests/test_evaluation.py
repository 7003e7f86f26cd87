# SPDX-License-Identifier: Apache-2.0
"""bitsift.evaluate: against hand-made numbers, an oracle, the calls it names, and real corpora."""

import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import bitsift
import reference
from bitsift.evaluation.checks import check_all
from bitsift.evaluation.conditions import OVERSAMPLINGS, conditions
from bitsift.evaluation.corpus import as_corpus
from bitsift.evaluation.float_search import FloatSearch
from bitsift.evaluation.judging import Judge, overlaps

METRICS = ["cosine", "dot", "l2"]


def random_corpus(seed=0, n=150, n_queries=12, dim=43, shift=0.0):
    rng = np.random.default_rng(seed)
    documents = rng.standard_normal((n, dim), dtype=np.float32) + np.float32(shift)
    queries = rng.standard_normal((n_queries, dim), dtype=np.float32) + np.float32(shift)
    return documents, queries


def random_qrels(seed, n, n_queries):
    rng = np.random.default_rng(seed)
    pairs = rng.choice(n * n_queries, 60, replace=False)
    return np.stack([pairs // n, pairs % n, rng.integers(0, 4, len(pairs))], axis=1)


@pytest.fixture(scope="module")
def evaluated():
    documents, queries = random_corpus()
    qrels = random_qrels(1, len(documents), len(queries))
    return documents, queries, qrels, bitsift.evaluate(documents, queries, qrels)


def ndcg(found, qrels, n_documents, k):
    """NDCG@k of each judged query in NumPy: linear gain, log2 discount."""
    n_queries = int(qrels[:, 0].max()) + 1
    grades = np.zeros((n_queries, n_documents))
    grades[qrels[:, 0], qrels[:, 1]] = qrels[:, 2]
    discounts = 1 / np.log2(np.arange(k) + 2)
    values = []
    for query in np.flatnonzero(grades.any(axis=1)):
        best = -np.sort(-grades[query])[:k]
        gained = grades[query][found[query][:k]]
        values.append(gained @ discounts[: len(gained)] / (best @ discounts[: len(best)]))
    return np.array(values)


# Measures


def arc(n):
    """Unit vectors that turn away from (1, 0), and that direction: the nearest n are the first."""
    angles = 0.02 * np.arange(n)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_ndcg_and_recall_by_hand():
    documents = arc(40)
    qrels = [[0, 0, 3], [0, 2, 1], [0, 30, 2], [0, 5, 0]]
    made = bitsift.evaluate(documents, documents[:2], qrels, k=3, conditions="quick")
    assert (made.k, made.depth, made.n_judged) == (3, 30, 1)
    floats = made["float32"]
    # Ranks 1 and 3 have grades 3 and 1; the best order has 3, 2, 1.
    assert floats.ndcg == pytest.approx((3 + 1 / 2) / (3 + 2 / math.log2(3) + 1 / 2), abs=1e-12)
    assert floats.recall == pytest.approx(2 / 3, abs=1e-12)  # document 30 is the 31st
    assert (floats.overlap, floats.deep_overlap, made.share(floats)) == (1, 1, 1)


def test_ties_go_to_the_smaller_row_also_in_ndcg():
    documents = np.ones((30, 4), np.float32)
    made = bitsift.evaluate(documents, documents[:1], [[0, 9, 1]], conditions="quick")
    for row in made.rows:
        assert row.ndcg == pytest.approx(1 / math.log2(11), abs=1e-12)  # the tenth of equals


def test_ndcg_is_the_oracles(rng):
    qrels = random_qrels(3, 150, 12)
    found = np.stack([rng.permutation(150)[:20] for _ in range(12)])
    judge = Judge(qrels, 7, 20)
    np.testing.assert_allclose(judge.ndcg(found), ndcg(found, qrels, 150, 7), atol=1e-12)
    wanted = [
        np.isin(relevant, found[query]).mean()
        for query in range(12)
        if len(relevant := qrels[(qrels[:, 0] == query) & (qrels[:, 2] > 0), 1])
    ]
    np.testing.assert_allclose(judge.recall(found), wanted, atol=1e-12)
    assert judge.n_judged == len(wanted)


def test_queries_without_a_relevant_document_do_not_count():
    documents = arc(40)
    qrels = [[0, 0, 1], [1, 3, 0]]
    made = bitsift.evaluate(documents, documents[:3], qrels, conditions="quick")
    assert (made.n_queries, made.n_judged) == (3, 1)
    assert made["float32"].ndcg == 1


def test_overlaps():
    found = np.array([[3, 1, 2], [7, 8, -1]])
    assert overlaps(found, np.array([[1, 2, 4], [0, 1, 2]])).tolist() == [2 / 3, 0]


@pytest.mark.parametrize("metric", METRICS)
def test_float_search_is_the_oracles(metric):
    documents, queries = random_corpus(2)
    searcher = FloatSearch(documents, metric)
    for k in (1, 10, len(documents)):
        found = searcher.search(queries, k)
        for query, rows in zip(queries, found, strict=True):
            scores = reference.scores(metric, query, documents)
            best = np.argsort(scores if metric == "l2" else -scores, kind="stable")[:k]
            np.testing.assert_array_equal(rows, best)


# Conditions


def test_all_conditions_are_there(evaluated):
    names = [row.name for row in evaluated[-1].rows]
    assert len(set(names)) == len(names)
    wanted = {
        "float32",
        *(f"{store} x {store}" for store in ("int8", "int4", "ternary")),
        "binary x binary (Hamming)",
        *(f"{s}, {bounds}" for s in ("int8", "int4") for bounds in ("min/max", "rolling")),
        "ternary, rolling",
        "binary (asymmetric)",
        "binary, corrected",
        "binary, corrected, rotated",
        *(
            f"Hamming x{oversampling} -> {source}"
            for oversampling in (1, 2, 4, 8, 10, 16)
            for source in ("float32", "float16", "int8", "int4", "bits")
        ),
        "asymmetric x4 -> int8",
        *(
            f"{threshold}{rotated}: Hamming{rescored}"
            for threshold in ("zero", "half-mean", "mean", "median")
            for rotated in ("", ", rotated")
            for rescored in ("", " x4 -> float32")
        ),
        "auto: Hamming",
        "auto: Hamming x4 -> float32",
    }
    assert set(names) == wanted
    assert names[0] == "float32"
    quick = [condition.name for condition in conditions("quick")]
    assert quick[0] == "float32"
    assert set(quick) < wanted
    assert len(quick) == 23


@pytest.mark.filterwarnings("ignore::bitsift.BitsiftWarning")
@pytest.mark.parametrize("metric", METRICS)
def test_the_code_of_every_row_makes_it(metric):
    documents, queries = random_corpus(4, shift=0.3)
    qrels = random_qrels(5, len(documents), len(queries))
    made = bitsift.evaluate(documents, queries, qrels, metric=metric, k=5)
    true = None
    for row in made.rows:
        names = {"bitsift": bitsift, "documents": documents, "queries": queries}
        exec(row.code, names)
        ids = names["found"].ids
        true = ids if true is None else true
        assert row.overlap == overlaps(ids, true).mean(), row.name
        assert row.ndcg == pytest.approx(ndcg(ids, qrels, len(documents), 5).mean(), abs=1e-12)
        index = names["index"]
        scanned = index.codes.shape[1] + 0
        all_bytes = index.nbytes // len(index)
        if "len(index)" in row.code:
            all_bytes -= scanned
            scanned = all_bytes
        elif index.store is None:
            scanned = all_bytes
        assert (row.bytes_per_vector, row.bytes_scanned) == (all_bytes, scanned), row.name


def test_float32_is_exact_search(evaluated):
    documents, queries, qrels, made = evaluated
    best = np.stack(
        [np.argsort(-reference.scores("cosine", q, documents), kind="stable") for q in queries]
    )
    wanted = ndcg(best, qrels, len(documents), 10).mean()
    assert made["float32"].ndcg == pytest.approx(wanted, abs=1e-12)


def test_hamming_is_the_oracles(evaluated):
    documents, queries, qrels, made = evaluated
    found = reference.search(reference.pack(documents), reference.pack(queries), 10)[1]
    for name in ("binary x binary (Hamming)", "zero: Hamming"):
        wanted = ndcg(found, qrels, len(documents), 10).mean()
        assert made[name].ndcg == pytest.approx(wanted, abs=1e-12)


def test_bytes_of_a_vector(evaluated):
    made = evaluated[-1]
    bits = 6  # of 43 dimensions
    wanted = {
        "float32": (172, 172),
        "int8 x int8": (43, 43),
        "int4, rolling": (22, 22),
        "ternary, rolling": (9, 9),
        "binary (asymmetric)": (bits, bits),
        "binary, corrected": (bits + 4, bits + 4),
        "Hamming x4 -> float32": (bits + 172, bits),
        "Hamming x4 -> float16": (bits + 86, bits),
        "Hamming x4 -> int8": (bits + 43, bits),
        "Hamming x4 -> int4": (bits + 22, bits),
        "Hamming x4 -> bits": (bits, bits),
    }
    got = {name: (made[name].bytes_per_vector, made[name].bytes_scanned) for name in wanted}
    assert got == wanted


def test_enough_oversampling_is_float_search():
    documents, queries = random_corpus(6, n=100)
    made = bitsift.evaluate(documents, queries)
    # 10 x 10 candidates are all documents.
    assert made["Hamming x10 -> float32"].overlap == 1
    assert made["Hamming x1 -> float32"].overlap < 1
    shares = [made[f"Hamming x{o} -> float32"].overlap for o in OVERSAMPLINGS]
    assert shares == sorted(shares)
    assert made["Hamming x10 -> bits"].overlap == made["binary (asymmetric)"].overlap


def test_rounding_queries_loses_more(evaluated):
    made = evaluated[-1]
    for both, one in (
        ("int4 x int4", "int4, rolling"),
        ("ternary x ternary", "ternary, rolling"),
        ("binary x binary (Hamming)", "binary (asymmetric)"),
    ):
        assert made[both].deep_overlap < made[one].deep_overlap


def test_times_are_of_what_bitsift_scans(evaluated):
    for row in evaluated[-1].rows:
        timed = "len(index)" not in row.code or row.name == "float32"
        assert (row.queries_per_second is not None) == timed
        assert (row.latency_s is not None) == timed
        assert not timed or (row.queries_per_second > 0 and row.latency_s > 0)


# Data


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_dtypes_and_memory_maps(tmp_path, dtype):
    documents, queries = random_corpus(7)
    documents, queries = documents.astype("float16"), queries.astype("float16")
    wanted = measures(bitsift.evaluate(documents, queries, conditions="quick"))
    np.save(tmp_path / "d.npy", documents.astype(dtype))
    mapped = np.load(tmp_path / "d.npy", mmap_mode="r")
    got = bitsift.evaluate(mapped, queries.astype(dtype), conditions="quick")
    assert measures(got) == wanted


def measures(evaluation):
    return [(row.name, row.ndcg, row.recall, row.overlap, row.deep_overlap)
            for row in evaluation.rows]  # fmt: skip


def test_threads_and_levels_change_nothing(isa):
    documents, queries = random_corpus(8)
    wanted = measures(bitsift.evaluate(documents, queries, isa="scalar", threads=1))
    assert measures(bitsift.evaluate(documents, queries, isa=isa, threads=3)) == wanted


def test_without_judgments(evaluated):
    documents, queries, _, judged = evaluated
    made = bitsift.evaluate(documents, queries)
    assert made.n_judged is None
    assert made.measure == "overlap@10"
    assert judged.measure == "NDCG@10"
    assert [(row.ndcg, row.recall) for row in made.rows] == [(None, None)] * len(made.rows)
    assert [r.overlap for r in made.rows] == [r.overlap for r in judged.rows]
    row = made["binary (asymmetric)"]
    assert made.share(row) == row.overlap < 1


def test_without_queries_some_documents_ask():
    documents, _ = random_corpus(9, n=505)
    made = bitsift.evaluate(documents, conditions="quick")
    assert (made.n_documents, made.n_queries, made.held_out) == (455, 50, 50)
    assert "50 documents held out" in made.summary()
    corpus = as_corpus(documents, None, None, 10)
    asked = np.linspace(0, 504, 50).astype(int)
    np.testing.assert_array_equal(corpus.queries, documents[asked])
    np.testing.assert_array_equal(corpus.documents, np.delete(documents, asked, axis=0))


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


# What it gives


def test_json_round_trip(evaluated):
    made = evaluated[-1]
    plain = made.to_json()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["measure"] == "NDCG@10"
    assert [row["name"] for row in plain["rows"]] == [row.name for row in made.rows]
    row = plain["rows"][0]
    assert row["share_of_float32"] == 1
    assert row["code"].startswith("index = bitsift.Index(43, ")


def test_memory_and_price():
    documents, queries = random_corpus(12, n=60, n_queries=2, dim=1024)
    made = bitsift.evaluate(documents, queries, conditions="quick")
    million, many = made.to_json()["rows"][0]["sizes"]
    assert (million["vectors"], many["vectors"]) == (1_000_000, 250_000_000)
    # The article: 250 M vectors of 1024 dimensions, 953.67 GB and 3,623 dollars.
    assert many["gb"] == pytest.approx(953.67, abs=0.01)
    assert many["usd_per_month"] == pytest.approx(3623.96, abs=0.01)
    assert million["gb"] * 250 == pytest.approx(many["gb"])
    rescored = next(r for r in made.to_json()["rows"] if r["name"] == "Hamming x4 -> float16")
    assert rescored["sizes"][1]["usd_per_month_scanned"] == pytest.approx(3623.96 / 32, abs=0.01)
    assert rescored["sizes"][1]["usd_per_month"] == pytest.approx(3623.96 * 17 / 32, abs=0.01)
    cheap = bitsift.evaluate(documents, queries, conditions="quick", price_per_gb=1)
    assert cheap.to_json()["rows"][0]["sizes"][1]["usd_per_month"] == pytest.approx(many["gb"])


def test_str(evaluated):
    made = evaluated[-1]
    lines = str(made).splitlines()
    assert lines[0] == made.summary()
    assert made.summary().startswith("12 queries among 150 vectors of 43 dimensions, cosine; ")
    assert "NDCG@10" in lines[2]
    for row in made.rows:
        assert any(line.startswith(f"{row.name} ") for line in lines)
    assert str(made.checks[0]) in lines


def test_a_row_by_its_name(evaluated):
    with pytest.raises(KeyError, match="'nothing' is none of"):
        evaluated[-1]["nothing"]


def test_no_share_of_nothing():
    documents = arc(40)
    made = bitsift.evaluate(documents, documents[:1], [[0, 39, 1]], k=2, conditions="quick")
    assert made["float32"].ndcg == 0
    assert made.share(made["float32"]) is None
    assert made.to_json()["rows"][0]["share_of_float32"] is None


# Checks


def verdicts(**quality):
    names = {
        "int8": "int8, min/max",
        "int4": "int4, rolling",
        "ternary": "ternary, rolling",
        "bits": "binary (asymmetric)",
    }
    made = check_all({names[n]: np.asarray(v, float) for n, v in quality.items()}, 1.0)
    return {check.statement: check.verdict for check in made}


def test_what_is_better():
    statement = "4 bits beat ternary (int4, rolling / ternary, rolling)"
    noise = np.array([0.1, -0.1] * 50)
    assert verdicts(int4=np.full(100, 0.9), ternary=0.8 + noise)[statement] == "held"
    assert verdicts(int4=np.full(100, 0.7), ternary=0.8 + noise)[statement] == "did not hold"
    close = verdicts(int4=np.full(100, 0.81), ternary=0.8 + noise)
    assert close[statement] == "too close to tell"


def test_what_is_level():
    statement = "8 and 4 bits are level (int8, min/max / int4, rolling)"
    noise = np.array([0.1, -0.1] * 50)
    assert verdicts(int8=np.full(100, 0.9), int4=0.895 + noise)[statement] == "held"
    assert verdicts(int8=np.full(100, 0.9), int4=0.8 + noise)[statement] == "did not hold"
    unsure = verdicts(int8=np.full(100, 0.9), int4=0.885 + noise)
    assert unsure[statement] == "too close to tell"


def test_only_what_was_measured_is_checked(evaluated):
    assert verdicts(bits=[1.0]) == {}
    assert len(evaluated[-1].checks) == 12
    check = evaluated[-1].checks[0]
    assert str(check).startswith(f"{check.statement}: {check.verdict} here, ")


# Refusals


@pytest.mark.parametrize(
    ("arguments", "kind", "fragment"),
    [
        ({"documents": "few"}, ValueError, "documents must be 20 or more, queries not counted; "),
        ({"documents": "few", "queries": None}, ValueError, "documents must be 20 or more"),
        ({"k": 200}, ValueError, "documents must be 200 or more, queries not counted; got 150"),
        ({"documents": "1-D"}, ValueError, r"documents must have shape \(n, dim\)"),
        ({"documents": "bits"}, TypeError, "documents must be float16, .* got uint8"),
        ({"documents": "bool"}, TypeError, "documents must be float16, .* got bool"),
        ({"documents": "NaN"}, ValueError, "documents must be finite; row 3, dimension 1 is nan"),
        ({"documents": "huge"}, ValueError, "documents must be within float16's range, 65504; "),
        ({"queries": "NaN"}, ValueError, "queries must be finite; row 3, dimension 1 is nan"),
        ({"queries": "huge"}, ValueError, "queries must be within float32's range"),
        ({"queries": "narrow"}, ValueError, "queries must have as many values as documents: got "),
        ({"queries": "none"}, ValueError, "queries must have at least one row"),
        ({"queries": None, "qrels": [[0, 0, 1]]}, ValueError, "got qrels, but no queries"),
        ({"qrels": [[0.0, 0.0, 1.0]]}, TypeError, "qrels must be integers; got float64"),
        ({"qrels": [[0, 0]]}, ValueError, r"qrels must have shape \(n, 3\)"),
        ({"qrels": [0, 0, 1]}, ValueError, r"qrels must have shape \(n, 3\)"),
        ({"qrels": np.zeros((0, 3), int)}, ValueError, r"got shape \(0, 3\)"),
        ({"qrels": [[0, 0, 1], [12, 0, 1]]}, ValueError, "query rows from 0 to 11; row 1 has 12"),
        ({"qrels": [[-1, 0, 1]]}, ValueError, "query rows from 0 to 11; row 0 has -1"),
        ({"qrels": [[0, 150, 1]]}, ValueError, "document rows from 0 to 149; row 0 has 150"),
        ({"qrels": [[0, 0, -1]]}, ValueError, "grades from 0 to .*; row 0 has -1"),
        ({"qrels": [[0, 0, 2**31]]}, ValueError, "grades from 0 to"),
        ({"qrels": [[0, 0, 0]]}, ValueError, "qrels must have a grade above 0"),
        ({"qrels": [[0, 1, 1], [0, 1, 1]]}, ValueError, "row 1 judges query 0, document 1 again"),
        ({"metric": "hamming"}, ValueError, "metric must be one of"),
        ({"conditions": "none"}, ValueError, "conditions must be one of"),
        ({"k": 0}, ValueError, "k must be 1 to"),
        ({"k": 2.5}, TypeError, "k must be an integer"),
        ({"price_per_gb": -1}, ValueError, "price_per_gb must be finite and not negative"),
        ({"price_per_gb": math.nan}, ValueError, "price_per_gb must be finite"),
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


# Real corpora


def judged_corpus(name):
    """Vectors and judgments that are not part of the project: documents, queries, qrels."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BITSIFT_DATA", beside)) / name
    if not folder.is_dir():
        pytest.skip(f"NOT TESTED on {name}: set BITSIFT_DATA to the folder that holds it")
    return [np.load(folder / f"{part}.npy") for part in ("docs", "queries", "qrels")]


# By NumPy, ties to the lower row: float32, Hamming, 40 and 100 candidates of Hamming by float.
REAL = {
    "nfcorpus": (0.3167, 0.2761, 0.3106, 0.3153),
    "cranfield": (0.3750, 0.3025, 0.3723, 0.3745),
    "npl": (0.4335, 0.3939, 0.4368, 0.4345),
}
# Float query x 1-bit documents, and 40 candidates of it by float; bitsift rounds queries to 8 bits.
REAL_ASYMMETRIC = {
    "nfcorpus": (0.2952, 0.3156),
    "cranfield": (0.3446, 0.3740),
    "npl": (0.4034, 0.4365),
}


@pytest.mark.parametrize("name", REAL)
def test_real_corpora(name):
    documents, queries, qrels = judged_corpus(name)
    made = bitsift.evaluate(documents, queries, qrels)
    names = ["float32", "binary x binary (Hamming)", *(f"Hamming x{o} -> float32" for o in (4, 10))]
    assert [made[n].ndcg for n in names] == pytest.approx(REAL[name], abs=2e-4)
    names = ["binary (asymmetric)", "asymmetric x4 -> int8"]
    assert [made[n].ndcg for n in names] == pytest.approx(REAL_ASYMMETRIC[name], abs=2e-3)
    best = np.argsort(-(queries.astype(np.float32) @ documents.astype(np.float32).T), kind="stable")
    wanted = ndcg(best, qrels, len(documents), 10).mean()
    assert made["float32"].ndcg == pytest.approx(wanted, abs=2e-4)
    codes = reference.pack(documents), reference.pack(queries)
    found = bitsift.search(*codes, 10).ids
    wanted = ndcg(found, qrels, len(documents), 10).mean()
    assert made["binary x binary (Hamming)"].ndcg == pytest.approx(wanted, abs=1e-12)
    for eight, four in (("int8, min/max", "int4, rolling"), ("int8 x int8", "int4 x int4")):
        assert made[four].ndcg > 0.98 * made[eight].ndcg
    assert made["binary (asymmetric)"].ndcg > made["binary x binary (Hamming)"].ndcg
    assert made["ternary, rolling"].ndcg > made["binary (asymmetric)"].ndcg
