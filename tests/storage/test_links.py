# SPDX-License-Identifier: Apache-2.0
"""Folders of symbolic links, such as snapshots in the cache of a hub: followed if that is asked."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import bitsift
from helpers.cli_runner import check_failure, run_json

pytestmark = pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links cannot be refused")
VECTORS = np.random.default_rng(0).standard_normal((30, 8)).astype(np.float32)
ADVICE = "it is a symbolic link, expected a regular file; follow_links=True, or --follow-links,"


@pytest.fixture(params=["relative", "absolute", "of links"])
def snapshot(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Make a folder whose files are links to those of an index."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    index = bitsift.Index(8, scoring="hamming")
    index.add(VECTORS)
    index.save(blobs)
    snapshot.mkdir()
    for file in blobs.iterdir():
        target = file
        if request.param == "relative":
            target = Path(os.path.relpath(file, snapshot))
        elif request.param == "of links":
            target = tmp_path / f"link to {file.name}"
            target.symlink_to(file)
        (snapshot / file.name).symlink_to(target)
    return snapshot


def link_all(blobs: Path, snapshot: Path) -> None:
    for old in snapshot.iterdir():
        old.unlink()
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(file)


def test_links_are_followed_if_that_is_asked(snapshot: Path) -> None:
    bitsift.verify(snapshot, follow_links=True)
    for index in (
        bitsift.Index.load(snapshot, follow_links=True),
        bitsift.Index.load(snapshot, mmap=True, follow_links=True),
        bitsift.Index.open(snapshot, follow_links=True),
    ):
        found = index.search(VECTORS[7], 1)
        assert found.ids.tolist() == [7]
        np.testing.assert_array_equal(index.get(index.ids), VECTORS.astype(np.float16))


def test_links_are_refused_otherwise(snapshot: Path) -> None:
    for use in (bitsift.Index.load, bitsift.verify, bitsift.Index.open):
        with pytest.raises(bitsift.CorruptIndexError, match=ADVICE):
            use(snapshot)
    for wrong in ("yes", 1, None):
        with pytest.raises(TypeError, match="follow_links must be"):
            bitsift.Index.load(snapshot, follow_links=wrong)
    with pytest.raises(TypeError, match='follow_links is for mode="r"'):
        bitsift.Index.open(snapshot, "a", follow_links=True)


def test_a_reader_follows_them_also_when_it_refreshes_and_as_a_pickle(snapshot: Path) -> None:
    reader = bitsift.Index.open(snapshot, follow_links=True)
    assert not reader.refresh()
    other = pickle.loads(pickle.dumps(reader))
    assert not other.refresh()
    new = bitsift.Index(8, scoring="hamming")
    new.add(VECTORS[:3])
    with pytest.raises(bitsift.IndexWriteError, match="it is a symbolic link"):
        new.save(snapshot)
    new.save(snapshot.parent / "newer")
    link_all(snapshot.parent / "newer", snapshot)
    for index in (reader, other):
        assert len(index) == 30
        assert index.refresh()
        assert len(index) == 3


@pytest.mark.parametrize("kind", ["a folder", "a FIFO", "a device", "nothing", "a loop"])
def test_what_a_link_leads_to_must_be_a_regular_file(snapshot: Path, kind: str) -> None:
    name = next(file.name for file in snapshot.iterdir() if file.name.startswith("codes"))
    target = snapshot.parent / "target"
    if kind == "a folder":
        target.mkdir()
    elif kind == "a FIFO":
        os.mkfifo(target)
    elif kind == "a device":
        target = Path(os.devnull)
    elif kind == "a loop":
        target.symlink_to(target)
    (snapshot / name).unlink()
    (snapshot / name).symlink_to(target)
    words = {"nothing": "the file is missing", "a loop": "Too many levels"}.get(kind, kind)
    for use in (bitsift.Index.load, bitsift.verify):
        with pytest.raises(bitsift.IndexFileError, match=words):
            use(snapshot, follow_links=True)


def test_on_the_command_line(snapshot: Path) -> None:
    np.save(snapshot.parent / "query.npy", VECTORS[4])
    assert run_json("verify", snapshot, "--follow-links")["ok"]
    assert run_json("info", snapshot, "--follow-links")["count"] == 30
    query = snapshot.parent / "query.npy"
    shown = run_json("search", snapshot, query, "-k", 1, "--follow-links")
    assert shown["results"][0]["ids"] == [4]
    for arguments in (["verify", snapshot], ["info", snapshot], ["search", snapshot, query]):
        check_failure(arguments, "CorruptIndexError", ["--follow-links"])
