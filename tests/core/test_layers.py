# SPDX-License-Identifier: Apache-2.0
"""Who imports whom in the package: the folders, their floors and the longest chain of imports.

The contract stands in pyproject.toml. Here it is read from the source alone, so that it holds
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
    """The folders of each layer, from the highest to the lowest."""
    rows = contracts()["layers"]["layers"]
    return [{folder.strip() for folder in row.split("|")} for row in rows]


def test_no_module_and_no_folder_imports_itself_through_others():
    assert draw_layers.loop(MODULES) == []
    assert draw_layers.loop(FOLDERS) == []


def test_the_house_has_at_most_8_floors():
    assert max(draw_layers.floors(FOLDERS).values()) <= 8


def test_no_chain_of_imports_up_to_the_index_is_longer_than_11_modules():
    chain = draw_layers.longest_chain(MODULES, "bitsift.index.index")
    assert len(chain) <= 11, chain


def test_the_contract_names_every_folder_once():
    named = [folder for row in layers() for folder in sorted(row)]
    assert sorted(named) == sorted(set(FOLDERS) - {"bitsift"})


@pytest.mark.parametrize("folder", sorted(set(FOLDERS) - {"bitsift"}))
def test_each_folder_imports_only_folders_of_lower_layers(folder):
    level = next(level for level, row in enumerate(layers()) if folder in row)
    below = set().union(*layers()[level + 1 :])
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


def test_the_script_prints_floors_and_chain(capsys):
    assert draw_layers.main() == 0
    printed = capsys.readouterr().out
    assert f"{max(draw_layers.floors(FOLDERS).values())} floors" in printed
    chain = draw_layers.longest_chain(MODULES, "bitsift.index.index")
    assert f"{len(chain)} modules\n  bitsift.index.index\n" in printed


@pytest.fixture
def package(tmp_path):
    """A package of four modules in two folders, each import written in another way."""
    folder = tmp_path / "house"
    files = {
        "__init__.py": "from house.roof import *",
        "roof/__init__.py": "from .tiles import Tile",
        "roof/tiles.py": "import typing\n\ndef late():\n    from house.cellar import stones",
        "cellar/__init__.py": "",
        "cellar/stones.py": "if typing.TYPE_CHECKING:\n    import house.roof\n"
        "else:\n    import house.cellar.compiled",
        "cellar/compiled.pyi": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_imports_are_found_however_they_are_written(package):
    assert draw_layers.module_imports(package) == {
        "house": {"house.roof"},
        "house.roof": {"house.roof.tiles"},
        "house.roof.tiles": {"house.cellar.stones"},
        "house.cellar": set(),
        "house.cellar.stones": {"house.cellar.compiled"},
        "house.cellar.compiled": set(),
    }


def test_floors_and_chains_of_a_small_package(package):
    modules = draw_layers.module_imports(package)
    folders = draw_layers.folder_imports(modules)
    assert folders == {"house": {"roof"}, "roof": {"cellar"}, "cellar": set()}
    assert draw_layers.floors(folders) == {"cellar": 1, "roof": 2, "house": 3}
    assert draw_layers.longest_chain(modules, "house.roof") == [
        "house.roof",
        "house.roof.tiles",
        "house.cellar.stones",
        "house.cellar.compiled",
    ]


def test_a_loop_is_found_though_the_import_waits_in_a_function(package):
    (package / "cellar" / "stones.py").write_text("def late():\n    from house.roof import tiles")
    assert draw_layers.loop(draw_layers.module_imports(package)) in (
        ["house.roof.tiles", "house.cellar.stones", "house.roof.tiles"],
        ["house.cellar.stones", "house.roof.tiles", "house.cellar.stones"],
    )
