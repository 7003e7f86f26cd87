# SPDX-License-Identifier: Apache-2.0
"""What storage takes and gives: plain arrays and values, without an index."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.quantization.calibration import Calibrator

__all__ = ["Contents"]


@dataclass(frozen=True, eq=False)
class Contents:
    """Everything an index folder holds.

    Attributes
    ----------
    dim : int
        Dimensions, 1 to 65536.
    metric : str
        ``"cosine"``, ``"dot"`` or ``"l2"``.
    threshold : float, (dim,) float32 array, or None
        None if it still has to be computed by the rule.
    codes : (n, ceil(dim / 8)) uint8 array
        Packed bits, pad bits zero.
    ids : (n,) int64 array or None
        Unique and not negative; None means 0 to n-1.
    originals : dict of str to array
        By store. Floats have shape (n, dim) and are finite.
    ids_ascending : bool
        Whether the ids are strictly ascending; with ``ids=None`` they are.
    rule : {"half-mean", "mean", "median", "auto"} or None
        How the threshold was computed, or is to be.
    rotate : bool
        Whether vectors are rotated.
    flips : (n_flips, dim) float32 array of +1 and -1, or None
        The rotation.
    normalized : bool
        Whether vectors are scaled to length 1 before the threshold is subtracted.
    factors : (n, 1 or 2) uint16 array, or None
        The correction.
    calibrators : dict of str to Calibrator
        By store of integers.
    scoring : {"hamming", "asymmetric"} or None
        What a search scans with unless it says so; None if it is not decided. The default is that
        of format versions 1 and 2, as it is for `candidates`.
    candidates : {"by-position", "fixed"}
        The rule of how many candidates a search rescores.
    vectors : (n, dim) float32 array, or None
        The vectors that wait until the index is fitted to them, and then there are no codes; None
        if none do. Older folders have codes beside them, and lack the scoring alone.
    largest_id : int or None
        The largest id that there ever was, if it is no more; else None.
    """

    dim: int
    metric: str
    threshold: float | NDArray[np.float32] | None
    codes: NDArray[np.uint8]
    ids: NDArray[np.int64] | None
    originals: dict[str, NDArray[Any]]
    ids_ascending: bool = True
    rule: str | None = None
    rotate: bool = False
    flips: NDArray[np.float32] | None = None
    normalized: bool = False
    factors: NDArray[np.uint16] | None = None
    calibrators: dict[str, Calibrator] = field(default_factory=dict)
    scoring: str | None = "hamming"
    candidates: str = "fixed"
    vectors: NDArray[np.float32] | None = None
    largest_id: int | None = None
