# SPDX-License-Identifier: Apache-2.0
"""The originals: vectors kept for rescoring, as floats or as small integers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.core.samples import Stacked
from bitsift.core.segments import Rows
from bitsift.quantization.calibration import Calibrator, add_rows
from bitsift.quantization.integers import DEFAULT_N_STD, INTEGER_CODECS
from bitsift.quantization.losses import warn_of_alike, warn_of_clipped, warn_of_tiny

__all__ = ["Originals"]

_USUAL_N_STD = 4.0  # for 8 bits


class Originals:
    """How one store keeps vectors of `dim` values.

    Attributes
    ----------
    name : str
        The store, one of `STORES`.
    dim : int
        Dimensions.
    calibrator : Calibrator or None
        Finds the bounds of integers; may not be fitted yet, and then there are no vectors. None
        for floats.
    """

    def __init__(self, name: str, dim: int, calibrator: Calibrator | None) -> None:
        self.name = name
        self.dim = dim
        self.calibrator = calibrator if name in INTEGER_CODECS else None
        self._codec = INTEGER_CODECS.get(name)
        if self.calibrator is not None and self._codec is not None and self.calibrator.n > 0:
            self._ranges = self.calibrator.ranges
            self._base, self._step = self._codec.affine(self._ranges)

    @property
    def is_fitted(self) -> bool:
        """Whether vectors can be written."""
        return self.calibrator is None or self.calibrator.n > 0

    def has_bounds_of(self, other: Originals) -> bool:
        """Say whether the same integers stand for the same values in both stores."""
        if self.calibrator is None:
            return True
        if not (self.is_fitted and other.is_fitted):
            return False
        return np.array_equal(self._ranges, other._ranges)

    def fitted(self, vectors: NDArray[Any] | Stacked, name: str) -> Originals:
        """Return this store if it is fitted, else a copy fitted to vectors, which errors name."""
        if self.calibrator is None or self.is_fitted:
            return self
        calibrator = copy.deepcopy(self.calibrator)
        add_rows(calibrator, vectors, name)
        return Originals(self.name, self.dim, calibrator)

    def or_floats(self) -> Originals:
        """Return this store if it is fitted, else one of its name that keeps float32."""
        if self.is_fitted:
            return self
        store = Originals(self.name, self.dim, None)
        store._codec = None
        return store

    def warn_of_losses(self, rows: NDArray[np.float32], *, were_fitted_to: bool) -> bool:
        """Warn if this store keeps little of vectors; `rows` are a sample of them. Say whether.

        `were_fitted_to` says that the bounds come from these vectors, and clip what they mean to.
        """
        what = f"store={self.name!r}:"
        if self.name == "float16":
            return warn_of_tiny(rows, "store")
        if self.calibrator is None:
            return False
        if were_fitted_to:
            n_std, usual = self.calibrator._n_std, DEFAULT_N_STD.get(self.name, _USUAL_N_STD)
            remedy = 'store="float16" has no bounds'
            if n_std is None or n_std > usual:  # else there is no narrower one to name
                remedy = (
                    f"calibrator=bitsift.RollingCalibrator({usual:g}) has bounds that outliers "
                    'widen less, and store="float16" has none'
                )
        else:
            remedy = (
                "fit(sample) before the first add, with vectors of all kinds that will come, makes "
                'bounds that suit them, and store="float16" has none'
            )
            if warn_of_clipped(rows, self._ranges, self.name, self.calibrator, what, remedy):
                return True
        return warn_of_alike(rows, self._ranges, self.name, what, remedy)

    def empty(self, n: int) -> NDArray[Any]:
        """Return an array of `n` vectors that are not written yet."""
        if self._codec is not None:
            return np.empty((n, self._codec.n_columns(self.dim)), self._codec.dtype)
        return np.empty((n, self.dim), np.float16 if self.name == "float16" else np.float32)

    def write(
        self, values: NDArray[np.float32], out: NDArray[Any], first_row: int, threads: int = 0
    ) -> None:
        """Write vectors into `out`.

        `first_row` is the number of the first vector in the caller's array, for errors.
        """
        if self._codec is not None:
            values = np.ascontiguousarray(values)
            out[:] = self._codec.encode(values, self._ranges, threads)
            return
        if self.name == "float16":
            purpose = ', 65504, for store="float16" (store="float32" takes larger values)'
            values = arguments.narrow(values, np.float16, "vectors", first_row, purpose)
        out[:] = values

    def read(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return stored vectors as floats: float16 unchanged, every other store as float32."""
        if self._codec is None:
            return stored
        return self._codec.decode(stored, self._ranges, self.dim)

    def arrays(self, stored: Rows) -> tuple[Any, ...]:
        """Return what rescores: the argument of `native.OneQuerySearch`."""
        if self._codec is not None:
            return stored, self.name, self._base, self._step
        return stored, None, None, None

    def rescore(
        self,
        stored: Rows,
        queries: NDArray[np.float32],
        candidates: NDArray[np.int64],
        steps: list[tuple[int, int]],
        metric: str,
        tie_ids: NDArray[np.int64] | None,
        isa: str,
        threads: int,
        *,
        keep_order: bool = False,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the scores and rows of the best candidates of each query.

        By steps: results up to number ``steps[i][0]`` come from the first ``steps[i][1]``
        candidates. `keep_order` gives those of all candidates, in their order.
        """
        k = steps[-1][0]
        if self._codec is not None:
            return native.rescore_integers(
                stored,
                queries,
                candidates,
                self._base,
                self._step,
                integer_type=self.name,
                k=k,
                metric=metric,
                steps=steps,
                keep_order=keep_order,
                ids=tie_ids,
                isa=isa,
                threads=threads,
            )
        return native.rescore(
            stored,
            queries,
            candidates,
            k=k,
            metric=metric,
            steps=steps,
            keep_order=keep_order,
            ids=tie_ids,
            isa=isa,
            threads=threads,
        )
