# SPDX-License-Identifier: Apache-2.0
"""Check what a wheel holds: its licences, one compiled module, and nothing that is not of it."""

from __future__ import annotations

import email
import importlib.metadata
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What is licensed otherwise than bitsift, and a line of its licence.
LICENCES = {
    "LICENSE": "Apache License",
    "licenses/pybind11.txt": "Wenzel Jakob",
    "python/bitsift/data/arxiv/LICENSE": "CC0 1.0",
}
EXPRESSION = {"Apache-2.0", "BSD-3-Clause", "CC0-1.0"}


def problems_of(path: Path) -> list[str]:
    """Return what is wrong with a wheel."""
    problems = []
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        (folder,) = {name.split("/")[0] for name in names if name.endswith(".dist-info/METADATA")}
        metadata = email.message_from_bytes(wheel.read(f"{folder}/METADATA"))
        named = set(metadata.get_all("License-File", []))
        if named != set(LICENCES):
            problems.append(f"License-File must be {sorted(LICENCES)}; got {sorted(named)}")
        for name, line in LICENCES.items():
            member = f"{folder}/licenses/{name}"
            if member not in names or line not in wheel.read(member).decode():
                problems.append(f"{member} must be there and say {line!r}")
    expression = metadata.get("License-Expression", "")
    if set(expression.split(" AND ")) != EXPRESSION:
        problems.append(f"License-Expression must be of {sorted(EXPRESSION)}; got {expression!r}")
    compiled = [name for name in names if name.endswith((".so", ".pyd", ".dylib"))]
    if len(compiled) != 1 or not compiled[0].startswith("bitsift/core/native"):
        problems.append(f"one compiled module, bitsift/core/native, must be there; got {compiled}")
    package = ROOT / "python" / "bitsift"
    missing = [
        name
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in {".so", ".pyc"}
        if (name := path.relative_to(package.parent).as_posix()) not in names
    ]
    if missing:
        problems.append(f"these files of the package must be there: {missing}")
    # A wheel of the working tree: what git does not track must not come in.
    strays = [name for name in names if not name.startswith(("bitsift/", f"{folder}/"))]
    strays += [name for name in names if "__pycache__" in name or name.endswith((".cpp", ".hpp"))]
    if strays:
        problems.append(f"these files are none of bitsift's: {strays}")
    return problems


def stale_licences() -> list[str]:
    """Compare the texts that the repository keeps with those of what is installed."""
    files = importlib.metadata.files("pybind11") or []
    (text,) = [file.read_text() for file in files if file.name == "LICENSE"]
    kept = ROOT / "licenses" / "pybind11.txt"
    return [] if kept.read_text(encoding="utf-8") == text else [f"{kept} is not pybind11's"]


def main() -> int:
    """Check the wheel that the command line names; 0 if nothing is wrong."""
    problems = [*problems_of(Path(sys.argv[1])), *stale_licences()]
    print(*(problems or [f"{sys.argv[1]}: its files and licences are right"]), sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
