# SPDX-License-Identifier: Apache-2.0
"""``bitsift graph``: the nearest neighbours of every vector of an index."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

import bitsift
from bitsift.cli.console import (
    human_count,
    human_seconds,
    key_values,
    print_block,
    print_json,
    print_line,
    progress_bar,
    spinner,
    stdout_console,
    table,
)
from bitsift.cli.failure import InputError, reporting
from bitsift.cli.files.outfile import check_outfile, save_arrays
from bitsift.cli.parameters import Force, IndexFolder, Json, Threads
from bitsift.core.limits import MAX_K
from bitsift.core.options import DEFAULT_K

__all__ = ["Graph", "GraphArguments", "Pairs", "graph", "make_graph", "print_graph"]

_STEPS = 1000
_SHOWN = 20


def graph(
    index: IndexFolder,
    *,
    k: Annotated[
        int, typer.Option("-k", min=1, max=MAX_K, help="Neighbours of each vector.")
    ] = DEFAULT_K,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.npz",
            help="Write the arrays 'ids', 'neighbors' (ids) and 'distances' to this file.",
        ),
    ],
    duplicates: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="D", help="Also list the pairs of neighbours with distance <= D."
        ),
    ] = None,
    threads: Threads = 0,
    isa: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Instruction set: {', '.join(bitsift.available_isas())}. By default the best.",
        ),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Find the nearest neighbours of every vector of an index, by Hamming distance."""
    with reporting(as_json):
        made = make_graph(index, out, GraphArguments(k, threads, isa, duplicates, force))
        if as_json:
            print_json(made.to_dict())
        else:
            print_graph(made, stdout_console())


@dataclass(frozen=True)
class GraphArguments:
    """The options of the command."""

    k: int
    threads: int
    isa: str | None
    duplicates: int | None
    force: bool


@dataclass(frozen=True)
class Pairs:
    """Pairs of vectors within a distance, nearest first, each pair once.

    Attributes
    ----------
    limit : int
        The largest distance of a listed pair.
    ids : ndarray of int64, shape (n_pairs, 2)
        The smaller id first.
    distances : ndarray of int32, shape (n_pairs,)
    n_full : int
        Vectors whose `k` neighbours all lie within the limit. Such a vector may have more, so a
        pair can be missing if both its vectors are such.
    """

    limit: int
    ids: NDArray[np.int64]
    distances: NDArray[np.int32]
    n_full: int

    @property
    def complete(self) -> bool:
        """Whether no pair within the limit can be missing."""
        return self.n_full < 2

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain values."""
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
    """A summary of the graph; the neighbours are in the file `out`.

    Attributes
    ----------
    seconds : float
        Time of the comparison, without files.
    n_equal : int
        Vectors whose code another vector has as well.
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
        """Distances computed per second; None if the clock measured no time."""
        return self.n * (self.n - 1) / 2 / self.seconds if self.seconds > 0 else None

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain values."""
        return {
            "path": str(self.out),
            "vectors": self.n,
            "k": self.k,
            "isa": self.isa,
            "seconds": self.seconds,
            "pairs_per_second": self.pairs_per_second,
            "with_duplicate": self.n_equal,
            **({} if self.pairs is None else {"duplicates": self.pairs.to_dict()}),
        }


def make_graph(folder: Path, out: Path, arguments: GraphArguments) -> Graph:
    """Compare all vectors of the index at `folder` and write their neighbours to `out`.

    Parameters
    ----------
    folder : Path
        The index. It is opened by memory map; its originals are not read.
    out : Path
        ``.npz`` file for the arrays ``ids`` (n,), ``neighbors`` (n, min(k, n - 1)), which holds
        ids, and ``distances`` of the same shape. Ties go to the vector that was added first.
    arguments : GraphArguments

    Raises
    ------
    InputError
        A file or an option does not fit. Nothing has been written.
    """
    check_outfile(out, force=arguments.force, suffix=".npz")
    index = bitsift.Index.load(folder, mmap=True, isa=arguments.isa)
    codes, ids = index.codes, index.ids
    if len(codes) == 0:
        raise InputError(f"{folder}: the index must hold at least one vector; got none")
    start = time.perf_counter()
    with progress_bar("comparing", _STEPS) as update:
        distances, rows = bitsift.knn_graph(
            codes,
            arguments.k,
            progress=lambda share: update(int(share * _STEPS)),
            isa=index.isa,
            threads=arguments.threads,
        )
    seconds = time.perf_counter() - start
    with spinner("saving"):
        pairs = None
        if arguments.duplicates is not None:
            pairs = _pairs(distances, rows, ids, min(arguments.duplicates, index.dim))
        arrays = {"ids": ids, "neighbors": ids[rows], "distances": distances}
        save_arrays(out, arrays, force=arguments.force)
    return Graph(
        out=out,
        n=len(ids),
        k=arguments.k,
        isa=index.isa,
        seconds=seconds,
        n_equal=int((distances[:, :1] == 0).sum()),
        pairs=pairs,
    )


def _pairs(
    distances: NDArray[np.int32], rows: NDArray[np.int64], ids: NDArray[np.int64], limit: int
) -> Pairs:
    n, k = rows.shape
    near = distances <= limit
    n_full = int(near[:, -1].sum()) if k < n - 1 else 0
    left, right, between = np.nonzero(near)[0], rows[near], distances[near]
    # Each vector of a pair may have found the other; the pair is listed once.
    _, firsts = np.unique(np.minimum(left, right) * n + np.maximum(left, right), return_index=True)
    both = np.sort(ids[np.stack([left[firsts], right[firsts]], axis=1)], axis=1)
    between = between[firsts]
    order = np.lexsort((both[:, 1], both[:, 0], between))
    return Pairs(limit, both[order], between[order], n_full)


def print_graph(graph: Graph, console: Console) -> None:
    """Print the summary, and the first pairs if pairs were asked for."""
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
        print_block(console, shown)
    else:
        print_line(console, f"no pairs with distance <= {pairs.limit}")
    if n > _SHOWN:
        print_line(
            console,
            f"{n - _SHOWN:,} more of {n:,} pairs with distance <= {pairs.limit}: use --json",
            "dim",
        )
    if not pairs.complete:
        print_line(
            console,
            f"pairs may be missing: {pairs.n_full:,} vectors have all {k:,} neighbours within that "
            "distance; a larger -k finds more",
        )
