# SPDX-License-Identifier: Apache-2.0
"""The parts of a new index, from the arguments of its constructor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsIndex

from numpy.typing import ArrayLike

from bitsift.core import arguments
from bitsift.core.isa import resolve_isa
from bitsift.core.options import METRICS, Metric, Rule, Store
from bitsift.encoding.binarizer import Binarizer
from bitsift.encoding.encoder import Encoder
from bitsift.encoding.originals import Originals, as_store_names
from bitsift.encoding.rotation import random_flips
from bitsift.index.fitting import Fitting, as_rule
from bitsift.quantization.calibration import Calibrator, own_calibrator
from bitsift.quantization.calibrators import default_calibrator

__all__ = ["make_encoder"]


def make_encoder(
    dim: SupportsIndex,
    metric: Metric,
    store: Store | Sequence[Store] | None,
    threshold: ArrayLike | Rule,
    rotate: bool,
    correction: bool,
    calibrator: Calibrator | None,
    isa: str | None,
) -> tuple[Encoder, Fitting]:
    """Check the arguments of `Index`; return its encoder, and what of it is still to be fitted."""
    dim = arguments.check_dim(dim)
    arguments.choice(metric, "metric", METRICS)
    names = as_store_names(store)
    isa = resolve_isa(isa)
    arguments.check_bool(rotate, "rotate")
    arguments.check_bool(correction, "correction")
    rule: Rule | None = None
    if isinstance(threshold, str):
        rule, threshold = as_rule(threshold), 0.0
    flips = random_flips(dim) if rotate and rule is None else None
    binarizer = Binarizer(dim, threshold, isa, flips=flips)
    if correction and metric == "cosine" and binarizer.is_centred:
        raise ValueError(
            'correction=True with metric="cosine" needs vectors of length 1 before the threshold '
            'is subtracted: threshold="mean" or "median" does so, a given threshold other than the '
            "number 0 does not"
        )
    stores = tuple(
        Originals(name, dim, own_calibrator(calibrator, dim) or default_calibrator(name))
        for name in names
    )
    return Encoder(binarizer, stores, metric, bool(correction)), Fitting(rule, bool(rotate))
