# SPDX-License-Identifier: Apache-2.0
"""An evaluation of files of vectors, and the files that it writes."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import bitsift
from bitsift.cli.console import progress_bar
from bitsift.cli.demo.corpus import load_queries, load_vectors
from bitsift.cli.evaluation.html_page import save_page
from bitsift.cli.evaluation.markdown import introduction, section
from bitsift.cli.evaluation.picture import check_picture, draw
from bitsift.cli.evaluation.verdict import verdict
from bitsift.cli.failure import InputError, MissingPackageError, one_line
from bitsift.cli.files.arrays import FileRows, open_npy, open_rows
from bitsift.cli.files.infile import read_text
from bitsift.cli.files.outfile import check_distinct, check_outfile, save_text
from bitsift.cli.parameters import NO_PAGE
from bitsift.cli.wording import as_options, typed
from bitsift.core.options import Metric
from bitsift.evaluation import PRICE_PER_GB, Evaluation, Selection

__all__ = ["EvalArguments", "evaluate_files", "save_evaluation"]

_STEPS = 1000
_DEMO_TITLE = "The arXiv papers that come with bitsift"


@dataclass(frozen=True)
class EvalArguments:
    """The options of the command."""

    vectors: Path | None
    demo: bool
    queries: Path | None
    qrels: Path | None
    metric: Metric
    conditions: Selection
    price_per_gb: float
    n_vectors: float | None
    threads: int
    title: str | None
    out: Path | None
    picture: Path | None
    markdown: Path | None
    html: Path | None
    append: bool
    force: bool

    @property
    def shown_title(self) -> str:
        """The title of the evaluation."""
        if self.title is not None:
            return self.title
        return _DEMO_TITLE if self.vectors is None else self.vectors.stem

    def command(self) -> str:
        """Return the command again, with the names of files but not their folders."""
        words = ["bitsift", "eval"]
        words += ["--demo"] if self.vectors is None else [typed(self.vectors.name)]
        for name, path in (("--queries", self.queries), ("--qrels", self.qrels)):
            words += [] if path is None else [name, typed(path.name)]
        if self.metric != "cosine":
            words += ["--metric", self.metric]
        if self.conditions != "all":
            words += ["--conditions", self.conditions]
        if self.price_per_gb != PRICE_PER_GB:
            words += ["--price-per-gb", f"{self.price_per_gb:g}"]
        if self.n_vectors is not None:
            words += ["--vectors", f"{self.n_vectors:.0f}"]
        if self.threads:
            words += ["--threads", str(self.threads)]
        return shlex.join(words)


def evaluate_files(arguments: EvalArguments) -> Evaluation:
    """Evaluate the files, or the demo's papers.

    Raises
    ------
    InputError
        A file or an option does not fit. Nothing has been written.
    MissingPackageError
        An option needs the extra ``eval``, which is not installed.
    """
    _check_outputs(arguments)
    documents, queries, qrels = _open(arguments)
    with progress_bar("evaluating", _STEPS) as update:
        try:
            return bitsift.evaluate(
                documents,
                queries,
                qrels,
                metric=arguments.metric,
                conditions=arguments.conditions,
                price_per_gb=arguments.price_per_gb,
                n_vectors=arguments.n_vectors,
                progress=lambda share: update(int(share * _STEPS)),
                threads=arguments.threads,
            )
        except ImportError as error:
            raise MissingPackageError(str(error)) from error
        except (ValueError, TypeError) as error:
            path = _file_of(str(error), arguments)
            if path is None:
                raise
            raise InputError(f"{path}: {one_line(error)}") from error


def _check_outputs(arguments: EvalArguments) -> None:
    """Refuse, before the work, output files that cannot be written."""
    if arguments.append and arguments.markdown is None:
        raise InputError(NO_PAGE)
    inputs = (arguments.vectors, arguments.queries, arguments.qrels)
    outputs = (arguments.out, arguments.picture, arguments.markdown, arguments.html)
    for path in outputs:
        if path is not None:
            force = arguments.force or (arguments.append and path is arguments.markdown)
            # Browsers show a file by its name.
            suffix = ".html" if path is arguments.html else ""
            check_outfile(path, force=force, inputs=inputs, suffix=suffix)
    check_distinct(outputs)
    if arguments.append and arguments.markdown is not None and not arguments.markdown.exists():
        raise InputError(f"{arguments.markdown}: no such file to append to")
    if arguments.picture is not None:
        check_picture(arguments.picture)


def _open(arguments: EvalArguments) -> tuple[FileRows, FileRows | None, FileRows | None]:
    if arguments.demo:
        for name, path in (
            ("VECTORS", arguments.vectors),
            ("--queries", arguments.queries),
            ("--qrels", arguments.qrels),
        ):
            if path is not None:
                raise InputError(
                    "--demo must come without VECTORS, --queries and --qrels, as it has its own "
                    f"data; got {name} {path}"
                )
        return load_vectors(), load_queries()[1], None
    if arguments.vectors is None:
        raise InputError("VECTORS.npy must be given, or --demo; got neither")
    queries = None if arguments.queries is None else _open_floats(arguments.queries)
    qrels = None if arguments.qrels is None else open_npy(arguments.qrels)
    return _open_floats(arguments.vectors), queries, qrels


def _open_floats(path: Path) -> FileRows:
    rows = open_rows(path)
    if rows.dtype.kind != "f":
        raise InputError(
            f"{path}: the array must be float16, float32 or float64; got packed codes "
            f"({rows.dtype}), for which the loss cannot be measured"
        )
    return rows


def _file_of(message: str, arguments: EvalArguments) -> Path | None:
    """Return the file that an error of the library is about: its first word names the array."""
    files = {"documents": arguments.vectors, "queries": arguments.queries, "qrels": arguments.qrels}
    return files.get(message.partition(" ")[0])


def _link_from(page: Path, picture: Path) -> str | None:
    """Return the link to a picture; None if it is not below the page, as pages name no folders."""
    try:
        below = picture.resolve().relative_to(page.resolve().parent)
    except ValueError:
        return None
    return quote(os.fsencode(below.as_posix()))  # its name may not be UTF-8


def save_evaluation(evaluation: Evaluation, arguments: EvalArguments) -> dict[str, Any]:
    """Write the files that were asked for; return the plain values that ``--json`` prints."""
    force = arguments.force
    plain = {
        "title": arguments.shown_title,
        "command": arguments.command(),
        "verdict": verdict(evaluation),
        **evaluation.to_dict(),
    }
    # Sentences for people. "recommendation" and "code" are Python for programs, and stay.
    plain["warnings"] = [as_options(warning) for warning in evaluation.warnings]
    if arguments.out is not None:
        save_text(arguments.out, json.dumps(plain, indent=2, allow_nan=False) + "\n", force=force)
    if arguments.picture is not None:
        draw(evaluation, arguments.picture, arguments.shown_title, force=force)
    if arguments.html is not None:
        title, command = arguments.shown_title, arguments.command()
        save_page(evaluation, arguments.html, title, command, force=force)
    if arguments.markdown is not None:
        before = introduction()
        if arguments.append:
            before = read_text(arguments.markdown, ".md")
        picture = (
            None if arguments.picture is None else _link_from(arguments.markdown, arguments.picture)
        )
        made = section(evaluation, arguments.shown_title, arguments.command(), picture)
        save_text(
            arguments.markdown, f"{before.rstrip()}\n\n{made}", force=force or arguments.append
        )
    return plain
