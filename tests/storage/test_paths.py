# SPDX-License-Identifier: Apache-2.0
"""Paths of index folders: new, through links, to something else, and refused by the system."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from bitsift.core.errors import (
    BitsiftWarning,
    IndexFileError,
    IndexNotFoundError,
    IndexWriteError,
    NotAnIndexError,
)
from bitsift.storage import reader, writer
from bitsift.storage.folder import _HAS_DIR_FD, Folder
from helpers.cut_short import NEW, OLD
from helpers.storage_samples import (
    assert_same,
    file_of,
    names_of,
    sample,
)


def test_missing_parents_are_created(tmp_path: Path) -> None:
    contents = sample()
    writer.write(tmp_path / "a" / "b" / "index", contents)
    assert_same(reader.read(tmp_path / "a" / "b" / "index"), contents)


def test_symlinked_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    contents = sample()
    writer.write(tmp_path / "link", contents)
    assert_same(reader.read(tmp_path / "link"), contents)
    assert_same(reader.read(tmp_path / "real"), contents)
    assert (tmp_path / "link").is_symlink()


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    contents = sample()
    writer.write("index", contents)
    writer.write(".//other/index", contents)
    assert_same(reader.read("index"), contents)
    assert_same(reader.read("other/index"), contents)


def test_path_through_a_link_and_its_parent(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "outer" / "inner")
    monkeypatch.chdir(tmp_path)
    writer.write("link/../fresh/below", sample(1, 8))
    assert (tmp_path / "outer" / "fresh" / "below" / "manifest.json").exists()
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize("use", [reader.read, reader.verify])
def test_nothing_there(tmp_path: Path, use: Any) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("none", "none/none", "file/none", "dangling"):
        with pytest.raises(IndexNotFoundError, match=name):
            use(tmp_path / name)
    with pytest.raises(IndexNotFoundError):
        use("")


@pytest.mark.parametrize("use", [reader.read, reader.verify])
def test_something_else_there(tmp_path: Path, use: Any) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "codes.npy").write_text("")
    os.mkfifo(tmp_path / "fifo")
    for name in ("file", "folder", "fifo"):
        with pytest.raises(NotAnIndexError, match=name):
            use(tmp_path / name)


def test_name_too_long_for_the_system(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 5000)
    with pytest.raises(IndexFileError, match="File name too long"):
        reader.read(path)
    with pytest.raises(IndexWriteError, match="File name too long"):
        writer.write(path, sample())


@pytest.mark.parametrize("use", [reader.read, reader.verify])
def test_paths_of_a_wrong_type(use: Any) -> None:
    with pytest.raises(TypeError, match="got bytes"):
        use(b"index")
    with pytest.raises(TypeError):
        use(3)
    with pytest.raises(ValueError, match="null character"):
        use("in\0dex")


def test_unreadable_files_are_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.write(tmp_path, sample(1, 8))
    real_open = os.open
    for refused in (tmp_path, *(file_of(tmp_path, part) for part in ("manifest", "ids"))):

        def refuse(path: Any, *args: Any, refused: Path = refused, **kwargs: Any) -> int:
            if Path(path).name == refused.name:
                raise PermissionError(13, "Permission denied", path)
            return real_open(path, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            for use in (reader.read, reader.verify):
                with pytest.raises(IndexFileError, match="Permission denied") as caught:
                    use(tmp_path)
                assert caught.value.path == str(refused)


@pytest.mark.parametrize("name", ["file", "file/index", "full", "foreign", "broken", "dangling"])
def test_paths_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "manifest.json").write_text('{"name": "app"}')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text('{"format": "bitsift-index", ')
    (tmp_path / "dangling").symlink_to("nowhere")
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(IndexWriteError, match=name.split("/", 1)[0]):
        writer.write(tmp_path / name, sample())
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("kind", ["symlink", "folder", "fifo"])
def test_manifest_that_is_no_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    writer.write(tmp_path / "index", sample())
    manifest = tmp_path / "index" / "manifest.json"
    manifest.rename(tmp_path / "elsewhere.json")
    if kind == "symlink":
        manifest.symlink_to("../elsewhere.json")
    elif kind == "folder":
        manifest.mkdir()
    else:
        os.mkfifo(manifest)
    before = names_of(tmp_path / "index")
    with pytest.raises(IndexWriteError, match=r"manifest\.json"):
        writer.write(tmp_path / "index", sample(seed=1))
    assert names_of(tmp_path / "index") == before


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_folder_where_nobody_may_create() -> None:
    with pytest.raises(IndexWriteError, match=r"/proc/bitsift-index: cannot be written: "):
        writer.write("/proc/bitsift-index", sample())


def test_failed_first_save_leaves_no_folder(tmp_path: Path) -> None:
    wrong = sample(3)
    wrong.codes[1] = 255
    with pytest.raises(ValueError, match="codes: row 1 has pad bits"):
        writer.write(tmp_path / "a" / "b", wrong)
    assert not names_of(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of POSIX systems")
def test_system_that_refuses_to_write_more(tmp_path: Path) -> None:
    contents = sample(10)
    writer.write(tmp_path, contents)
    before = names_of(tmp_path)
    script = (
        "import resource, sys, numpy as np\n"
        "from bitsift.storage import writer\n"
        "from bitsift.storage.contents import Contents\n"
        "from bitsift.core.errors import IndexWriteError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "codes = np.zeros((100_000, 4), np.uint8)\n"
        "contents = Contents(32, 'dot', 0.0, codes, None, {})\n"
        "try:\n"
        "    writer.write(sys.argv[1], contents)\n"
        "except IndexWriteError as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"{tmp_path}: cannot be written: File too large\n"
    assert names_of(tmp_path) == before
    assert_same(reader.read(tmp_path), contents)


# Paths that end the search for missing parents


def unprivileged(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script that calls `drop()`: as root it gives up root's rights, which ignore modes."""
    drop = (
        "import os, sys\n"
        "import bitsift\n"
        "def drop():\n"
        "    if os.geteuid() == 0:\n"
        "        os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "def save(path):\n"
        "    try:\n"
        "        bitsift.Index(8).save(path); print('saved')\n"
        "    except bitsift.IndexWriteError as error:\n"
        "        print(error)\n"
        # What a save imports must be loaded before: others may not read this environment.
        "bitsift.Index(8).save(sys.argv.pop())\n"
    )
    with tempfile.TemporaryDirectory() as elsewhere:
        return subprocess.run(
            [sys.executable, "-c", drop + script, *map(str, arguments), f"{elsewhere}/index"],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs POSIX users")
@pytest.mark.parametrize(
    "path",
    [
        "index",
        *(
            pytest.param(path, marks=pytest.mark.slow)
            for path in ("../private/index", "./index", "a/b/index", "a/", ".")
        ),
    ],
)
def test_working_directory_that_cannot_be_searched(tmp_path: Path, path: str) -> None:
    (tmp_path / "private").mkdir(mode=0o700)
    script = (
        "os.chdir(sys.argv[1])\nif os.geteuid() != 0: os.chmod('.', 0)\ndrop()\nsave(sys.argv[2])\n"
    )
    try:
        result = unprivileged(script, tmp_path / "private", path)
    finally:
        (tmp_path / "private").chmod(0o700)
    assert result.stdout == f"{path}: cannot be written: Permission denied\n"
    assert not names_of(tmp_path / "private")


@pytest.mark.parametrize("path", ["index", "a/b", "./a/", "."])
def test_working_directory_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    (tmp_path / "gone").mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        with pytest.raises(IndexWriteError, match="cannot be written: No such file or directory"):
            writer.write(path, sample())
    assert not names_of(tmp_path)


def test_empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IndexWriteError, match="the path is empty"):
        writer.write("", sample())
    assert not names_of(tmp_path)


@pytest.mark.parametrize("path", ["loop", "loop/index", "loop/../index", "file/a/b", "file/"])
def test_paths_through_a_loop_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    message = "Too many levels of symbolic links" if "loop" in path else r"Not a directory|a file"
    with pytest.raises(IndexWriteError, match=message):
        writer.write(path, sample())
    assert names_of(tmp_path) == {"loop", "file"}


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("a/", "a"), ("a//b///", "a/b"), ("./a/./b", "a/b"), ("a/../b", "b"),
        ("a/b/../../c/d", "c/d"),
        ("deep/" * 300, "deep/" * 300), (("n" * 255 + "/") * 15, ("n" * 255 + "/") * 15),
    ],
)  # fmt: skip
def test_folders_are_made_as_the_path_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, made: str
) -> None:
    monkeypatch.chdir(tmp_path)
    contents = sample(2, 8)
    writer.write(path, contents)
    assert_same(reader.read(made), contents)
    writer.write(path, contents)


@pytest.mark.parametrize("path", ["deep/" * 3000, "x" * 256, "a/b/" + "x" * 256])
def test_paths_that_are_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IndexWriteError, match="File name too long"):
        writer.write(path, sample())
    assert not names_of(tmp_path)


def test_parent_that_vanishes_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.mkdir

    def mkdir(path: Any, *args: Any) -> None:
        real(path, *args)
        if Path(path).name == "a":
            Path(path).rmdir()

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(IndexWriteError, match="No such file or directory"):
        writer.write(tmp_path / "a" / "b", sample())


@pytest.mark.parametrize("then", ["nothing", "folder"])
@pytest.mark.skipif(not _HAS_DIR_FD, reason="no descriptors of folders")
def test_a_folder_that_is_renamed_during_a_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    path, moved = tmp_path / "index", tmp_path / "moved"
    writer.write(path, OLD)
    real = writer.write_manifest

    def rename(*arguments: Any) -> None:
        path.rename(moved)
        if then == "folder":
            path.mkdir()
        real(*arguments)

    monkeypatch.setattr(writer, "write_manifest", rename)
    with pytest.warns(BitsiftWarning, match="the path does not lead to it"):
        writer.write(path, NEW)
    assert_same(reader.read(moved), NEW)


@pytest.mark.parametrize(
    ("number", "is_there"),
    [(errno.ENOENT, False), (errno.ENOTDIR, False), (errno.ESTALE, True), (errno.EACCES, True)],
)
def test_only_what_the_system_says_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_there: bool
) -> None:
    """A network file system that fails does not say that the folder was renamed."""

    def stat(*args: Any, **options: Any) -> Any:
        raise OSError(number, os.strerror(number))

    with Folder(str(tmp_path)) as folder:
        assert folder.is_at_path()
        monkeypatch.setattr(os, "stat", stat)
        answer = folder.is_at_path()
        monkeypatch.undo()
    assert answer is is_there
