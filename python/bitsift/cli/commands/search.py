# SPDX-License-Identifier: Apache-2.0
"""``bitsift search``: a search of an index for every query in a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

import bitsift
from bitsift.cli.console import (
    COLUMN_GAP,
    print_block,
    print_json,
    print_line,
    progress_bar,
    stdout_console,
    table,
)
from bitsift.cli.failure import InputError, one_line, reporting
from bitsift.cli.files.arrays import FileRows, check_finite, native_copy, open_rows
from bitsift.cli.files.outfile import check_outfile, save_arrays
from bitsift.cli.files.texts import Texts
from bitsift.cli.parameters import (
    FollowLinks,
    Force,
    IndexFolder,
    Json,
    Threads,
    warn_unused,
)
from bitsift.cli.text import visible
from bitsift.core.limits import MAX_K, MAX_OFFSET
from bitsift.core.options import DEFAULT_K, DEFAULT_OVERSAMPLING, SearchScoring
from bitsift.retrieval import LadderOptions

__all__ = ["SearchArguments", "SearchReport", "print_report", "save_report", "search"]

_BATCH = 256
_SHOWN = 5
_LEAST_TEXT = 20  # columns
_LADDER = "hamming:40,asymmetric:10,int8:4,float32"


def search(
    index: IndexFolder,
    queries: Annotated[
        Path,
        typer.Argument(
            metavar="QUERIES.npy",
            help="Queries as floats, shape (m, dim) or (dim,), or packed codes as uint8.",
        ),
    ],
    *,
    k: Annotated[
        int, typer.Option("-k", min=1, max=MAX_K, help="Results for each query.")
    ] = DEFAULT_K,
    offset: Annotated[
        int,
        typer.Option(
            min=0,
            max=MAX_OFFSET,
            metavar="N",
            help="Leave out the best N results of each query: the next page.",
        ),
    ] = 0,
    oversampling: Annotated[
        float | None,
        typer.Option(
            help="Candidates to rescore for each result, (offset + k) times this number. By "
            "default 100 for results 1 to 16, 600 for those up to 100, 1,200 up to 200, and so on; "
            f"{DEFAULT_OVERSAMPLING:g} * k in indexes of 0.1.0."
        ),
    ] = None,
    rescore: Annotated[
        bool | None,
        typer.Option(
            "--rescore/--no-rescore",
            help="Rescore candidates from the originals, or rank by the scan alone. By default "
            "candidates are rescored if the index has originals and the queries are floats.",
            show_default=False,
        ),
    ] = None,
    scoring: Annotated[
        SearchScoring,
        typer.Option(
            help="What the scan compares: codes with codes (hamming), or float queries with codes "
            "(asymmetric), which takes longer and finds better candidates where the data are "
            "centred. auto is what the index has decided: see bitsift info."
        ),
    ] = "auto",
    ladder: Annotated[
        str | None,
        typer.Option(
            metavar="RUNG,...",
            help="The rungs of the search, instead of the three options above. The first rung "
            "scans, each later one rescores; NAME:N passes on N candidates for each result. "
            "Example: hamming:40,float32",
        ),
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Show what was found: a file with one text a line, in the order in which the "
            "vectors were added, or FILE.jsonl with one JSON object a line, which has a field "
            "text.",
        ),
    ] = None,
    threads: Threads = 0,
    mmap: Annotated[
        bool,
        typer.Option(
            "--mmap/--no-mmap",
            help="Map the files of the index into memory, or read them whole and check every "
            "checksum.",
        ),
    ] = True,
    follow_links: FollowLinks = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.npz",
            help="Also write the arrays 'scores' and 'ids' to this file.",
        ),
    ] = None,
    force: Force = False,
    show: Annotated[
        int | None,
        typer.Option(
            min=0, help=f"Queries whose results are printed. By default {_SHOWN}.", metavar="N"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Search an index for every query in a file."""
    with reporting(as_json):
        if out is not None:
            check_outfile(out, force=force, inputs=[queries], suffix=".npz")
        report = search_index(
            index,
            queries,
            SearchArguments(
                k=k,
                offset=offset,
                oversampling=oversampling,
                rescore=rescore,
                scoring=scoring,
                ladder=ladder,
                texts=texts,
                threads=threads,
                mmap=mmap,
                follow_links=follow_links,
            ),
        )
        if out is not None:
            save_report(report, out, force=force)
        if as_json:
            if show is not None:
                warn_unused("--show", "--json prints the results of all queries")
            print_json(report.to_dict())
            return
        console = stdout_console()
        print_report(report, console, _SHOWN if show is None else show)
        if out is not None:
            print_line(console, f"wrote scores and ids of all queries to {out}")


@dataclass(frozen=True)
class SearchArguments:
    """The options of the command; None where an option was not given."""

    k: int
    offset: int
    oversampling: float | None
    rescore: bool | None
    scoring: SearchScoring
    ladder: str | None
    texts: Path | None
    threads: int
    mmap: bool
    follow_links: bool


@dataclass(frozen=True)
class SearchReport:
    """The results of a search for all queries of a file.

    Attributes
    ----------
    scores, ids : ndarray, shape (n_queries, k)
        The id is -1 where there are fewer results.
    score : str
        What the scores are, as `SearchResult.kind` says it.
    n : int
        Vectors of the index.
    texts : Texts or None
        The texts of the vectors, if a file of them was given.
    offset : int
        Results of each query that were left out.
    """

    scores: NDArray[Any]
    ids: NDArray[np.int64]
    score: str
    n: int
    texts: Texts | None
    offset: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain values, without padding."""
        results = []
        texts = None if self.texts is None else self.texts.of(self.ids.ravel())
        for query, (scores, ids) in enumerate(zip(self.scores, self.ids, strict=True)):
            real = ids >= 0
            found = {} if texts is None else {"texts": [texts[i] for i in ids[real].tolist()]}
            results.append(
                {
                    "query": query,
                    "ids": ids[real].tolist(),
                    # JSON has no infinity, which dot products of huge values reach.
                    "scores": [s if math.isfinite(s) else None for s in scores[real].tolist()],
                    **found,
                }
            )
        return {
            "vectors": self.n,
            "queries": len(self.ids),
            "k": self.ids.shape[1],
            "offset": self.offset,
            "score": self.score,
            "results": results,
        }


def search_index(folder: Path, queries: Path, arguments: SearchArguments) -> SearchReport:
    """Search the index at `folder` for every row of `queries`."""
    options = _search_options(arguments)
    index = bitsift.Index.load(folder, mmap=arguments.mmap, follow_links=arguments.follow_links)
    rows = open_rows(queries, one=True)
    score = _kind(index, queries, rows, arguments, options)
    texts = None if arguments.texts is None else Texts(arguments.texts, index.ids)
    n = len(rows)
    parts = []
    with progress_bar("searching", n) as update:
        # Without queries there is one call all the same, whose result has their columns.
        for start in range(0, max(n, 1), _BATCH):
            numbers = range(start, min(start + _BATCH, n))
            batch = native_copy(rows[numbers.start : numbers.stop])
            try:
                part = index.search(
                    batch,
                    arguments.k,
                    offset=arguments.offset,
                    threads=arguments.threads,
                    **options._asdict(),
                )
            except ValueError:
                check_finite(queries, numbers, batch)
                raise
            parts.append(part)
            update(numbers.stop)
    scores = np.concatenate([part.scores for part in parts])
    ids = np.concatenate([part.ids for part in parts])
    return SearchReport(scores, ids, score, len(index), texts, arguments.offset)


def _search_options(arguments: SearchArguments) -> LadderOptions:
    """Return the options of the library's search; a ladder excludes the others."""
    if arguments.ladder is not None:
        others = {
            "--oversampling": arguments.oversampling,
            "--rescore" if arguments.rescore else "--no-rescore": arguments.rescore,
            "--scoring": None if arguments.scoring == "auto" else arguments.scoring,
        }
        for name, value in others.items():
            if value is not None:
                raise InputError(
                    "--ladder must come without --oversampling, --rescore and --scoring, which it "
                    f"replaces; got {name}"
                )
    return LadderOptions(
        oversampling=arguments.oversampling,
        rescore=arguments.rescore,
        scoring=arguments.scoring,
        ladder=None if arguments.ladder is None else _parse_rungs(arguments.ladder),
    )


def _parse_rungs(text: str) -> list[str | tuple[str, float]]:
    """Parse ``"hamming:40,int8:4,float32"``; the index checks whether the ladder fits it."""
    rungs: list[str | tuple[str, float]] = []
    *passing, last = text.split(",")
    for rung in passing:
        name, _, number = (part.strip() for part in rung.partition(":"))
        rungs.append((name, _parse_number(text, rung, number)))
    name, colon, number = (part.strip() for part in last.partition(":"))
    rungs.append((name, _parse_number(text, last, number)) if colon else name)
    return rungs


def _parse_number(text: str, rung: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise InputError(
            f"--ladder {text!r}: each rung but the last must be NAME:N, which passes on N "
            f"candidates for each result; got {rung!r}. Example: {_LADDER}"
        ) from None


def _kind(
    index: bitsift.Index,
    path: Path,
    rows: FileRows,
    arguments: SearchArguments,
    options: LadderOptions,
) -> str:
    """Return what the scores are; a search without queries checks the options and tells."""
    nothing = native_copy(rows[:0])
    try:
        found = index.search(nothing, arguments.k, **options._asdict())
    except (ValueError, TypeError) as error:
        if str(error).startswith("queries "):
            raise InputError(f"{path}: {one_line(error)}") from error
        if arguments.ladder is None:
            raise
        store = index.store
        stores = store if isinstance(store, tuple) else () if store is None else (store,)
        example = _example(stores, are_bits=nothing.dtype == np.uint8)
        raise InputError(
            f"--ladder {arguments.ladder!r}: {one_line(error)}. Example: {example}"
        ) from None
    return str(found.kind)


def _example(stores: Sequence[str], *, are_bits: bool) -> str:
    """Return a ladder that fits an index with these stores."""
    if are_bits:
        return "hamming"
    if not stores:
        return "hamming:40,asymmetric"
    between = (f"{name}:4" for name in stores[:-1])
    return ",".join(["hamming:40", "asymmetric:10", *between, stores[-1]])


def save_report(report: SearchReport, path: Path, *, force: bool) -> None:
    """Write ``scores`` and ``ids`` as an ``.npz`` archive, whole or not at all."""
    save_arrays(path, {"scores": report.scores, "ids": report.ids}, force=force)


def print_report(report: SearchReport, console: Console, n_shown: int) -> None:
    """Print the results of the first `n_shown` queries, and how many more queries there are."""
    n = len(report.ids)
    n_shown = min(n_shown, n)
    is_count = report.score == "hamming"
    rows = [
        (str(query), str(rank), str(found), str(score) if is_count else f"{score:.6f}")
        for query in range(n_shown)
        for rank, (score, found) in enumerate(
            zip(report.scores[query], report.ids[query], strict=True), report.offset + 1
        )
        if found >= 0
    ]
    heads = ("query", "rank", "id", report.score)
    shown = table(console, *((head, "right") for head in heads))
    if report.texts is None:
        for row in rows:
            shown.add_row(*row)
    else:
        texts = report.texts.of(int(row[2]) for row in rows)
        widths = (max(map(len, column)) for column in zip(heads, *rows, strict=True))
        left = max(_LEAST_TEXT, console.width - sum(width + COLUMN_GAP for width in widths))
        shown.add_column("text")
        for row in rows:
            shown.add_row(*row, _one_line(texts[int(row[2])], left))
    if n_shown:
        print_block(console, shown)
    if n > n_shown:
        print_line(
            console,
            f"{n - n_shown:,} more of {n:,} queries: use --show, --json or -o FILE.npz",
            "dim",
        )


def _one_line(text: str, width: int) -> Text:
    """Return a text in one line, cut if it is wider than the terminal leaves for it."""
    line = Text(visible(" ".join(text.split())))
    line.truncate(width, overflow="ellipsis")
    return line
