# SPDX-License-Identifier: Apache-2.0
"""How long do saving and loading take, beside libraries that promise less about the files?

bitsift saves atomically, waits until the disk has the data, and writes checksums that a full load
verifies together with every value. numpy and FAISS do none of this, so one more peer is numpy with
the wait.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift

from ..contest import Contest
from ..data import DIM, make_index
from ..peers.files import Arrays, BitsiftFiles, FaissFiles, Files, NumpyFiles
from ..peers.libraries import faiss


@pytest.fixture(params=["save", "load", "mmap"])
def operation(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[False, True], ids=["bits", "originals"])
def with_originals(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def data(
    request: pytest.FixtureRequest, codes: NDArray[np.uint8], isa: str, *, with_originals: bool
) -> tuple[bitsift.Index, Arrays, str]:
    """Give an index, its arrays and its name; with originals a twentieth of the rows."""
    if not with_originals:
        return make_index(codes, isa), [codes], f"{len(codes):,} x {DIM} bits"
    vectors = request.getfixturevalue("vectors")[: len(codes) // 20]
    index = bitsift.Index(DIM, store="float32", isa=isa)
    index.add(vectors)
    return index, [index.codes, vectors], f"{len(vectors):,} x {DIM} bits and float32"


@pytest.fixture
def ours(data: tuple[bitsift.Index, Arrays, str], folder: Path) -> BitsiftFiles:
    files = BitsiftFiles(data[0], folder / "index")
    files.save()
    return files


@pytest.fixture
def question(data: tuple[bitsift.Index, Arrays, str], operation: str) -> str:
    return f"{operation} {data[2]}"


def test_bitsift(contest: Contest, question: str, ours: BitsiftFiles, operation: str) -> None:
    contest.alone(question, getattr(ours, operation))


def test_numpy(
    contest: Contest,
    question: str,
    ours: BitsiftFiles,
    data: tuple[bitsift.Index, Arrays, str],
    folder: Path,
    operation: str,
) -> None:
    peer = NumpyFiles(data[1], folder / "array", durable=False)
    _compare(contest, question, operation, "numpy", ours, peer)


@pytest.mark.parametrize("operation", ["save"], indirect=True)
def test_durable_numpy(
    contest: Contest,
    question: str,
    ours: BitsiftFiles,
    data: tuple[bitsift.Index, Arrays, str],
    folder: Path,
    operation: str,
) -> None:
    peer = NumpyFiles(data[1], folder / "array", durable=True)
    _compare(contest, question, operation, "numpy, fsync", ours, peer)


@pytest.mark.parametrize("with_originals", [False], indirect=True)
def test_faiss(
    contest: Contest,
    question: str,
    ours: BitsiftFiles,
    codes: NDArray[np.uint8],
    folder: Path,
    operation: str,
) -> None:
    if faiss is None:
        contest.missing(question)
    _compare(contest, question, operation, "faiss", ours, FaissFiles(codes, folder / "flat"))


def _compare(
    contest: Contest, question: str, operation: str, name: str, ours: Files, peer: Files
) -> None:
    peer.save()

    def check(our_result: Any, peer_result: Any) -> None:
        left = ours.arrays(ours.load() if operation == "save" else our_result)
        right = peer.arrays(peer.load() if operation == "save" else peer_result)
        for a, b in zip(left, right, strict=True):
            np.testing.assert_array_equal(a, b)

    contest.against(name, question, getattr(ours, operation), getattr(peer, operation), check)
