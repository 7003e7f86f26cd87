# SPDX-License-Identifier: Apache-2.0
"""The page of ``bitsift eval --html``, read without a browser; test_eval_browser.py has one."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bitsift.cli.evaluation.axes import (
    bytes_axis,
    linear_axis,
    logarithmic_axis,
    places_axis,
)
from bitsift.cli.evaluation.columns import columns
from bitsift.cli.evaluation.html_page import html_page
from bitsift.cli.evaluation.markup import escaped
from bitsift.cli.evaluation.verdict import verdict
from bitsift.evaluation import Evaluation
from helpers.cli_runner import check_failure, run, run_json
from helpers.evaluation_rows import evaluation, hostile_evaluation, row

MADE = evaluation(
    row("float32", 0.5, 1536),
    row("binary x binary (Hamming)", 0.3, 48, group="both sides"),
    row("int8 x int8", 0.49, 384, group="both sides", timed=False),
    row("Hamming x4 -> int8", 0.494, 48, 384),
    row("Hamming x10 -> int8", 0.498, 48, 384),
)
VOID = {"meta", "br"}


class Page(HTMLParser):
    """The elements of a page, and the text below each; every one must be closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[int] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.append("")
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for i in self._open:
            self.texts[i] += data

    def named(self, tag: str, **wanted: str) -> list[str]:
        """The texts of the elements of a name that have these attributes."""
        return [
            text
            for (name, attributes), text in zip(self.elements, self.texts, strict=True)
            if name == tag and wanted.items() <= attributes.items()
        ]


def page(made: Evaluation = MADE, title: str = "My papers") -> Page:
    return Page(html_page(made, title, "bitsift eval docs.npy"))


# What is in it


def test_the_table_has_every_number() -> None:
    made = page()
    chosen = columns(MADE)
    heads = [attributes for tag, attributes in made.elements if tag == "th"]
    titles = [head["data-title"] for head in heads if "data-title" in head]
    assert titles == ["condition", "group", *(column.title for column in chosen)]
    cells = [
        (attributes, text)
        for (tag, attributes), text in zip(made.elements, made.texts, strict=True)
        if tag == "td"
    ]
    wanted = [(column.value(one), column.text(one)) for one in MADE.rows for column in chosen]
    shown = [(attributes, text) for attributes, text in cells if "group" not in attributes.values()]
    assert [text for _, text in shown] == [text for _, text in wanted]
    for (attributes, _), (value, _) in zip(shown, wanted, strict=True):
        assert attributes.get("data-value") == (None if value is None else f"{value:.12g}")
    names = made.named("th", scope="row")
    assert [name.removesuffix("★") for name in names] == [one.name for one in MADE.rows]
    assert sum(name.endswith("★") for name in names) == 2
    assert made.named("th", scope="rowgroup") == ["both sides", "bits, rescored"]


def test_all_else_that_the_terminal_shows() -> None:
    made = page()
    whole = made.named("body")[0]
    for text in (
        "My papers", MADE.summary(), verdict(MADE), "a beats b: held here", "a warning",
        "--metric cosine --threshold mean", "bitsift eval docs.npy", "numpy 2.0", "3.80 USD per GB",
    ):  # fmt: skip
        assert text is not None
        assert text in whole
    assert [code for code in made.named("code") if code.startswith("found = ")] == [
        one.code for one in MADE.rows
    ]
    assert made.named("tr", **{"class": "best kept"}) or made.named("tr", **{"class": "kept"})


def test_each_point_names_its_numbers() -> None:
    """Without the script, the browser shows them as titles."""
    made = page()
    assert len(made.named("svg", **{"class": "plot"})) == 6
    titles = [text for text in made.named("title") if "\n" in text]
    # All in two plots, those on the clock in two, those that are rescored in two.
    n, untimed, rescored = len(MADE.rows), 1, 2
    assert len(titles) == 2 * n + 2 * (n - untimed) + 2 * rescored
    assert set(titles) >= {
        "Hamming x4 -> int8\nNDCG@10 0.4940, 98.8 % of float32\nRAM 48 bytes a vector, disk 384\n"
        "one query 2.00 ms\n1,234 queries a second",
        "int8 x int8\nNDCG@10 0.4900, 98.0 % of float32\nRAM 384 bytes a vector",
    }
    unjudged = page(replace(MADE, n_judged=None))
    assert any(text.startswith("float32\noverlap@10") for text in unjudged.named("title"))


@pytest.mark.parametrize(
    "made",
    [
        evaluation(row("float32", 0.0, 8, timed=False)),
        evaluation(row("float32", 0.5, 8), row("a", 0.5, 8)),
        replace(MADE, checks=(), warnings=(), recommendation=None),
        replace(MADE, n_judged=None),
    ],
)
def test_little_to_show(made: Evaluation) -> None:
    shown = page(made)
    assert len(shown.named("th", scope="row")) == len(made.rows)
    coordinates = [
        float(attributes[name])
        for tag, attributes in shown.elements
        for name in ("data-x", "data-y")
        if tag == "g"
    ]
    assert all(0 <= coordinate <= 440 for coordinate in coordinates)


# What it may do


def test_it_asks_for_nothing() -> None:
    text = html_page(MADE, "My papers", "bitsift eval docs.npy")
    made = Page(text)
    tags = {tag for tag, _ in made.elements}
    assert not tags & {"a", "base", "embed", "form", "iframe", "img", "link", "object", "use"}
    for _, attributes in made.elements:
        assert not attributes.keys() & {"href", "src", "srcset", "action", "style", "xlink:href"}
        assert not [name for name in attributes if name.startswith("on")]
    (style,), (script,) = made.named("style"), made.named("script")
    assert not re.search(r"url\(|@import|@font-face", style)
    assert not re.search(r"fetch|XMLHttp|WebSocket|import|eval|innerHTML|https?:", script)
    policy = next(
        attributes["content"]
        for tag, attributes in made.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    digests = [
        base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        for part in (style, script)
    ]
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digests[0]}'",
        f"script-src 'sha256-{digests[1]}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    # Before anything that it governs.
    assert [tag for tag, _ in made.elements][:5] == ["html", "head", "meta", "meta", "meta"]
    assert text.index("Content-Security-Policy") < text.index("<title>")


def test_names_for_readers_of_screens() -> None:
    made = page()
    ids = [attributes["id"] for _, attributes in made.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for _, attributes in made.elements:
        assert attributes.get("aria-labelledby", ids[0]) in ids
    sorts = [attributes for tag, attributes in made.elements if "aria-sort" in attributes]
    assert len(sorts) == len(columns(MADE)) + 2
    assert made.elements[0] == ("html", {"lang": "en"})
    assert [tag for tag, _ in made.elements if re.fullmatch("h[1-6]", tag)][:2] == ["h1", "h2"]


def test_hostile_texts_are_texts() -> None:
    made, text = hostile_evaluation()
    whole = html_page(made, text, text)
    hostile = Page(whole)
    harmless = Page(html_page(hostile_named(made, text), "t", "t"))
    # The same elements as of a page whose texts are letters.
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in harmless.elements]
    assert [sorted(attributes) for _, attributes in hostile.elements] == [
        sorted(attributes) for _, attributes in harmless.elements
    ]
    shown = text.replace("\u202e", r"\u202e").replace("\u200f", r"\u200f")
    assert hostile.named("h1") == [f"\n{shown}"] or hostile.named("h1") == [shown]
    assert not re.search("[\u202e\u200f]", whole)


def hostile_named(made: Evaluation, text: str) -> Evaluation:
    """The same evaluation, with a letter in place of the text."""

    def plain(value: object) -> object:
        return value.replace(text, "t") if isinstance(value, str) else value

    rows = tuple(
        replace(one, name=plain(one.name), group=plain(one.group), code=plain(one.code))
        for one in made.rows
    )
    return replace(
        made,
        rows=rows,
        metric="t",
        warnings=("t",),
        checks=tuple(replace(check, statement="t") for check in made.checks),
        recommendation={"threshold": "t"},
        machine={**made.machine, "processor": "t", "system": "t", "versions": {"t": "t"}},
    )


def test_a_text_escaped() -> None:
    assert escaped("<a b=\"c\" d='e'>&") == "&lt;a b=&quot;c&quot; d=&#x27;e&#x27;&gt;&amp;"
    assert escaped("\x00\u202e\u2066\u200e\u200f\u061c\udcff") == (
        r"\x00\u202e\u2066\u200e\u200f\u061c\udcff"
    )
    assert escaped("שלום é😀 \u200d漢") == "שלום é😀 \u200d漢"


# Axes


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [0.1, 0.97], [0.991, 1.0], [3, 1e6]])
@pytest.mark.parametrize("axis", [linear_axis, logarithmic_axis, bytes_axis, places_axis])
def test_values_and_ticks_lie_on_their_axis(axis, values: list[float]) -> None:
    if 0.0 in values and axis in (logarithmic_axis, places_axis):
        values = [1.0]
    made = axis(values)
    place = made.scaled(0, 100)
    assert 2 <= len(made.ticks) <= 12 or len(set(values)) == 1
    for value in (*values, *(value for value, _ in made.ticks)):
        assert -1e-6 <= place(value) <= 100 + 1e-6
    places = [place(value) for value, _ in made.ticks]
    assert places == sorted(set(places))
    assert len({text for _, text in made.ticks}) == len(made.ticks)


def test_texts_of_ticks() -> None:
    def texts(axis) -> list[str]:
        return [text for _, text in axis.ticks]

    assert texts(linear_axis([0.55, 1.0], percent=True)) == [
        "50 %", "60 %", "70 %", "80 %", "90 %", "100 %"
    ]  # fmt: skip
    assert texts(linear_axis([0.9912, 1.0], percent=True))[0] == "99.0 %"
    assert texts(bytes_axis([0, 48, 1536])) == [
        "none",
        "32",
        "64",
        "128",
        "256",
        "512",
        "1,024",
        "2,048",
    ]
    assert texts(logarithmic_axis([0.02, 0.9])) == ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]


# The command


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    np.save(tmp_path / "docs.npy", rng.standard_normal((200, 24)).astype(np.float16))
    return tmp_path / "docs.npy"


def test_the_command_writes_a_page(docs: Path) -> None:
    out = docs.with_name("report.html")
    plain = run_json("eval", docs, "--conditions", "quick", "--html", out)
    made = Page(out.read_text(encoding="utf-8"))
    assert len(made.named("th", scope="row")) == len(plain["rows"]) == 24
    assert plain["verdict"] in made.named("p")
    assert plain["command"] in made.named("code")
    assert str(docs.parent) not in out.read_text(encoding="utf-8")
    assert not list(docs.parent.glob(".bitsift-*"))


def test_the_page_is_an_output_like_others(docs: Path) -> None:
    out = docs.with_name("report.html")
    quick: list[object] = ["eval", docs, "--conditions", "quick", "--html"]
    out.write_text("an earlier page")
    link = docs.with_name("link.html")
    link.symlink_to(out)
    failures = [
        (out, ["report.html: already exists; --force replaces it"]),
        (docs.with_name("report.txt"), ["the name must end in .html; got '.txt'"]),
        (docs.with_name("x") / "e.html", ["does not exist"]),
        (link, ["must be a regular file; got a link"]),
    ]
    before = sorted(docs.parent.rglob("*"))
    for path, fragments in failures:
        check_failure([*quick, path], "InputError", fragments)
        assert sorted(docs.parent.rglob("*")) == before
    assert out.read_text() == "an earlier page"
    twice = [*quick, docs.with_name("a.html"), "--markdown", docs.with_name("a.html")]
    check_failure(twice, "InputError", ["each output must be a file of its own"])
    assert run(*quick, out, "--force").exit_code == 0
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_file_with_a_hostile_name(docs: Path) -> None:
    name = os.fsdecode(b"<img src=x onerror=hit()>\"'\xff.npy")
    strange = docs.rename(docs.with_name(name))
    out = docs.with_name("report.html")
    assert run("eval", strange, "--conditions", "quick", "--html", out).exit_code == 0
    made = Page(out.read_text(encoding="utf-8"))
    assert any("<img src=x onerror=hit()>" in text for text in made.named("h1"))
    assert not made.named("img")


@pytest.mark.parametrize("make", [logarithmic_axis, bytes_axis])
def test_ticks_of_an_axis_lie_apart(make):
    """Their texts do not run into each other, whatever the values are, and there are some."""
    for low in (1e-7, 0.02, 1.0, 37.0, 1_431.0, 3e6, 9e9):
        for factor in (1.0, 1.5, 4.0, 118.0, 1e4, 1e9):
            values = [max(low, 1.0), max(low, 1.0) * factor] if make is bytes_axis else [
                low, low * factor
            ]  # fmt: skip
            axis = make(values)
            place = axis.scaled(58 + 14, 424 - 14)  # as in a plot
            ends = -np.inf
            for value, text in axis.ticks:
                half = 3.4 * len(text)  # of 12 pixels' letters
                assert place(value) - half > ends, (values, axis.ticks)
                ends = place(value) + half
            least = 1 if make is bytes_axis else 2
            assert least <= len(axis.ticks) <= 11, (values, axis.ticks)
            assert all(72 - 1e-6 <= place(value) <= 410 + 1e-6 for value in values)
