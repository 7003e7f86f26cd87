# SPDX-License-Identifier: Apache-2.0
"""Sample folders for the tests of storage: one of each format version, with all its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsift.storage import writer
from helpers.storage_samples import copy, of_version_2, of_version_3, sample


@pytest.fixture(scope="session")
def whole_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Give a folder of each version; no test changes them."""
    parent = tmp_path_factory.mktemp("storage")
    folders = {version: parent / f"version-{version}" for version in (1, 2, 3)}
    writer.write(folders[1], sample())
    writer.write(folders[2], of_version_2())
    writer.write(folders[3], of_version_3())
    return folders


@pytest.fixture
def version() -> int:
    """Give the version of `whole` and `damaged`; tests of another one have it as a parameter."""
    return 1


@pytest.fixture
def whole(whole_folders: dict[int, Path], version: int) -> Path:
    """Give a folder that no test changes."""
    return whole_folders[version]


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Path:
    """Give a copy that the test may damage."""
    return copy(whole, tmp_path / "index")
