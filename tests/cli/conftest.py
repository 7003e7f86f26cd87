# SPDX-License-Identifier: Apache-2.0
"""Files that most commands start from; a module that needs other vectors overrides `vectors`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.cli_runner import run
from helpers.cli_samples import centred_vectors, saved


@pytest.fixture
def vectors() -> NDArray[np.float32]:
    return centred_vectors()


@pytest.fixture
def vectors_path(tmp_path: Path, vectors: NDArray[np.float32]) -> Path:
    return saved(tmp_path / "vectors.npy", vectors)


@pytest.fixture
def queries_path(tmp_path: Path, vectors: NDArray[np.float32]) -> Path:
    """Twenty queries, each near one vector."""
    return saved(tmp_path / "queries.npy", vectors[:: len(vectors) // 20] + np.float32(0.01))


@pytest.fixture
def build_options() -> list[object]:
    """Options of the command that builds the index; a module may override them."""
    return []


@pytest.fixture
def index_path(tmp_path: Path, vectors_path: Path, build_options: list[object]) -> Path:
    path = tmp_path / "made.index"
    assert run("build", vectors_path, "-o", path, *build_options).exit_code == 0
    return path
