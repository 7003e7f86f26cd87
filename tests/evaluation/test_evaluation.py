# SPDX-License-Identifier: Apache-2.0
"""bitsift.evaluate against numbers by hand, the oracle, the calls it names, and real corpora."""

import itertools
import json
import math
import pickle

import numpy as np
import pytest

import bitsift
from bitsift.evaluation import running
from bitsift.evaluation.checks import check_all
from bitsift.evaluation.conditions import OVERSAMPLINGS, conditions
from bitsift.evaluation.float_search import FloatSearch
from bitsift.evaluation.judging import Judge, overlaps
from bitsift.evaluation.result import EvaluationRow, Row
from helpers.evaluation_samples import arc, ndcg, random_corpus, random_qrels, real_arrays
from oracle import reference

METRICS = ["cosine", "dot", "l2"]


@pytest.fixture(scope="module")
def evaluated():
    documents, queries = random_corpus()
    qrels = random_qrels(1, len(documents), len(queries))
    return documents, queries, qrels, bitsift.evaluate(documents, queries, qrels)


# Measures


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
            alone = searcher.search_on_one_core(query[np.newaxis], k)
            np.testing.assert_array_equal(alone, rows[np.newaxis])


def test_times_are_those_of_the_fastest_runs(monkeypatch):
    """What other work on the machine adds does not count; what a query takes does."""
    now = 0.0
    disturbances = itertools.cycle([5.0, 0.0, 7.0])

    def search(some):
        nonlocal now
        now += some.sum() + next(disturbances)

    monkeypatch.setattr(running.time, "perf_counter", lambda: now)
    queries = np.array([[1.0], [2.0], [4.0], [8.0], [32.0]])
    assert running._times(search, queries) == (47.0, 4.0)


# Conditions


def test_all_conditions_are_there(evaluated):
    names = [row.name for row in evaluated[-1].rows]
    assert len(set(names)) == len(names)
    wanted = {
        "float32",
        "default search -> float16",
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
    quick = [condition.name for condition in conditions("quick")]
    assert quick[:2] == names[:2] == ["float32", "default search -> float16"]
    assert set(quick) < wanted
    assert len(quick) == 24


@pytest.mark.filterwarnings("ignore::bitsift.BitsiftWarning")
@pytest.mark.parametrize(
    "metric", ["cosine", *(pytest.param(m, marks=pytest.mark.slow) for m in ("dot", "l2"))]
)
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


def test_conditions_are_what_their_names_say(evaluated):
    made = evaluated[-1]
    index = 'index = bitsift.Index(43, metric="cosine", '
    begins = {
        "int8, min/max": 'store="int8", calibrator=bitsift.MinMaxCalibrator())',
        "int8, rolling": 'store="int8", calibrator=bitsift.RollingCalibrator(4.0))',
        "int4, min/max": 'store="int4", calibrator=bitsift.MinMaxCalibrator())',
        "int4, rolling": 'store="int4", calibrator=bitsift.RollingCalibrator(3.0))',
        "ternary, rolling": 'store="ternary", calibrator=bitsift.RollingCalibrator(0.7))',
        "binary, corrected": 'store=None, threshold="mean", rotate=False, correction=True)',
        "binary, corrected, rotated": 'store=None, threshold="mean", rotate=True, correction=True)',
        "median, rotated: Hamming": 'store=None, threshold="median", rotate=True)',
        "auto: Hamming x4 -> float32": 'store="float32", threshold="auto", rotate=False)',
    }
    plain = (
        'index = bitsift.Index(43, metric="cosine")\nindex.fit(documents)\nindex.add(documents)\n'
    )
    assert made["default search -> float16"].code.startswith(plain)
    assert bitsift.Index(43).store == "float16"
    for name, begin in begins.items():
        assert made[name].code.startswith(f"{index}{begin}\n"), name
    searches = {
        "float32": "queries, 10, oversampling=len(index) / 10",
        "default search -> float16": "queries, 10",
        "binary x binary (Hamming)": 'queries, 10, scoring="hamming"',
        "binary (asymmetric)": 'queries, 10, scoring="asymmetric"',
        "Hamming x8 -> int4": 'queries, 10, scoring="hamming", oversampling=8.0',
        "Hamming x8 -> bits": 'queries, 10, ladder=[("hamming", 8), "asymmetric"]',
        "asymmetric x4 -> int8": 'queries, 10, scoring="asymmetric", oversampling=4.0',
    }
    for name, search in searches.items():
        assert made[name].code.endswith(f"\nfound = index.search({search})"), name


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
        "default search -> float16": (bits + 86, bits),
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


# What it gives


def test_plain_values_go_through_json(evaluated):
    made = evaluated[-1]
    plain = made.to_dict()
    assert made.to_json() == plain
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["measure"] == "NDCG@10"
    assert [row["name"] for row in plain["rows"]] == [row.name for row in made.rows]
    row = plain["rows"][0]
    assert row["share_of_float32"] == 1
    assert row["code"].startswith("index = bitsift.Index(43, ")


def test_memory_and_price():
    documents, queries = random_corpus(12, n=64, n_queries=2, dim=1024)
    made = bitsift.evaluate(documents, queries, conditions="quick")
    million, many = made.to_dict()["rows"][0]["sizes"]
    assert (million["vectors"], many["vectors"]) == (1_000_000, 250_000_000)
    # The article: 250 M vectors of 1024 dimensions, 953.67 GiB.
    assert many["gb"] == 1024
    assert many["gb"] * 1e9 / 2**30 == pytest.approx(953.67, abs=0.01)
    assert many["usd_per_month"] == pytest.approx(1024 * 3.8)
    assert million["gb"] * 250 == pytest.approx(many["gb"])
    rescored = next(r for r in made.to_dict()["rows"] if r["name"] == "Hamming x4 -> float16")
    assert rescored["sizes"][1]["usd_per_month_scanned"] == pytest.approx(32 * 3.8)
    assert rescored["sizes"][1]["usd_per_month"] == pytest.approx((32 + 512) * 3.8)
    planned = bitsift.plan(250e6, 1024, bandwidth=1)
    row = planned["bits + float16"]
    assert rescored["sizes"][1]["usd_per_month_scanned"] == pytest.approx(row.usd_per_month)
    assert rescored["sizes"][1]["usd_per_month"] == pytest.approx(row.usd_per_month_all)
    assert "USD/month, 250 M" in str(made)


def test_memory_and_price_of_another_size():
    documents, queries = random_corpus(12, n=60, n_queries=2, dim=1024)
    made = bitsift.evaluate(
        documents, queries, conditions="quick", price_per_gb=1, n_vectors=np.float64(2e6)
    )
    assert made.sizes == (2_000_000,)
    (size,) = made.to_dict()["rows"][0]["sizes"]
    assert size["vectors"] == made.to_dict()["sizes"][0] == 2_000_000
    assert size["usd_per_month"] == pytest.approx(size["gb"]) == pytest.approx(8.192)
    assert "USD/month, 2 M" in str(made)
    assert pickle.loads(pickle.dumps(made)) == made


def test_evaluations_pickled_before_there_were_sizes(evaluated):
    made = evaluated[-1]
    state = {name: value for name, value in vars(made).items() if name != "sizes"}
    old = object.__new__(bitsift.Evaluation)
    vars(old).update(state)
    assert old == made
    assert old.to_dict() == made.to_dict()


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
    with pytest.raises(KeyError, match="name must be that of a row; got 'nothing'"):
        evaluated[-1]["nothing"]


def test_rows_have_the_class_that_pickles_of_0_1_0_name(evaluated):
    assert Row is EvaluationRow
    row = evaluated[-1].rows[0]
    assert pickle.loads(pickle.dumps(row)) == row
    assert [check.to_json() for check in evaluated[-1].checks] == [
        check.to_dict() for check in evaluated[-1].checks
    ]


def test_no_share_of_nothing():
    documents = arc(40)
    made = bitsift.evaluate(documents, documents[:1], [[0, 39, 1]], k=2, conditions="quick")
    assert made["float32"].ndcg == 0
    assert made.share(made["float32"]) is None
    assert made.to_dict()["rows"][0]["share_of_float32"] is None


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


# Real corpora


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


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_real_corpora(name):
    documents, queries, qrels = real_arrays(name, "docs", "queries", "qrels")
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
