# SPDX-License-Identifier: Apache-2.0
"""Run the blocks of README.md, or of other pages, as a newcomer pastes them.

With ``--pip`` it copies the repository to a fresh folder, stands in it and runs everything, lines
that install included. Run it so with the Python of a fresh virtual environment. Without ``--pip``
it runs in an empty folder with the bitsift that is installed or on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.markdown_blocks import ROOT, BlockError, run_page


def copy_repository(folder: Path) -> None:
    """Copy what git tracks, as it is in the working tree."""
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], check=True, capture_output=True, text=True
    )
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def main() -> int:
    """Run the pages; 0 if all of their blocks did what they show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path, default=[ROOT / "README.md"])
    parser.add_argument("--pip", action="store_true", help="run lines that install, too")
    arguments = parser.parse_args()
    for page in arguments.pages:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if arguments.pip:
                copy_repository(folder)
            try:
                n_blocks = run_page(page.resolve(), folder, pip=arguments.pip)
            except BlockError as error:
                print(f"{page}: {error}", file=sys.stderr)
                return 1
        print(f"{page}: {n_blocks} blocks ran")
    return 0


if __name__ == "__main__":
    sys.exit(main())
