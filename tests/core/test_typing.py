# SPDX-License-Identifier: Apache-2.0
"""Calls that the documents show are accepted by a strict type checker."""

from pathlib import Path

import pytest

import bitsift

# A list of names and pairs in a variable: what a checker infers is wider than its parts.
LADDERS = """
import bitsift

index = bitsift.Index(8, store=("int8", "float32"))
queries = [[1.0] * 8]
mixed = [("hamming", 40), ("asymmetric", 10), ("int8", 4), "float32"]
index.search(queries, ladder=mixed)
pairs = [("hamming", 4.5), ("float32", 1)]
index.search(queries, ladder=pairs)
names = ["asymmetric"]
index.search(queries, ladder=names)
index.search(queries, ladder=(("hamming", 4), "float32"))
index.search(queries, oversampling=None, rescore=None, scoring=None, ladder=None)
row: bitsift.EvaluationRow = bitsift.evaluate(queries).rows[0]
planned: bitsift.PlanRow = bitsift.plan(250e6, 768, bandwidth=20).rows[0]
check: bitsift.EvaluationCheck = bitsift.evaluate(queries).checks[0]
"""
WRONG = """
import bitsift

bitsift.Index(8).search([[1.0] * 8], ladder=[("hamming", 40), 4])
"""


@pytest.mark.slow
def test_ladders_in_variables(tmp_path, monkeypatch):
    mypy = pytest.importorskip("mypy.api")
    monkeypatch.setenv("MYPYPATH", str(Path(bitsift.__file__).parents[1]))
    monkeypatch.chdir(tmp_path)
    for text, status in ((LADDERS, 0), (WRONG, 1)):
        (tmp_path / "calls.py").write_text(text, encoding="utf-8")
        options = ["--strict", "--config-file=", "--cache-dir", str(tmp_path / "cache")]
        printed, _, found = mypy.run([*options, "calls.py"])
        assert found == status, printed
