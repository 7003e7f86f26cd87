# SPDX-License-Identifier: Apache-2.0
"""``bitsift build``: a file of vectors becomes an index."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from numpy.typing import NDArray

import bitsift
from bitsift import BitsiftError, NotAnIndexError
from bitsift.cli.commands.advise import advice_dict, print_advice
from bitsift.cli.commands.info import describe_index, print_description
from bitsift.cli.console import (
    human_seconds,
    print_json,
    print_line,
    spinner,
    stdout_console,
)
from bitsift.cli.failure import InputError, one_line, reporting
from bitsift.cli.files.added import add_file, read_ids
from bitsift.cli.files.arrays import (
    FileRows,
    check_finite,
    open_npy,
    open_rows,
    sample_rows,
)
from bitsift.cli.files.outfile import refuse_inside_index
from bitsift.cli.parameters import Json, warn_unused
from bitsift.core.limits import MAX_DIM, MOST_ROWS_FITTED
from bitsift.core.options import RULES, STORES, Metric, Rule, SearchScoring, Store
from bitsift.storage import is_vacant

__all__ = ["BuildArguments", "build", "build_index"]

ThresholdArgument = float | NDArray[Any] | Rule
StoreArgument = Store | tuple[Store, ...] | None

_MOST_ROWS_TRIED = 512  # what the trial of scorings uses


def build(
    vectors: Annotated[
        Path,
        typer.Argument(
            metavar="VECTORS.npy",
            help="Vectors as floats, shape (n, dim), or packed codes as uint8.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="INDEX", help="Folder to write the index to.")
    ],
    *,
    metric: Annotated[Metric, typer.Option(help="Metric that rescoring computes.")] = "cosine",
    store: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="Originals to keep for rescoring: one or several of "
            f"{', '.join(STORES)}, separated by commas, or none.",
        ),
    ] = "float16",
    threshold: Annotated[
        str,
        typer.Option(
            metavar="NUMBER|FILE|RULE",
            help="A bit is 1 where the value is greater than the threshold: a number, a .npy file "
            "with one number per dimension, or a rule that computes it from the vectors "
            f"({', '.join(RULES)}; auto keeps 0 unless another finds more beyond doubt).",
        ),
    ] = "0",
    rotate: Annotated[
        bool,
        typer.Option("--rotate/--no-rotate", help="Rotate the vectors before they become bits."),
    ] = False,
    correction: Annotated[
        bool,
        typer.Option(
            "--correction", help="Keep 2 or 4 bytes per vector that correct asymmetric scores."
        ),
    ] = False,
    scoring: Annotated[
        SearchScoring,
        typer.Option(
            help="What a search compares with the bits unless it says so: the bits of queries, or "
            "float queries. auto tries both on a sample."
        ),
    ] = "auto",
    sample: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Number of vectors, evenly spaced, that a rule and the bounds of integer stores "
            f"are computed from, and the scoring is decided by. By default {MOST_ROWS_FITTED:,}; "
            f"for the scoring alone {_MOST_ROWS_TRIED}.",
        ),
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(
            metavar="IDS.npy", help="Integer ids, one per vector. By default 0, 1, 2 and so on."
        ),
    ] = None,
    dim: Annotated[
        int | None,
        typer.Option(min=1, help="Bits in a row of packed codes (with uint8 and --store none)."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace an existing index.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build an index from a file of vectors."""
    with reporting(as_json):
        start = time.perf_counter()
        index = build_index(
            vectors,
            out,
            BuildArguments(
                metric=metric,
                store=store,
                threshold=threshold,
                rotate=rotate,
                correction=correction,
                scoring=scoring,
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
            chosen = {} if advice is None else {"advice": advice_dict(advice)}
            print_json({**description.to_dict(), **chosen, "seconds": seconds})
            return
        console = stdout_console()
        print_line(console, f"built {out} in {human_seconds(seconds)}", "bold")
        print_description(description, console)
        if advice is not None:
            print_line(console, "")
            print_advice(advice, console, "chosen")


@dataclass(frozen=True)
class BuildArguments:
    """The options of the command."""

    metric: Metric
    store: str
    threshold: str
    rotate: bool
    correction: bool
    scoring: SearchScoring
    sample: int | None
    ids: Path | None
    dim: int | None
    force: bool


def build_index(vectors: Path, out: Path, arguments: BuildArguments) -> bitsift.Index:
    """Read `vectors` chunk by chunk, add them, and save the index at `out`.

    Threshold and bounds are fitted first, and the scoring is decided, by a sample of the whole
    file: the first rows of a file may differ from the others.

    Parameters
    ----------
    vectors : Path
        ``.npy`` file of float rows, or of packed codes.
    out : Path
        Folder of the index. An existing index is replaced only with `force`.
    arguments : BuildArguments

    Raises
    ------
    InputError
        A file or an option does not fit. Nothing has been written.
    """
    _check_target(out, arguments.force)
    _check_inputs(out, vectors, arguments)
    store, threshold = _store(arguments.store), _threshold(arguments.threshold)
    rows = open_rows(vectors)
    if rows.dtype == np.uint8:
        _check_packed(vectors, rows, arguments, store, threshold)
    width = _dim(vectors, rows, arguments)
    try:
        index = bitsift.Index(
            width,
            metric=arguments.metric,
            store=store,
            threshold=threshold,
            rotate=arguments.rotate,
            correction=arguments.correction,
            scoring=arguments.scoring,
        )
    except (ValueError, TypeError) as error:
        if not isinstance(threshold, np.ndarray) or not str(error).startswith("threshold "):
            raise
        raise InputError(f"{arguments.threshold}: {one_line(error)}") from error
    ids = None if arguments.ids is None else read_ids(arguments.ids, len(rows))
    n = len(rows)
    most = _most_rows_to_fit(index) if rows.dtype != np.uint8 else 0
    if n and most:
        with spinner("fitting"):
            _fit(index, vectors, rows, arguments.sample or most)
    elif arguments.sample is not None:
        warn_unused("--sample", "the index has no rule, bounds or scoring to find by a sample")
    index.reserve(n)
    add_file(index, rows, ids, (vectors, arguments.ids))
    with spinner("saving"):
        index.save(out)
    return index


def _check_target(out: Path, force: bool) -> None:
    refuse_inside_index(out)
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out}: the output must be a folder, new or empty; got a file")
    if is_vacant(out):
        return
    if not force:
        raise InputError(f"{out}: already exists; --force replaces an index")
    try:
        bitsift.Index.load(out, mmap=True)
    except NotAnIndexError as error:
        raise InputError(
            f"{out}: the output must be an empty folder or a bitsift index; got a folder with "
            "other files, which --force does not replace"
        ) from error
    except BitsiftError:
        return  # A damaged index may be replaced.


def _check_inputs(out: Path, vectors: Path, arguments: BuildArguments) -> None:
    """Refuse inputs that lie in the folder, from which a save removes the old index."""
    threshold = Path(arguments.threshold)
    for path in (vectors, arguments.ids, threshold):
        if path is None or not path.exists() or not out.is_dir():
            continue
        if path.resolve().parent.samefile(out):
            raise InputError(f"{out}: the output must not replace the input {path}")


def _store(text: str) -> StoreArgument:
    names = tuple(name.strip() for name in text.split(","))
    if names == ("none",):
        return None
    if len(set(names)) < len(names) or not set(names) <= set(STORES):
        raise InputError(
            f"--store must be none, or one or several of {', '.join(STORES)}, each once, such as "
            f"int8,float32; got {text!r}"
        )
    stores = cast("tuple[Store, ...]", names)
    return stores if len(stores) > 1 else stores[0]


def _threshold(text: str) -> ThresholdArgument:
    for rule in RULES:
        if text == rule:
            return rule
    try:
        return float(text)
    except ValueError:
        pass
    path = Path(text)
    if not path.exists():
        raise InputError(
            f"--threshold must be a number, a .npy file or one of {', '.join(RULES)}; got "
            f"{text!r}, and there is no such file"
        )
    numbers = open_npy(path)
    if numbers.ndim != 1 or len(numbers) > MAX_DIM:
        raise InputError(
            f"{path}: the array must have shape (dim,), one threshold for each dimension; got "
            f"shape {numbers.shape}"
        )
    return np.array(numbers)


def _check_packed(
    path: Path,
    rows: FileRows,
    arguments: BuildArguments,
    store: StoreArgument,
    threshold: ThresholdArgument,
) -> None:
    """Refuse options that need floats, for rows of packed codes."""
    columns = int(rows.shape[1])
    if store is not None or arguments.dim is None:
        raise InputError(
            f"{path}: packed codes (uint8) need --store none and --dim BITS; {columns} bytes a "
            f"row hold up to {columns * 8} bits"
        )
    if arguments.correction or isinstance(threshold, str):
        option = "--correction" if arguments.correction else f"--threshold {threshold}"
        raise InputError(f"{path}: {option} needs float vectors; got packed codes (uint8)")


def _dim(path: Path, rows: FileRows, arguments: BuildArguments) -> int:
    columns = int(rows.shape[1])
    if rows.dtype == np.uint8 and arguments.dim is not None:
        n_bytes = (arguments.dim + 7) // 8
        if n_bytes != columns:
            raise InputError(
                f"{path}: rows must have {n_bytes} bytes for --dim {arguments.dim}; got {columns}"
            )
        return arguments.dim
    if arguments.dim not in (None, columns):
        raise InputError(
            f"{path}: rows must have {arguments.dim} values, as --dim says; got {columns}"
        )
    if columns == 0:
        raise InputError(f"{path}: the array must have at least one column; got shape {rows.shape}")
    return columns


def _most_rows_to_fit(index: bitsift.Index) -> int:
    """Return how large a sample an index is fitted to by default, 0 if there is nothing to fit."""
    calibrators = index.calibrators.values()
    if isinstance(index.threshold, str) or any(one.n == 0 for one in calibrators):
        return MOST_ROWS_FITTED
    return _MOST_ROWS_TRIED if index.scoring is None else 0


def _fit(index: bitsift.Index, path: Path, rows: FileRows, most: int) -> None:
    sample, numbers = sample_rows(rows, most)
    try:
        index.fit(sample)
    except ValueError as error:
        check_finite(path, numbers, sample)
        part = f"{len(sample)} of {len(rows)} rows: " if len(sample) < len(rows) else ""
        raise InputError(f"{path}: {part}{one_line(error)}") from error
