# SPDX-License-Identifier: Apache-2.0
"""The examples of the documents and docstrings run and print what they show."""

import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import bitsift

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".core.isa",
        ".quantization.calibration",
        ".evaluation.evaluate",
        ".index.index",
        ".quantization.bits",
        ".quantization.embeddings",
        ".codes.neighbors",
        ".codes.conventions",
        ".codes.responses",
        ".storage.reader",
    ],
)
def test_docstring_examples(name):
    module = importlib.import_module(f"bitsift{name}")
    result = doctest.testmod(module, extraglobs={"bitsift": bitsift, "numpy": np})
    assert result.failed == 0
    if name not in (".core.isa", ".storage.reader"):
        assert result.attempted > 0


def python_blocks(document):
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)


def test_examples_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks("README.md")
    assert blocks
    names: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
