# SPDX-License-Identifier: Apache-2.0
"""Many readers beside a writer, each in a process of its own; bounded by counts, not by clocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bitsift
from helpers.processes import finish, start

# State g has ids g, g + 1, ..., g + 99, whose vectors tell their id and state.
COMMON = """
import sys
import numpy as np
import bitsift

def vectors(ids, generation):
    return np.stack([ids, np.full(len(ids), generation), *[np.ones(len(ids))] * 6], 1).astype("f4")
"""
WRITER = (
    COMMON
    + """
path, n = sys.argv[1], int(sys.argv[2])
with bitsift.Index.open(path, "a") as index:
    first = int(index.get(index.ids)[0, 1]) + 1
    for generation in range(first, first + n):
        ids = np.arange(generation, generation + 100)
        index.remove(generation - 1, missing="ignore")
        index.upsert(vectors(ids, generation), ids)
        index.commit()
        if generation % 7 == 0:
            index.compact()
            index.upsert(vectors(ids[:0], 0), ids[:0])
"""
)
READER = (
    COMMON
    + """
path, n = sys.argv[1], int(sys.argv[2])
index, seen = bitsift.Index.open(path), set()
for turn in range(n):
    if turn % 3 == 0:
        index = bitsift.Index.open(path)
    else:
        index.refresh()
    ids = index.ids
    found = index.get(ids)
    state = int(found[0, 1])
    assert (found[:, 1] == state).all(), found
    assert (found[:, 0] == ids).all()
    assert (np.sort(ids) == np.arange(state, state + 100)).all()
    assert len(index.search(found[0], 200).ids) == 100
    if turn % 5 == 0:
        bitsift.verify(path)
    seen.add(state)
print(len(seen))
"""
)


@pytest.mark.parametrize(
    ("n_readers", "n_reads", "n_commits"),
    [(2, 20, 10), pytest.param(6, 300, 120, marks=pytest.mark.slow)],
)
def test_readers_see_one_commit_while_writers_make_others(
    tmp_path: Path, n_readers: int, n_reads: int, n_commits: int
) -> None:
    first = np.ones((100, 8), np.float32)
    first[:, 0], first[:, 1] = np.arange(100), 0
    with bitsift.Index.open(tmp_path, "a", dim=8, store="float32", scoring="hamming") as index:
        index.add(first)
        index.commit()
    readers = [start(READER, tmp_path, n_reads) for _ in range(n_readers)]
    writers = [start(WRITER, tmp_path, n_commits) for _ in range(2)]  # one waits for the other
    for process in writers:
        finish(process)
    for process in readers:
        assert int(finish(process)) >= 1
    bitsift.verify(tmp_path)
    assert bitsift.Index.open(tmp_path).generation >= 2 * n_commits
