# SPDX-License-Identifier: Apache-2.0
"""What follows a commit that was interrupted at its end, or while which the index was closed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift
from bitsift.index import opened, opened_tables
from bitsift.storage import folder_writer, npy_file
from helpers.same_results import check_same

DIM = 32
VECTORS: NDArray[np.float32] = (
    np.random.default_rng(0).standard_normal((1_500, DIM)).astype(np.float32)
)
FOLLOWING: dict[str, Any] = {
    "commit": lambda index: index.commit(),
    "remove": lambda index: index.remove([500]),
    "add": lambda index: index.add(VECTORS[1_300:], ids=np.arange(2_100, 2_300)),
    "upsert": lambda index: index.upsert(VECTORS[:3], ids=[700, 3, 1_200]),
    "compact": lambda index: index.compact(),
}


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("following", [*FOLLOWING, "rollback", "close"])
@pytest.mark.parametrize("place", ["columns_of", "live_rows_of", "_unchanging"])
def test_an_interrupt_once_a_commit_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, following: str
) -> None:
    """The commit drops rows, so that others have new numbers, which the table does not know yet."""
    path = tmp_path / "index"
    options: dict[str, Any] = {"store": "float32", "scoring": "hamming"}
    alone = bitsift.Index(DIM, **options)
    alone.add(VECTORS[:1_300])
    alone.remove(range(300))
    index = bitsift.Index.open(path, "a", dim=DIM, **options)
    for part in (VECTORS[:1_000], VECTORS[1_000:1_300]):
        index.add(part)
        index.commit()
    index.remove(range(300))
    with monkeypatch.context() as patch:
        patch.setattr(opened_tables, place, interrupt)
        with pytest.raises(KeyboardInterrupt):
            index.commit()
    assert index.generation == 3
    if following == "rollback":
        index.rollback()
        assert len(index) == 1_000
    elif following != "close":
        FOLLOWING[following](index)
        if following not in ("commit", "compact"):
            FOLLOWING[following](alone)
        index.commit()
        check_same(index.search(VECTORS[:20], 10), alone.search(VECTORS[:20], 10))
    index.close()
    bitsift.verify(path)
    reader = bitsift.Index.open(path)
    np.testing.assert_array_equal(reader.ids, alone.ids)
    np.testing.assert_array_equal(reader.codes, alone.codes)
    check_same(reader.search(VECTORS[:20], 10), alone.search(VECTORS[:20], 10))


def test_close_waits_for_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = bitsift.Index.open(tmp_path / "index", "a", dim=DIM, scoring="hamming")
    index.add(VECTORS[:10])
    closer = threading.Thread(target=index.close)
    write_array = npy_file.write_array

    def write_while_closing(*args: Any) -> Any:
        if not closer.ident:
            closer.start()
            closer.join(0.05)
        assert closer.is_alive()
        with pytest.raises(bitsift.IndexLockedError):
            bitsift.Index.open(tmp_path / "index", "a", timeout=0)
        return write_array(*args)

    monkeypatch.setattr(folder_writer, "write_array", write_while_closing)
    assert index.commit() == 1
    closer.join()
    with pytest.raises(bitsift.IndexClosedError):
        index.add(VECTORS[:1])
    assert len(bitsift.Index.open(tmp_path / "index")) == 10


def test_a_call_that_waited_for_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = bitsift.Index.open(tmp_path / "index", "a", dim=DIM, scoring="hamming")
    errors: list[BaseException] = []

    def add() -> None:
        try:
            index.add(VECTORS[:1])
        except bitsift.IndexClosedError as error:
            errors.append(error)

    other = threading.Thread(target=add)
    close = folder_writer.FolderWriter.close

    def close_while_adding(folder: folder_writer.FolderWriter) -> None:
        other.start()
        other.join(0.05)
        close(folder)

    monkeypatch.setattr(folder_writer.FolderWriter, "close", close_while_adding)
    index.close()
    other.join()
    assert len(errors) == 1


def test_close_within_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a signal handler: it is refused, and the index stays open."""
    index = bitsift.Index.open(tmp_path / "index", "a", dim=DIM, scoring="hamming")
    index.add(VECTORS[:10])
    write_array = npy_file.write_array

    def write_and_close(*args: Any) -> Any:
        with pytest.raises(RuntimeError, match="close must be called while no other call"):
            index.close()
        return write_array(*args)

    with monkeypatch.context() as patch:
        patch.setattr(folder_writer, "write_array", write_and_close)
        assert index.commit() == 1
    index.add(VECTORS[10:20])
    assert index.commit() == 2
    index.close()


def test_close_after_one_that_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "index"
    index = bitsift.Index.open(path, "a", dim=DIM, scoring="hamming")
    index.commit()
    with monkeypatch.context() as patch:
        patch.setattr(folder_writer.FolderWriter, "close", interrupt)
        # In the handler of the first one, too, so that the index does not know that it is closed.
        patch.setattr(opened, "ClosedTable", interrupt)
        with pytest.raises(KeyboardInterrupt):
            index.close()
    with pytest.raises(bitsift.IndexLockedError):
        bitsift.Index.open(path, "a", timeout=0)
    with pytest.raises(bitsift.IndexClosedError):
        index.add(VECTORS[:1])
    index.close()
    index.close()
    bitsift.Index.open(path, "a", timeout=0).close()
