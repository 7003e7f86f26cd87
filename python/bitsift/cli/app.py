# SPDX-License-Identifier: Apache-2.0
"""The commands and their options; each hands over to a module of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

import bitsift
from bitsift.cli.commands.advise import (
    AdviseOptions,
    advice_json,
    advise_file,
    print_advice,
    print_advised,
)
from bitsift.cli.commands.build import SAMPLE, BuildOptions, build_index
from bitsift.cli.commands.graph import GraphOptions, make_graph, print_graph
from bitsift.cli.commands.info import describe_index, print_description
from bitsift.cli.commands.search import SearchOptions, print_found, save_found, search_index
from bitsift.cli.console import (
    human_seconds,
    print_json,
    print_line,
    progress_bar,
    stdout_console,
)
from bitsift.cli.demo.corpus import load_queries
from bitsift.cli.demo.demo import run_demo
from bitsift.cli.demo.embedding import DEFAULT_MODEL
from bitsift.cli.demo.view import print_demo
from bitsift.cli.evaluation.commands import compare, evaluate
from bitsift.cli.failure import reporting
from bitsift.cli.parameters import Json, Threads
from bitsift.core.options import RULES, STORES

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Search binary embeddings: one bit per dimension, Hamming distance, rescoring.",
)


Metric = Literal["cosine", "dot", "l2"]
IndexPath = Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of the index.")]
Sample = Annotated[
    int, typer.Option(min=1, metavar="N", help="Vectors, evenly spaced, to fit and measure with.")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bitsift {bitsift.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Search binary embeddings: one bit per dimension, Hamming distance, rescoring."""


@app.command()
def demo(
    text: Annotated[
        str, typer.Argument(help="A prepared query, or any text with sentence-transformers.")
    ] = "3D segmentation",
    k: Annotated[int, typer.Option("-k", min=1, help="Results in each list.")] = 5,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_PATH",
            help=f"Embed TEXT with this sentence-transformers model, even if it is a prepared "
            f"query. For other text: {DEFAULT_MODEL}.",
        ),
    ] = None,
    list_queries: Annotated[
        bool, typer.Option("--list", help="List the prepared queries and stop.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search arXiv papers by bits, by floats and rescored, and compare."""
    with reporting(as_json):
        if list_queries:
            texts, _ = load_queries()
            if as_json:
                print_json({"queries": texts})
            else:
                typer.echo("\n".join(texts))
            return
        result = run_demo(text, k, model)
        if as_json:
            print_json(result.to_json())
        else:
            print_demo(result, stdout_console())


@app.command()
def build(
    vectors: Annotated[
        Path,
        typer.Argument(metavar="VECTORS.npy", help="Float rows (n, dim), or packed bits as uint8."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="INDEX", help="Folder to write.")],
    *,
    metric: Annotated[Metric, typer.Option(help="What rescoring computes.")] = "cosine",
    store: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help=f"Originals to keep for rescoring: {', '.join(STORES)}, several with commas "
            "between them, or none.",
        ),
    ] = "float32",
    threshold: Annotated[
        str,
        typer.Option(
            metavar="NUMBER|FILE|RULE",
            help="A bit is set above it; a .npy file has one a dimension. Fitted to the vectors by "
            f"a rule: {', '.join(RULES)}, which measures what is best.",
        ),
    ] = "0",
    rotate: Annotated[
        bool,
        typer.Option("--rotate/--no-rotate", help="Rotate vectors before their signs are taken."),
    ] = False,
    correction: Annotated[
        bool,
        typer.Option(
            "--correction", help="Keep 2 or 4 bytes a vector that correct asymmetric scores."
        ),
    ] = False,
    sample: Sample = SAMPLE,
    ids: Annotated[
        Path | None, typer.Option(metavar="IDS.npy", help="An integer id for each vector.")
    ] = None,
    dim: Annotated[
        int | None, typer.Option(min=1, help="Bits of a packed row (uint8, --store none).")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace an index that is there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build an index from a file of vectors."""
    with reporting(as_json):
        start = time.perf_counter()
        index = build_index(
            vectors,
            out,
            BuildOptions(
                metric=metric,
                store=store,
                threshold=threshold,
                rotate=rotate,
                correction=correction,
                sample=sample,
                ids=ids,
                dim=dim,
                force=force,
            ),
        )
        seconds = time.perf_counter() - start
        description = describe_index(out)
        advice = index.advice
        if as_json:
            told = {} if advice is None else {"advice": advice_json(advice)}
            print_json({**description.to_json(), **told, "seconds": seconds})
            return
        console = stdout_console()
        print_line(console, f"built {out} in {human_seconds(seconds)}", "bold")
        print_description(description, console)
        if advice is not None:
            print_line(console, "")
            print_advice(advice, console, "chosen")


@app.command()
def advise(
    vectors: Annotated[Path, typer.Argument(metavar="VECTORS.npy", help="Float rows (n, dim).")],
    *,
    metric: Annotated[Metric, typer.Option(help="What the search is for.")] = "cosine",
    queries: Annotated[
        Path | None,
        typer.Option(
            metavar="QUERIES.npy",
            help="Queries such as will be asked; by default some of the vectors ask.",
        ),
    ] = None,
    bits_alone: Annotated[
        bool,
        typer.Option("--bits-alone", help="For an index without originals, --store none."),
    ] = False,
    sample: Sample = SAMPLE,
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Measure which threshold suits the vectors, and whether a rotation helps."""
    with reporting(as_json):
        options = AdviseOptions(metric, queries, bits_alone, sample, threads)
        advised = advise_file(vectors, options)
        if as_json:
            print_json(advised.to_json())
        else:
            print_advised(advised, stdout_console())


@app.command()
def search(
    index: IndexPath,
    queries: Annotated[
        Path, typer.Argument(metavar="QUERIES.npy", help="Float rows, or packed bits as uint8.")
    ],
    *,
    k: Annotated[int, typer.Option("-k", min=1, help="Results for each query.")] = 10,
    oversampling: Annotated[
        float | None,
        typer.Option(help="Candidates to rescore, as a multiple of k; 4 by default."),
    ] = None,
    rescore: Annotated[
        bool | None,
        typer.Option(
            "--rescore/--no-rescore",
            help="Rescore with the originals, or rank by Hamming distance. By default: rescore "
            "if there are originals and the queries are floats.",
            show_default=False,
        ),
    ] = None,
    scoring: Annotated[
        Literal["hamming", "asymmetric"] | None,
        typer.Option(
            help="What the scan compares: bits with bits, as by default, or float queries with "
            "bits, which takes longer and finds better candidates where the data are centred."
        ),
    ] = None,
    ladder: Annotated[
        str | None,
        typer.Option(
            metavar="RUNG,...",
            help="In place of those three: what scans, what rescores, and how many candidates, as "
            "a multiple of k, each but the last passes on. Such as hamming:40,float32",
        ),
    ] = None,
    threads: Threads = 0,
    mmap: Annotated[
        bool,
        typer.Option(
            "--mmap/--no-mmap",
            help="Open by memory map, or read everything and check every checksum.",
        ),
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE.npz", help="Write arrays 'scores' and 'ids' there too."
        ),
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="Queries to print.")] = 5,
    as_json: Json = False,
) -> None:
    """Search an index for every row of a file of queries."""
    with reporting(as_json):
        found = search_index(
            index,
            queries,
            SearchOptions(
                k=k,
                oversampling=oversampling,
                rescore=rescore,
                scoring=scoring,
                ladder=ladder,
                threads=threads,
                mmap=mmap,
            ),
        )
        if out is not None:
            save_found(found, out)
        if as_json:
            print_json(found.to_json())
            return
        console = stdout_console()
        print_found(found, console, show)
        if out is not None:
            print_line(console, f"scores and ids of all queries: {out}")


@app.command()
def graph(
    index: IndexPath,
    *,
    k: Annotated[int, typer.Option("-k", min=1, help="Neighbours of each vector.")] = 10,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.npz",
            help="Write arrays 'ids', 'neighbors' (ids too; -1: none) and 'distances' there.",
        ),
    ],
    duplicates: Annotated[
        int | None,
        typer.Option(min=0, metavar="D", help="List the pairs found with distance <= D, too."),
    ] = None,
    threads: Threads = 0,
    isa: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Instruction set: {', '.join(bitsift.available_isas())}. By default the best.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace a file that is there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find the nearest other vectors of every vector, by Hamming distance."""
    with reporting(as_json):
        made = make_graph(index, out, GraphOptions(k, threads, isa, duplicates, force))
        if as_json:
            print_json(made.to_json())
        else:
            print_graph(made, stdout_console())


app.command(name="eval")(evaluate)
app.command()(compare)


@app.command()
def info(index: IndexPath, as_json: Json = False) -> None:
    """Describe an index."""
    with reporting(as_json):
        description = describe_index(index)
        if as_json:
            print_json(description.to_json())
        else:
            print_description(description, stdout_console())


@app.command()
def verify(index: IndexPath, as_json: Json = False) -> None:
    """Check every byte of an index against its checksums."""
    with reporting(as_json):
        with progress_bar("checking", 100) as update:
            bitsift.verify(index, progress=lambda done, total: update(100 * done // max(total, 1)))
        if as_json:
            print_json({"path": str(index), "ok": True})
        else:
            print_line(stdout_console(), f"OK: {index}")
