# SPDX-License-Identifier: Apache-2.0
"""The demo as text: lists of results, their overlap, memory and time."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from bitsift.cli.console import human_bytes, human_seconds, print_block, ratio, table
from bitsift.cli.demo.demo import REPEATS, Demo, Hit

__all__ = ["print_demo"]

# Three lists of titles side by side do not read better when they are wider.
_MAX_WIDTH = 160
_PIPE_WIDTH = 120


def print_demo(demo: Demo, console: Console) -> None:
    """Print the lists, their overlap, and their cost."""
    width = min(console.width, _MAX_WIDTH) if console.is_terminal else _PIPE_WIDTH
    console.print(Text(f'"{demo.text}"', style="bold"), f"in {demo.n:,} arXiv papers")
    if demo.model is not None:
        console.print(f"embedded with {demo.model}", style="dim", soft_wrap=True)
    console.print()
    _print_lists(demo, console, width)
    console.print()
    _print_overlap(demo, console)
    console.print()
    _print_costs(demo, console)
    console.print()
    print_block(
        console,
        f"Time: median of {REPEATS} runs of one query over {demo.n:,} vectors of {demo.dim} "
        f"dimensions on this machine (bitsift: {demo.isa}, all cores; float cosine: brute force in "
        "NumPy). This is a small corpus; measure on your own vectors, too.",
        width=width,
        style="dim",
    )


def _print_lists(demo: Demo, console: Console, width: int) -> None:
    in_float = {hit.id for hit in demo.cosine}

    def cell(rank: int, hit: Hit, number: float, marked: bool) -> Padding:
        shared = marked and hit.id in in_float
        text = Text()
        text.append(f"{number:.4f}", style="bold green" if shared else "bold")
        text.append(" *" if shared else "  ", style="green")
        text.append(f" {hit.paper.arxiv}\n", style="dim")
        text.append(hit.paper.title)
        return Padding(text, (0, 0, 0 if rank == demo.k else 1, 0))

    lists = table(
        console,
        ("#", "right"),
        ("Hamming / dim", "left"),
        ("float cosine", "left"),
        (f"rescored, {demo.candidates} candidates", "left"),
        width=width,
    )
    for column in lists.columns[1:]:
        column.ratio = 1
    for rank, (near, exact, better) in enumerate(
        zip(demo.hamming, demo.cosine, demo.rescored, strict=True), 1
    ):
        lists.add_row(
            str(rank),
            cell(rank, near, near.score / demo.dim, True),
            cell(rank, exact, exact.score, False),
            cell(rank, better, better.score, True),
        )
    print_block(console, lists)


def _print_overlap(demo: Demo, console: Console) -> None:
    for name, hits in (("Hamming:", demo.hamming), ("rescored:", demo.rescored)):
        console.print(f"{name:<10}{demo.shared(hits)} of {demo.k} shared with float cosine (*)")


def _print_costs(demo: Demo, console: Console) -> None:
    costs = table(
        console,
        ("search", "left"),
        ("memory", "right"),
        ("per vector", "right"),
        ("smaller", "right"),
        ("time", "right"),
    )
    both = demo.bits_bytes + demo.originals_bytes
    for name, n_bytes, seconds in (
        ("float32 cosine", demo.float32_bytes, demo.cosine_s),
        ("Hamming, bits", demo.bits_bytes, demo.hamming_s),
        ("rescored, bits + float16", both, demo.rescored_s),
    ):
        costs.add_row(
            name,
            human_bytes(n_bytes),
            f"{n_bytes / demo.n:g} B",
            ratio(demo.float32_bytes, n_bytes),
            human_seconds(seconds),
        )
    print_block(console, costs)
