# SPDX-License-Identifier: Apache-2.0
"""The page of ``bitsift eval --html`` in a browser: ``nox -s browser``."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitsift.cli.evaluation.columns import columns
from bitsift.cli.evaluation.html_page import save_page
from helpers.browser import Browser, chromium
from helpers.evaluation_rows import evaluation, hostile_evaluation, row

pytestmark = pytest.mark.browser

MADE = evaluation(
    row("float32", 0.5, 1536),
    row("binary x binary (Hamming)", 0.3, 48, group="both sides"),
    row("int8 x int8", 0.49, 384, group="both sides", timed=False),
    row("Hamming x4 -> int8", 0.494, 48, 384),
    row("Hamming x4 -> float16", 0.496, 48, 768),
    row("Hamming x10 -> int8", 0.498, 48, 384),
    row("Hamming x10 -> float16", 0.498, 48, 768),
)
NAMES = [one.name for one in MADE.rows]
# The header of a column, by its title.
HEADER = 'thead th[data-title="{}"]'
# Contrast of a text with what lies behind it, by the formula of WCAG 2.
CONTRAST = """
const channels = (colour) => colour.match(/[0-9.]+/g).map(Number);
const luminance = ([r, g, b]) => [r, g, b]
  .map((c) => c / 255).map((c) => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
const behind = (element) => {
  for (let one = element; one; one = one.parentElement) {
    const colour = channels(getComputedStyle(one).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
};
const low = [];
let n = 0;
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.getClientRects().length || element.closest("script")) continue;
  const style = getComputedStyle(element);
  const ink = luminance(channels(element.closest("svg") ? style.fill : style.color));
  const paper = luminance(behind(element));
  const ratio = (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
  n += 1;
  if (ratio < 4.5) low.push([element.tagName, element.textContent.slice(0, 30), ratio]);
}
return [n, low];
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page") / "report.html"
    save_page(MADE, made, "My papers", "bitsift eval docs.npy", force=False)
    return made


@pytest.fixture
def page(browser: Browser, path: Path) -> Iterator[Browser]:
    """The page, newly opened; it asks for nothing but itself and has no errors."""
    browser.open(path)
    yield browser
    assert browser.requests() == [path.as_uri()]
    assert browser.messages() == []


def order(page: Browser) -> list[str]:
    """The conditions as the table shows them."""
    return [cell.text.removesuffix("★") for cell in page.find("tbody th[scope=row]")]


def tip(page: Browser) -> list[str]:
    """The lines of the tooltip; none if it is hidden."""
    (shown,) = page.find("#tip")
    return shown.text.splitlines() if shown.is_displayed() else []


# The table


def test_a_click_sorts(page: Browser) -> None:
    assert order(page) == NAMES
    (header,) = page.find(HEADER.format("NDCG@10"))
    (button,) = page.find(HEADER.format("NDCG@10") + " button")
    (group,) = page.find("th.group")
    assert (header.get_attribute("aria-sort"), group.is_displayed()) == ("none", False)
    best_first = sorted(NAMES, key=lambda name: -MADE[name].quality)
    for sort, wanted in (
        ("descending", best_first),
        ("ascending", sorted(NAMES, key=lambda name: MADE[name].quality)),
        ("none", NAMES),
    ):
        button.click()
        assert header.get_attribute("aria-sort") == sort
        assert order(page) == wanted
        in_groups = sort == "none"
        assert group.is_displayed() != in_groups
        titles = [title.text for title in page.find("tr.titles")]
        assert titles == (["both sides", "bits, rescored"] if in_groups else [])
        (said,) = page.find("#sorted")
        assert said.text == ("In groups." if in_groups else f"Sorted by NDCG@10, {sort}.")


@pytest.mark.parametrize("key", ["enter", "space"])
def test_a_key_sorts(page: Browser, key: str) -> None:
    (button,) = page.find(HEADER.format("RAM, bytes a vector") + " button")
    page.ask("arguments[0].focus()", button)
    page.press(key)
    sizes = [MADE[name].bytes_scanned for name in order(page)]
    assert sizes == sorted(sizes)
    page.press(key)
    assert [MADE[name].bytes_scanned for name in order(page)] == sorted(sizes, reverse=True)
    # The next column: one header at a time is sorted by.
    page.press("tab", key)
    sorted_by = page.find("thead [aria-sort=ascending], thead [aria-sort=descending]")
    assert [one.get_attribute("data-title") for one in sorted_by] == ["disk, bytes a vector"]


def test_what_has_no_number_is_last(page: Browser) -> None:
    (button,) = page.find(HEADER.format("one query, ms") + " button")
    for _ in range(2):
        button.click()
        assert order(page)[-1] == "int8 x int8"


def test_each_column_sorts(page: Browser) -> None:
    for column in columns(MADE):
        header = HEADER.format(column.title)
        page.ask("arguments[0].click()", page.find(f"{header} button")[0])
        values = [column.value(MADE[name]) for name in order(page)]
        numbers = [value for value in values if value is not None]
        assert numbers == sorted(numbers, reverse=not column.less_is_better)
        assert values[: len(numbers)] == numbers
    page.ask("arguments[0].click()", page.find("thead button")[0])
    assert order(page) == [
        "binary x binary (Hamming)", "float32", "Hamming x4 -> float16", "Hamming x4 -> int8",
        "Hamming x10 -> float16", "Hamming x10 -> int8", "int8 x int8",
    ]  # fmt: skip


# The plots


def test_a_point_under_the_pointer_shows_its_numbers(page: Browser) -> None:
    assert tip(page) == []
    plots = page.find("svg.plot")
    assert len(plots) == 6
    (point,) = (
        one
        for one in plots[0].find_elements("css selector", ".point")
        if one.get_attribute("aria-label").startswith("float32,")
    )
    numbers = [
        "float32", "NDCG@10 0.5000, 100.0 % of float32", "RAM 1,536 bytes a vector",
        "one query 2.00 ms", "1,234 queries a second",
    ]  # fmt: skip
    page.point_at(point)
    assert tip(page) == numbers
    page.point_at(point, dx=6, dy=6)  # nearby is enough
    assert tip(page) == numbers
    page.point_at(page.find("h1")[0])
    assert tip(page) == []


def test_points_at_one_place_are_all_named(page: Browser) -> None:
    by_oversampling = page.find("svg.plot")[4]
    points = by_oversampling.find_elements("css selector", ".point")
    (point,) = (
        p for p in points if p.get_attribute("aria-label").startswith("Hamming x10 -> int8")
    )
    page.point_at(point)
    shown = tip(page)
    assert {"Hamming x10 -> int8", "Hamming x10 -> float16"} <= set(shown)
    assert "Hamming x4 -> int8" not in shown


def test_keys_go_from_point_to_point(page: Browser) -> None:
    """A plot is one stop of Tab, arrows move in it, and the place is seen."""
    stops = [
        page.ask("return document.activeElement.closest('svg, th, .scroll, summary')?.tagName")
        for _ in range(6)
        if not page.press("tab")
    ]
    assert stops == ["svg"] * 6
    page.ask("document.activeElement.blur()")
    page.ask("document.querySelector('.point[tabindex=\"0\"]').focus()")
    seen = []
    for _ in NAMES:
        seen.append(tip(page)[0])
        (halo,) = page.find(".halo.shown")
        focused = page.ask("return document.activeElement.getBoundingClientRect().toJSON()")
        around = page.ask("return arguments[0].getBoundingClientRect().toJSON()", halo)
        assert around["left"] < focused["left"] < focused["right"] < around["right"]
        page.press("arrow_right")
    assert sorted(seen) == sorted(NAMES)
    assert tip(page)[0] == seen[-1]  # the last stays
    page.press("home")
    assert tip(page)[0] == seen[0]
    page.press("end", "arrow_left")
    assert tip(page)[0] == seen[-2]
    assert len(page.find(".point[tabindex='0']")) == 6
    page.press("escape")
    assert tip(page) == []


def test_the_focus_is_seen(page: Browser) -> None:
    for selector in ("thead button", ".scroll", "summary"):
        before = page.ask("return document.activeElement.blur()")
        assert before is None
        (first, *_) = page.find(selector)
        page.press("tab")  # The focus is by key from now on.
        page.ask("arguments[0].focus()", first)
        assert page.ask("return getComputedStyle(arguments[0]).outlineStyle", first) == "solid"
        assert page.ask("return getComputedStyle(arguments[0]).outlineWidth", first) == "3px"


# The whole page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(browser: Browser, path: Path, scheme: str) -> None:
    browser.open(path, scheme=scheme)
    paper = browser.ask("return getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}[scheme]
    browser.ask("document.querySelector('details').open = true")
    for button in browser.find("thead button")[:1]:
        browser.ask("arguments[0].click()", button)
    n_texts, low = browser.ask(CONTRAST)
    assert n_texts > 100
    assert low == []
    assert browser.messages() == []


@pytest.mark.parametrize("width", [320, 400, 800])
def test_a_narrow_window_scrolls_the_table_alone(browser: Browser, path: Path, width: int) -> None:
    browser.open(path, width=width)
    wide = "const all = document.documentElement; return all.scrollWidth > all.clientWidth"
    assert not browser.ask(wide)
    (table,) = browser.find(".scroll")
    assert browser.ask("return arguments[0].scrollWidth > arguments[0].clientWidth", table)
    for point in (browser.find(".point")[0], browser.find(".point")[-1]):
        browser.ask("arguments[0].setAttribute('tabindex', 0); arguments[0].focus()", point)
        place = browser.ask(
            "return document.getElementById('tip').getBoundingClientRect().toJSON()"
        )
        assert 0 <= place["left"] < place["right"] <= width


# Hostile texts


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A port of this machine that takes connections and answers none."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def asked(server: socket.socket) -> bool:
    """Whether anybody has asked the server."""
    return bool(select.select([server], [], [], 0.2)[0])


def test_hostile_texts_are_shown_and_nothing_is_asked_for(
    browser: Browser, tmp_path: Path, server: socket.socket
) -> None:
    address = f"http://127.0.0.1:{server.getsockname()[1]}"
    made, text = hostile_evaluation(address)
    page = tmp_path / "hostile.html"
    save_page(made, page, text, f"bitsift eval {text}", force=False)
    browser.open(page)
    browser.ask("document.querySelector('details').open = true")
    assert browser.ask("return window.hit") is None
    shown = text.replace("\u202e", r"\u202e").replace("\u200f", r"\u200f")
    assert browser.find("h1")[0].text == shown
    assert shown in browser.driver.title
    assert f"{shown} 1" in order(browser)
    assert shown in browser.find("tr.titles")[0].text
    assert any(code.text == f"found = {shown}" for code in browser.find("pre code"))
    browser.ask("document.querySelector('.point[tabindex=\"0\"]').focus()")
    assert tip(browser)[0].startswith(shown) or tip(browser)[0] == "float32"
    made_of_texts = "h1 *:not(bdi), td *:not(bdi), ul:not(.key) li *:not(code), #tip *"
    assert browser.find(made_of_texts) == []
    assert [len(browser.find(name)) for name in ("script", "style", "img", "iframe", "form")] == [
        1, 1, 0, 0, 0,
    ]  # fmt: skip
    assert (browser.requests(), browser.messages()) == ([page.as_uri()], [])
    assert not asked(server)
    # Were a text not escaped, the page's policy would stop what it does.
    injected = (
        "document.body.insertAdjacentHTML('beforeend', arguments[0]);"
        "const script = document.createElement('script');"
        "script.textContent = 'window.hit = 1'; document.body.append(script);"
        "return fetch(arguments[1]).then(() => 'asked', () => 'refused')"
    )
    elements = f'<img src="{address}/image"><link rel="stylesheet" href="{address}/style">'
    assert browser.ask(injected, elements, f"{address}/fetch") == "refused"
    assert browser.ask("return window.hit") is None
    assert not asked(server)
    assert len([line for line in browser.messages() if "Content Security Policy" in line]) >= 4
