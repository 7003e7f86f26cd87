# SPDX-License-Identifier: Apache-2.0
"""How fast do floats become bits?"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift

from ..checks import same_array
from ..contest import Contest
from ..data import DIM
from ..peers.packing import numpy_pack


@pytest.fixture(params=["float32", "float16"])
def values(request: pytest.FixtureRequest, n_rows: int) -> NDArray[np.floating]:
    """Give all rows, or a tenth of them as float16, on which numpy is slow."""
    if request.param == "float32":
        return request.getfixturevalue("vectors")
    return request.getfixturevalue("vectors16")[: n_rows // 10]


def test_bitsift(contest: Contest, values: NDArray[np.floating], threads: int, isa: str) -> None:
    contest.alone(_question(values), lambda: bitsift.pack(values, isa=isa, threads=threads))


def test_numpy(contest: Contest, values: NDArray[np.floating], threads: int, isa: str) -> None:
    contest.against(
        "numpy (1 thread)",
        _question(values),
        lambda: bitsift.pack(values, isa=isa, threads=threads),
        lambda: numpy_pack(values),
        same_array,
    )


def _question(values: NDArray[np.floating]) -> str:
    return f"pack {len(values):,} x {DIM} {values.dtype}"
