# SPDX-License-Identifier: Apache-2.0
"""What an index says of itself: its properties."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.core.options import Metric, Rule, Scoring, Store
from bitsift.encoding.encoder import Encoder
from bitsift.index.table import Table
from bitsift.quantization.calibration import Calibrator
from bitsift.retrieval.advice import Advice

__all__ = ["Described"]


class Described:
    """The base of `Index` that reads its current state, without a lock."""

    _table: Table
    _store_is_name: bool

    @property
    def dim(self) -> int:
        """Dimensions of the vectors."""
        return self._table.snapshot.encoder.dim

    @property
    def metric(self) -> Metric:
        """The metric of rescored scores: ``"cosine"``, ``"dot"`` or ``"l2"``."""
        return self._table.snapshot.encoder.metric

    @property
    def store(self) -> Store | tuple[Store, ...] | None:
        """How the original vectors are kept: the name of a store, several names, or None."""
        return self._store_of(self._table.snapshot.encoder)

    @property
    def threshold(self) -> float | NDArray[np.float32] | Rule:
        """The threshold of the bits: a number, or a read-only array of shape (dim,).

        The name of the rule if the threshold still has to be computed. A threshold computed for
        the cosine is for vectors scaled to length 1.
        """
        snapshot = self._table.snapshot
        fitting = snapshot.fitting
        if fitting.is_pending and fitting.rule is not None:
            return fitting.rule
        return snapshot.encoder.binarizer.threshold

    @property
    def rotate(self) -> bool:
        """Whether vectors are rotated before they become bits."""
        snapshot = self._table.snapshot
        return snapshot.fitting.rotate or snapshot.encoder.binarizer.is_rotated

    @property
    def correction(self) -> bool:
        """Whether each vector keeps factors that correct asymmetric scores."""
        return self._table.snapshot.encoder.corrected

    @property
    def scoring(self) -> Scoring | None:
        """What a search scans with unless it says so: ``"hamming"`` or ``"asymmetric"``.

        None while an index made with ``scoring="auto"`` waits for more vectors to decide.
        """
        return self._table.snapshot.fitting.scoring

    @property
    def advice(self) -> Advice | None:
        """What ``threshold="auto"`` measured; None without it, before fitting and after loading."""
        return self._table.snapshot.fitting.advice

    @property
    def calibrators(self) -> dict[str, Calibrator]:
        """The calibrator of each integer store, by the store's name; copies."""
        return {
            store.name: copy.deepcopy(store.calibrator)
            for store in self._table.snapshot.encoder.stores
            if store.calibrator is not None
        }

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        return self._table.snapshot.encoder.isa

    @property
    def nbytes(self) -> int:
        """Bytes of codes, originals, factors and ids, in memory or mapped from files.

        Of vectors that wait, bytes of codes, float32 and ids.

        Without those of vectors that were removed, and without what finds ids.
        """
        return self._table.snapshot.nbytes

    def __repr__(self) -> str:
        snapshot = self._table.snapshot
        encoder, scoring = snapshot.encoder, snapshot.fitting.scoring or "auto"
        return (
            f"Index(dim={encoder.dim}, metric={encoder.metric!r}, "
            f"store={self._store_of(encoder)!r}, scoring={scoring!r}, n={len(snapshot.live)}, "
            f"nbytes={snapshot.nbytes})"
        )

    def _store_of(self, encoder: Encoder) -> Store | tuple[Store, ...] | None:
        names: Any = encoder.store_names
        store: Store | tuple[Store, ...] = names[0] if self._store_is_name else names
        return store or None
