# SPDX-License-Identifier: Apache-2.0
"""How ``bitsift eval`` shows an evaluation: verdict, groups, columns, units, the picture."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bitsift.cli.evaluation.columns import blocks, check_text, columns
from bitsift.cli.evaluation.explanations import EXPLANATIONS
from bitsift.cli.evaluation.markdown import introduction, section
from bitsift.cli.evaluation.picture import draw
from bitsift.cli.evaluation.plotted import by_oversampling, compared, source_of
from bitsift.cli.evaluation.verdict import best_of_groups, verdict
from bitsift.cli.evaluation.view import print_evaluation
from bitsift.cli.text import markdown_text
from bitsift.evaluation import Evaluation, EvaluationRow
from helpers.evaluation_rows import evaluation, row


def shown(made: Evaluation, width: int) -> list[str]:
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as captured:
        print_evaluation(made, "Title", console)
    return [re.sub("\x1b\\[[0-9;]*m", "", line) for line in captured.get().splitlines()]


# The verdict


def test_the_verdict_names_the_smallest_that_keeps_enough() -> None:
    made = evaluation(
        row("float32", 0.5, 1536),
        row("int8, min/max", 0.5, 384),
        row("Hamming x4 -> int8", 0.494, 48, 384),
        row("Hamming x10 -> float32", 0.4999, 48, 1536),
        row("Hamming x10 -> int8", 0.497, 48, 384),
        row("Hamming x16 -> int8", 0.499, 48, 384),
        row("binary x binary (Hamming)", 0.4, 48),
    )
    wanted = (
        "bits + int8 on disk (Hamming x10 -> int8): 99.4 % of float32's NDCG@10 at 1/32 of the RAM"
    )
    assert verdict(made) == wanted
    unjudged = replace(made, n_judged=None, rows=tuple(_unjudged(r) for r in made.rows))
    assert verdict(unjudged) == wanted.replace("NDCG@10", "first 10 results")


def _unjudged(one: EvaluationRow) -> EvaluationRow:
    return replace(one, ndcg=None, recall=None, overlap=2 * (one.ndcg or 0.0))


def test_the_verdict_where_nothing_keeps_enough() -> None:
    made = evaluation(
        row("float32", 0.5, 1536),
        row("binary, corrected", 0.45, 52),
        row("binary x binary (Hamming)", 0.4, 48),
    )
    assert verdict(made) == (
        "nothing measured here keeps 99 % of float32's NDCG@10 with less RAM; nearest is "
        "binary, corrected: 90.0 % at 1/29.5 of the RAM"
    )


def test_no_verdict_on_nothing() -> None:
    assert verdict(evaluation(row("float32", 0.0, 1536), row("bits", 0.0, 48))) is None
    assert verdict(evaluation(row("float32", 0.5, 8), row("bits", 0.5, 8))) is None
    lines = shown(evaluation(row("float32", 0.0, 1536), row("bits", 0.0, 48)), 200)
    assert lines[2] == ""


def test_the_best_of_a_group() -> None:
    made = evaluation(
        row("float32", 0.5, 1536),
        row("a", 0.40001, 48, 384, group="one"),
        row("b", 0.4, 48, group="one"),  # equal as far as shown, and smaller
        row("c", 0.3, 1, group="one"),
        row("d", 0.1, 1, group="two"),
        row("e", 0.2, 48, 384, group="two"),
        row("alone", 0.2, 1, group="three"),
    )
    assert best_of_groups(made) == {"b", "e"}
    lines = shown(made, 200)
    marked = {name for name in "abcde" if any(line.startswith(f"* {name}  ") for line in lines)}
    assert marked == {"b", "e"}
    assert [line.strip() for line in lines if line.strip() in ("one", "two", "three")] == [
        "one", "two", "three"
    ]  # fmt: skip
    assert r"| b \* |" in section(made, "Title", "command")


# Columns


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 130, 200, 400])
@pytest.mark.parametrize("judged", [True, False])
def test_no_column_is_left_out(width: int, judged: bool) -> None:
    made = evaluation(row("float32", 0.5, 1536), row("Hamming x4 -> int8", 0.494, 48, 384))
    if not judged:
        made = replace(made, n_judged=None)
    chosen = columns(made)
    parts = blocks(chosen, made.rows, width, 3)
    assert sorted(map(id, chosen)) == sorted(id(column) for part in parts for column in part)
    for part in parts:
        texts = [max(c.width, *(len(c.text(r)) for r in made.rows)) + 3 for c in part]
        assert sum(texts) <= width or len(part) == 1
    assert chosen[0] in parts[0]
    assert len(parts) == 1 or width < 200


def test_a_narrow_terminal_shows_everything() -> None:
    made = evaluation(row("float32", 0.5, 1536), row("Hamming x4 -> int8", 0.494, 48, 384))
    wide, narrow = shown(made, 250), shown(made, 80)
    assert not any("columns, part" in line for line in wide)
    parts = [line for line in narrow if "columns, part" in line]
    assert parts == [f"columns, part {i} of {len(parts)}" for i in range(1, len(parts) + 1)]
    assert len(parts) > 1
    words = " ".join(narrow).split()
    for column in columns(made):
        for text in (column.header, column.unit, *(column.text(one) for one in made.rows)):
            assert set(text.split()) <= set(words)
    # The table fits; sentences are the terminal's to wrap.
    assert all(len(line) <= 80 for line in narrow if re.search("[0-9]  ", line))


def test_ram_and_disk_are_apart() -> None:
    made = evaluation(row("float32", 0.5, 1536), row("Hamming x4 -> int8", 0.494, 48, 384))
    texts = {column.title: [column.text(one) for one in made.rows] for column in columns(made)}
    assert texts["RAM, bytes a vector"] == ["1,536", "48"]
    assert texts["disk, bytes a vector"] == ["-", "384"]
    assert texts["RAM, GB, 250 M"] == ["384.0", "12.0"]
    assert texts["disk, GB, 250 M"] == ["-", "96.0"]
    assert texts["RAM, GB, 1 M"] == ["1.536", "0.048"]
    few = columns(replace(made, sizes=(4400,)))
    (ram,) = (column for column in few if column.title == "RAM, GB, 4,400")
    assert [ram.text(one) for one in made.rows] == ["0.00676", "0.00021"]
    assert texts["RAM, USD a month, 250 M"] == ["1,459", "46"]
    assert texts["one query, ms"] == ["2.00", "2.00"]


def test_a_percentage_compares_with_float32() -> None:
    """And a decimal is by the judgments, in the table, in statements and in both."""
    made = evaluation(row("float32", 0.5, 1536), row("Hamming x4 -> int8", 0.494, 48, 384))
    for column in columns(made):
        percentage = column.unit == "of float32" or column.header.startswith("overlap")
        assert column.text(made.rows[1]).endswith(" %") == percentage
    (check,) = made.checks
    assert check_text(check, made).endswith("0.5000 and 0.4400 (difference +0.0600 +- 0.0100)")
    unjudged = replace(made, n_judged=None)
    assert check_text(check, unjudged) == (
        "a beats b: held here, 50.0 % and 44.0 % (difference +6.0 +- 1.0 points)"
    )


# Pages and pictures


def test_terms_are_explained() -> None:
    text = " ".join(introduction().split())
    for term, explanation in EXPLANATIONS:
        assert f"* **{term}**: {markdown_text(explanation)}" in text


def test_the_picture_shows_each_kind() -> None:
    made = evaluation(
        row("float32", 0.5, 1536),
        row("binary x binary (Hamming)", 0.3, 48),
        row("Hamming x4 -> int8", 0.494, 48, 384),
        row("Hamming x10 -> int8", 0.496, 48, 384),
        row("zero: Hamming", 0.3, 48),
    )
    assert [one.name for one in compared(made)] == [
        "float32", "Hamming x10 -> int8", "Hamming x4 -> int8", "binary x binary (Hamming)"
    ]  # fmt: skip
    assert [x for x, _ in by_oversampling(made)["int8"]] == [4, 10]
    assert [source_of(one) for one in made.rows] == [None, None, "int8", "int8", None]


def test_ram_disk_and_time_have_axes_of_their_own(tmp_path: Path) -> None:
    made = evaluation(row("float32", 0.5, 1536), row("Hamming x4 -> int8", 0.494, 48, 384))
    draw(made, tmp_path / "e.svg", "Title", force=False)
    text = (tmp_path / "e.svg").read_text()
    for title in ("RAM, bytes a vector", "disk, bytes a vector", "one query, ms (logarithmic)"):
        assert f"<!-- {title} -->" in text
