# SPDX-License-Identifier: Apache-2.0
"""The demo as text: what each search finds, memory and time, and what to run next."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from bitsift.cli.console import human_bytes, key_values, print_block, print_line, table
from bitsift.cli.demo.demo import REPEATS, Demo, Hit

__all__ = ["print_demo"]

# A line of text does not read better when it is wider.
_MAX_WIDTH = 120
_NUMBER_WIDTH = 8


def print_demo(demo: Demo, console: Console) -> None:
    """Print the lists, how much of float's list they find, and their cost."""
    width = min(console.width, _MAX_WIDTH)
    print_line(console, f'"{demo.text}" in {demo.n:,} arXiv papers', "bold")
    if demo.model is not None:
        print_line(console, f"embedded with {demo.model}", "dim")
    print_line(console, "")
    print_block(
        console,
        f"Float search compares the query with the {demo.dim} floats of every paper: its list is "
        "the one to find. bitsift keeps one bit of each float in RAM; the floats themselves may "
        f"stay on disk. The default search, that of bitsift.Index({demo.dim}), finds candidates by "
        "bits and orders them by floats. Bits alone are compared by Hamming distance, here the "
        "share of bits that differ. A * marks a paper that float search lists, too.",
        width=width,
    )
    in_float = {hit.id for hit in demo.cosine}
    for title, header, hits, divisor in (
        (f"Default search: {_found(demo, demo.default)}", "cosine", demo.default, 1),
        (f"Bits alone: {_found(demo, demo.hamming)}", "distance", demo.hamming, demo.dim),
        ("Float search", "cosine", demo.cosine, 1),
    ):
        print_line(console, "")
        print_line(console, title, "bold")
        marked = set() if hits is demo.cosine else in_float
        _print_list(console, width, header, [(hit, hit.score / divisor) for hit in hits], marked)
    print_line(console, "")
    shares = demo.shares
    print_block(
        console,
        f"Of float's top {demo.k}, over all {shares.n_queries} prepared queries, the default "
        f"search finds {100 * shares.default:.1f} %, bits alone find {100 * shares.hamming:.1f} %.",
        width=width,
        style="bold",
    )
    print_line(console, "")
    _print_costs(demo, console, width)
    print_line(console, "")
    _print_next(demo, console)


def _found(demo: Demo, hits: list[Hit]) -> str:
    return f"finds {demo.shared(hits)} of float's {demo.k}"


def _print_list(
    console: Console, width: int, header: str, hits: list[tuple[Hit, float]], marked: set[int]
) -> None:
    """Print papers and numbers, with a mark at the papers whose ids are in `marked`."""
    shown = table(
        console,
        ("", "right"),
        (f"{header:>{_NUMBER_WIDTH}}", "right"),
        ("*" if marked else " ", "left"),
        ("arXiv", "left"),
        ("title", "left"),
    )
    for rank, (hit, number) in enumerate(hits, 1):
        is_shared = hit.id in marked
        shown.add_row(
            str(rank),
            Text(f"{number:.4f}", style="bold green" if is_shared else "bold"),
            Text("*" if is_shared else "", style="green"),
            Text(hit.paper.arxiv, style="dim"),
            Text(hit.paper.title),
        )
    print_block(console, shown, width=width)


def _print_costs(demo: Demo, console: Console, width: int) -> None:
    costs = table(
        console, ("", "left"), ("RAM", "right"), ("disk", "right"), ("one query", "right")
    )
    for name, ram, disk, seconds in (
        ("default search", demo.bits_bytes, demo.originals_bytes, demo.default_s),
        ("bits alone", demo.bits_bytes, 0, demo.hamming_s),
        ("float search", demo.float32_bytes, 0, demo.cosine_s),
    ):
        costs.add_row(
            name,
            human_bytes(ram),
            f"{human_bytes(disk)} ({demo.store})" if disk else "-",
            f"{1000 * seconds:.3f} ms",
        )
    print_block(console, costs)
    print_line(console, "")
    print_block(
        console,
        f"One query: the fastest of {REPEATS} runs on one core of this machine (bitsift: "
        f"{demo.isa}; float search: NumPy). So few papers fit the processor's caches; of a large "
        "collection, which lies in memory, bits are 1/32 of what a search must read.",
        width=width,
        style="dim",
    )


def _print_next(demo: Demo, console: Console) -> None:
    key_values(
        console,
        [
            ("bitsift eval --demo", "quality, RAM and speed of each store"),
            (
                f"bitsift plan --vectors 250e6 --dim {demo.dim}",
                "RAM, disk and price of another size",
            ),
            ("bitsift build VECTORS.npy -o my.index", "an index of your own vectors"),
        ],
    )
