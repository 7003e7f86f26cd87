# SPDX-License-Identifier: Apache-2.0
"""The compiled core. Arguments are checked by the Python layer."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__version__: str

def available_isas() -> list[str]: ...
def known_isas() -> list[str]: ...
def available_threads() -> int: ...
def pack(
    values: NDArray[np.floating] | NDArray[np.bool_],
    thresholds: NDArray[np.floating],
    isa: str,
    threads: int,
) -> tuple[NDArray[np.uint8], bool]: ...
def search(
    codes: NDArray[np.uint8],
    queries: NDArray[np.uint8],
    k: int,
    ids: NDArray[np.int64] | None,
    isa: str,
    threads: int,
    magnitudes: NDArray[np.uint8] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...
def knn_graph(
    codes: NDArray[np.uint8],
    k: int,
    progress: Callable[[float], object] | None,
    isa: str,
    threads: int,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...
def read_all(array: NDArray[np.uint8], isa: str, threads: int) -> int: ...
def run_roof(kernel: str, isa: str, n: int, threads: int) -> float: ...
def hamming(
    a: NDArray[np.uint8], b: NDArray[np.uint8], isa: str, threads: int
) -> NDArray[np.int32]: ...
def rescore(
    originals: NDArray[np.float32] | NDArray[np.float16],
    queries: NDArray[np.float32],
    candidates: NDArray[np.int64],
    k: int,
    metric: str,
    ids: NDArray[np.int64] | None,
    isa: str,
    threads: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]: ...
def rescore_integers(
    originals: NDArray[np.uint8] | NDArray[np.int8],
    type: str,
    base: NDArray[np.float64],
    step: NDArray[np.float64],
    queries: NDArray[np.float32],
    candidates: NDArray[np.int64],
    k: int,
    metric: str,
    ids: NDArray[np.int64] | None,
    isa: str,
    threads: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]: ...
def rescore_codes(
    codes: NDArray[np.uint8],
    queries: NDArray[np.uint8],
    magnitudes: NDArray[np.uint8],
    candidates: NDArray[np.int64],
    k: int,
    estimate: tuple[str, NDArray[np.uint16], NDArray[np.float64]] | None,
    ids: NDArray[np.int64] | None,
    isa: str,
    threads: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]: ...
def encode(
    values: NDArray[np.float32], ranges: NDArray[np.float32], type: str, threads: int
) -> NDArray[np.uint8]: ...
def flips_per_round(n_dims: int) -> int: ...
def prepare(
    values: NDArray[np.float32],
    normalize: bool,
    centre: NDArray[np.float32],
    flips: NDArray[np.float32],
    threads: int,
) -> tuple[NDArray[np.float32], bool]: ...
def round_queries(
    values: NDArray[np.float64], centre: NDArray[np.float32], threads: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float64]]: ...
def correction_factors(
    vectors: NDArray[np.float32], metric: str, centre: NDArray[np.float32] | None, threads: int
) -> tuple[NDArray[np.uint16], bool]: ...
