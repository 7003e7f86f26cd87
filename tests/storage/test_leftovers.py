# SPDX-License-Identifier: Apache-2.0
"""Files of killed saves: the next save removes them before it needs their space."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bitsift.core.errors import IndexWriteError
from bitsift.storage import reader, writer
from helpers.cut_short import NEW, OLD
from helpers.storage_samples import (
    assert_same,
    change_manifest,
    named_by_manifest,
    names_of,
    sample,
)

# Saves, and is killed before the n-th call of a function of storage.
KILLED = """
import os, signal, sys
from bitsift.storage import folder, manifest_file, npy_file, writer
from helpers.cut_short import NEW

owner, name = {"array": (writer, "write_array"), "manifest": (writer, "write_manifest"),
               "sync": (folder.Folder, "sync"), "replace": (folder.Folder, "replace"),
               "remove": (folder.Folder, "remove"), "chunk": (npy_file, "write_all")}[sys.argv[2]]
left, real = int(sys.argv[3]), getattr(owner, name)

def kill(*arguments):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)

setattr(owner, name, kill)
writer.write(sys.argv[1], NEW)
"""
STAGES = [
    *(("array", n) for n in (1, 2, 4)),
    *(("chunk", n) for n in (1, 2, 5)),
    ("manifest", 1), ("sync", 1), ("replace", 1), ("sync", 2), ("remove", 2),
]  # fmt: skip
QUICK_STAGES = [("sync", 2)]
DIGITS = "0123456789abcdef" * 2


def killed_save(path: Path, stage: str, n: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), stage, str(n)],
        cwd=Path(__file__).parents[1],
        check=False,
    )
    assert ended.returncode == -9


def n_bytes(path: Path) -> int:
    return sum(entry.stat().st_size for entry in path.iterdir())


@pytest.mark.parametrize(
    "stage",
    [
        stage if stage in QUICK_STAGES else pytest.param(stage, marks=pytest.mark.slow)
        for stage in STAGES
    ],
    ids=str,
)
def test_killed_saves_do_not_add_up(tmp_path: Path, stage: tuple[str, int]) -> None:
    writer.write(tmp_path, OLD)
    sizes = []
    for _ in range(3):
        killed_save(tmp_path, *stage)
        sizes.append(n_bytes(tmp_path))
    # After the replacement, the old index is the new one, of another size, from then on.
    assert sizes[2] == sizes[1]
    writer.write(tmp_path, NEW)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


def test_killed_first_saves_do_not_add_up(tmp_path: Path) -> None:
    sizes = []
    for _ in range(3):
        killed_save(tmp_path, "manifest", 1)
        sizes.append(n_bytes(tmp_path))
    assert sizes[0] == sizes[1] == sizes[2]
    writer.write(tmp_path, NEW)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


class SmallDisk:
    """Refuses to write once the files of a folder take more than so many bytes."""

    def __init__(self, patch: pytest.MonkeyPatch, path: Path, most: int) -> None:
        real = os.write

        def write(fd: int, data: Any) -> int:
            if n_bytes(path) + len(data) > most:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(fd, data)

        patch.setattr(os, "write", write)


def test_a_disk_full_of_leftovers_takes_a_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk has room for the old index and the new one, and for nothing else."""
    writer.write(tmp_path, OLD)
    writer.write(tmp_path / "new", NEW)
    room = n_bytes(tmp_path / "new") + 200  # and for the note
    for path in (tmp_path / "new").iterdir():
        path.unlink()
    (tmp_path / "new").rmdir()
    room += n_bytes(tmp_path)
    (tmp_path / f"codes-{DIGITS}.npy").write_bytes(bytes(room))
    SmallDisk(monkeypatch, tmp_path, room)
    writer.write(tmp_path, NEW)
    assert_same(reader.read(tmp_path), NEW)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or sys.platform != "linux",
    reason="mounts a small file system",
)
def test_a_file_system_that_is_full(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("may not mount")
    try:
        index = sample(500, 64, seed=1)  # 136 kB: one fits, two do not
        small = sample(50, 64, seed=2)
        writer.write(tmp_path / "index", small)
        killed_save(tmp_path / "index", "manifest", 1)
        (tmp_path / "index" / f"codes-{DIGITS}.npy").write_bytes(bytes(130_000))
        writer.write(tmp_path / "index", index)
        assert_same(reader.read(tmp_path / "index"), index)
        with pytest.raises(IndexWriteError, match="No space left on device"):
            writer.write(tmp_path / "index", index)
        assert_same(reader.read(tmp_path / "index"), index)
        assert names_of(tmp_path / "index") == named_by_manifest(tmp_path / "index")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_failed_save_has_removed_leftovers_and_nothing_else(tmp_path: Path) -> None:
    writer.write(tmp_path, OLD)
    before = names_of(tmp_path)
    (tmp_path / f"codes-{DIGITS}.npy").write_bytes(b"")
    (tmp_path / "mine.txt").write_text("")
    wrong = sample(3)
    wrong.codes[1] = 255
    with pytest.raises(ValueError, match="pad bits"):
        writer.write(tmp_path, wrong)
    assert names_of(tmp_path) == before | {"mine.txt"}
    assert_same(reader.read(tmp_path), OLD)


def test_files_of_a_damaged_index_stay_until_another_one_is_in_place(tmp_path: Path) -> None:
    """Its manifest does not say which they are, and they may be all that is left of it."""
    writer.write(tmp_path, OLD)
    before = names_of(tmp_path)
    change_manifest(tmp_path, lambda fields: fields.update(dim=0))
    wrong = sample(3)
    wrong.codes[1] = 255
    with pytest.raises(ValueError, match="pad bits"):
        writer.write(tmp_path, wrong)
    assert names_of(tmp_path) == before
    writer.write(tmp_path, NEW)
    assert names_of(tmp_path) == named_by_manifest(tmp_path)


def test_without_a_lock_leftovers_may_belong_to_a_writer_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(tmp_path, OLD)
    left = tmp_path / f"codes-{DIGITS}.npy"
    left.write_bytes(b"")
    real = writer.write_manifest
    seen = []

    def look(*arguments: Any) -> None:
        seen.append(left.exists())
        real(*arguments)

    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(writer, "write_manifest", look)
    monkeypatch.setattr("bitsift.storage.lock.fcntl.flock", flock)
    writer.write(tmp_path, NEW)
    assert seen == [True]


def test_files_that_another_machine_removes_are_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locks do not reach other machines on some network file systems."""
    writer.write(tmp_path, OLD)
    before = names_of(tmp_path)
    real = writer.write_manifest

    def remove(*arguments: Any) -> None:
        real(*arguments)
        next(path for path in tmp_path.glob("ids-*") if path.name not in before).unlink()

    monkeypatch.setattr(writer, "write_manifest", remove)
    with pytest.raises(IndexWriteError, match="another writer, which the lock does not reach"):
        writer.write(tmp_path, NEW)
    assert names_of(tmp_path) == before
    assert_same(reader.read(tmp_path), OLD)
