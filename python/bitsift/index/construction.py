# SPDX-License-Identifier: Apache-2.0
"""The parts of a new index, from the arguments of its constructor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsIndex

from numpy.typing import ArrayLike

from bitsift.core import arguments
from bitsift.core.errors import warn
from bitsift.core.isa import resolve_isa
from bitsift.core.options import (
    INTEGER_STORES,
    METRICS,
    RULES,
    SEARCH_SCORINGS,
    STORES,
    Metric,
    Rule,
    SearchScoring,
    Store,
)
from bitsift.core.unreadable import shown
from bitsift.encoding.binarizer import Binarizer
from bitsift.encoding.encoder import Encoder
from bitsift.encoding.originals import Originals
from bitsift.encoding.rotation import random_flips
from bitsift.index.fitting import Fitting
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
    scoring: SearchScoring,
    isa: str | None,
) -> tuple[Encoder, Fitting]:
    """Check the arguments of `Index`; return its encoder, and what of it is still to be fitted."""
    dim = arguments.check_dim(dim)
    arguments.choice(metric, "metric", METRICS)
    names = _store_names(store)
    isa = resolve_isa(isa)
    arguments.check_bool(rotate, "rotate")
    arguments.check_bool(correction, "correction")
    arguments.choice(scoring, "scoring", SEARCH_SCORINGS)
    rule: Rule | None = None
    if isinstance(threshold, str):
        rule, threshold = _rule(threshold), 0.0
    flips = random_flips(dim) if rotate and rule is None else None
    binarizer = Binarizer(dim, threshold, isa, flips=flips)
    if correction and metric == "cosine" and binarizer.is_centred:
        raise ValueError(
            'correction=True with metric="cosine" needs vectors of length 1 before the threshold '
            'is subtracted: threshold="mean" or "median" does so, a given threshold other than the '
            "number 0 does not"
        )
    own_calibrator(calibrator, dim)  # refuses a wrong one, also where no store uses it
    if calibrator is not None and not set(names) & set(INTEGER_STORES):
        warn(
            f"calibrator does nothing: store={store!r} has no bounds to find; those of "
            f"{', '.join(INTEGER_STORES)} have"
        )
    stores = tuple(
        Originals(name, dim, own_calibrator(calibrator, dim) or default_calibrator(name))
        for name in names
    )
    fitting = Fitting(rule, bool(rotate))
    if scoring == "auto":
        fitting = fitting._replace(is_decided=False)
    else:
        fitting = fitting._replace(defaults=fitting.defaults._replace(scan=scoring))
    return Encoder(binarizer, stores, metric, bool(correction)), fitting


def _store_names(store: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of stores: of one, of several or of none."""
    if store is None:
        return ()
    names = (store,) if isinstance(store, str) else store
    if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"store must be a name, several of them, or None; got {shown(store)}")
    for name in names:
        if name not in STORES:
            raise ValueError(f"store must be one of {(None, *STORES)}; got {shown(name)}")
    if len(set(names)) < len(names):
        raise ValueError(f"store must name each store once; got {shown(store)}")
    if not names:
        raise ValueError("store must name at least one store, or be None; got none")
    return tuple(names)


def _rule(name: str) -> Rule:
    """Return the rule of that name."""
    for rule in RULES:
        if rule == name:
            return rule
    raise ValueError(f"threshold must be a number, an array or one of {RULES}; got {name!r}")
