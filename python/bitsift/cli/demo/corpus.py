# SPDX-License-Identifier: Apache-2.0
"""The arXiv papers and the prepared queries that come with the package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import bitsift
from bitsift import CorruptIndexError

__all__ = ["DemoCorpus", "Paper", "load_corpus", "load_queries"]

FOLDER = Path(__file__).resolve().parents[2] / "data" / "arxiv"


@dataclass(frozen=True)
class Paper:
    """One document of the demo."""

    arxiv: str
    title: str


@dataclass(frozen=True)
class DemoCorpus:
    """The papers, their index, and their vectors of length 1 for the comparison.

    Attributes
    ----------
    index : Index
        Codes and float16 originals; the id of a paper is its position in `papers`.
    papers : list of Paper
    unit : ndarray of float32, shape (n, dim)
        The originals, scaled to length 1: the product with a query of length 1 is the cosine.
    """

    index: bitsift.Index
    papers: list[Paper]
    unit: NDArray[np.float32]


def load_corpus() -> DemoCorpus:
    """Read the papers: about 4 MB."""
    index = bitsift.Index.load(FOLDER / "index")
    path = FOLDER / "documents.jsonl"
    with path.open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    papers = [Paper(record["id"], record["title"]) for record in records]
    if len(papers) != len(index):
        raise CorruptIndexError(path, f"{len(papers)} papers, but {len(index)} vectors")
    originals = np.asarray(index.get(index.ids), dtype=np.float32)
    unit = originals / np.linalg.norm(originals, axis=1, keepdims=True)
    return DemoCorpus(index, papers, unit)


def load_queries() -> tuple[list[str], NDArray[np.float32]]:
    """Read the prepared queries: their texts, and a float32 row for each text."""
    texts = json.loads((FOLDER / "queries.json").read_text(encoding="utf-8"))
    vectors = np.load(FOLDER / "queries.npy", allow_pickle=False).astype(np.float32)
    return texts, vectors
