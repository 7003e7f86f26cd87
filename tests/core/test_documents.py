# SPDX-License-Identifier: Apache-2.0
"""The documents are true: their examples run, their links lead somewhere, their names exist."""

import doctest
import functools
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import bitsift
from bitsift.cli.evaluation.markdown import introduction
from helpers.markdown_blocks import BlockError, check_installed, read_blocks, run_page
from tools.make_reference import cli_page, python_page

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "FORMAT.md", "CHANGELOG.md")),
    ROOT / "CONTRIBUTING.md",
    ROOT / "bench" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
# Their shell blocks build and test the whole repository.
NOT_RUN = {"CONTRIBUTING.md", "bench/README.md"}
# Pages that evaluate, advise or run several commands.
SLOW = {
    "README.md",
    *(
        f"docs/how-to/{name}.md"
        for name in (
            *("choosing-a-threshold", "files", "memory-and-price"),
            *("near-duplicates", "rescoring-and-ladders"),
        )
    ),
}
# What a page's blocks may take for granted.
PREPARED = {"FORMAT.md": "my-index"}


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def by_name(pages):
    return [pytest.param(page, id=name_of(page)) for page in pages]


def by_duration(pages):
    return [
        pytest.param(page, id=name_of(page), marks=[pytest.mark.slow] * (name_of(page) in SLOW))
        for page in pages
    ]


RUN = [page for page in PAGES if name_of(page) not in NOT_RUN and read_blocks(page)]


@pytest.mark.parametrize("page", by_duration(RUN))
def test_blocks_run_in_the_order_they_stand(page, tmp_path):
    if name_of(page) in PREPARED:
        index = bitsift.Index(20, scoring="hamming")
        index.add(np.ones((3, 20), np.float32))
        index.save(tmp_path / PREPARED[name_of(page)])
    assert run_page(page, tmp_path) == len(read_blocks(page))


def test_pages_can_be_followed_in_one_folder():
    """No page writes a file or an index that another one wrote."""
    written = re.compile(r'save\(\s*"([^"]+)"|^bitsift .*?(?:-o|--picture|--markdown) (\S+)', re.M)
    pages = {}
    for page in RUN:
        for first, second in written.findall(page.read_text(encoding="utf-8")):
            pages.setdefault(first or second, set()).add(name_of(page))
    assert {"papers.index", "results.npz"} <= set(pages)
    assert {name: found for name, found in pages.items() if len(found) > 1} == {}


def test_the_readme_is_short_and_has_both_kinds_of_example():
    readme = ROOT / "README.md"
    assert len(readme.read_text(encoding="utf-8").splitlines()) <= 90
    assert {block.language for block in read_blocks(readme)} == {"sh", "python"}


def test_a_page_that_is_wrong_fails(tmp_path):
    page = tmp_path / "page.md"
    for text in (
        "```python\nimport bitsift\nbitsift.no_such_name\n```\n",
        "```pycon\n>>> 1 + 1\n3\n```\n",
        "```sh\nbitsift info NOTHING\n```\n",
        "```sh\npip install 'bitsift[nothing]'\n```\n",
        "```rust\n```\n",
    ):
        page.write_text(text)
        with pytest.raises((BlockError, AttributeError)):
            run_page(page, tmp_path)


def test_names_go_from_block_to_block(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n```text\nno code\n```\n```pycon\n>>> x + 1\n2\n```\n")
    assert run_page(page, tmp_path) == 2


@pytest.mark.parametrize("target", [[], ["numpy"], [".[nothing]"], ["-e", "."]])
def test_what_pages_may_install(target):
    check_installed(["."])
    check_installed(["bitsift[cli]"])
    with pytest.raises(BlockError):
        check_installed(target)


def anchors(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)
    heads = re.findall(r"^#+ (.*)$", text, flags=re.M)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head) for head in heads]
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in plain}


@pytest.mark.parametrize("page", by_name(PAGES))
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_of_docs_is_on_the_way_from_the_index():
    reached, waiting = set(), [ROOT / "docs" / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for link in re.findall(r"\]\(([^)\s#:]+)", page.read_text(encoding="utf-8")):
            waiting.append((page.parent / link).resolve())
    assert sorted({page for page in PAGES if "docs" in page.parts[-3:]} - reached) == []


@pytest.mark.parametrize("page", by_name(PAGES))
def test_paths_that_pages_name_exist(page):
    _, paths = source_words()
    files = {path.rpartition("/")[2] for path in paths}
    # A span may be a whole command, such as `pytest tests/core`.
    for word in {word for name in named(page) for word in name.split()}:
        if re.fullmatch(r"(python|cpp|tests|bench|docs)/[\w./-]+", word):
            assert (ROOT / word).exists(), word
        elif re.fullmatch(r"\w+\.(py|pyi|cpp|hpp|cmake)", word):
            assert word in files | {"noxfile.py"}, word


@functools.cache
def source_words():
    """Return every word of the sources, and every path."""
    words = set()
    paths = {
        path.relative_to(ROOT).as_posix()
        for folder in ("python", "cpp", "tests", "bench", "docs")
        for path in (ROOT / folder).rglob("*")
        if "__pycache__" not in path.parts
    }
    for path in paths:
        if path.endswith((".py", ".pyi", ".cpp", ".hpp", ".cmake")):
            words.update(re.findall(r"\w+", (ROOT / path).read_text(encoding="utf-8")))
    return words, paths


def named(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)
    return sorted(set(re.findall(r"`([^`\n]+)`", text)))


@pytest.mark.parametrize("page", by_name([ROOT / "ARCHITECTURE.md"]))
def test_paths_and_names_of_the_architecture_exist(page):
    words, _ = source_words()
    roots = ("", "python/bitsift/")  # as the page says
    assert len(named(page)) > 20
    for name in named(page):
        if "/" in name or name.endswith((".py", ".cpp", ".hpp", ".md")):
            assert any((ROOT / root / name).exists() for root in roots), name
        else:
            # The words of a call such as `table.append(block)` or of an identifier.
            unknown = set(re.findall(r"[A-Za-z_]\w*", name)) - words
            assert not unknown, f"{name}: {unknown}"


def public_things():
    yield "bitsift", bitsift
    for name in bitsift.__all__:
        if name != "__version__":
            yield f"bitsift.{name}", getattr(bitsift, name)


@pytest.mark.parametrize(("name", "thing"), [pytest.param(*it, id=it[0]) for it in public_things()])
def test_docstring_examples(name, thing):
    globs = {"bitsift": bitsift, "numpy": np}
    runner = doctest.DocTestRunner(verbose=False)
    if thing is bitsift:
        tests = [doctest.DocTestParser().get_doctest(thing.__doc__, globs, name, None, None)]
    else:
        tests = doctest.DocTestFinder().find(thing, name, module=False, globs=globs)
    for test in tests:
        report: list[str] = []
        assert runner.run(test, out=report.append).failed == 0, "".join(report)
    has_code = inspect.isfunction(thing) or name in {"bitsift", "bitsift.Index"}
    if has_code and name not in {"bitsift.available_isas", "bitsift.advise", "bitsift.verify"}:
        assert runner.summarize(verbose=False).attempted > 0


@pytest.mark.parametrize(("page", "make"), [("python.md", python_page), ("cli.md", cli_page)])
def test_the_reference_is_what_the_code_says(page, make):
    written = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    assert written == make(), "run: python tests/tools/make_reference.py"


def test_the_page_of_quality_begins_as_a_new_one_would():
    page = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
    assert page.startswith(introduction())
