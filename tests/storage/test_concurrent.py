# SPDX-License-Identifier: Apache-2.0
"""Readers and writers of one folder at the same time; bounded by counts, not by clocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitsift.core.errors import CorruptIndexError, IndexFileError, NotAnIndexError
from bitsift.storage import npy_file, opened_files, reader, writer
from helpers.processes import finish, start
from helpers.storage_samples import (
    assert_same,
    file_of,
    is_same,
    named_by_manifest,
    names_of,
    sample,
)

WRITER = """
import sys
import numpy as np
from bitsift.storage import writer
from bitsift.storage.contents import Contents

path, first, n_saves = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for number in range(first, first + n_saves):
    n = number % 17
    writer.write(path, Contents(
        dim=32, metric="dot",
        threshold=np.full(32, number, np.float32),
        codes=np.full((n, 4), number % 256, np.uint8),
        ids=np.arange(number, number + n),
        originals={"float32": np.full((n, 32), number, np.float32)},
    ))
"""

READER = """
import sys
import numpy as np
from bitsift.storage import reader

path, n_reads = sys.argv[1], int(sys.argv[2])
seen = set()
for turn in range(n_reads):
    contents = reader.read(path, mmap=turn % 2 == 1)
    number = int(contents.threshold[0])
    n = number % 17
    assert (contents.threshold == number).all()
    assert contents.codes.shape == (n, 4) and (contents.codes == number % 256).all()
    assert np.array_equal(contents.ids, np.arange(number, number + n))
    originals = contents.originals["float32"]
    assert originals.shape == (n, 32) and (originals == number).all()
    if turn % 7 == 0:
        reader.verify(path)
    seen.add(number)
print(len(seen))
"""


@pytest.mark.parametrize(
    ("n_reads", "n_saves"), [(25, 8), pytest.param(400, 150, marks=pytest.mark.slow)]
)
def test_readers_see_one_state_while_writers_replace_it(
    tmp_path: Path, n_reads: int, n_saves: int
) -> None:
    finish(start(WRITER, tmp_path, 0, 1))
    readers = [start(READER, tmp_path, n_reads) for _ in range(2)]
    writers = [start(WRITER, tmp_path, first, n_saves) for first in (1000, 2000)]
    for process in writers:
        finish(process)
    for process in readers:
        assert int(finish(process)) >= 1
    assert names_of(tmp_path) == named_by_manifest(tmp_path)
    reader.verify(tmp_path)


@pytest.mark.parametrize("n_times", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_first_saves_at_once(tmp_path: Path, n_times: int) -> None:
    for number in range(n_times):
        path = tmp_path / str(number) / "index"
        writers = [start(WRITER, path, first, 3) for first in (0, 10)]
        for process in writers:
            finish(process)
        assert names_of(path) == named_by_manifest(path)
        reader.verify(path)


class SaveBetween:
    """Lets a save happen each time that a reader opens codes, for a number of times."""

    def __init__(self, patch: pytest.MonkeyPatch, path: Path, n_times: int) -> None:
        self.left = n_times
        self.last = reader.read(path)
        real = npy_file.ArrayFile.__init__

        def init(file: Any, folder: Any, entry: Any) -> None:
            if self.left and entry.name.startswith("codes-"):
                self.left -= 1
                self.last = replace(self.last, codes=np.bitwise_xor(self.last.codes, 0x80))
                writer.write(path, self.last)
            real(file, folder, entry)

        patch.setattr(npy_file.ArrayFile, "__init__", init)


@pytest.mark.parametrize("mmap", [False, True])
def test_reader_follows_a_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mmap: bool) -> None:
    writer.write(tmp_path, sample())
    saves = SaveBetween(monkeypatch, tmp_path, 5)
    assert_same(reader.read(tmp_path, mmap=mmap), saves.last)
    assert saves.left == 0
    assert not is_same(saves.last, sample())


def test_reader_gives_up_after_many_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.write(tmp_path, sample())
    monkeypatch.setattr(opened_files, "_READ_TRIES", 3)
    SaveBetween(monkeypatch, tmp_path, 3)
    with pytest.raises(IndexFileError, match="replaced 3 times while it was read") as caught:
        reader.read(tmp_path)
    assert caught.value.path == str(tmp_path)


def test_opened_index_outlives_its_files(tmp_path: Path) -> None:
    contents = sample()
    writer.write(tmp_path, contents)
    mapped = reader.read(tmp_path, mmap=True)
    writer.write(tmp_path, sample(0))
    assert_same(mapped, contents)


def test_folder_that_vanishes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(tmp_path, sample())
    real = npy_file.ArrayFile.__init__

    def init(file: Any, folder: Any, entry: Any) -> None:
        for path in tmp_path.iterdir():
            path.unlink()
        real(file, folder, entry)

    monkeypatch.setattr(npy_file.ArrayFile, "__init__", init)
    with pytest.raises(NotAnIndexError):
        reader.read(tmp_path)


def test_missing_file_is_no_race(tmp_path: Path) -> None:
    writer.write(tmp_path, sample())
    path = file_of(tmp_path, "codes")
    path.unlink()
    with pytest.raises(CorruptIndexError, match="missing") as caught:
        reader.read(tmp_path)
    assert caught.value.path == str(path)
