# SPDX-License-Identifier: Apache-2.0
"""Output of commands: consoles, tables, progress bars, and numbers for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import typer
from rich import box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from bitsift.cli.text import visible

__all__ = [
    "COLUMN_GAP",
    "human_bytes",
    "human_count",
    "human_seconds",
    "key_values",
    "print_block",
    "print_json",
    "print_line",
    "progress_bar",
    "ratio",
    "spinner",
    "stderr_console",
    "stdout_console",
    "table",
]

COLUMN_GAP = 3  # blanks between two columns of a table

# Wide enough that nothing a command prints into a pipe is wrapped.
_PIPE_WIDTH = 10_000

# SIMPLE_HEAD in ASCII, for pipes: only a rule below the header.
_PLAIN = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


def stdout_console() -> Console:
    """Make a console on standard output: as wide as the terminal, or plain and unwrapped."""
    terminal = sys.stdout.isatty()
    return Console(
        width=None if terminal else _PIPE_WIDTH,
        force_terminal=terminal,  # FORCE_COLOR must not put escape codes into a pipe
        markup=False,
        highlight=False,
        emoji=False,
    )


def stderr_console() -> Console:
    """Make a console on standard error, for everything that is not a result."""
    return Console(
        stderr=True,
        force_terminal=sys.stderr.isatty(),
        markup=False,
        highlight=False,
        emoji=False,
    )


def table(console: Console, *headers: tuple[str, str], width: int | None = None) -> Table:
    """Make an empty table with a column for each (header, "left" or "right")."""
    made = Table(
        box=box.SIMPLE_HEAD if console.is_terminal else _PLAIN,
        show_edge=False,
        pad_edge=False,
        width=width,
    )
    for header, justify in headers:
        right = justify == "right"
        made.add_column(header, justify="right" if right else "left", overflow="fold")
    return made


def print_block(
    console: Console,
    renderable: RenderableType,
    *,
    width: int | None = None,
    style: str | None = None,
) -> None:
    """Print a table or a paragraph; in a pipe, lines have no trailing blanks."""
    if console.is_terminal:
        console.print(renderable, width=width, style=style)
        return
    with console.capture() as captured:
        console.print(renderable, width=width)
    lines = (line.rstrip() for line in captured.get().splitlines())
    console.print("\n".join(lines), soft_wrap=True)


def key_values(console: Console, pairs: list[tuple[str, str]]) -> None:
    """Print names and values in two columns."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(Text(name, style="bold"), Text(visible(value)))
    print_block(console, grid)


def print_line(console: Console, text: str, style: str = "") -> None:
    """Print a line without wrapping it, so that a path in it can be copied."""
    console.print(Text(visible(text), style=style), soft_wrap=True)


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object, in ASCII, which every encoding can show."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


@contextmanager
def progress_bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show progress on standard error if it is a terminal; yield ``update(done)``.

    The bar appears with the first update, so that an argument that is refused shows none.
    """
    console = stderr_console()
    if not console.is_terminal:
        yield lambda _done: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=console, transient=True)
    task = progress.add_task(description, total=max(total, 1))

    def update(done: int) -> None:
        progress.start()  # nothing if it has started
        progress.update(task, completed=done)

    try:
        yield update
    finally:
        if progress.live.is_started:
            progress.stop()


def spinner(description: str) -> AbstractContextManager[object]:
    """Show on standard error, if it is a terminal, that work of unknown length goes on."""
    console = stderr_console()
    return console.status(description) if console.is_terminal else nullcontext()


def human_bytes(n_bytes: int) -> str:
    """Format a number of bytes in the largest binary unit in which it is at least 1."""
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{n_bytes} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def human_count(count: float) -> str:
    """Format a large number with three significant digits and a word for its size."""
    for factor, word in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if count >= factor:
            return f"{_three_digits(count / factor)}{word}"
    return _three_digits(count)


def human_seconds(seconds: float) -> str:
    """Format a duration with three significant digits, in s, ms or us."""
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{_three_digits(seconds * factor)} {unit}"
    return f"{seconds * 1e6:.3g} us"


def _three_digits(value: float) -> str:
    # The format "g" writes exponents from 1000 on.
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratio(large: int, small: int) -> str:
    """Format how many times `small` fits into `large`; a dash if `small` is 0."""
    return f"{large / small:.1f}x" if small else "-"
