# SPDX-License-Identifier: Apache-2.0
"""An opened index: modes, commits, what readers see, what is refused, and how it ends."""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift
from bitsift.index import growable
from helpers.same_results import check_same

pytestmark = pytest.mark.usefixtures("fits_or_waits")

DIM = 24
KINDS: dict[str, dict[str, Any]] = {
    "default": {},
    "bits": {"store": None, "scoring": "hamming"},
    "ladder": {"store": ("int8", "float16"), "metric": "l2", "correction": True},
    "packed": {"store": "int4", "metric": "dot", "rotate": True, "threshold": "median"},
}


def some_vectors(n: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)


def assert_equal(one: bitsift.Index, other: bitsift.Index) -> None:
    """Both hold the same vectors, and answer alike."""
    np.testing.assert_array_equal(one.ids, other.ids, strict=True)
    np.testing.assert_array_equal(one.codes, other.codes, strict=True)
    np.testing.assert_array_equal(one.get(one.ids), other.get(other.ids), strict=True)
    for queries in (some_vectors(3, 99), some_vectors(1, 98)[0]):
        check_same(one.search(queries, 7), other.search(queries, 7))
    some = one.ids[::3]
    check_same(
        one.search(some_vectors(2, 97), 5, filter=some),
        other.search(some_vectors(2, 97), 5, filter=some),
    )


def changed(index: bitsift.Index, seed: int) -> None:
    """Add, replace and remove vectors."""
    index.add(some_vectors(40, seed))
    index.upsert(some_vectors(5, seed + 1), ids=[3, 7, 5_000 - seed, 0, 11])
    index.remove(index.ids[5:60:7])


@pytest.mark.parametrize("kind", KINDS)
def test_commits_are_what_an_index_in_memory_is(tmp_path: Path, kind: str) -> None:
    alone = bitsift.Index(DIM, **KINDS[kind]).fit(some_vectors(200, 1))
    with bitsift.Index.open(tmp_path / "index", "a", dim=DIM, **KINDS[kind]) as index:
        index.fit(some_vectors(200, 1))
        reader = None
        for turn in range(12):
            for one in (alone, index):
                one.add(some_vectors(70, turn))
                changed(one, 100 + turn)
            assert index.commit() == index.generation == turn + 1
            assert_equal(index, alone)
            reader = reader or bitsift.Index.open(tmp_path / "index")
            assert reader.refresh() == (turn > 0)
            assert not reader.refresh()
            assert_equal(reader, alone)
            assert reader.generation == turn + 1
        index.compact()
        assert_equal(index, alone)
    for mmap in (False, True):
        assert_equal(bitsift.Index.load(tmp_path / "index", mmap=mmap), alone)
    bitsift.verify(tmp_path / "index")
    assert alone.add(some_vectors(1)) == bitsift.Index.load(tmp_path / "index").add(some_vectors(1))


def test_a_reader_stays_what_it_is(tmp_path: Path) -> None:
    with bitsift.Index.open(tmp_path, "a", dim=DIM) as index:
        index.add(some_vectors(100))
        index.commit()
        reader = bitsift.Index.open(tmp_path)
        before = copy.deepcopy(reader)
        for turn in range(20):  # until files were merged and removed
            changed(index, turn)
            assert_equal(reader, before)
            index.commit()
        index.compact()
        assert_equal(reader, before)
        assert reader.refresh()
        assert_equal(reader, index)


def test_nothing_uncommitted_is_seen(tmp_path: Path) -> None:
    with bitsift.Index.open(tmp_path / "new", "w-", dim=DIM) as index:
        index.add(some_vectors(10))
        with pytest.raises(bitsift.NotAnIndexError):
            bitsift.Index.open(tmp_path / "new")
        index.commit()
        index.add(some_vectors(10))
        index.remove(0)
        assert bitsift.Index.open(tmp_path / "new").ids.tolist() == list(range(10))
        index.rollback()
        assert index.ids.tolist() == list(range(10))
        assert index.commit() == 1  # there is nothing to commit


def test_rollback_goes_back_to_the_last_commit(tmp_path: Path) -> None:
    with bitsift.Index.open(tmp_path, "a", dim=DIM) as index:
        index.add(some_vectors(100), ids=range(100, 0, -1))
        index.rollback()
        assert len(index) == 0
        for turn in range(4):
            index.upsert(some_vectors(100, turn), ids=range(100, 0, -1))
            index.commit()
            then = copy.deepcopy(index)
            changed(index, turn)
            index.rollback()
            assert_equal(index, then)
            assert index.upsert(some_vectors(1), ids=[100]) == 100
            index.rollback()
        index.remove(1)
        with pytest.raises(ValueError, match="compact works on what is committed"):
            index.compact()
        index.rollback()


def test_a_prepared_filter_outlives_commits(tmp_path: Path) -> None:
    with bitsift.Index.open(tmp_path, "a", dim=DIM) as index:
        index.add(some_vectors(100), ids=range(100, 0, -1))
        allowed = index.filter([3, 50, 70, 71])
        for turn in range(3):
            index.upsert(some_vectors(30, turn), ids=range(40, 70))
            index.remove([7, 70] if turn == 0 else [])
            index.commit()
            found = index.search(some_vectors(1)[0], 10, filter=allowed).ids
            assert sorted(found.tolist()) == [3, 50, 71]
        index.compact()
        found = index.search(some_vectors(1)[0], 10, filter=allowed).ids
        assert sorted(found.tolist()) == [3, 50, 71]


def test_what_was_committed_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growable, "_MOST_BYTES_COPIED", 0)
    with bitsift.Index.open(tmp_path, "a", dim=DIM, scoring="hamming") as index:
        for turn in range(3):
            index.add(some_vectors(100, turn))
            index.commit()
            memory = index._table.snapshot.memory
            assert memory.are_mapped
            assert memory.codes.capacity == len(index)


def test_generations_are_kept(tmp_path: Path) -> None:
    states: dict[int, bitsift.Index] = {}
    with bitsift.Index.open(tmp_path, "a", dim=DIM, keep_generations=3) as index:
        for turn in range(6):
            index.upsert(some_vectors(80, turn), range(80))
            changed(index, turn)
            states[index.commit()] = copy.deepcopy(index)
    for generation in (4, 5, 6):
        assert_equal(bitsift.Index.open(tmp_path, generation=generation), states[generation])
    with pytest.raises(bitsift.IndexStaleError, match="there are: 4, 5, 6"):
        bitsift.Index.open(tmp_path, generation=3)
    # A store beside the index knows of generation 5 alone.
    with bitsift.Index.open(tmp_path, "a", generation=5, keep_generations=2) as index:
        assert_equal(index, states[5])
        assert index.generation == 5
        index.add(some_vectors(1))
        assert index.commit() == 7
        states[7] = copy.deepcopy(index)
    assert_equal(bitsift.Index.open(tmp_path), states[7])
    assert_equal(bitsift.Index.open(tmp_path, generation=6), states[6])
    with pytest.raises(bitsift.IndexStaleError):
        bitsift.Index.open(tmp_path, generation=5)
    with bitsift.Index.open(tmp_path, "a", generation=6) as index:
        assert index.commit() == 8  # to go back is a change
    assert_equal(bitsift.Index.open(tmp_path), states[6])
    assert len([*tmp_path.glob("manifest*")]) == 1


def test_a_save_over_generations_goes_on_counting(tmp_path: Path) -> None:
    with bitsift.Index.open(tmp_path, "a", dim=DIM, scoring="hamming", store=None) as index:
        index.add(some_vectors(80))
        index.commit()
    reader = bitsift.Index.open(tmp_path)
    index = bitsift.Index(DIM, store="float32", scoring="hamming")
    index.add(some_vectors(90))
    index.save(tmp_path)
    assert reader.refresh()
    assert (reader.generation, reader.store) == (2, "float32")
    with bitsift.Index.open(tmp_path, "a") as writer:
        writer.add(some_vectors(1))
        assert writer.commit() == 3


def test_modes(tmp_path: Path) -> None:
    path = tmp_path / "a" / "index"
    for mode in ("r", "a"):
        with pytest.raises(bitsift.IndexNotFoundError):
            bitsift.Index.open(path, mode)
    with bitsift.Index.open(path, "a", dim=DIM):
        assert path.exists()
    assert not path.parent.exists()  # nothing was committed
    with bitsift.Index.open(path, "w-", dim=DIM, metric="dot") as index:
        assert index.commit() == 1
    with pytest.raises(bitsift.IndexExistsError, match='mode="a" opens it'):
        bitsift.Index.open(path, "w-", dim=DIM)
    with pytest.raises(TypeError, match="needs dim"):
        bitsift.Index.open(path, "w-")
    with pytest.raises(TypeError, match="dim is for a new index"):
        bitsift.Index.open(path, dim=DIM)
    with pytest.raises(ValueError, match="mode must be"):
        bitsift.Index.open(path, "w")
    (tmp_path / "file").write_text("")
    for mode in ("r", "a"):
        with pytest.raises(bitsift.IndexFileError, match="it is a file"):
            bitsift.Index.open(tmp_path / "file", mode, **({} if mode == "r" else {"dim": 3}))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "text").write_text("")
    with pytest.raises(bitsift.IndexWriteError, match="no bitsift index"):
        bitsift.Index.open(tmp_path / "other", "a", dim=DIM)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": DIM + 1}, "dim must be 24"),
        ({"dim": DIM, "metric": "dot"}, "metric must be 'l2'"),
        ({"dim": DIM, "store": None}, "store must be 'int8'"),
        ({"dim": DIM, "threshold": 0.5}, "threshold must be"),
        ({"dim": DIM, "threshold": "median"}, "threshold must be 'mean'"),
        ({"dim": DIM, "rotate": False}, "rotate must be True"),
        ({"dim": DIM, "correction": True}, "correction must be False"),
        ({"dim": DIM, "scoring": "asymmetric"}, "scoring must be 'hamming'"),
    ],
)
def test_options_that_contradict_the_index(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    made = {"metric": "l2", "store": "int8", "threshold": "mean", "rotate": True}
    with bitsift.Index.open(tmp_path, "a", dim=DIM, scoring="hamming", **made) as index:
        index.fit(some_vectors(200))
        index.commit()
    with pytest.raises(ValueError, match=message):
        bitsift.Index.open(tmp_path, "a", **options)
    with bitsift.Index.open(tmp_path, "a", dim=DIM, **made):
        pass


def lose_by_an_error(path: Path) -> None:
    with bitsift.Index.open(path, "a", dim=DIM) as index:
        index.add(some_vectors(3))
        raise KeyError


def test_leaving_without_a_commit_warns(tmp_path: Path) -> None:
    with (
        pytest.warns(bitsift.BitsiftWarning, match="closed without commit") as caught,
        bitsift.Index.open(tmp_path, "a", dim=DIM) as index,
    ):
        index.add(some_vectors(3))
    assert caught[0].filename == __file__
    with pytest.raises(KeyError):  # and no warning
        lose_by_an_error(tmp_path)
    with bitsift.Index.open(tmp_path, "a", dim=DIM) as index:  # nor is there one without changes
        index.add(some_vectors(3))
        index.commit()
        index.remove([])
        index.reserve(100)


def test_after_close_every_call_raises(tmp_path: Path) -> None:
    with bitsift.Index.open(tmp_path, "a", dim=DIM) as index:
        index.add(some_vectors(3))
        index.commit()
    reader = bitsift.Index.open(tmp_path)
    reader.close()
    vectors = some_vectors(2)
    for one in (index, reader):
        calls: list[Any] = [
            lambda one=one: one.search(vectors),
            lambda one=one: one.range_search(vectors, 3),
            lambda one=one: one.add(vectors),
            lambda one=one: one.remove(0),
            lambda one=one: one.get(0),
            lambda one=one: 0 in one,
            one.commit, one.rollback, one.refresh, one.compact, one.__len__,
            lambda one=one: one.ids,
            lambda one=one: one.save(tmp_path / "x"),
            lambda one=one: pickle.dumps(one),
            lambda one=one: copy.copy(one),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(bitsift.IndexClosedError, match="has been closed"):
                call()
        one.close()
        assert repr(one).startswith("<closed Index of ")


def test_readers_do_not_write_and_memory_has_no_folder(tmp_path: Path) -> None:
    with bitsift.Index.open(tmp_path, "a", dim=DIM) as index:
        index.add(some_vectors(3))
        index.commit()
        assert not index.refresh()
    reader = bitsift.Index.open(tmp_path)
    for call in (
        reader.commit, reader.rollback, reader.compact,
        lambda: reader.add(some_vectors(1)),
        lambda: reader.upsert(some_vectors(1), [0]),
        lambda: reader.remove(0),
        lambda: reader.extend(reader),
        lambda: reader.reserve(10),
    ):  # fmt: skip
        with pytest.raises(bitsift.IndexReadOnlyError, match='mode="a" writes'):
            call()
    assert len(reader) == 3
    memory = bitsift.Index(DIM)
    assert memory.generation is None
    for name in ("commit", "rollback", "refresh"):
        with pytest.raises(ValueError, match=f"{name} needs an index that Index.open has opened"):
            getattr(memory, name)()
    memory.close()
    assert len(memory) == 0


def test_a_folder_that_is_removed_under_an_index(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index = bitsift.Index.open(path, "a", dim=DIM)
    index.add(some_vectors(30))
    index.commit()
    reader = bitsift.Index.open(path)
    shutil.rmtree(path)
    assert_equal(index, reader)
    with pytest.raises(bitsift.IndexNotFoundError, match="there is nothing here"):
        reader.refresh()
    index.remove(3)
    with pytest.raises(
        bitsift.IndexStaleError, match=r"is gone.* save the index to another folder"
    ):
        index.commit()
    index.save(tmp_path / "other")
    assert_equal(index, bitsift.Index.load(tmp_path / "other"))
    index.rollback()
    index.close()


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with bitsift.Index.open(tmp_path, "a", dim=DIM) as index:
        index.commit()
        for call in (
            lambda: bitsift.Index.open(tmp_path, "a", timeout=0),
            lambda: bitsift.Index(DIM).save(tmp_path),
        ):
            with pytest.raises(bitsift.IndexLockedError, match="has it open for writing"):
                call()
        script = f"import bitsift; bitsift.Index.open({str(tmp_path)!r}, 'a', timeout=0.01)"
        other = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
        assert f"process {os.getpid()} on " in other.stderr.decode()
    with bitsift.Index.open(tmp_path, "a", timeout=0):
        pass


def test_a_thread_waits_for_one_that_had_its_number(tmp_path: Path) -> None:
    writers: list[bitsift.Index] = []
    errors: list[bitsift.IndexLockedError] = []

    def write() -> None:
        try:
            writers.append(bitsift.Index.open(tmp_path, "a", dim=DIM, timeout=0))
        except bitsift.IndexLockedError as error:
            errors.append(error)

    for _ in range(2):
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    writers[0].close()
    assert len(writers) == len(errors) == 1
    assert "did not end within 0 seconds" in errors[0].reason


def test_a_copy_of_an_opened_index_is_in_memory(tmp_path: Path) -> None:
    with bitsift.Index.open(tmp_path, "a", dim=DIM) as index:
        index.add(some_vectors(30))
        index.commit()
        for way in (copy.copy, copy.deepcopy):
            other = way(index)
            assert other.generation is None
            other.add(some_vectors(1))
            assert (len(index), len(other)) == (30, 31)
        with pytest.raises(TypeError, match="open for writing"):
            pickle.dumps(index)


class Own(bitsift.Index):
    """A subclass with an attribute."""

    note = "none"


def test_a_reader_pickles_as_its_path_and_generation(tmp_path: Path) -> None:
    with Own.open(tmp_path, "a", dim=DIM, keep_generations=2) as index:
        assert type(index) is Own
        index.add(some_vectors(3000))
        index.commit()
        reader = Own.open(tmp_path)
        reader.note = "mine"
        data = pickle.dumps(reader)
        assert len(data) < 10_000
        index.add(some_vectors(1))
        index.commit()
        again = pickle.loads(data)
        assert (type(again), again.note, again.generation) == (Own, "mine", 1)
        assert_equal(again, reader)
        assert again.refresh()
        assert_equal(again, index)
        index.add(some_vectors(1))
        index.commit()
        with pytest.raises(bitsift.IndexStaleError):
            pickle.loads(data)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork is needed")
def test_a_forked_child_of_a_writer_may_only_search(tmp_path: Path) -> None:
    with bitsift.Index.open(tmp_path, "a", dim=DIM) as index:
        index.add(some_vectors(100))
        index.commit()
        index.add(some_vectors(1))
        expected = index.search(some_vectors(2), 3)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                check_same(index.search(some_vectors(2), 3), expected)
                for call in (index.commit, index.rollback, lambda: index.remove(3)):
                    with pytest.raises(bitsift.IndexReadOnlyError, match="forked"):
                        call()
                index.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        with pytest.raises(bitsift.IndexLockedError):
            bitsift.Index(DIM).save(tmp_path)
        assert index.commit() == 2


def test_verify_looks_at_the_generation_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with bitsift.Index.open(path, "a", dim=8, store=None, keep_generations=2) as index:
        index.add(np.eye(8, dtype=np.float32))
        index.commit()
        index.remove([1, 2, 3, 4, 5])
        index.commit()  # writes the rows anew, and keeps the files of the generation before it
    newest = index_files(path)
    for generation in range(4):
        if generation in (1, 2):
            bitsift.verify(path, generation=generation)
        else:
            with pytest.raises(bitsift.IndexStaleError, match=f"generation {generation} is not"):
                bitsift.verify(path, generation=generation)
    damaged = next(file for file in path.glob("*.npy") if file.name not in newest)
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    bitsift.verify(path)
    with pytest.raises(bitsift.CorruptIndexError, match=re.escape(str(damaged))):
        bitsift.verify(path, generation=1)
    for wrong in (-1, 2**63, 1.5, "2"):
        with pytest.raises((TypeError, ValueError), match="generation must be"):
            bitsift.verify(path, generation=wrong)


def index_files(path: Path) -> set[str]:
    """Name the files of the newest generation."""
    manifest = json.loads((path / "manifest.json").read_text())
    groups = [manifest["files"], *(segment["files"] for segment in manifest.get("segments", []))]
    return {entry["name"] for files in groups for entry in files.values()}
