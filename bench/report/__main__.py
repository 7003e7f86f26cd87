# SPDX-License-Identifier: Apache-2.0
"""``python -m bench.report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import bitsift

from . import ceilings
from .groups import GROUPS
from .picture import save_picture
from .record import save_json
from .session import Group, Run
from .settings import Settings, choose
from .text import save_markdown, show

_PIPE_WIDTH = 200


def main(
    quick: Annotated[
        bool, typer.Option("--quick", help="Less than a minute: 100,000 rows for 1,000,000.")
    ] = False,
    threads: Annotated[
        int, typer.Option(min=0, help="Threads of bitsift and its peers; 0: one a core.")
    ] = 0,
    isa: Annotated[
        str | None, typer.Option(metavar="NAME", help="Level of bitsift; default: the best.")
    ] = None,
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="For the files.")] = Path(
        "bench-report"
    ),
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="This group; may be repeated.")
    ] = None,
    names: Annotated[bool, typer.Option("--list", help="Name the groups and stop.")] = False,
) -> None:
    """Time bitsift beside its peers and beside what this machine can do at most."""
    if names:
        for group in GROUPS:
            typer.echo(f"{group.name:<12}{group.title}")
        return
    try:
        settings = choose(quick=quick, threads=threads, isa=isa, output=output)
    except (ValueError, bitsift.BitsiftError) as error:
        raise typer.BadParameter(str(error), param_hint="--isa") from None
    run = Run(settings)
    _measure(run, _chosen(only or []))
    if not _report(run, settings):
        raise typer.Exit(1)


def _chosen(names: list[str]) -> list[Group]:
    known = [group.name for group in GROUPS]
    unknown = [name for name in names if name not in known]
    if unknown:
        message = f"no group {', '.join(unknown)}; there are: {', '.join(known)}"
        raise typer.BadParameter(message, param_hint="--only")
    return [group for group in GROUPS if not names or group.name in names]


def _measure(run: Run, groups: list[Group]) -> None:
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    console = Console(stderr=True)
    # No thread that draws: it would take its time from a contestant's.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        task = progress.add_task("", total=len(groups) + 1)

        def say(title: str) -> None:
            progress.update(task, advance=1, description=title, refresh=True)

        run.say = say
        progress.update(task, description="What the machine can do at most", refresh=True)
        run.ceilings = ceilings.of_machine(run.settings)
        run.measure(groups)


def _report(run: Run, settings: Settings) -> bool:
    """Print and save; return whether all groups were measured."""
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)
    show(run, console)
    settings.output.mkdir(parents=True, exist_ok=True)
    save_json(run, settings.output / "report.json")
    save_markdown(run, settings.output / "report.md")
    files = ["report.json", "report.md"]
    if save_picture(run, settings.output / "report.png"):
        files.append("report.png")
    else:
        console.print("No picture: matplotlib is not installed.", style="bold red")
    console.print(f"Written to {settings.output}: {', '.join(files)}")
    return not any(group.failed for group in run.groups)


if __name__ == "__main__":
    typer.run(main)
