# SPDX-License-Identifier: Apache-2.0
"""``bitsift eval`` and ``bitsift compare``: what they print and write, and how they fail."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bitsift
from bitsift.cli.wording import as_words
from helpers.cli_runner import check_failure, run, run_json, run_process

DIM, N, N_QUERIES = 24, 200, 6
HAMMING = "binary x binary (Hamming)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return with_files(tmp_path)


def with_files(path: Path) -> Path:
    """Save files that fit one another."""
    rng = np.random.default_rng(3)
    docs = rng.standard_normal((N, DIM)).astype(np.float16)
    queries = rng.standard_normal((N_QUERIES, DIM)).astype(np.float32)
    nearest = np.argsort(-(queries[:2] @ docs.T.astype(np.float32)))
    qrels = [[0, nearest[0, 0], 2], [0, nearest[0, 4], 1], [1, nearest[1, 2], 1], [1, 0, 0]]
    np.save(path / "docs.npy", docs)
    np.save(path / "queries.npy", queries)
    np.save(path / "qrels.npy", np.array(qrels, np.int32))
    return path


def judged(folder: Path) -> list[object]:
    return [
        "eval", folder / "docs.npy", "--queries", folder / "queries.npy",
        "--qrels", folder / "qrels.npy",
    ]  # fmt: skip


def measures(plain: dict[str, Any]) -> list[tuple[object, ...]]:
    names = ("name", "ndcg", "recall", "overlap", "deep_overlap", "bytes_per_vector", "code")
    return [tuple(row[name] for name in names) for row in plain["rows"]]


# What it prints and writes


def test_json_is_the_library_s(folder: Path) -> None:
    plain = run_json(*judged(folder))
    arrays = [np.load(folder / f"{name}.npy") for name in ("docs", "queries", "qrels")]
    wanted = json.loads(json.dumps(bitsift.evaluate(*arrays).to_dict()))
    assert measures(plain) == measures(wanted)
    assert [check["verdict"] for check in plain["checks"]] == [
        check["verdict"] for check in wanted["checks"]
    ]
    assert plain["title"] == "docs"
    assert plain["command"] == "bitsift eval docs.npy --queries queries.npy --qrels qrels.npy"
    assert (plain["n_documents"], plain["n_queries"], plain["n_judged"]) == (N, N_QUERIES, 2)


def test_options_reach_the_library(folder: Path) -> None:
    options = ["--metric", "l2", "--conditions", "quick", "--price-per-gb", 2.5, "--threads", 1]
    plain = run_json("eval", folder / "docs.npy", *options)
    assert (plain["metric"], plain["price_per_gb"], plain["held_out"]) == ("l2", 2.5, 20)
    assert plain["machine"]["threads"] == 1
    groups = [row["group"] for row in plain["rows"]]
    assert len(groups) - groups.count("more candidates") == 24
    assert plain["command"] == (
        "bitsift eval docs.npy --metric l2 --conditions quick --price-per-gb 2.5 --threads 1"
    )


def test_memory_and_price_of_a_size_that_is_given(folder: Path) -> None:
    quick = ["eval", folder / "docs.npy", "--conditions", "quick", "--vectors", "2e6"]
    plain = run_json(*quick)
    assert plain["sizes"] == [2_000_000]
    assert plain["command"] == "bitsift eval docs.npy --conditions quick --vectors 2000000"
    shown = run(*quick).stdout
    for header in ("GB, 2 M", "USD a month, 2 M"):
        assert header in shown
    assert "250 M" not in shown


def test_the_table(folder: Path) -> None:
    shown = run(*judged(folder))
    assert (shown.exit_code, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    assert lines[0] == "docs"
    assert lines[1].startswith(f"{N_QUERIES} queries among {N} vectors of {DIM} dimensions, cosine")
    plain = run_json(*judged(folder))
    assert lines[2] == plain["verdict"]
    header = next(line for line in lines[3:] if "NDCG@10" in line)
    titles = ("NDCG@10, of float32", "recall@100", "overlap@10", "RAM, bytes a vector")
    for name in (*titles, "disk, GB, 250 M", "queries, a second", "one query, ms"):
        assert f" {name}" in header
    for row in plain["rows"]:
        line = next(
            line
            for line in lines
            if line[:2] in ("  ", "* ") and line[2:].startswith(f"{row['name']}  ")
        )
        assert f" {row['ndcg']:.4f} " in line
    assert sum(": held here, " in line for line in lines) == sum(
        check["verdict"] == "held" for check in plain["checks"]
    )
    assert "3.80 USD per GB (10**9 bytes) of memory per month" in lines[-1]


def test_files(folder: Path) -> None:
    out, page, picture = folder / "e.json", folder / "e.md", folder / "e.png"
    options = ["-o", out, "--markdown", page, "--picture", picture, "--title", "My papers"]
    plain = run_json(*judged(folder), *options)
    assert json.loads(out.read_text()) == plain
    assert plain["title"] == "My papers"
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert len(picture.read_bytes()) > 20_000
    text = page.read_text()
    assert text.startswith("# What fewer bits lose\n")
    assert "\n## My papers\n" in text
    assert f"`{plain['command']}`, on {plain['machine']['processor']}" in text
    assert f"numpy {np.__version__}" in text
    assert "](e.png)\n" in text
    assert str(folder) not in text + out.read_text()
    for row in plain["rows"]:
        assert re.search(rf"\n\| {re.escape(row['name'])}( \\\*)? \| {row['ndcg']:.4f} \| ", text)
    assert f"\n**{plain['verdict']}**\n" in text
    for check in plain["checks"]:
        assert f"\n* {check['statement']}: {check['verdict']} here, " in text
    assert not list(folder.glob(".bitsift-*"))


def test_a_page_is_replaced_or_added_to(folder: Path) -> None:
    page = folder / "e.md"
    page.write_text("an earlier page")
    quick = ["eval", folder / "docs.npy", "--conditions", "quick", "--markdown", page]
    check_failure(quick, "InputError", ["e.md: already exists; --force replaces it"])
    assert run(*quick, "--title", "One", "--force").exit_code == 0
    assert run(*quick, "--title", "Two", "--append").exit_code == 0
    text = page.read_text()
    assert "an earlier page" not in text
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# What fewer bits lose", "## One", "## Two",
    ]  # fmt: skip
    assert run(*quick, "--title", "Three", "--force").exit_code == 0
    assert "## One" not in page.read_text()


def test_a_page_does_not_name_folders_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bitsift.cli.evaluation.run.draw", lambda *_, **__: None)
    (folder / "pages" / "my pictures").mkdir(parents=True)
    page = folder / "pages" / "e.md"
    quick = ["eval", folder / "docs.npy", "--conditions", "quick", "--markdown", page, "--force"]
    quick.append("--picture")
    assert run(*quick, folder / "pages" / "my pictures" / "e.png").exit_code == 0
    assert "](my%20pictures/e.png)" in page.read_text()
    assert run(*quick, folder / "e.png").exit_code == 0
    assert "![" not in page.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "begin"), [("e.svg", b"<?xml"), ("e.PDF", b"%PDF")])
def test_other_pictures(folder: Path, name: str, begin: bytes) -> None:
    quick = ["eval", folder / "docs.npy", "--conditions", "quick"]
    assert run(*quick, "--picture", folder / name).exit_code == 0
    assert (folder / name).read_bytes().startswith(begin)


@pytest.mark.slow
def test_demo() -> None:
    plain = run_json("eval", "--demo", "--conditions", "quick")
    assert (plain["n_documents"], plain["n_queries"], plain["n_judged"]) == (4400, 40, None)
    assert plain["command"] == "bitsift eval --demo --conditions quick"
    shares = {row["name"]: row["overlap"] for row in plain["rows"]}
    # What the README says of the same searches.
    assert shares[HAMMING] == pytest.approx(0.55, abs=0.005)
    assert shares["Hamming x4 -> float16"] == pytest.approx(0.93, abs=0.005)
    assert shares["Hamming x10 -> float16"] == pytest.approx(0.99, abs=0.005)


def test_it_is_quiet_in_a_pipe(folder: Path) -> None:
    ended = run_process("eval", folder / "docs.npy", "--conditions", "quick")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\x1b" not in ended.stdout


def test_progress_is_the_share_that_is_done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, float]] = []

    @contextmanager
    def bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
        yield lambda done: told.append((description, done / total))

    monkeypatch.setattr("bitsift.cli.evaluation.run.progress_bar", bar)
    assert run("eval", folder / "docs.npy", "--conditions", "quick").exit_code == 0
    assert (told[0], told[-1]) == (("evaluating", 0), ("evaluating", 1))
    assert len(told) > 20


def test_warnings_are_shown(folder: Path) -> None:
    docs = np.random.default_rng(1).standard_normal((400, DIM)) + 3
    np.save(folder / "docs.npy", docs)
    shown = run("eval", folder / "docs.npy", "--conditions", "quick")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "\nwarning: the bits of these vectors say little" in shown.stdout


def test_text_names_options(folder: Path) -> None:
    """What people read is in words of the command line; what programs read is Python, as it was."""
    rng = np.random.default_rng(1)
    np.save(folder / "docs.npy", rng.standard_normal((400, DIM)) + 3)
    page, out = folder / "e.md", folder / "e.json"
    quick = ["eval", folder / "docs.npy", "--conditions", "quick"]
    shown = run(*quick, "--markdown", page, "-o", out).stdout
    text = page.read_text()
    plain = json.loads(out.read_text())
    chosen = plain["recommendation"]
    assert list(chosen) == ["metric", "threshold", "rotate"]
    words = f"--metric cosine --threshold {chosen['threshold']}"
    words += " --rotate" if chosen["rotate"] else ""
    assert f"\nbitsift build --threshold auto chose: {words}\n" in shown
    assert f"\n`bitsift build --threshold auto` chose `{words}` for an index" in text
    assert plain["warnings"]
    for warning in plain["warnings"]:
        assert "bitsift build --threshold" in warning
        assert f"\nwarning: {warning}\n" in shown
        assert f"\nWarning: {warning}\n" in text
    section = text[text.index("\n## ") :]
    for told in (shown, section, *plain["warnings"]):
        assert not re.search(r"\b[a-z_]+=|\bTrue\b|\bFalse\b|\bNone\b|bitsift\.", told), told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, ""),
        ({"metric": "l2", "threshold": 0.0, "rotate": False}, "--metric l2 --threshold 0"),
        (
            {"threshold": "mean", "rotate": True, "correction": True},
            "--threshold mean --rotate --correction",
        ),
    ],
)
def test_arguments_as_words(arguments: dict[str, object], words: str) -> None:
    assert as_words(arguments) == words


def test_a_title_is_taken_literally(folder: Path) -> None:
    """It is no formula of matplotlib, and neither ends a cell of Markdown nor its line."""
    title = "a | b $\\x$\n# c"
    picture, page, out = folder / "e.png", folder / "e.md", folder / "e.json"
    quick = ["eval", folder / "docs.npy", "--conditions", "quick", "--title", title]
    result = run(*quick, "--picture", picture, "--markdown", page, "-o", out)
    assert result.exit_code == 0, result.stderr
    assert picture.exists()
    assert r"## a \| b \$\\x\$ # c" in page.read_text().splitlines()
    assert run("compare", out, "--markdown", page, "--title", title, "--force").exit_code == 0
    lines = page.read_text().splitlines()
    assert lines[0] == r"## a \| b \$\\x\$ # c"
    (header,) = (line for line in lines if line.startswith("|  | "))
    assert header == r"|  | a \| b \$\\x\$ # c, overlap@10 |"
    assert json.loads(out.read_text())["title"] == title


# How it fails


def test_failures(folder: Path) -> None:
    docs, queries, qrels = (folder / f"{name}.npy" for name in ("docs", "queries", "qrels"))
    np.save(folder / "bits.npy", np.zeros((N, 3), np.uint8))
    np.save(folder / "narrow.npy", np.zeros((5, DIM - 1), np.float32))
    np.save(folder / "nan.npy", np.full((N, DIM), np.nan, np.float32))
    np.save(folder / "few.npy", np.ones((9, DIM), np.float32))
    np.save(folder / "beyond.npy", np.array([[0, N, 1]]))
    np.save(folder / "negative.npy", np.array([[0, 0, -1]]))
    np.save(folder / "floats.npy", np.array([[0.0, 0, 1]]))
    (folder / "text.npy").write_text("no array")
    failures: list[tuple[list[object], str, list[str]]] = [
        ([], "InputError", ["VECTORS.npy must be given, or --demo; got neither"]),
        (["--demo", docs], "InputError", ["--demo must come without", "got VECTORS", "docs.npy"]),
        (["--demo", "--queries", queries], "InputError", ["got --queries"]),
        ([folder / "no.npy"], "InputError", ["no.npy: no such file"]),
        ([folder / "text.npy"], "InputError", ["text.npy: cannot be read as a .npy array"]),
        (
            [folder / "bits.npy"],
            "InputError",
            ["bits.npy: the array must be float16", "got packed codes (uint8)"],
        ),
        (
            [folder / "few.npy"],
            "InputError",
            [
                "few.npy: documents must have at least 20 rows",
                "besides 1 that would serve as queries; got 9",
            ],
        ),
        ([folder / "nan.npy"], "InputError", ["nan.npy: documents must be finite; row 0"]),
        (
            [docs, "--queries", folder / "narrow.npy"],
            "InputError",
            ["narrow.npy: queries must have 24 values", f"got {DIM - 1}"],
        ),
        (
            [docs, "--queries", folder / "nan.npy"],
            "InputError",
            ["nan.npy: queries must be finite"],
        ),
        (
            [docs, "--qrels", qrels],
            "InputError",
            ["qrels.npy: qrels must come with queries", "got no"],
        ),
        *(
            ([docs, "--queries", queries, "--qrels", folder / f"{name}.npy"], "InputError", [text])
            for name, text in (
                ("beyond", f"beyond.npy: qrels must name document rows from 0 to {N - 1}"),
                ("negative", "negative.npy: qrels must have grades from 0"),
                ("floats", "floats.npy: qrels must be integers; got float64"),
                ("docs", "docs.npy: qrels must be integers; got float16"),
            )
        ),
        ([docs, "--price-per-gb", "-1"], "ValueError", ["--price-per-gb must be", "-1"]),
        ([docs, "--vectors", "2.5"], "ValueError", ["--vectors must be a whole number", "2.5"]),
        ([docs, "--threads", 1025], "ValueError", ["threads must be", "1025"]),
        ([docs, "-o", folder], "InputError", ["the output must be a file; got a folder"]),
        ([docs, "--markdown", folder / "x" / "e.md"], "InputError", ["does not exist"]),
        ([docs, "--append"], "InputError", ["--append must come with --markdown"]),
        ([docs, "--markdown", folder / "e.md", "--append"], "InputError", ["e.md: no such file"]),
        (
            [docs, "--picture", folder / "e.gif"],
            "InputError",
            ["the name must end in one of", "got '.gif'"],
        ),
    ]
    before = sorted(folder.rglob("*"))
    for arguments, kind, fragments in failures:
        check_failure(["eval", *arguments], kind, fragments)
        assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("module", "option"),
    [("ir_measures", "--qrels"), ("pytrec_eval", "--qrels"), ("matplotlib.figure", "--picture")],
)
def test_a_missing_extra_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, option: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    arguments = judged(folder) if option == "--qrels" else ["eval", folder / "docs.npy"]
    arguments += ["--conditions", "quick"]
    if option == "--picture":
        arguments += ["--picture", folder / "e.png"]
    check_failure(arguments, "MissingPackageError", ["pip install 'bitsift[eval]'"])
    assert not (folder / "e.png").exists()


def test_what_ends_the_drawing_leaves_the_old_picture(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = folder / "e.png"
    picture.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    before = sorted(folder.rglob("*"))
    arguments = ["eval", folder / "docs.npy", "--conditions", "quick", "--picture", picture, "-f"]
    check_failure(arguments, "OSError", ["no space left"])
    assert sorted(folder.rglob("*")) == before
    assert picture.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("raise AttributeError('made for another numpy')", "made for another numpy"),
        ("import no_such_module", "No module named 'no_such_module'"),
    ],
)
def test_a_picture_says_why_matplotlib_cannot_be_imported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, line: str, reason: str
) -> None:
    broken = folder / "matplotlib"
    broken.mkdir()
    (broken / "__init__.py").write_text(line)
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(folder)
    arguments = ["eval", folder / "docs.npy", "--picture", folder / "e.png"]
    wanted = f"matplotlib, which fails to import: {reason}"
    check_failure(arguments, "MissingPackageError", [wanted])


# Side by side


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = with_files(tmp_path_factory.mktemp("evaluated"))
    paths = [folder / "one.json", folder / "two.json"]
    assert run(*judged(folder), "-o", paths[0], "--title", "One").exit_code == 0
    quick = ["eval", folder / "docs.npy", "--conditions", "quick"]
    assert run(*quick, "-o", paths[1], "--title", "Two").exit_code == 0
    return paths


@pytest.fixture
def made(folder: Path, evaluated: list[Path]) -> list[Path]:
    return [Path(shutil.copy(path, folder)) for path in evaluated]


def test_compare(made: list[Path]) -> None:
    one, two = (json.loads(path.read_text()) for path in made)
    compared = run_json("compare", *made)
    assert compared["evaluations"] == [
        {"title": "One", "measure": "NDCG@10", "float32": one["rows"][0]["ndcg"]},
        {"title": "Two", "measure": "overlap@10", "float32": 1.0},
    ]
    wanted = [{row["name"]: row["share_of_float32"] for row in made["rows"]} for made in (one, two)]
    assert list(compared["shares_of_float32"]) == [row["name"] for row in two["rows"]][1:]
    for name, shares in compared["shares_of_float32"].items():
        assert shares == [wanted[0][name], wanted[1][name]]
    shown = run("compare", *made).stdout
    assert "One, NDCG@10" in shown
    assert f"{100 * wanted[0][HAMMING]:.1f} %" in shown


def test_compare_writes_a_section(made: list[Path], folder: Path) -> None:
    page = folder / "page.md"
    page.write_text("# A page\n")
    assert run("compare", *made, "--markdown", page, "--append", "--title", "Both").exit_code == 0
    text = page.read_text()
    assert text.startswith("# A page\n\n## Both\n")
    assert "\n* Two: `bitsift eval docs.npy --conditions quick`\n" in text
    shares = run_json("compare", *made)["shares_of_float32"][HAMMING]
    assert f"\n| {HAMMING} | {100 * shares[0]:.1f} % | {100 * shares[1]:.1f} % |\n" in text
    compare: list[object] = ["compare", *made, "--markdown", page]
    check_failure(compare, "InputError", ["page.md: already exists; --force replaces it"])
    assert run(*compare, "--force").exit_code == 0
    assert page.read_text().startswith("## Side by side\n")


def test_compare_refuses_what_eval_did_not_write(made: list[Path], folder: Path) -> None:
    wrong = folder / "wrong.json"
    good = json.loads(made[0].read_text())
    for text in (
        "", "{", "[]", "{}", '{"rows": []}', "[" * 100_000, json.dumps({**good, "rows": []}),
        json.dumps({**good, "title": 3}), json.dumps({**good, "command": None}),
        json.dumps({**good, "rows": [{"name": "float32"}]}),
        json.dumps({**good, "rows": [{**good["rows"][0], "overlap": "all"}]}), "\udcff",
    ):  # fmt: skip
        wrong.write_bytes(text.encode(errors="surrogateescape"))
        check_failure(
            ["compare", wrong],
            "InputError",
            ["wrong.json: the input must be a file that bitsift eval"],
        )
    check_failure(["compare", folder], "InputError", ["must be a .json file; got a folder"])
    check_failure(["compare", folder / "no.json"], "InputError", ["no.json: no such file"])
    page = folder / "no.md"
    arguments: list[object] = ["compare", made[0], "--markdown", page, "--append"]
    check_failure(arguments, "InputError", ["no.md: no such file to append to"])
    assert not os.path.lexists(page)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_compare_refuses_what_is_no_number(made: list[Path], number: str) -> None:
    plain = json.loads(made[1].read_text())
    for place in ("overlap", "share_of_float32"):
        changed = json.loads(made[1].read_text())
        changed["rows"][1][place] = "HERE"
        text = json.dumps(changed).replace('"HERE"', number)
        made[1].write_text(text)
        check_failure(["compare", *made], "InputError", ["two.json", "that bitsift eval -o wrote"])
        made[1].write_text(json.dumps(plain))
