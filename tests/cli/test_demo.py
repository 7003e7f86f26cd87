# SPDX-License-Identifier: Apache-2.0
"""``bitsift demo``, and the arXiv data that it searches."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

import bitsift
from bitsift.cli.demo.corpus import load_corpus, load_queries
from bitsift.cli.demo.demo import compare, cosine_search
from bitsift.cli.demo.view import print_demo
from helpers import cli_runner

FOLDER = Path(bitsift.__file__).parent / "data" / "arxiv"
DIM = 384
OTHER = "graph neural networks for proteins"


@pytest.fixture(autouse=True, scope="module")
def _quick() -> Iterator[None]:
    """Read the papers once, and measure few searches: nothing here looks at seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bitsift.cli.demo.demo.load_corpus", functools.cache(load_corpus))
        patch.setattr("bitsift.cli.demo.demo.REPEATS", 3)
        patch.setattr("bitsift.cli.demo.demo._WARM_UPS", 1)
        yield


def run(*arguments: object) -> Any:
    """Run ``bitsift demo`` in this process."""
    return cli_runner.run("demo", *arguments)


def run_json(*arguments: object) -> dict[str, Any]:
    """Run ``bitsift demo --json``, which must succeed."""
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    parsed = json.loads(result.stdout)
    assert isinstance(parsed, dict)
    return parsed


def read_documents() -> list[dict[str, str]]:
    text = (FOLDER / "documents.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def originals() -> NDArray[np.float32]:
    """Read the vectors with NumPy alone."""
    (path,) = (FOLDER / "index").glob("originals*.npy")
    loaded: NDArray[np.float16] = np.load(path)
    return loaded.astype(np.float32)


def query(row: int) -> NDArray[np.float32]:
    loaded: NDArray[np.float16] = np.load(FOLDER / "queries.npy")
    wanted: NDArray[np.float32] = loaded[row].astype(np.float32)
    return wanted


# the searches


def test_lists_equal_an_independent_computation() -> None:
    shown, vectors, wanted = run_json(), originals(), query(0)
    documents = read_documents()
    assert shown["query"] == {"text": "3D segmentation", "prepared": True, "model": None}
    assert shown["corpus"] == {"name": "arXiv", "vectors": len(documents), "dim": DIM}

    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(wanted)
    cosine = vectors @ wanted / lengths
    exact = np.argsort(-cosine, kind="stable")[:5]
    hamming = ((vectors > 0) != (wanted > 0)).sum(axis=1)
    near = np.lexsort((np.arange(len(vectors)), hamming))

    results = shown["results"]
    default = bitsift.Index(DIM)
    default.add(vectors)
    found = default.search(wanted, 5).ids
    for name, expected in (("hamming", near[:5]), ("float_cosine", exact), ("default", found)):
        assert [hit["id"] for hit in results[name]] == expected.tolist()
        assert [hit["rank"] for hit in results[name]] == [1, 2, 3, 4, 5]
        for hit in results[name]:
            document = documents[hit["id"]]
            assert (hit["arxiv"], hit["title"]) == (document["id"], document["title"])
    assert [hit["distance"] for hit in results["hamming"]] == hamming[near[:5]].tolist()
    assert [hit["normalised"] for hit in results["hamming"]] == [
        round(distance / DIM, 4) for distance in hamming[near[:5]].tolist()
    ]
    for name, expected in (("float_cosine", exact), ("default", found)):
        scores = [hit["cosine"] for hit in results[name]]
        np.testing.assert_allclose(scores, cosine[expected], rtol=1e-3)
    assert shown["k"] == 5
    assert shown["shared_with_float_cosine"] == {
        "default": len(set(found) & set(exact)),
        "hamming": len(set(near[:5]) & set(exact)),
        "of": 5,
    }


def test_what_is_found_over_all_prepared_queries() -> None:
    shown, vectors = run_json("-k", 10)["prepared_queries"], originals()
    queries = np.load(FOLDER / "queries.npy").astype(np.float32)
    default, bits = bitsift.Index(DIM), np.packbits(vectors > 0, axis=1)
    default.add(vectors)
    best = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    near = bitsift.search(bits, np.packbits(queries > 0, axis=1), 10).ids
    for name, ids in (("default", default.search(queries, 10).ids), ("hamming", near)):
        shared = [len(set(a) & set(b)) for a, b in zip(ids.tolist(), best.tolist(), strict=True)]
        assert shown[name] == pytest.approx(np.mean(shared) / 10, abs=0.003)  # ties
    assert shown["queries"] == len(queries)
    assert shown["hamming"] < shown["default"] <= 1


def test_costs() -> None:
    shown = run_json("-k", 1)
    n = shown["corpus"]["vectors"]
    memory, seconds = shown["memory"], shown["time"]
    index = bitsift.Index(DIM)
    index.add(originals())
    assert memory["bits"] == {"bytes": n * 48, "bytes_per_vector": 48}
    assert memory["float32"] == {"bytes": n * 1536, "bytes_per_vector": 1536}
    assert memory["originals"]["store"] == index.store
    assert memory["originals"]["bytes"] == index.nbytes - n * 48
    assert memory["ratio"] == 32
    assert (seconds["queries"], seconds["vectors"], seconds["threads"]) == (1, n, 1)
    assert all(seconds[key] > 0 for key in ("hamming_s", "float_cosine_s", "default_s"))
    assert seconds["isa"] in bitsift.available_isas()


def test_text_names_everything() -> None:
    shown = run_json()
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    text = result.stdout
    assert text.startswith(f'"3D segmentation" in {len(read_documents()):,} arXiv papers\n')
    for hits in shown["results"].values():
        for hit in hits:
            assert hit["arxiv"] in text
            assert all(word in text for word in hit["title"].split())
    for hit in shown["results"]["hamming"]:
        assert f" {hit['distance'] / DIM:.4f} " in text
    for hit in shown["results"]["float_cosine"]:
        assert f" {hit['cosine']:.4f} " in text
    shared = shown["shared_with_float_cosine"]
    assert f"Default search: finds {shared['default']} of float's 5\n" in text
    assert f"Bits alone: finds {shared['hamming']} of float's 5\n" in text
    for part in ("206.2 KiB", "6.4 MiB", "one core", "bitsift plan --vectors 250e6 --dim 384"):
        assert part in text
    assert all(line == line.rstrip() and len(line) <= 120 for line in text.splitlines())


def test_the_mark_is_explained_before_it_is_used() -> None:
    shown, text = run_json(), run().stdout
    begin = text.index("A * marks a paper that float search lists, too.")
    assert begin == text.index("*") - 2
    default, bits, floats = text.split("Default search: ")[1].split("\n\n")[:3]
    in_float = {hit["arxiv"] for hit in shown["results"]["float_cosine"]}
    for part, name in ((default, "default"), (bits, "hamming")):
        lines = [line for line in part.splitlines() if re.match(r"[1-5] ", line)]
        assert [" * " in line for line in lines] == [
            hit["arxiv"] in in_float for hit in shown["results"][name]
        ]
    assert "*" not in floats


def test_times_are_in_one_unit_and_disk_is_apart_from_ram() -> None:
    lines = run().stdout.splitlines()
    (head,) = (i for i, line in enumerate(lines) if line.split() == ["RAM", "disk", "one", "query"])
    rows = [line.split("   ") for line in lines[head + 2 : head + 5]]
    assert [row[0].strip() for row in rows] == ["default search", "bits alone", "float search"]
    assert all(re.search(r" [0-9]+\.[0-9]{3} ms$", line) for line in lines[head + 2 : head + 5])
    assert sum(" -  " in line for line in lines[head + 2 : head + 5]) == 2


@pytest.mark.parametrize("width", [80, 120, 160, 200])
def test_table_fits_a_terminal(width: int) -> None:
    texts, vectors = load_queries()
    demo = compare(load_corpus(), texts[0], vectors[0], 5, None)
    file = io.StringIO()
    print_demo(demo, Console(file=file, width=width, force_terminal=True, no_color=True))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())
    assert max(map(len, plain.splitlines())) <= min(width, 120)
    assert "\N{HORIZONTAL ELLIPSIS}" not in plain
    for hit in (*demo.default, *demo.hamming, *demo.cosine):
        assert hit.paper.arxiv in plain
        assert all(word in plain for word in hit.paper.title.split())


def test_every_prepared_query_finds_its_neighbours() -> None:
    corpus = load_corpus()
    _, vectors = load_queries()
    raw = originals()
    for wanted in vectors:
        scores, rows = cosine_search(corpus.unit, wanted, 10)
        expected = np.argsort(-(raw @ wanted), kind="stable")[:10]
        assert len(set(rows.tolist()) & set(expected.tolist())) >= 9  # near ties may swap
        assert (np.diff(scores) <= 0).all()
        rescored = corpus.index.search(wanted, 10, oversampling=40.0)
        assert len(set(rescored.ids.tolist()) & set(rows.tolist())) >= 8


def test_cosine_search_takes_any_k_and_a_query_of_zeros() -> None:
    unit = np.eye(4, dtype=np.float32)
    scores, rows = cosine_search(unit, np.array([1, 3, 0, 2], np.float32), 4)
    assert rows.tolist() == [1, 3, 0, 2]
    np.testing.assert_allclose(scores, np.array([3, 2, 1, 0]) / np.sqrt(14), rtol=1e-6)
    scores, rows = cosine_search(unit, np.zeros(4, np.float32), 4)
    assert (scores.tolist(), rows.tolist()) == ([0, 0, 0, 0], [0, 1, 2, 3])


@pytest.mark.parametrize("text", ["machine unlearning", " Machine UNLEARNING "])
def test_prepared_queries_match_in_any_case(text: str) -> None:
    shown = run_json(text, "-k", 2)
    assert shown["query"] == {"text": "machine unlearning", "prepared": True, "model": None}
    assert "unlearning" in shown["results"]["float_cosine"][0]["title"].casefold()


def test_k_is_at_most_the_corpus() -> None:
    n = len(read_documents())
    shown = run_json("-k", n + 1)
    assert shown["k"] == n
    assert all(len(hits) == n for hits in shown["results"].values())
    assert shown["shared_with_float_cosine"] == {"default": n, "hamming": n, "of": n}


def test_list() -> None:
    texts = json.loads((FOLDER / "queries.json").read_text(encoding="utf-8"))
    assert run("--list").stdout.splitlines() == texts
    assert run_json("--list") == {"queries": texts}


# other texts


class FakeEncoder:
    """Gives the vector of the first prepared query, whatever the text."""

    vector: NDArray[Any] = np.zeros(DIM, np.float32)

    def __init__(self, name: str) -> None:
        print("noise of a library on standard output")
        if "missing" in name:
            raise OSError(f"cannot reach the hub\nand {name} is not in the cache")
        if "broken" in name:
            self.encode = None  # type: ignore[assignment]

    def encode(self, text: str, **options: Any) -> NDArray[Any]:
        assert text
        assert options == {"show_progress_bar": False}
        return self.vector


@pytest.fixture
def fake_package(monkeypatch: pytest.MonkeyPatch) -> type[FakeEncoder]:
    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = FakeEncoder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    monkeypatch.setattr(FakeEncoder, "vector", query(0))
    return FakeEncoder


def test_other_text_is_embedded(fake_package: type[FakeEncoder]) -> None:
    result = run(OTHER, "--json")
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    model = "sentence-transformers/all-MiniLM-L6-v2"
    assert shown["query"] == {"text": OTHER, "prepared": False, "model": model}
    assert shown["results"] == run_json()["results"]
    text = run(OTHER, "--model", "some/[model]").stdout
    assert text.startswith(f'"{OTHER}" in ')
    assert "embedded with some/[model]\n" in text


def test_a_named_model_embeds_prepared_queries_too(fake_package: type[FakeEncoder]) -> None:
    shown = json.loads(run("machine unlearning", "--model", "mine", "--json").stdout)
    assert shown["query"]["model"] == "mine"
    assert shown["results"] == run_json()["results"]


def test_a_package_that_fails_to_import_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own dependencies fail in ways of their own."""
    (tmp_path / "sentence_transformers.py").write_text("raise RuntimeError('another ABI')")
    monkeypatch.delitem(sys.modules, "sentence_transformers", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    result = run(OTHER, "--json")
    assert result.exit_code == 1
    error = json.loads(result.stdout)["error"]
    assert error["type"] == "MissingPackageError"
    assert "which fails to import: another ABI" in error["message"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["clustering"], "TEXT"),
        (["-k", 7], "-k"),
        (["--model", "some/model"], "--model"),
    ],
)
def test_a_list_of_queries_needs_nothing_else(words: list[object], names: str) -> None:
    alone, result = run("--list"), run("--list", *words)
    assert (result.exit_code, result.stdout) == (0, alone.stdout)
    assert alone.stderr == ""
    assert result.stderr == f"warning: {names} does nothing: --list runs no search\n"


@pytest.mark.parametrize(
    ("model", "fragments"),
    [
        ("missing/model", ["cannot be loaded", "OSError: cannot reach the hub and missing/model"]),
        ("broken/model", ["cannot embed the text", "NoneType"]),
    ],
)
def test_model_that_fails(
    fake_package: type[FakeEncoder], model: str, fragments: list[str]
) -> None:
    check_failure(["--model", model, OTHER], "ModelError", [repr(model), *fragments])


def test_model_of_another_dim(
    fake_package: type[FakeEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeEncoder, "vector", np.zeros(768, np.float32))
    check_failure([OTHER], "ModelError", ["got shape (768,)", "must give vectors of shape (384,)"])


def test_model_that_gives_nan(
    fake_package: type[FakeEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeEncoder, "vector", np.full(DIM, np.nan, np.float32))
    check_failure([OTHER], "ModelError", ["NaN or infinity"])


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    fragments = [OTHER, "not installed", "pip install sentence-transformers", '"3D segmentation"']
    check_failure([OTHER], "MissingPackageError", [*fragments, "bitsift demo --list"])


def test_package_that_does_not_import(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sentence_transformers.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sentence_transformers", raising=False)
    check_failure([OTHER], "MissingPackageError", ["fails to import", "a_module_that_is_not_there"])
    assert "pip install" not in run(OTHER).stderr


def check_failure(arguments: list[object], kind: str, fragments: list[str]) -> None:
    """Exit code 1, the message on stderr or as JSON on stdout, no traceback."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert isinstance(result.exception, SystemExit)
    assert "bitsift: error: " in result.stderr
    assert "Traceback" not in result.stderr
    as_json = run(*arguments, "--json")
    assert as_json.exit_code == 1
    error = json.loads(as_json.stdout)["error"]
    assert error["type"] == kind
    for fragment in fragments:
        assert fragment in result.stderr
        assert fragment in error["message"]


# the data


def test_data_is_complete() -> None:
    documents = read_documents()
    index = bitsift.Index.load(FOLDER / "index")
    bitsift.verify(FOLDER / "index")
    assert (index.dim, index.metric, index.store, len(index)) == (
        DIM,
        "cosine",
        "float16",
        len(documents),
    )
    np.testing.assert_array_equal(index.ids, np.arange(len(documents)))
    np.testing.assert_array_equal(index.codes, np.packbits(originals() > 0, axis=1))
    np.testing.assert_allclose(np.linalg.norm(originals(), axis=1), 1, atol=1e-3)
    assert all(document.keys() == {"id", "title"} for document in documents)
    assert len({document["id"] for document in documents}) == len(documents)
    assert all(re.fullmatch(r"\d{4}\.\d{4,5}", document["id"]) for document in documents)
    assert all(document["title"].strip() for document in documents)


def test_queries_are_complete() -> None:
    texts = json.loads((FOLDER / "queries.json").read_text(encoding="utf-8"))
    vectors = np.load(FOLDER / "queries.npy")
    assert texts[0] == "3D segmentation"
    assert len({text.casefold() for text in texts}) == 40
    assert (vectors.shape, vectors.dtype) == ((40, DIM), np.float16)
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float32), axis=1), 1, atol=1e-3)


def test_data_is_small_and_as_its_page_says() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 4 * 1024 * 1024
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    for path in files:
        if path.name != "README.md":
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            name, size = path.relative_to(FOLDER).as_posix(), path.stat().st_size
            assert f"| `{name}` | {size:,} | `{digest}` |" in page
    for part in ("CC0 1.0", "all-MiniLM-L6-v2", "Apache-2.0", "mean pooling", "bfloat16"):
        assert part in page
    licence = (FOLDER / "LICENSE").read_text(encoding="utf-8")
    assert "CC0 1.0 Universal" in licence
    assert "Affirmer" in licence
