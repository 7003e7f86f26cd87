# SPDX-License-Identifier: Apache-2.0
"""An evaluation as one page of HTML that needs no network and no other file.

Everything is in the page that this module writes; its script only sorts the rows that are there
and shows the numbers that points carry. The page forbids itself every request, and every script
and style but its own two, which it names by their digests.
"""

from __future__ import annotations

import base64
import hashlib
import re
from itertools import groupby
from pathlib import Path

from bitsift.cli.evaluation.columns import Column, check_text, columns
from bitsift.cli.evaluation.explanations import EXPLANATIONS
from bitsift.cli.evaluation.html_plots import key, plots
from bitsift.cli.evaluation.markdown import machine_text
from bitsift.cli.evaluation.markup import escaped
from bitsift.cli.evaluation.verdict import best_of_groups, keeping, verdict
from bitsift.cli.files.outfile import save_text
from bitsift.cli.wording import as_options, as_words
from bitsift.evaluation import Evaluation, EvaluationRow

__all__ = ["html_page", "save_page"]

_FOLDER = Path(__file__).with_name("page")
_PART = re.compile(r"\{\{([a-z]+)\}\}")


def save_page(evaluation: Evaluation, path: Path, title: str, command: str, *, force: bool) -> None:
    """Write the page, whole or not at all."""
    save_text(path, html_page(evaluation, title, command), force=force)


def html_page(evaluation: Evaluation, title: str, command: str) -> str:
    """Return the page."""
    style, script = _file("page.css"), _file("page.js")
    parts = {
        "policy": escaped(_policy(style, script)),
        "style": style,
        "script": script,
        "title": escaped(title),
        "summary": escaped(evaluation.summary()),
        "verdict": _verdict(evaluation),
        "key": key(),
        "plots": plots(evaluation),
        "table": _table(evaluation),
        "statements": _statements(evaluation),
        "terms": "\n".join(
            f"<dt>{escaped(term)}</dt><dd>{escaped(text)}</dd>" for term, text in EXPLANATIONS
        ),
        "code": "\n".join(
            f"<h3>{escaped(row.name)}</h3><pre><code>{escaped(row.code)}</code></pre>"
            for row in evaluation.rows
        ),
        "command": escaped(command),
        "machine": escaped(machine_text(evaluation.machine)),
        "prices": f"Prices: {evaluation.price_per_gb:.2f} USD per GB of memory per month.",
    }
    # In one pass: a part that holds braces is not looked at again.
    return _PART.sub(lambda found: parts[found[1]], _file("page.html"))


def _file(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return the policy that allows this style and this script, and nothing from elsewhere."""
    digests = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
        for text in (style, script)
    )
    style_digest, script_digest = digests
    return (
        f"default-src 'none'; style-src 'sha256-{style_digest}'; "
        f"script-src 'sha256-{script_digest}'; base-uri 'none'; form-action 'none'"
    )


def _verdict(evaluation: Evaluation) -> str:
    line = verdict(evaluation)
    if line is None:
        return ""
    kept = "" if keeping(evaluation) is None else " kept"
    return f'<p class="verdict{kept}">{escaped(line)}</p>'


def _table(evaluation: Evaluation) -> str:
    chosen = columns(evaluation)
    heads = [
        _head("condition", "", "condition", "ascending"),
        _head("group", "", "group", "ascending", ' class="group"'),
        *(
            _head(
                column.header,
                column.unit,
                column.title,
                "ascending" if column.less_is_better else "descending",
            )
            for column in chosen
        ),
    ]
    best, kept = best_of_groups(evaluation), keeping(evaluation)
    lines = [f"<thead><tr>{''.join(heads)}</tr></thead>"]
    for group, rows in groupby(evaluation.rows, key=lambda row: row.group):
        lines.append("<tbody>")
        if group != "baseline":
            title = f'<th scope="rowgroup" colspan="{len(heads)}">{escaped(group)}</th>'
            lines.append(f'<tr class="titles">{title}</tr>')
        lines += [_row(row, chosen, row.name in best, row is kept) for row in rows]
        lines.append("</tbody>")
    return "\n".join(lines)


def _head(header: str, unit: str, title: str, first: str, more: str = "") -> str:
    # A size keeps its unit: "GB, 250 M" may wrap at its comma alone.
    before, comma, size = unit.rpartition(", ")
    whole = f"{before}{comma}{size.replace(' ', chr(0xA0))}" if comma else unit
    small = f"<small>{escaped(whole)}</small>" if unit else ""
    return (
        f'<th scope="col"{more} aria-sort="none" data-first="{first}" '
        f'data-title="{escaped(title)}"><button type="button">{escaped(header)}'
        f'<span class="arrow" aria-hidden="true"></span>{small}</button></th>'
    )


def _row(row: EvaluationRow, chosen: list[Column], is_best: bool, is_kept: bool) -> str:
    classes = " ".join(name for name, wanted in (("best", is_best), ("kept", is_kept)) if wanted)
    mark = (
        '<span class="best" role="img" aria-label="the best of its group">&#9733;</span>'
        if is_best
        else ""
    )
    cells = [
        f'<th scope="row" data-value=""><bdi>{escaped(row.name)}</bdi>{mark}</th>',
        f'<td class="group" data-value=""><bdi>{escaped(row.group)}</bdi></td>',
    ]
    for column in chosen:
        value = column.value(row)
        data = "" if value is None else f' data-value="{value:.12g}"'
        cells.append(f"<td{data}>{escaped(column.text(row))}</td>")
    return (
        f'<tr class="{classes}">{"".join(cells)}</tr>' if classes else f"<tr>{''.join(cells)}</tr>"
    )


def _statements(evaluation: Evaluation) -> str:
    """Return the statements that were checked, the warnings, and what was recommended."""
    lines = [escaped(check_text(check, evaluation)) for check in evaluation.checks]
    lines += [f"Warning: {escaped(as_options(warning))}" for warning in evaluation.warnings]
    if evaluation.recommendation is not None:
        options = escaped(as_words(evaluation.recommendation))
        lines.append(
            "<code>bitsift build --threshold auto</code> chose "
            f"<code>{options}</code> for an index with originals."
        )
    if not lines:
        return ""
    items = "\n".join(f"<li>{line}</li>" for line in lines)
    return (
        '<section aria-labelledby="statements-title">\n'
        '<h2 id="statements-title">Statements that were checked, and warnings</h2>\n'
        f"<ul>\n{items}\n</ul>\n</section>"
    )
