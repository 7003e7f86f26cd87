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

__all__ = ["DemoCorpus", "Paper", "load_corpus", "load_queries", "load_vectors"]

FOLDER = Path(__file__).resolve().parents[2] / "data" / "arxiv"


@dataclass(frozen=True)
class Paper:
    """One document of the demo."""

    arxiv: str
    title: str


@dataclass(frozen=True)
class DemoCorpus:
    """The papers, two indexes of them, and their vectors of length 1 for the comparison.

    Attributes
    ----------
    index : Index
        What ``bitsift.Index(dim)`` and ``add`` make; the id of a paper is its position in `papers`.
    bits : Index
        The same without originals.
    papers : list of Paper
    unit : ndarray of float32, shape (n, dim)
        The vectors, scaled to length 1: the product with a query of length 1 is the cosine.
    """

    index: bitsift.Index
    bits: bitsift.Index
    papers: list[Paper]
    unit: NDArray[np.float32]


def load_vectors() -> NDArray[np.float32]:
    """Read the vectors of the papers."""
    index = bitsift.Index.load(FOLDER / "index")
    return np.asarray(index.get(index.ids), dtype=np.float32)


def load_corpus() -> DemoCorpus:
    """Read the papers, about 4 MB, and index them as a user would: by defaults alone."""
    vectors = load_vectors()
    path = FOLDER / "documents.jsonl"
    with path.open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    papers = [Paper(record["id"], record["title"]) for record in records]
    if len(papers) != len(vectors):
        raise CorruptIndexError(path, f"{len(papers)} papers, but {len(vectors)} vectors")
    index, bits = bitsift.Index(vectors.shape[1]), bitsift.Index(vectors.shape[1], store=None)
    index.add(vectors)
    bits.add(vectors)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return DemoCorpus(index, bits, papers, unit)


def load_queries() -> tuple[list[str], NDArray[np.float32]]:
    """Read the prepared queries: their texts, and a float32 row for each text."""
    texts = json.loads((FOLDER / "queries.json").read_text(encoding="utf-8"))
    vectors = np.load(FOLDER / "queries.npy", allow_pickle=False).astype(np.float32)
    return texts, vectors
