# SPDX-License-Identifier: Apache-2.0
"""Make the index folder ``index-commits``, with the features of commits, once and for all.

Run ``python tests/golden/make_index_commits.py`` only where it is not there: releases must read
forever what earlier ones wrote.
"""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

GOLDEN = Path(__file__).parent
FOLDER = GOLDEN / "index-commits"
DIM = 12


def vectors(first: int, n: int) -> np.ndarray[Any, Any]:
    """Rows by formula: multiples of 1/64 below 2, exact in float32."""
    row, column = np.indices((n, DIM))
    return (((row + first) * 7919 + column * 104729 + row * column) % 251 - 125).astype("f4") / 64


def states() -> dict[int, dict[int, np.ndarray[Any, Any]]]:
    """Give the vectors of the generations that are kept, by id, in order of addition."""
    third: dict[int, np.ndarray[Any, Any]] = dict(enumerate(vectors(0, 20)))
    third |= dict(zip((90, 80, 70), vectors(100, 3), strict=True))
    third |= dict(enumerate(vectors(200, 9), 91))
    for id in (4, 11, 80):
        del third[id]
    fourth = dict(third)
    del fourth[2]
    return {3: third, 4: fourth | dict(zip((2, 4), vectors(300, 2), strict=True))}


def main() -> None:
    """Commit four times to a folder of format version 1."""
    # What is expected must not depend on it.
    from bitsift import Index
    from bitsift.storage import manifest, writer
    from bitsift.storage.contents import Contents

    if FOLDER.exists():
        return
    # Random names would differ each time; 0 names the note of a lock.
    names = (f"{number:032x}" for number in itertools.count(1))
    with mock.patch.object(manifest.secrets, "token_hex", side_effect=names):
        first = vectors(0, 20)
        codes = np.packbits(first > 0, axis=1)
        writer.write(FOLDER, Contents(DIM, "dot", 0.0, codes, None, {"float32": first}))
        with Index.open(FOLDER, "a", keep_generations=2) as index:
            index.add(vectors(100, 3), ids=[90, 80, 70])
            index.commit()
            index.add(vectors(200, 9))
            index.commit()
            index.remove([4, 11, 80])
            index.commit()
            index.upsert(vectors(300, 2), ids=[2, 4])
            index.commit()
    for note in FOLDER.glob("manifest-*.tmp"):
        note.unlink()
    shutil.rmtree(GOLDEN / "__pycache__", ignore_errors=True)


if __name__ == "__main__":
    main()
