# SPDX-License-Identifier: Apache-2.0
"""Saves that are cut short: the folder holds the old index or the new one, nothing between."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import bitsift
from bitsift.core.errors import IndexNotFoundError, NotAnIndexError
from bitsift.storage import reader, writer
from bitsift.storage.contents import Contents
from helpers.cut_short import (
    COMPLETED,
    CRASHED,
    INTERRUPTED,
    NEW,
    OLD,
    SMALL,
    VECTORS,
    SaveCutter,
    change,
)
from helpers.storage_samples import (
    assert_same,
    is_same,
    named_by_manifest,
    names_of,
)

EVERY_LINE_OR_SOME = [
    pytest.param(1, marks=pytest.mark.slow, id="every"),
    pytest.param(43, id="43rd"),
]
# A commit has ten times as many lines as a save.
FEWER_LINES = [
    pytest.param(11, marks=pytest.mark.slow, id="11th"),
    pytest.param(397, id="397th"),
]


@pytest.fixture(scope="module")
def cut_short() -> Iterator[SaveCutter]:
    with SaveCutter() as cutter:
        yield cutter


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork cuts the saves short")
crash_or_interrupt = pytest.mark.parametrize(
    "end", [pytest.param(CRASHED, id="crash"), pytest.param(INTERRUPTED, id="interrupt")]
)


@crash_or_interrupt
@pytest.mark.parametrize("step", EVERY_LINE_OR_SOME)
def test_a_save_over_an_index_cut_short_at_any_line(
    tmp_path: Path, cut_short: SaveCutter, end: int, step: int
) -> None:
    seen = set()
    for n in itertools.count(1, step):
        writer.write(tmp_path, OLD)
        assert names_of(tmp_path) == named_by_manifest(tmp_path)  # the last leftovers are gone
        status = cut_short(n, tmp_path, "new", status=end)
        found = reader.read(tmp_path)
        if status == COMPLETED:
            assert_same(found, NEW)
            break
        assert status == end
        is_old = is_same(found, OLD)
        if not is_old:
            assert_same(found, NEW)
        seen.add(is_old)
        assert is_same(reader.read(tmp_path, mmap=True), OLD if is_old else NEW)
    assert seen == {True, False}
    assert n > 200


@crash_or_interrupt
@pytest.mark.parametrize("step", EVERY_LINE_OR_SOME)
def test_a_first_save_cut_short_at_any_line(
    tmp_path: Path, cut_short: SaveCutter, end: int, step: int
) -> None:
    seen = set()
    for n in itertools.count(1, step):
        path = tmp_path / str(n) / "index"
        status = cut_short(n, path, "small", status=end)
        assert status in (end, COMPLETED)
        try:
            found = reader.read(path)
        except (IndexNotFoundError, NotAnIndexError) as error:
            assert status != COMPLETED
            seen.add(type(error))
        else:
            assert_same(found, SMALL)
            seen.add(Contents)
        writer.write(path, OLD)  # leftovers do not stand in its way
        assert names_of(path) == named_by_manifest(path)
        assert_same(reader.read(path), OLD)
        if status == COMPLETED:
            break
    assert Contents in seen
    assert IndexNotFoundError in seen


@crash_or_interrupt
@pytest.mark.parametrize("step", FEWER_LINES)
@pytest.mark.parametrize("what", ["commit", "compact"])
def test_a_commit_cut_short_at_any_line(
    tmp_path: Path, cut_short: SaveCutter, end: int, step: int, what: str
) -> None:
    made = tmp_path / "made"
    with bitsift.Index.open(made, "a", dim=8, keep_generations=2, scoring="hamming") as index:
        for first in (0, 10, 20):
            index.add(VECTORS[first : first + 10])
            index.remove(first + 7)
            index.commit()
        before = state_of(index)
        after = before
        if what == "commit":
            change(index)
            after = state_of(index)
            index.rollback()
    seen = set()
    for n in itertools.count(1, step):
        path = tmp_path / str(n)
        shutil.copytree(made, path)
        status = cut_short(n, path, what, status=end)
        assert status in (end, COMPLETED)
        reader = bitsift.Index.open(path)
        assert reader.generation in (3, 4)
        assert state_of(reader) == (after if reader.generation == 4 else before)
        seen.add(reader.generation)
        bitsift.verify(path)
        with bitsift.Index.open(path, "a", keep_generations=2) as again:  # the lock is free
            again.remove(0)
            again.commit()
            kept = {"manifest.json", f"manifest-{reader.generation}.json"}
            now, then = (
                reader_of.manifest.names
                for reader_of in (
                    bitsift.storage.read_stored(path),
                    bitsift.storage.read_stored(path, generation=reader.generation),
                )
            )
            note = f"manifest-{'0' * 32}.tmp"
            assert names_of(path) - {note} == kept | now | then  # leftovers are gone
        shutil.rmtree(path)
        if status == COMPLETED:
            assert reader.generation == 4
            break
    assert seen == {3, 4}


def state_of(index: bitsift.Index) -> tuple[list[int], bytes, bytes]:
    return index.ids.tolist(), index.codes.tobytes(), index.get(index.ids).tobytes()
