# SPDX-License-Identifier: Apache-2.0
"""``bitsift search``: a file of queries against an index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import bitsift
from bitsift.cli.console import print_line, progress_bar, show, table
from bitsift.cli.failure import InputError, one_line
from bitsift.cli.files.arrays import check_finite, native_copy, open_rows
from bitsift.cli.files.outfile import save_arrays
from bitsift.encoding.originals import as_store_names
from bitsift.retrieval import ladder

__all__ = ["Found", "SearchOptions", "print_found", "save_found", "search_index"]

_BATCH = 256
_OVERSAMPLING = 4.0
_LADDER = "hamming:40,asymmetric:10,int8:4,float32"


@dataclass(frozen=True)
class SearchOptions:
    """What the command was told about the search; None is what it was not told."""

    k: int
    oversampling: float | None
    rescore: bool | None
    scoring: Literal["hamming", "asymmetric"] | None
    ladder: str | None
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
    told = _as_told(options)
    index = bitsift.Index.load(folder, mmap=options.mmap)
    rows = open_rows(queries, one=True)
    score = _score(index, told, options.ladder, are_bits=rows.dtype == np.uint8)
    n = len(rows)
    parts = []
    with progress_bar("searching", n) as update:
        # At least one call, so that without queries the options are checked all the same.
        for start in range(0, max(n, 1), _BATCH):
            numbers = range(start, min(start + _BATCH, n))
            batch = native_copy(rows[numbers.start : numbers.stop])
            try:
                part = index.search(batch, options.k, threads=options.threads, **told._asdict())
            except ValueError:
                check_finite(queries, numbers, batch)
                raise
            parts.append(part)
            update(numbers.stop)
    scores = np.concatenate([part.scores for part in parts])
    ids = np.concatenate([part.ids for part in parts])
    return Found(scores, ids, score, len(index))


def _as_told(options: SearchOptions) -> ladder.LadderOptions:
    """Return what the library is told, with its defaults; with a ladder there is nothing else."""
    if options.ladder is not None:
        given = {
            "--oversampling": options.oversampling,
            "--rescore" if options.rescore else "--no-rescore": options.rescore,
            "--scoring": options.scoring,
        }
        for name, value in given.items():
            if value is not None:
                raise InputError(
                    f"--ladder says what scans, what rescores and how much; {name} cannot be given "
                    "with it"
                )
    return ladder.LadderOptions(
        oversampling=_OVERSAMPLING if options.oversampling is None else options.oversampling,
        rescore=options.rescore,
        scoring=options.scoring or "hamming",
        ladder=None if options.ladder is None else _rungs(options.ladder),
    )


def _rungs(text: str) -> list[str | tuple[str, float]]:
    """Read ``"hamming:40,int8:4,float32"``; whether an index can climb it, the index says."""
    rungs: list[str | tuple[str, float]] = []
    *passing, last = text.split(",")
    for rung in passing:
        name, _, number = (part.strip() for part in rung.partition(":"))
        rungs.append((name, _multiple(text, rung, number)))
    name, colon, number = (part.strip() for part in last.partition(":"))
    rungs.append((name, _multiple(text, last, number)) if colon else name)
    return rungs


def _multiple(text: str, rung: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise InputError(
            f"--ladder {text!r}: {rung!r} does not say how many candidates it passes on, as a "
            f"multiple of k. Right is, for one: {_LADDER}"
        ) from None


def _score(
    index: bitsift.Index, told: ladder.LadderOptions, text: str | None, *, are_bits: bool
) -> str:
    """Name what the scores will be; asymmetric ones only estimate the metric."""
    stores = as_store_names(index.store)
    try:
        last = told.rungs(stores, are_bits=are_bits, corrected=index.correction)[-1].name
    except (ValueError, TypeError) as error:
        if text is None:
            raise
        right = _example(stores, are_bits=are_bits)
        raise InputError(
            f"--ladder {text!r}: {one_line(error)}. Right is, for one: {right}"
        ) from None
    if last == "hamming":
        return last
    return f"asymmetric {index.metric}" if last == "asymmetric" else index.metric


def _example(stores: Sequence[str], *, are_bits: bool) -> str:
    """Return a ladder that an index with these stores can climb."""
    if are_bits:
        return "hamming"
    if not stores:
        return "hamming:40,asymmetric"
    between = (f"{name}:4" for name in stores[:-1])
    return ",".join(["hamming:40", "asymmetric:10", *between, stores[-1]])


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
