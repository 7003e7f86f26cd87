# SPDX-License-Identifier: Apache-2.0
"""The report as a picture: bars against the ceiling, queries a second by batch, time by rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .race import Result
from .session import Run

# Colours that those who are colour-blind can tell apart (Okabe, Ito).
_COLOURS = {
    "bitsift": "#0072B2",
    "faiss": "#E69F00",
    "usearch": "#009E73",
    "numkong": "#CC79A7",
    "numpy": "#999999",
    "sentence-transformers": "#D55E00",
}
_CEILING_GROUPS = ("one-query", "batch", "levels", "packing")


def save_picture(run: Run, path: Path) -> bool:
    """Draw; return False where matplotlib is not installed."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 (optional)
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise  # it is installed, but broken
        return False
    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    with plt.rc_context({"axes.spines.top": False, "axes.spines.right": False}):
        figure, (ceilings, queries, rows) = plt.subplots(
            1, 3, figsize=(18, 6), layout="constrained", width_ratios=(1.3, 1, 1)
        )
        _draw_ceilings(ceilings, run)
        _draw_batches(queries, _results(run, "batches"))
        _draw_sizes(rows, _results(run, "sizes"))
        figure.savefig(path, dpi=120)
        plt.close(figure)
    return True


def _results(run: Run, *groups: str) -> list[Result]:
    return [result for g in run.groups if g.group.name in groups for result in g.results]


def _draw_ceilings(axes: Any, run: Run) -> None:
    """Draw one bar a contestant: its share of the highest ceiling of the row."""
    from matplotlib.patches import Patch  # noqa: PLC0415 (optional)

    axes.set_title("Share of what the machine can do at most")
    results = [result for result in _results(run, *_CEILING_GROUPS) if result.ceilings]
    if not results:
        _say_nothing(axes)
        return
    ticks, labels, y = [], [], 0.0
    for result in results:
        ceiling = result.highest_ceiling
        names = ["bitsift", *result.peers]
        for i, name in enumerate(names):
            share = result.share(ceiling, None if name == "bitsift" else name)
            colour = _COLOURS[name]
            axes.barh(y - i, share, height=0.9, color=colour)
            axes.text(share, y - i, f" {share:.0%}", va="center", fontsize=7)
        ticks.append(y - (len(names) - 1) / 2)
        labels.append(f"{result.question.text}\n{result.question.level}, ceiling: {ceiling}")
        y -= len(names) + 1
    axes.axvline(1, color="black", linestyle="--", linewidth=1)
    axes.set_yticks(ticks, labels, fontsize=7)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_xlim(left=0)
    axes.margins(y=0.01)
    names = ["bitsift", *dict.fromkeys(name for r in results for name in r.peers)]
    handles = [Patch(color=_COLOURS[name], label=name) for name in names]
    axes.figure.legend(handles=handles, frameon=False, loc="outside lower center", ncols=len(names))


def _draw_batches(axes: Any, results: Sequence[Result]) -> None:
    axes.set_title("Queries a second by size of the batch")
    if not results:
        _say_nothing(axes)
        return
    sizes = [result.question.facts["n_queries"] for result in results]
    for name in ("bitsift", "faiss"):
        times = _times(results, name)
        if times:
            rates = [n / t for n, t in zip(sizes, times, strict=True)]
            axes.plot(sizes, rates, marker="o", color=_COLOURS[name], label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [str(n) for n in sizes])
    facts = results[0].question.facts
    axes.set_xlabel(f"queries in a batch ({facts['n_rows']:,} x {facts['n_bits']} bits)")
    axes.set_ylabel("queries/s")
    axes.legend(frameon=False)


def _draw_sizes(axes: Any, results: Sequence[Result]) -> None:
    axes.set_title("Time of a search by number of rows")
    if not results:
        _say_nothing(axes)
        return
    styles = ("-", "--")
    batches = dict.fromkeys(result.question.facts["n_queries"] for result in results)
    for n_queries, style in zip(batches, styles, strict=False):
        some = [result for result in results if result.question.facts["n_queries"] == n_queries]
        n_rows = [result.question.facts["n_rows"] for result in some]
        for name in ("bitsift", "faiss"):
            times = _times(some, name)
            if times:
                label = f"{name}, {n_queries} quer{'y' if n_queries == 1 else 'ies'}"
                look = {"linestyle": style, "marker": "o", "color": _COLOURS[name]}
                axes.plot(n_rows, [t * 1e3 for t in times], label=label, **look)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(f"rows of {results[0].question.facts['n_bits']} bits")
    axes.set_ylabel("milliseconds")
    axes.legend(frameon=False)


def _times(results: Sequence[Result], name: str) -> list[float]:
    if name == "bitsift":
        return [result.seconds for result in results]
    return [result.peer_seconds(name) for result in results if name in result.peers]


def _say_nothing(axes: Any) -> None:
    axes.text(0.5, 0.5, "not measured", ha="center", va="center", transform=axes.transAxes)
    axes.set_axis_off()
