# SPDX-License-Identifier: Apache-2.0
"""An evaluation as a picture: quality by bytes, and quality and latency by oversampling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bitsift.cli.failure import InputError, MissingPackageError, one_line
from bitsift.cli.files.outfile import replacing
from bitsift.cli.text import visible
from bitsift.core.options import DEFAULT_OVERSAMPLING
from bitsift.evaluation import (
    OVERSAMPLINGS,
    SOURCES,
    Evaluation,
    EvaluationRow,
    rescored_name,
)

__all__ = ["check_picture", "draw"]

_KINDS = (".png", ".svg", ".pdf")
_HINT = "a picture needs the package matplotlib: pip install 'bitsift[eval]'"

# Each source has a colour and a marker of its own, so that colours are not needed.
_STYLES = {
    "float32": ("#333333", "o"),
    "float16": ("#0072b2", "s"),
    "int8": ("#e69f00", "^"),
    "int4": ("#009e73", "D"),
    "bits": ("#cc79a7", "v"),
}
# Single points of the left panel: the condition, the label, and the place of the label.
_LABELLED = (
    ("float32", "float32", (0, 9)),
    ("int8, min/max", "int8", (0, 9)),
    ("int4, rolling", "int4", (0, 9)),
    ("ternary, rolling", "ternary", (0, 9)),
    ("binary, corrected", "bits, float query, corrected", (8, 2)),
    ("binary (asymmetric)", "bits, float query", (8, -8)),
    ("binary x binary (Hamming)", "bits x bits", (8, -4)),
)
_IN_LEFT_PANEL = int(DEFAULT_OVERSAMPLING)


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
    # A bare Figure is drawn by Agg: it needs no display and no global state.
    figure = _figure()(figsize=(11, 5.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.1, 1))
    rows = {row.name: row for row in evaluation.rows}
    _bytes_panel(left.subplots(), evaluation, rows)
    _oversampling_panels(right.subplots(2, 1, sharex=True), evaluation, rows)
    handles, labels = right.axes[0].get_legend_handles_labels()
    right.legend(
        handles, labels, loc="outside lower center", ncols=len(SOURCES), fontsize=9, frameon=False
    )
    figure.suptitle(f"{visible(title)}\n{evaluation.summary()}", fontsize=10, parse_math=False)
    with replacing(path, force=force) as partial:
        figure.savefig(partial, format=path.suffix.lower()[1:], dpi=150)


def _bytes_panel(axes: Any, evaluation: Evaluation, rows: dict[str, EvaluationRow]) -> None:
    for name, text, offset in _LABELLED:
        if name in rows:
            row = rows[name]
            axes.plot(row.bytes_per_vector, row.quality, "o", color="#333333", markersize=6)
            axes.annotate(
                text,
                (row.bytes_per_vector, row.quality),
                xytext=offset,
                textcoords="offset points",
                ha="center" if offset[0] == 0 else "left",
                fontsize=9,
            )
    for source, (colour, marker) in _STYLES.items():
        row_or_none = rows.get(rescored_name(_IN_LEFT_PANEL, source))
        if row_or_none is not None:
            axes.plot(
                row_or_none.bytes_per_vector,
                row_or_none.quality,
                marker,
                color=colour,
                markersize=8,
                markerfacecolor="none",
                markeredgewidth=1.6,
                linestyle="none",
                label=f"bits, x{_IN_LEFT_PANEL} rescored from {source}",
            )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("bytes a vector (all that a search may read)")
    axes.set_ylabel(evaluation.measure)
    axes.margins(x=0.12, y=0.12)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=9)
    axes.set_title("Quality and memory", fontsize=10)


def _oversampling_panels(
    panels: Any, evaluation: Evaluation, rows: dict[str, EvaluationRow]
) -> None:
    quality, latency = panels
    for source in SOURCES:
        colour, marker = _STYLES[source]
        found = [
            (oversampling, rows[rescored_name(oversampling, source)])
            for oversampling in OVERSAMPLINGS
            if rescored_name(oversampling, source) in rows
        ]
        places = [oversampling for oversampling, _ in found]
        style = {
            "color": colour,
            "marker": marker,
            "markerfacecolor": "none",
            "linewidth": 1.4,
            "markersize": 8 if source == "float32" else 5,  # Lines may coincide.
            "label": source,
        }
        quality.plot(places, [row.quality for _, row in found], **style)
        seconds = [1000 * (row.latency_s or 0.0) for _, row in found]
        latency.plot(places, seconds, **style)
    quality.axhline(evaluation.rows[0].quality, color="#333333", linestyle=":", linewidth=1.2)
    quality.set_ylabel(evaluation.measure)
    quality.set_title("Oversampling: quality (dotted: float32), and time of one query", fontsize=10)
    latency.set_ylabel("ms, one query alone")
    latency.set_ylim(bottom=0)
    latency.set_xlabel("candidates for each result, rescored from")
    latency.set_xticks(OVERSAMPLINGS)
    for axes in (quality, latency):
        axes.grid(alpha=0.3)
