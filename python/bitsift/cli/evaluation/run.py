# SPDX-License-Identifier: Apache-2.0
"""``bitsift eval``: what fewer bits lose, on files of vectors."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import bitsift
from bitsift.cli.console import progress_bar
from bitsift.cli.demo.corpus import load_corpus, load_queries
from bitsift.cli.evaluation.markdown import introduction, section
from bitsift.cli.evaluation.picture import check_picture, draw
from bitsift.cli.failure import InputError, MissingPackageError
from bitsift.cli.files.arrays import Rows, open_npy, open_rows
from bitsift.cli.files.outfile import check_outfile, save_text
from bitsift.evaluation import Evaluation
from bitsift.evaluation.result import PRICE_PER_GB

__all__ = ["EvalOptions", "evaluate_files", "save_evaluation"]

_STEPS = 1000
_DEMO_TITLE = "The arXiv papers that come with bitsift"


@dataclass(frozen=True)
class EvalOptions:
    """What the command was told."""

    vectors: Path | None
    demo: bool
    queries: Path | None
    qrels: Path | None
    metric: Literal["cosine", "dot", "l2"]
    conditions: Literal["all", "quick"]
    price_per_gb: float
    threads: int
    title: str | None
    out: Path | None
    picture: Path | None
    markdown: Path | None
    append: bool

    @property
    def shown_title(self) -> str:
        """What the evaluation is called."""
        if self.title is not None:
            return self.title
        return _DEMO_TITLE if self.vectors is None else self.vectors.stem

    def command(self) -> str:
        """Write the command again, with the names of files but not their folders."""
        words = ["bitsift", "eval"]
        words += ["--demo"] if self.vectors is None else [self.vectors.name]
        for name, path in (("--queries", self.queries), ("--qrels", self.qrels)):
            words += [] if path is None else [name, path.name]
        if self.metric != "cosine":
            words += ["--metric", self.metric]
        if self.conditions != "all":
            words += ["--conditions", self.conditions]
        if self.price_per_gb != PRICE_PER_GB:
            words += ["--price-per-gb", f"{self.price_per_gb:g}"]
        if self.threads:
            words += ["--threads", str(self.threads)]
        return shlex.join(words)


def evaluate_files(options: EvalOptions) -> Evaluation:
    """Evaluate the files, or the demo's papers.

    Raises
    ------
    InputError
        A file or an option does not fit; nothing has been written.
    MissingPackageError
        The extra ``eval`` is not installed, and what was asked for needs it.
    """
    _check_outputs(options)
    documents, queries, qrels = _open(options)
    with progress_bar("evaluating", _STEPS) as update:
        try:
            return bitsift.evaluate(
                documents,
                queries,
                qrels,
                metric=options.metric,
                conditions=options.conditions,
                price_per_gb=options.price_per_gb,
                progress=lambda share: update(int(share * _STEPS)),
                threads=options.threads,
            )
        except ImportError as error:
            raise MissingPackageError(str(error)) from error
        except (ValueError, TypeError) as error:
            path = _file_of(str(error), options)
            if path is None:
                raise
            raise InputError(f"{path}: {error}") from error


def _check_outputs(options: EvalOptions) -> None:
    """Refuse before the work what could not be written after it."""
    if options.append and options.markdown is None:
        raise InputError("--append needs --markdown, the file to add to")
    for path in (options.out, options.picture, options.markdown):
        if path is not None:
            check_outfile(path)
    if options.append and options.markdown is not None and not options.markdown.exists():
        raise InputError(f"{options.markdown}: no such file to add to")
    if options.picture is not None:
        check_picture(options.picture)


def _open(options: EvalOptions) -> tuple[Rows, Rows | None, Rows | None]:
    if options.demo:
        for name, path in (
            ("VECTORS", options.vectors),
            ("--queries", options.queries),
            ("--qrels", options.qrels),
        ):
            if path is not None:
                raise InputError(f"--demo brings vectors and queries; got {name} {path} as well")
        index = load_corpus().index
        return index.get(index.ids), load_queries()[1], None
    if options.vectors is None:
        raise InputError("wanted VECTORS.npy, a file of float vectors, or --demo; got neither")
    queries = None if options.queries is None else _open_floats(options.queries)
    qrels = None if options.qrels is None else open_npy(options.qrels)
    return _open_floats(options.vectors), queries, qrels


def _open_floats(path: Path) -> Rows:
    rows = open_rows(path)
    if rows.dtype.kind != "f":
        raise InputError(
            f"{path}: holds packed bits ({rows.dtype}), which have lost already what is to be "
            "measured; wanted float16, float32 or float64"
        )
    return rows


def _file_of(message: str, options: EvalOptions) -> Path | None:
    """Return the file that an error of the library is about."""
    files = {"documents": options.vectors, "queries": options.queries, "qrels": options.qrels}
    return files.get(message.partition(" ")[0])


def _seen_from(page: Path, picture: Path) -> str | None:
    """Return the link to a picture beside the page or below; None elsewhere: it names no folder."""
    try:
        below = picture.resolve().relative_to(page.resolve().parent)
    except ValueError:
        return None
    return quote(below.as_posix())


def save_evaluation(evaluation: Evaluation, options: EvalOptions) -> dict[str, Any]:
    """Write the files that were asked for; return what ``--json`` prints."""
    plain = {"title": options.shown_title, "command": options.command(), **evaluation.to_json()}
    if options.out is not None:
        save_text(options.out, json.dumps(plain, indent=2, allow_nan=False) + "\n")
    if options.picture is not None:
        draw(evaluation, options.picture, options.shown_title)
    if options.markdown is not None:
        before = introduction()
        if options.append:
            before = options.markdown.read_text(encoding="utf-8")
        picture = None if options.picture is None else _seen_from(options.markdown, options.picture)
        made = section(evaluation, options.shown_title, options.command(), picture)
        save_text(options.markdown, f"{before.rstrip()}\n\n{made}")
    return plain
