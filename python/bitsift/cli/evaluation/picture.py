# SPDX-License-Identifier: Apache-2.0
"""An evaluation as a picture: quality, RAM, disk and time, and the effect of oversampling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bitsift.cli.evaluation.columns import quality_text
from bitsift.cli.evaluation.plotted import COLOURS, by_oversampling, compared, source_of
from bitsift.cli.failure import InputError, MissingPackageError, one_line
from bitsift.cli.files.outfile import replacing
from bitsift.cli.text import visible
from bitsift.evaluation import SOURCES, Evaluation, EvaluationRow

__all__ = ["check_picture", "draw"]

_KINDS = (".png", ".svg", ".pdf")
_HINT = "a picture needs the package matplotlib: pip install 'bitsift[eval]'"

# Each source has a marker of its own, so that colours are not needed.
_MARKERS = {"float32": "o", "float16": "s", "int8": "^", "int4": "D", "bits": "v"}
_INK = COLOURS["float32"]
_UNRESCORED = "#8c8c8c"


def check_picture(path: Path) -> None:
    """Refuse a picture that cannot be drawn."""
    if path.suffix.lower() not in _KINDS:
        raise InputError(
            f"{path}: the name must end in one of {', '.join(_KINDS)}; got {path.suffix!r}"
        )
    _figure()


def _figure() -> Any:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 (optional)
    except Exception as error:  # matplotlib's own packages raise whatever they raise
        names = ("matplotlib", "matplotlib.figure")
        if isinstance(error, ModuleNotFoundError) and error.name in names:
            raise MissingPackageError(_HINT) from error
        raise MissingPackageError(
            f"a picture needs the package matplotlib, which fails to import: {one_line(error)}"
        ) from error
    return Figure


def draw(evaluation: Evaluation, path: Path, title: str, *, force: bool) -> None:
    """Draw the picture and write it as PNG, SVG or PDF; the end of the name decides."""
    check_picture(path)
    rows = compared(evaluation)
    # A bare Figure is drawn by Agg: it needs no display and no global state.
    figure = _figure()(figsize=(11, 4.6 + 0.28 * len(rows)), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.2 + 0.28 * len(rows), 3.0))
    _compare(upper.subplots(1, 4, sharey=True, width_ratios=(1.3, 1, 1, 1.3)), evaluation, rows)
    _oversampling_panels(lower.subplots(1, 2), evaluation)
    handles, labels = lower.axes[0].get_legend_handles_labels()
    lower.legend(
        handles, labels, loc="outside lower center", ncols=len(SOURCES), fontsize=9, frameon=False
    )
    figure.suptitle(f"{visible(title)}\n{evaluation.summary()}", fontsize=10, parse_math=False)
    with replacing(path, force=force) as partial:
        figure.savefig(partial, format=path.suffix.lower()[1:], dpi=150)


def _compare(panels: Any, evaluation: Evaluation, rows: list[EvaluationRow]) -> None:
    """Draw a line for each condition: its quality, RAM, disk, and time."""
    quality, ram, disk, time = panels
    places = range(len(rows))
    colours = [COLOURS.get(source_of(row) or "", _UNRESCORED) for row in rows]
    quality.set_yticks(places, [row.name for row in rows])
    quality.invert_yaxis()
    quality.set_title(evaluation.measure, fontsize=10)
    _points(quality, [row.quality for row in rows], colours)
    _labels(quality, [(row.quality, quality_text(evaluation, row.quality)) for row in rows])
    _make_room(quality, [row.quality for row in rows])
    if evaluation.n_judged is None:
        quality.xaxis.set_major_formatter(
            lambda value, _: f"{100 * value:.0f} %" if value < 1.001 else ""
        )
    most = max(row.bytes_per_vector for row in rows)
    for axes, title, sizes in (
        (ram, "RAM, bytes a vector", [row.bytes_scanned for row in rows]),
        (disk, "disk, bytes a vector", [row.bytes_per_vector - row.bytes_scanned for row in rows]),
    ):
        axes.barh(places, sizes, height=0.6, color=colours)
        _labels(axes, [(size, f"{size:,}" if size else "-") for size in sizes])
        axes.set_xlim(0, 1.35 * most)
        axes.set_title(title, fontsize=10)
    times = [None if row.latency_s is None else 1000 * row.latency_s for row in rows]
    time.set_xscale("log")
    _points(time, times, colours)
    _labels(time, [(at, "" if at is None else f"{at:.3g}") for at in times])
    time.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    time.margins(x=0.35)
    time.set_title("one query, ms (logarithmic)", fontsize=10)
    for axes in panels:
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=9)


def _points(axes: Any, values: Sequence[float | None], colours: list[str]) -> None:
    for place, (value, colour) in enumerate(zip(values, colours, strict=True)):
        if value is not None:
            axes.plot(value, place, "o", color=colour, markersize=6)


def _make_room(axes: Any, values: list[float]) -> None:
    """Leave place for the labels, right of the values."""
    low, high = min(values), max(values)
    space = (high - low) or 0.1
    axes.set_xlim(low - 0.1 * space, high + 0.45 * space)


def _labels(axes: Any, labels: list[tuple[float | None, str]]) -> None:
    """Write a text right of each value."""
    for place, (value, text) in enumerate(labels):
        if value is not None:
            axes.annotate(
                *(text, (value, place)),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )


def _oversampling_panels(panels: Any, evaluation: Evaluation) -> None:
    quality, latency = panels
    lines = by_oversampling(evaluation)
    for source, found in lines.items():
        places = [oversampling for oversampling, _ in found]
        style = {
            "color": COLOURS[source],
            "marker": _MARKERS[source],
            "markerfacecolor": "none",
            "linewidth": 1.4,
            "markersize": 8 if source == "float32" else 5,  # Lines may coincide.
            "label": source,
        }
        quality.plot(places, [row.quality for _, row in found], **style)
        latency.plot(places, [1000 * (row.latency_s or 0.0) for _, row in found], **style)
    quality.axhline(evaluation.rows[0].quality, color=_INK, linestyle=":", linewidth=1.2)
    quality.set_title(f"{evaluation.measure} by oversampling (dotted: float32)", fontsize=10)
    if evaluation.n_judged is None:
        quality.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    latency.set_title("one query by oversampling, ms", fontsize=10)
    latency.set_ylim(bottom=0)
    for axes in panels:
        axes.set_xlabel("candidates for each result, rescored from what the colour says")
        axes.set_xticks(sorted({at for found in lines.values() for at, _ in found}))
        axes.grid(alpha=0.3)
