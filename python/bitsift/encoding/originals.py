# SPDX-License-Identifier: Apache-2.0
"""How original vectors are kept for rescoring: as floats, or as small integers on a scale."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core.options import STORES
from bitsift.quantization.calibration import Calibrator, add_rows
from bitsift.quantization.integers import PRECISIONS, default_calibrator

__all__ = ["VectorFormat", "as_store_names"]


class VectorFormat:
    """One way to keep vectors of `dim` values.

    Attributes
    ----------
    name : str
        One of `STORES`.
    dim : int
        Dimensions.
    calibrator : Calibrator or None
        The bounds of integers, maybe not fitted yet; None for floats.
    """

    def __init__(self, name: str, dim: int, calibrator: Calibrator | None = None) -> None:
        self.name = name
        self.dim = dim
        self.calibrator = None
        if name in PRECISIONS:
            self.calibrator = calibrator or default_calibrator(name)
        if self.calibrator is not None and self.calibrator.n > 0:
            self._ranges = self.calibrator.ranges
            self._base, self._step = PRECISIONS[name].affine(self._ranges)

    @property
    def is_fitted(self) -> bool:
        """Whether vectors can be written."""
        return self.calibrator is None or self.calibrator.n > 0

    def fitted(self, vectors: NDArray[Any]) -> VectorFormat:
        """Return this format if it is fitted, else one that is, to these vectors."""
        if self.calibrator is None or self.is_fitted:
            return self
        calibrator = copy.deepcopy(self.calibrator)
        add_rows(calibrator, vectors, "vectors")
        return VectorFormat(self.name, self.dim, calibrator)

    def empty(self) -> NDArray[Any]:
        """Return an array of no vectors."""
        if self.name in PRECISIONS:
            precision = PRECISIONS[self.name]
            return np.empty((0, precision.n_columns(self.dim)), precision.dtype)
        return np.empty((0, self.dim), self.name)

    def write(self, values: NDArray[np.float32], out: NDArray[Any], first_row: int) -> None:
        """Write vectors, the first of which has that number among the caller's, into `out`."""
        if self.name in PRECISIONS:
            values = np.ascontiguousarray(values)
            out[:] = native.encode_integers(values, self._ranges, self.name, 0).view(out.dtype)
            return
        with np.errstate(over="ignore"):
            out[:] = values
        if out.dtype == np.float16 and not np.isfinite(out).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(out))[0])
            raise ValueError(
                f"vectors must be within float16's range, 65504, for store='float16'; row "
                f"{first_row + row}, dimension {column} is {values[row, column]}"
            )

    def read(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return stored vectors as floats: float16 as it is, everything else as float32."""
        if self.name not in PRECISIONS:
            return stored
        if not self.is_fitted:  # there are no vectors
            return np.empty((0, self.dim), np.float32)
        return PRECISIONS[self.name].decode(stored, self._ranges, self.dim)

    def rescore(
        self,
        stored: NDArray[Any],
        queries: NDArray[np.float32],
        candidates: NDArray[np.int64],
        k: int,
        metric: str,
        tie_ids: NDArray[np.int64] | None,
        isa: str,
        threads: int,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return scores and rows of the best `k` candidates of each query."""
        if self.name in PRECISIONS and self.is_fitted:
            return native.rescore_integers(
                stored,
                queries,
                candidates,
                self._base,
                self._step,
                integer_type=self.name,
                k=k,
                metric=metric,
                ids=tie_ids,
                isa=isa,
                threads=threads,
            )
        if self.name in PRECISIONS:  # not fitted: there are no vectors
            stored = np.empty((0, self.dim), np.float32)
        return native.rescore(
            stored, queries, candidates, k=k, metric=metric, ids=tie_ids, isa=isa, threads=threads
        )


def as_store_names(store: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of stores, from one, several or None."""
    if store is None:
        return ()
    names = (store,) if isinstance(store, str) else store
    if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"store must be a name, several of them, or None; got {store!r}")
    for name in names:
        if name not in STORES:
            raise ValueError(f"store must be one of {(None, *STORES)}; got {name!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"store must name each store once; got {store!r}")
    if not names:
        raise ValueError("store must name at least one store, or be None; got none")
    return tuple(names)
