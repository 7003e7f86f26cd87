# SPDX-License-Identifier: Apache-2.0
"""The report as text: the machine, its ceilings, a table for each group, and what is missing."""

from __future__ import annotations

import io
import re
import statistics
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..formats import duration, three_digits
from ..peers import libraries
from .ceilings import MeasuredCeiling
from .race import Result
from .record import describe_machine, is_contended, speed_up, versions
from .session import Measurements, Run

_MARKDOWN_WIDTH = 500


def show(run: Run, console: Console, *, markdown: bool = False) -> None:
    """Print everything."""
    _print_head(run, console)
    if run.ceilings:
        _heading(console, "What the machine can do at most", markdown)
        console.print(_ceilings_table(run.ceilings, markdown))
        if is_contended(run):
            console.print(
                f"All {run.settings.threads} threads counted {speed_up(run):.2f} times the bits "
                "that one did: other work on the machine, or a shared core. Threads that spin "
                "while they wait, as FAISS's do, lose more by that than bitsift's.",
                style="bold yellow",
            )
    else:
        console.print("Ceilings: not available in this build", style="bold red")
    for group in run.groups:
        _heading(console, group.group.title, markdown)
        if group.results:
            console.print(_group_table(group, markdown))
        for sentence in group.unavailable:
            console.print(escape(sentence), style="bold yellow")
        for sentence in group.failed:
            console.print(escape(f"failed: {sentence}"), style="bold red")
    _print_notes(run, console)


def save_markdown(run: Run, path: Path) -> None:
    text = io.StringIO()
    show(run, Console(file=text, width=_MARKDOWN_WIDTH, no_color=True), markdown=True)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    # Sentences become paragraphs, and no more than one line stays empty.
    spaced = "".join(
        f"{line}\n" if line.startswith(("|", "*")) else f"\n{line}\n" for line in lines
    )
    path.write_text(re.sub(r"\n{3,}", "\n\n", spaced).lstrip(), encoding="utf-8")


def missing_sentences() -> list[str]:
    missing = libraries.missing()
    if not missing:
        return []
    return [
        f"Not installed, so nothing above compares bitsift with: {', '.join(missing)}. "
        f"To have them: pip install {' '.join(missing)}"
    ]


def _print_head(run: Run, console: Console) -> None:
    settings = run.settings
    machine = describe_machine()
    console.print(
        escape(
            f"{machine['processor']}, load before the run {machine['load']}, "
            f"{run.elapsed:.0f} s of measuring"
        )
    )
    console.print(escape(", ".join(f"{name} {version}" for name, version in versions().items())))
    console.print(
        f"bitsift at level {settings.isa}, {settings.threads} thread(s) unless said. Median times "
        "of a call; ratios peer / bitsift and shares of a ceiling are medians over the rounds, in "
        "which all were called in turn."
    )


def _heading(console: Console, title: str, markdown: bool) -> None:
    console.print(f"\n## {title}\n" if markdown else f"\n[bold]{title}[/bold]")


def _new_table(markdown: bool) -> Table:
    shape = box.MARKDOWN if markdown else box.SIMPLE_HEAD
    return Table(box=shape, show_edge=markdown, pad_edge=markdown)


def _ceilings_table(ceilings: list[MeasuredCeiling], markdown: bool) -> Table:
    table = _new_table(markdown)
    for name in ("ceiling", "level"):
        table.add_column(name)
    threads = sorted({c.threads for c in ceilings})
    for n in threads:
        table.add_column(f"{n} thread(s)", justify="right")
    for key in dict.fromkeys((c.name, c.level) for c in ceilings):
        same = {c.threads: c for c in ceilings if (c.name, c.level) == key}
        table.add_row(*key, *(_rate(same[n].rate, same[n].unit) for n in threads))
    return table


def _group_table(group: Measurements, markdown: bool) -> Table:
    """Leave out columns that no row of the group fills."""
    rows = [_cells(result) for result in group.results]
    table = _new_table(markdown)
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    for name in names:
        right = name in ("threads", "bitsift", "faiss", "faiss / bitsift", "rounds")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(row[name]) for name in names))
    return table


def _cells(result: Result) -> dict[str, str]:
    question = result.question
    others = [name for name in result.peers if name != "faiss"]
    cells = {
        "question": question.text,
        "level": question.level,
        "threads": str(question.threads),
        "bitsift": duration(result.seconds),
        "share of the ceiling": _shares(result),
        "faiss": "",
        "faiss / bitsift": "",
        "others / bitsift": ", ".join(f"{name} {_ratio(result.ratio(name))}" for name in others),
        "": result.remark,
        "rounds": str(len(result.ours)),
    }
    if "faiss" in result.peers:
        cells["faiss"] = duration(result.peer_seconds("faiss"))
        cells["faiss / bitsift"] = _ratio(result.ratio("faiss"))
    return cells


def _shares(result: Result) -> str:
    """Give the share of the highest ceiling, and in brackets those of kernels that reach less."""
    if not result.ceilings:
        return ""
    names = sorted(result.ceilings, key=result.share)
    first, *others = [f"{result.share(name):.0%} {name}" for name in names]
    return f"{first} ({', '.join(others)})" if others else first


def _print_notes(run: Run, console: Console) -> None:
    """Say once what is to be known about a peer, and which are missing."""
    notes: dict[str, list[str]] = {}
    for group in run.groups:
        for result in group.results:
            for peer in result.question.peers:
                if peer.note:
                    notes.setdefault(f"{peer.name}: {peer.note}", []).append(group.group.name)
    console.print()
    for note, groups in notes.items():
        console.print(escape(f"* {note} ({', '.join(dict.fromkeys(groups))})"))
    for sentence in missing_sentences():
        console.print(escape(sentence), style="bold red")
    ratios = [r.ratio("faiss") for g in run.groups for r in g.results if "faiss" in r.peers]
    if ratios:
        slower = sum(ratio < 0.995 for ratio in ratios)
        console.print(
            f"Against FAISS in {len(ratios)} rows: slower in {slower}, median ratio "
            f"{three_digits(statistics.median(ratios))}, {three_digits(min(ratios))} to "
            f"{three_digits(max(ratios))}."
            + (" The machine was busy: no figure to quote." if is_contended(run) else "")
        )


def _ratio(ratio: float) -> str:
    return f"{'slower: ' if ratio < 0.995 else ''}{three_digits(ratio)}"


def _rate(rate: float, unit: str) -> str:
    return f"{rate / 1e9:,.1f} G{unit}"
