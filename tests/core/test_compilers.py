# SPDX-License-Identifier: Apache-2.0
"""All documents and scripts name the same oldest compilers: those of cpp/compilers.cmake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Where bitsift is built, or said how. bench/README.md and comments say what was used somewhere.
FILES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "FORMAT.md")),
    *(ROOT / name for name in ("pyproject.toml", "CMakeLists.txt", "CMakePresets.json")),
    *(ROOT / name for name in ("noxfile.py", ".ci/run", "cpp/compilers.cmake")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
NAMED = re.compile(
    r"(?:\b|lib)(GCC|Apple Clang|(?<!Apple )Clang|clang(?:\+\+|-rt)?|g\+\+)[ -](?:>= )?(\d+)"
)


def oldest() -> dict[str, int]:
    """The compilers of the list, and their oldest versions."""
    text = (ROOT / "cpp" / "compilers.cmake").read_text(encoding="utf-8")
    (rows,) = re.findall(r"set\(BITSIFT_COMPILERS\n(.*?)\)\n", text, re.S)
    found = re.findall(r'\w+ +"([^"]+)" +(\d+)', rows)
    assert len(found) == len(rows.splitlines())
    return {name: int(version) for name, version in found}


def named(text: str) -> list[tuple[str, int]]:
    """The compilers that a text names with a version, by the names of the list."""
    ours = {"g++": "GCC", "clang": "Clang", "clang++": "Clang", "clang-rt": "Clang"}
    return [(ours.get(name, name), int(version)) for name, version in NAMED.findall(text)]


def test_the_list_has_these():
    assert list(oldest()) == ["GCC", "Clang", "Apple Clang"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_versions_agree(path):
    expected = oldest()
    text = path.read_text(encoding="utf-8")
    wrong = [(name, version) for name, version in named(text) if version != expected[name]]
    assert wrong == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_pages_say_how_old_a_compiler_may_be(page):
    sentence = ", ".join(f"{name} {version}" for name, version in oldest().items()) + " or newer"
    assert sentence in (ROOT / page).read_text(encoding="utf-8")


def test_another_version_is_seen():
    text = "GCC 11, Clang 14, Apple Clang 13, clang++-15, libclang-rt-17-dev, g++-10, Clang >= 12"
    assert named(text) == [
        *(("GCC", 11), ("Clang", 14), ("Apple Clang", 13), ("Clang", 15), ("Clang", 17)),
        *(("GCC", 10), ("Clang", 12)),
    ]
