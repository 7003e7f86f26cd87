# SPDX-License-Identifier: Apache-2.0
"""The arXiv papers and the prepared queries that come with the package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import bitsift
from bitsift.core.errors import CorruptIndexError

__all__ = ["Corpus", "Paper", "load_corpus", "load_queries"]

FOLDER = Path(__file__).resolve().parents[2] / "data" / "arxiv"


@dataclass(frozen=True)
class Paper:
    """One document of the demo."""

    arxiv: str
    title: str


@dataclass(frozen=True)
class Corpus:
    """The papers, their index and their unit vectors for comparison.

    Attributes
    ----------
    index : Index
        Bits and float16 originals; the id of a paper is its position in `papers`.
    papers : list of Paper
    unit : ndarray of float32, shape (n, dim)
        The originals with length 1: a product with a unit query is the cosine.
    """

    index: bitsift.Index
    papers: list[Paper]
    unit: NDArray[np.float32]


def load_corpus() -> Corpus:
    """Read the papers, about 4 MB."""
    index = bitsift.Index.load(FOLDER / "index")
    path = FOLDER / "documents.jsonl"
    with path.open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    papers = [Paper(record["id"], record["title"]) for record in records]
    if len(papers) != len(index):
        raise CorruptIndexError(path, f"{len(papers)} papers, but {len(index)} vectors")
    originals = np.asarray(index.get(index.ids), dtype=np.float32)
    unit = originals / np.linalg.norm(originals, axis=1, keepdims=True)
    return Corpus(index, papers, unit)


def load_queries() -> tuple[list[str], NDArray[np.float32]]:
    """Read the prepared queries: their texts, and a float32 row for each."""
    texts = json.loads((FOLDER / "queries.json").read_text(encoding="utf-8"))
    vectors = np.load(FOLDER / "queries.npy", allow_pickle=False).astype(np.float32)
    return texts, vectors
