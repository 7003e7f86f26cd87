# SPDX-License-Identifier: Apache-2.0
"""What an index says of itself."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.advice import Advice
from bitsift.calibration import Calibrator
from bitsift.fitting import Rule
from bitsift.holdings import Holdings
from bitsift.searching import Metric
from bitsift.stores import Store

__all__ = ["Described"]


class Described:
    """The properties of an index; :class:`Index` does the rest."""

    _dim: int
    _metric: Metric
    _store: Any
    _isa: str
    _held: Holdings

    @property
    def dim(self) -> int:
        """Dimensions of the vectors."""
        return self._dim

    @property
    def metric(self) -> Metric:
        """What rescoring computes: ``"cosine"``, ``"dot"`` or ``"l2"``."""
        return self._metric

    @property
    def store(self) -> Store | tuple[Store, ...] | None:
        """How the original vectors are kept: a store's name, several, or None."""
        store: Store | tuple[Store, ...] | None = self._store
        return store

    @property
    def threshold(self) -> float | NDArray[np.float32] | Rule:
        """The threshold of the bits: a number, or an array of shape (dim,).

        Before it is fitted it is the name of the rule. After it, for the cosine,
        it is subtracted from vectors of length 1.
        """
        fitting = self._held.published.fitting
        if fitting.is_pending and fitting.rule is not None:
            return fitting.rule
        return self._held.rows.binarizer.threshold

    @property
    def rotate(self) -> bool:
        """Whether vectors are rotated before their signs are taken."""
        return self._held.published.fitting.rotate or self._held.rows.binarizer.is_rotated

    @property
    def correction(self) -> bool:
        """Whether vectors keep what corrects asymmetric scores."""
        return self._held.rows.factors is not None

    @property
    def advice(self) -> Advice | None:
        """What ``threshold="auto"`` measured and followed; None if it did not, or after loading."""
        return self._held.published.fitting.advice

    @property
    def calibrators(self) -> dict[str, Calibrator]:
        """What found the bounds of each store of integers; copies."""
        return {
            kept.name: copy.deepcopy(kept.calibrator)
            for kept in self._held.rows.formats
            if kept.calibrator is not None
        }

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        return self._isa

    @property
    def codes(self) -> NDArray[np.uint8]:
        """The packed codes, shape (n, ceil(dim / 8)), in order of addition; a read-only view."""
        return self._held.rows.codes

    @property
    def ids(self) -> NDArray[np.int64]:
        """The ids, shape (n,), in order of addition; read-only."""
        rows = self._held.rows
        ids = np.arange(len(rows.codes), dtype=np.int64) if rows.ids is None else rows.ids
        ids.flags.writeable = False
        return ids

    @property
    def nbytes(self) -> int:
        """Bytes of codes, original vectors, corrections and ids, in memory or mapped from files."""
        rows = self._held.rows
        parts = (rows.codes, *rows.originals, rows.factors, rows.ids)
        return sum(part.nbytes for part in parts if part is not None)
