# SPDX-License-Identifier: Apache-2.0
"""``bitsift search``: a file of queries against an index."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import bitsift
from bitsift.cli.arrays import Rows, check_finite, native_copy, open_rows
from bitsift.cli.outfile import save_arrays
from bitsift.cli.output import print_line, progress_bar, show, table

__all__ = ["Found", "SearchOptions", "print_found", "save_found", "search_index"]

_BATCH = 256


@dataclass(frozen=True)
class SearchOptions:
    """What the command was told about the search."""

    k: int
    oversampling: float
    rescore: bool | None
    scoring: Literal["hamming", "asymmetric"]
    threads: int
    mmap: bool


@dataclass(frozen=True)
class Found:
    """Scores and ids, one row a query; id -1 where there are fewer than `k` vectors."""

    scores: NDArray[Any]
    ids: NDArray[np.int64]
    score: str
    n: int

    def to_json(self) -> dict[str, Any]:
        """Give the same as plain values, without the padding."""
        results = []
        for query, (scores, ids) in enumerate(zip(self.scores, self.ids, strict=True)):
            real = ids >= 0
            results.append(
                {
                    "query": query,
                    "ids": ids[real].tolist(),
                    # JSON has no infinity, which products of huge values reach.
                    "scores": [s if math.isfinite(s) else None for s in scores[real].tolist()],
                }
            )
        return {
            "vectors": self.n,
            "queries": len(self.ids),
            "k": self.ids.shape[1],
            "score": self.score,
            "results": results,
        }


def search_index(folder: Path, queries: Path, options: SearchOptions) -> Found:
    """Search the index at `folder` for every row of `queries`."""
    index = bitsift.Index.load(folder, mmap=options.mmap)
    rows = open_rows(queries, one=True)
    n = len(rows)
    parts = []
    with progress_bar("searching", n) as update:
        # At least one call, so that without queries the options are checked all the same.
        for start in range(0, max(n, 1), _BATCH):
            stop = min(start + _BATCH, n)
            batch = native_copy(rows[start:stop])
            parts.append(_search(index, queries, start, batch, options))
            update(stop)
    scores = np.concatenate([part.scores for part in parts])
    ids = np.concatenate([part.ids for part in parts])
    return Found(scores, ids, _score(index, scores, options), len(index))


def _score(index: bitsift.Index, scores: NDArray[Any], options: SearchOptions) -> str:
    """Name what the scores are; asymmetric ones only estimate the metric."""
    if scores.dtype.kind == "i":
        return "hamming"
    rescored = options.rescore if options.rescore is not None else index.store is not None
    return index.metric if rescored else f"asymmetric {index.metric}"


def _search(
    index: bitsift.Index, path: Path, start: int, batch: Rows, options: SearchOptions
) -> bitsift.SearchResult:
    try:
        return index.search(
            batch,
            options.k,
            oversampling=options.oversampling,
            rescore=options.rescore,
            scoring=options.scoring,
            threads=options.threads,
        )
    except ValueError:
        check_finite(path, start, batch)
        raise


def save_found(found: Found, path: Path) -> None:
    """Write ``scores`` and ``ids`` as an ``.npz`` archive that is there whole or not at all."""
    save_arrays(path, {"scores": found.scores, "ids": found.ids})


def print_found(found: Found, console: Console, n_shown: int) -> None:
    """Print the results of the first `n_shown` queries, and how many more there are."""
    n = len(found.ids)
    shown = table(
        console, ("query", "right"), ("rank", "right"), ("id", "right"), (found.score, "right")
    )
    for query in range(min(n_shown, n)):
        for rank, (score, found_id) in enumerate(
            zip(found.scores[query], found.ids[query], strict=True), 1
        ):
            if found_id >= 0:
                text = str(score) if found.score == "hamming" else f"{score:.6f}"
                shown.add_row(str(query), str(rank), str(found_id), text)
    if n_shown:
        show(console, shown)
    if n > n_shown:
        print_line(
            console, f"{n - n_shown:,} more of {n:,} queries: --show, --json or -o FILE.npz", "dim"
        )
