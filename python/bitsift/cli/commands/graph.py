# SPDX-License-Identifier: Apache-2.0
"""``bitsift graph``: the nearest other vectors of every vector of an index."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import bitsift
from bitsift.cli.console import (
    human_count,
    human_seconds,
    key_values,
    print_line,
    progress_bar,
    show,
    spinner,
    table,
)
from bitsift.cli.failure import InputError
from bitsift.cli.files.outfile import check_outfile, save_arrays

__all__ = ["Graph", "GraphOptions", "Pairs", "make_graph", "print_graph"]

_STEPS = 1000
_SHOWN = 20


@dataclass(frozen=True)
class GraphOptions:
    """What the command was told about the graph."""

    k: int
    threads: int
    isa: str | None
    duplicates: int | None
    force: bool


@dataclass(frozen=True)
class Pairs:
    """Pairs of vectors that are near, nearest first, each once.

    Attributes
    ----------
    limit : int
        The distance up to which pairs are listed.
    ids : ndarray of int64, shape (n_pairs, 2)
        The smaller id first.
    distances : ndarray of int32, shape (n_pairs,)
    n_full : int
        Vectors whose `k` neighbours are all within the limit, so that there may be more: a pair is
        missing only if both its vectors are of these.
    """

    limit: int
    ids: NDArray[np.int64]
    distances: NDArray[np.int32]
    n_full: int

    @property
    def complete(self) -> bool:
        """Whether no pair within the limit can be missing."""
        return self.n_full < 2

    def to_json(self) -> dict[str, Any]:
        """Give the same as plain values."""
        return {
            "limit": self.limit,
            "complete": self.complete,
            "count": len(self.ids),
            "pairs": [
                {"a": a, "b": b, "distance": distance}
                for (a, b), distance in zip(self.ids.tolist(), self.distances.tolist(), strict=True)
            ],
        }


@dataclass(frozen=True)
class Graph:
    """A graph in numbers; the neighbours themselves are in the file `out`.

    Attributes
    ----------
    seconds : float
        What comparing took, without files.
    n_equal : int
        Vectors that have another with the same bits.
    """

    out: Path
    n: int
    k: int
    isa: str
    seconds: float
    n_equal: int
    pairs: Pairs | None

    @property
    def pairs_per_second(self) -> float | None:
        """How many distances a second were computed; None if the clock saw no time pass."""
        return self.n * (self.n - 1) / 2 / self.seconds if self.seconds > 0 else None

    def to_json(self) -> dict[str, Any]:
        """Give the same as plain values."""
        return {
            "path": str(self.out),
            "vectors": self.n,
            "k": self.k,
            "isa": self.isa,
            "seconds": self.seconds,
            "pairs_per_second": self.pairs_per_second,
            "with_duplicate": self.n_equal,
            **({} if self.pairs is None else {"duplicates": self.pairs.to_json()}),
        }


def make_graph(folder: Path, out: Path, options: GraphOptions) -> Graph:
    """Compare all vectors of the index at `folder` and write their neighbours to `out`.

    Parameters
    ----------
    folder : Path
        The index; opened by memory map, its originals are not read.
    out : Path
        ``.npz`` file for the arrays ``ids`` (n,), ``neighbors`` (n, k), ids as well and -1 where
        there is none, and ``distances`` (n, k). Ties go to the vector that was added first.
    options : GraphOptions

    Raises
    ------
    InputError
        A file or an option does not fit; nothing has been written.
    """
    check_outfile(out, force=options.force)
    index = bitsift.Index.load(folder, mmap=True, isa=options.isa)
    codes, ids = index.codes, index.ids
    if len(codes) == 0:
        raise InputError(f"{folder}: holds no vectors; wanted at least one")
    start = time.perf_counter()
    with progress_bar("comparing", _STEPS) as update:
        distances, rows = bitsift.knn_graph(
            codes,
            options.k,
            progress=lambda share: update(int(share * _STEPS)),
            isa=index.isa,
            threads=options.threads,
        )
    seconds = time.perf_counter() - start
    with spinner("saving"):
        pairs = None
        if options.duplicates is not None:
            pairs = _pairs(distances, rows, ids, min(options.duplicates, index.dim))
        neighbors = np.where(rows >= 0, ids[rows], -1)
        arrays = {"ids": ids, "neighbors": neighbors, "distances": distances}
        save_arrays(out, arrays, force=options.force)
    return Graph(
        out=out,
        n=len(ids),
        k=options.k,
        isa=index.isa,
        seconds=seconds,
        n_equal=int((distances[:, 0] == 0).sum()),
        pairs=pairs,
    )


def _pairs(
    distances: NDArray[np.int32], rows: NDArray[np.int64], ids: NDArray[np.int64], limit: int
) -> Pairs:
    n, k = rows.shape
    near = distances <= limit  # padding is farther than any limit of at most dim
    n_full = int(near[:, -1].sum()) if k < n - 1 else 0
    left, right, between = np.nonzero(near)[0], rows[near], distances[near]
    # The two vectors of a pair may each have found the other.
    _, firsts = np.unique(np.minimum(left, right) * n + np.maximum(left, right), return_index=True)
    both = np.sort(ids[np.stack([left[firsts], right[firsts]], axis=1)], axis=1)
    between = between[firsts]
    order = np.lexsort((both[:, 1], both[:, 0], between))
    return Pairs(limit, both[order], between[order], n_full)


def print_graph(graph: Graph, console: Console) -> None:
    """Print the numbers, and the first of the pairs if they were asked for."""
    print_line(console, f"wrote {graph.out}", "bold")
    rate = graph.pairs_per_second
    speed = "" if rate is None else f", {human_count(rate)} pairs a second"
    equal = f"{graph.n_equal:,} {'has' if graph.n_equal == 1 else 'have'} an exact duplicate"
    key_values(
        console,
        [
            ("vectors", f"{graph.n:,}, {equal}"),
            ("k", f"{graph.k:,}"),
            ("compared", f"in {human_seconds(graph.seconds)}{speed} ({graph.isa})"),
        ],
    )
    if graph.pairs is not None:
        _print_pairs(graph.pairs, graph.k, console)


def _print_pairs(pairs: Pairs, k: int, console: Console) -> None:
    n = len(pairs.ids)
    if n:
        shown = table(console, ("id", "right"), ("id", "right"), ("hamming", "right"))
        for (a, b), distance in zip(pairs.ids[:_SHOWN], pairs.distances[:_SHOWN], strict=True):
            shown.add_row(str(a), str(b), str(distance))
        show(console, shown)
    else:
        print_line(console, f"no pairs with distance <= {pairs.limit}")
    if n > _SHOWN:
        print_line(
            console,
            f"{n - _SHOWN:,} more of {n:,} pairs with distance <= {pairs.limit}: --json",
            "dim",
        )
    if not pairs.complete:
        print_line(
            console,
            f"there may be more: {pairs.n_full:,} vectors have all {k:,} neighbours that near; "
            "a larger -k lists more",
        )
