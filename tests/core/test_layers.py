# SPDX-License-Identifier: Apache-2.0
"""Who imports whom in the package: the folders, their layers and the longest chain of imports.

The contract is in pyproject.toml. Here it is read from the source alone, so that it holds
wherever the tests run; ``lint-imports`` checks it once more in CI.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tools import draw_layers

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "python" / "bitsift"

MODULES = draw_layers.module_imports(PACKAGE)
FOLDERS = draw_layers.folder_imports(MODULES)


def contracts() -> dict[str, dict]:
    """The contracts of pyproject.toml by their type."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    return {each["type"]: each for each in settings["tool"]["importlinter"]["contracts"]}


def layers() -> list[set[str]]:
    """The folders of each layer of the contract, from the highest to the lowest."""
    rows = contracts()["layers"]["layers"]
    return [{folder.strip() for folder in row.split("|")} for row in rows]


def test_no_module_and_no_folder_imports_itself_through_others():
    assert draw_layers.loop(MODULES) == []
    assert draw_layers.loop(FOLDERS) == []


def test_the_package_has_at_most_8_layers():
    assert max(draw_layers.layers(FOLDERS).values()) <= 8


def test_no_chain_of_imports_up_to_the_index_is_longer_than_12_modules():
    chain = draw_layers.longest_chain(MODULES, "bitsift.index.index")
    assert len(chain) <= 12, chain


def test_the_contract_names_every_folder_once():
    named = [folder for row in layers() for folder in sorted(row)]
    assert sorted(named) == sorted(set(FOLDERS) - {"bitsift"})


@pytest.mark.parametrize("folder", sorted(set(FOLDERS) - {"bitsift"}))
def test_each_folder_imports_only_folders_of_lower_layers(folder):
    number = next(number for number, row in enumerate(layers()) if folder in row)
    below = set().union(*layers()[number + 1 :])
    assert FOLDERS[folder] - {"bitsift"} <= below


def test_only_the_command_line_imports_the_face_of_the_package():
    askers = {module for module, imported in MODULES.items() if "bitsift" in imported}
    assert {module for module in askers if not module.startswith("bitsift.cli.")} == set()


def test_the_compiled_module_is_imported_in_one_way():
    ways = set()
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        ways.update(re.findall(r"^[^\S\n]*((?:from|import)\b[^\n]*\bnative\b[^\n]*)", text, re.M))
    assert ways == {"import bitsift.core.native as native"}


def test_every_face_has_fewer_than_40_lines():
    for path in (PACKAGE / "__init__.py", *PACKAGE.glob("*/__init__.py")):
        n_lines = len(path.read_text(encoding="utf-8").splitlines())
        assert n_lines < 40, f"{path} has {n_lines} lines"


def test_the_script_prints_layers_and_chain(capsys):
    assert draw_layers.main() == 0
    printed = capsys.readouterr().out
    assert f"{max(draw_layers.layers(FOLDERS).values())} layers" in printed
    chain = draw_layers.longest_chain(MODULES, "bitsift.index.index")
    assert f"{len(chain)} modules\n  bitsift.index.index\n" in printed


@pytest.fixture
def package(tmp_path):
    """A package of four modules in two folders, each import written in another way."""
    folder = tmp_path / "sample"
    files = {
        "__init__.py": "from sample.upper import *",
        "upper/__init__.py": "from .first import First",
        "upper/first.py": "import typing\n\ndef late():\n    from sample.lower import second",
        "lower/__init__.py": "",
        "lower/second.py": "if typing.TYPE_CHECKING:\n    import sample.upper\n"
        "else:\n    import sample.lower.compiled",
        "lower/compiled.pyi": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_imports_are_found_however_they_are_written(package):
    assert draw_layers.module_imports(package) == {
        "sample": {"sample.upper"},
        "sample.upper": {"sample.upper.first"},
        "sample.upper.first": {"sample.lower.second"},
        "sample.lower": set(),
        "sample.lower.second": {"sample.lower.compiled"},
        "sample.lower.compiled": set(),
    }


def test_layers_and_chains_of_a_small_package(package):
    modules = draw_layers.module_imports(package)
    folders = draw_layers.folder_imports(modules)
    assert folders == {"sample": {"upper"}, "upper": {"lower"}, "lower": set()}
    assert draw_layers.layers(folders) == {"lower": 1, "upper": 2, "sample": 3}
    assert draw_layers.longest_chain(modules, "sample.upper") == [
        "sample.upper",
        "sample.upper.first",
        "sample.lower.second",
        "sample.lower.compiled",
    ]


def test_a_loop_is_found_though_the_import_waits_in_a_function(package):
    (package / "lower" / "second.py").write_text("def late():\n    from sample.upper import first")
    assert draw_layers.loop(draw_layers.module_imports(package)) in (
        ["sample.upper.first", "sample.lower.second", "sample.upper.first"],
        ["sample.lower.second", "sample.upper.first", "sample.lower.second"],
    )
