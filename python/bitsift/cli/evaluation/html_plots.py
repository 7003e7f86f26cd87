# SPDX-License-Identifier: Apache-2.0
"""The plots of a page, as SVG: a point for each condition, which names its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bitsift.cli.evaluation.axes import Axis, bytes_axis, linear_axis, logarithmic_axis, places_axis
from bitsift.cli.evaluation.columns import columns, quality_text
from bitsift.cli.evaluation.markup import escaped
from bitsift.cli.evaluation.plotted import by_oversampling, source_of
from bitsift.evaluation import SOURCES, Evaluation, EvaluationRow

__all__ = ["key", "plots"]

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 424, 12, 252
# Each source has a form of its own, so that colours are not needed. At (0, 0), 10 units wide.
_MARKS = {
    "none": '<path class="mark" d="M-4-4 4 4M-4 4 4-4"/>',
    "float32": '<circle class="mark" r="5.5"/>',
    "float16": '<rect class="mark" x="-4.5" y="-4.5" width="9" height="9"/>',
    "int8": '<path class="mark" d="M0-5.5 5.5 4.5H-5.5Z"/>',
    "int4": '<path class="mark" d="M0-6 6 0 0 6-6 0Z"/>',
    "bits": '<path class="mark" d="M0 5.5 5.5-4.5H-5.5Z"/>',
}


@dataclass(frozen=True)
class _Plot:
    """A plot: what is drawn against what.

    Attributes
    ----------
    title, below : str
        What it is, and what its horizontal axis is.
    across, up : Axis
    points : list of _Point
    lines : dict of str to list of _Point
        Points that are joined, by their source.
    level : float or None
        The height of float32.
    """

    title: str
    below: str
    across: Axis
    up: Axis
    points: list[_Point]
    joined: bool = False
    level: float | None = None


class _Point(NamedTuple):
    row: EvaluationRow
    x: float
    y: float
    source: str


def key() -> str:
    """Return the list of forms and colours."""
    names = {"none": "not rescored", **{source: f"from {source}" for source in SOURCES}}
    items = (
        f'<li><svg class="{source}" viewBox="-7 -7 14 14" aria-hidden="true">{_MARKS[source]}</svg>'
        f"{name}</li>"
        for source, name in names.items()
    )
    return f'<ul class="key">{"".join(items)}</ul>'


def plots(evaluation: Evaluation) -> str:
    """Return the plots as figures of HTML."""
    return "\n".join(_figure(plot, evaluation) for plot in _plots(evaluation) if plot.points)


def _plots(evaluation: Evaluation) -> list[_Plot]:
    measure = evaluation.measure
    qualities = [row.quality for row in evaluation.rows]
    up = linear_axis(qualities, percent=evaluation.n_judged is None)
    level = evaluation.rows[0].quality

    def against(
        title: str,
        below: str,
        axis: Callable[[Sequence[float]], Axis],
        value: Callable[[EvaluationRow], float | None],
    ) -> _Plot:
        points = [
            _Point(row, x, row.quality, source_of(row) or "none")
            for row in evaluation.rows
            if (x := value(row)) is not None
        ]
        across = axis([point.x for point in points] or [1.0])
        return _Plot(f"{measure} and {title}", below, across, up, points, level=level)

    def of_oversampling(
        title: str, value: Callable[[EvaluationRow], float | None], up: Axis, level: float | None
    ) -> _Plot:
        points = [
            _Point(row, x, y, source)
            for source, found in by_oversampling(evaluation).items()
            for x, row in found
            if (y := value(row)) is not None
        ]
        across = places_axis([point.x for point in points])
        below = "candidates for each result"
        return _Plot(title, below, across, up, points, joined=True, level=level)

    times = [
        1000 * row.latency_s
        for found in by_oversampling(evaluation).values()
        for _, row in found
        if row.latency_s is not None
    ]
    return [
        against("RAM", "bytes a vector that every search reads", bytes_axis, _ram),
        against("disk", "bytes a vector that only rescoring reads", bytes_axis, _disk),
        against("the time of one query", "ms", logarithmic_axis, _milliseconds),
        against("speed", "queries a second", logarithmic_axis, _speed),
        of_oversampling(f"{measure} by oversampling", lambda row: row.quality, up, level),
        of_oversampling(
            "One query, ms, by oversampling",
            _milliseconds,
            linear_axis([0.0, *times]),
            None,
        ),
    ]


def _ram(row: EvaluationRow) -> float:
    return row.bytes_scanned


def _disk(row: EvaluationRow) -> float:
    return row.bytes_per_vector - row.bytes_scanned


def _milliseconds(row: EvaluationRow) -> float | None:
    return 1000 * row.latency_s if row.latency_s else None


def _speed(row: EvaluationRow) -> float | None:
    return row.queries_per_second or None


def _figure(plot: _Plot, evaluation: Evaluation) -> str:
    across = plot.across.scaled(_LEFT + 14, _RIGHT - 14)
    up = plot.up.scaled(_BOTTOM, _TOP)
    parts = []
    for value, text in plot.up.ticks:
        y = up(value)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for value, text in plot.across.ticks:
        x = across(value)
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{_BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{text}</text>')
    parts.append(
        f'<text x="{(_LEFT + _RIGHT) / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">'
        f"{escaped(plot.below)}</text>"
    )
    if plot.level is not None:
        parts.append(f'<path class="level" d="M{_LEFT} {up(plot.level):.1f}H{_RIGHT}"/>')
    if plot.joined:
        parts += [_line(plot, source, across, up) for source in SOURCES]
    parts += [_point(point, across(point.x), up(point.y), evaluation) for point in plot.points]
    parts.append('<circle class="halo" r="11"/>')
    title = escaped(plot.title)
    return (
        f'<figure><figcaption>{title}</figcaption><svg class="plot" role="group" '
        f'aria-label="{title}" viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(parts)}</svg></figure>'
    )


def _line(
    plot: _Plot, source: str, across: Callable[[float], float], up: Callable[[float], float]
) -> str:
    places = [
        f"{across(point.x):.1f} {up(point.y):.1f}"
        for point in plot.points
        if point.source == source
    ]
    return f'<path class="path {source}" d="M{"L".join(places)}"/>' if len(places) > 1 else ""


def _point(point: _Point, x: float, y: float, evaluation: Evaluation) -> str:
    return (
        f'<g class="point {point.source}" role="img" data-x="{x:.1f}" data-y="{y:.1f}" '
        f'transform="translate({x:.1f} {y:.1f})">{_MARKS[point.source]}'
        f"<title>{escaped(_numbers(point.row, evaluation))}</title></g>"
    )


def _numbers(row: EvaluationRow, evaluation: Evaluation) -> str:
    """Return name and numbers of a condition, in lines."""
    texts = {column.title: column.text(row) for column in columns(evaluation)}
    quality = f"{evaluation.measure} {quality_text(evaluation, row.quality)}"
    if evaluation.n_judged is not None:
        quality += f", {texts[f'NDCG@{evaluation.k}, of float32']} of float32"
    lines = [row.name, quality]
    lines.append(f"RAM {row.bytes_scanned:,} bytes a vector")
    if row.bytes_per_vector > row.bytes_scanned:
        lines[-1] += f", disk {row.bytes_per_vector - row.bytes_scanned:,}"
    if row.latency_s is not None:
        lines.append(f"one query {texts['one query, ms']} ms")
    if row.queries_per_second is not None:
        lines.append(f"{texts['queries, a second']} queries a second")
    return "\n".join(lines)
