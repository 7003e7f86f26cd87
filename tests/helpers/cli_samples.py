# SPDX-License-Identifier: Apache-2.0
"""Vectors and files for tests of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIM = 44
N = 300
N_DRIFTING = 600


def saved(path: Path, array: NDArray[Any]) -> Path:
    """Save an array as a .npy file and return its path."""
    np.save(path, array)
    return path


def centred_vectors() -> NDArray[np.float32]:
    return np.random.default_rng(7).standard_normal((N, DIM), dtype=np.float32)


def drifting_vectors() -> NDArray[np.float32]:
    """Vectors far from centred, whose mean drifts along the file."""
    rng = np.random.default_rng(7)
    centre = 2 * rng.random(DIM) + np.linspace(0, 2, N_DRIFTING)[:, None]
    return np.asarray(rng.standard_normal((N_DRIFTING, DIM)) + centre, np.float32)
