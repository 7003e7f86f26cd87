# SPDX-License-Identifier: Apache-2.0
"""The peers that are installed; None for one that is not."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from typing import Any


def _import(name: str) -> Any:
    with warnings.catch_warnings():
        # SWIG's classes lack an attribute that Python 3.12 asks for; errors here are for bitsift.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name.partition(".")[0]:
                raise  # it is installed, but broken
            return None


faiss = _import("faiss")
usearch = _import("usearch.index")
numkong = _import("numkong")
# Not imported before it is asked for: it brings PyTorch, which takes seconds.
has_sentence_transformers = importlib.util.find_spec("sentence_transformers") is not None


def semantic_search() -> Any:
    """Give sentence-transformers' search with FAISS."""
    return importlib.import_module("sentence_transformers.quantization").semantic_search_faiss


def missing() -> list[str]:
    """Name the distributions that are not installed."""
    found = {
        "faiss-cpu": faiss is not None,
        "usearch": usearch is not None,
        "numkong": numkong is not None,
        "sentence-transformers": has_sentence_transformers,
    }
    return [name for name, here in found.items() if not here]
