# SPDX-License-Identifier: Apache-2.0
"""Fitting: what an index finds out from its first vectors, such as thresholds and bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitsift.core import arguments
from bitsift.core.errors import warn
from bitsift.core.interruptible import interruptibly
from bitsift.core.limits import FEW_VECTORS, MOST_ROWS_FITTED
from bitsift.core.options import Rule, Scoring, Threshold
from bitsift.core.samples import evenly, evenly_spaced, scattered
from bitsift.encoding.binarizer import Binarizer
from bitsift.encoding.encoder import Encoder
from bitsift.encoding.rotation import random_flips
from bitsift.encoding.thresholds import compute_threshold, unit_rows
from bitsift.retrieval.advice import Advice
from bitsift.retrieval.comparison import Use
from bitsift.retrieval.defaults import DEFAULTS, SearchDefaults
from bitsift.retrieval.parts import LEAST_ROWS_TO_CHOOSE, MOST_ROWS_COMPARED
from bitsift.retrieval.scoring import LEAST_VECTORS, decide_scoring, n_tried
from bitsift.retrieval.trials import advise_on, better_than

__all__ = ["Fitting", "warn_of_poor_bits"]

_MOST_ROWS_CHECKED = 2048
_LEAST_ROWS_CHECKED = 256
# A bit is nearly constant if it is the same in this share of the vectors.
_NEARLY_ALL = 0.95
# Bits are poor if more than this share of the dimensions have a nearly constant bit, or if the
# shares of ones and zeros differ by more than this on average.
_MOST_CONSTANT = 0.05
_MOST_UNEVEN = 0.45


class Fitting(NamedTuple):
    """How the threshold and the scoring of an index are found, and whether they have been.

    Attributes
    ----------
    rule : {"half-mean", "mean", "median", "auto"} or None
        How the threshold is computed; None if it was given.
    rotate : bool
        Whether the caller asked for a rotation.
    is_done : bool
        Whether the threshold has been computed.
    advice : Advice or None
        What ``"auto"`` measured.
    defaults : SearchDefaults
        What a search does unless it says so. While the scoring is not decided, it is asymmetric.
    vectors : ndarray of float32, shape (n, dim), or None
        All vectors that were added, fewer than decide the scoring; None if it is decided.
    """

    rule: Rule | None
    rotate: bool
    is_done: bool = False
    advice: Advice | None = None
    defaults: SearchDefaults = DEFAULTS
    vectors: NDArray[np.float32] | None = None

    @property
    def scoring(self) -> Scoring | None:
        """What a search scans with unless it says so; None while it is not decided."""
        return self.defaults.scan if self.vectors is None else None

    @property
    def is_decided(self) -> bool:
        """Whether the scoring has been decided."""
        return self.vectors is None

    def only(self, rows: NDArray[np.int64]) -> Fitting:
        """Return this for some rows of the table."""
        return self if self.vectors is None else self._replace(vectors=self.vectors[rows])

    @property
    def is_pending(self) -> bool:
        """Whether the threshold still has to be computed."""
        return self.rule is not None and not self.is_done

    def is_needed(self, encoder: Encoder) -> bool:
        """Say whether the threshold or a store has to be fitted before vectors can be encoded."""
        return self.is_pending or not all(store.is_fitted for store in encoder.stores)

    def is_useless(self, encoder: Encoder) -> bool:
        """Say whether there are a rule or bounds to fit, and all of them are fitted."""
        has_any = self.rule is not None or any(store.calibrator for store in encoder.stores)
        return has_any and self.vectors is None and not self.is_needed(encoder)

    def fit(self, encoder: Encoder, sample: NDArray[Any], name: str) -> tuple[Encoder, Fitting]:
        """Return the encoder fitted to a sample, and this with what was done.

        `sample` has shape (n, dim) with n at least 1; values may still be NaN or infinite. `name`
        is what errors call it.
        """
        stores = tuple(store.fitted(sample, name) for store in encoder.stores)
        newly_fitted = [
            store.name
            for before, store in zip(encoder.stores, stores, strict=True)
            if before is not store
        ]
        encoder = replace(encoder, stores=stores)
        if self.rule is None or self.is_done:
            if newly_fitted:
                _warn_of_few(len(sample), f"the bounds of store={newly_fitted[0]!r}")
            return encoder, self
        binarizer, advice = self._fit_binarizer(self.rule, encoder, sample, name)
        if advice is None:
            _warn_of_few(len(sample), f"threshold={self.rule!r}")
        elif advice.has_few_queries:
            warn(
                f"threshold='auto' keeps 0: {len(sample)} vectors are too few to choose by; "
                f"call fit(sample) with {LEAST_ROWS_TO_CHOOSE} or more before the first add"
            )
        return replace(encoder, binarizer=binarizer), self._replace(is_done=True, advice=advice)

    def decide(self, encoder: Encoder, sample: NDArray[Any], name: str) -> Fitting:
        """Return this with the scoring decided by a sample, if it has not been.

        `sample` has shape (n, dim), and `name` is what errors call it. Too few vectors decide
        nothing.
        """
        if self.vectors is None or len(sample) < LEAST_VECTORS:
            return self
        rows = _some_rows(sample, n_tried(encoder.dim), name)
        return self._decided(decide_scoring(encoder, rows))

    def decide_by_added(self, encoder: Encoder, rows: NDArray[Any], *, are_bits: bool) -> Fitting:
        """Return this with vectors that are added to those before, and decided by them if enough.

        They have been encoded, so they are finite. Bits have no asymmetric scores to be tried.
        """
        if self.vectors is None:
            return self
        if are_bits:
            return self._decided("hamming")
        some = _some_rows(rows, n_tried(encoder.dim), "vectors")
        together = np.concatenate((self.vectors, some))  # a copy: rows are the caller's
        return self._replace(vectors=together).decide(encoder, together, "vectors")

    def decide_by_other(self, encoder: Encoder, other: Fitting) -> Fitting:
        """Return this when the vectors of another index are added, if the scoring is undecided.

        It is decided as the other's is, or else by the vectors of both.
        """
        if self.vectors is None:
            return self
        if other.vectors is None:
            return self._decided(other.defaults.scan)
        return self.decide_by_added(encoder, other.vectors, are_bits=False)

    def _decided(self, scoring: Scoring) -> Fitting:
        return self._replace(defaults=self.defaults._replace(scan=scoring), vectors=None)

    def _fit_binarizer(
        self, rule: Rule, encoder: Encoder, sample: NDArray[Any], name: str
    ) -> tuple[Binarizer, Advice | None]:
        """Return a binarizer with the rule's threshold.

        For the cosine, vectors are first scaled to length 1: their lengths mean nothing.
        """
        rows = _some_rows(sample, MOST_ROWS_FITTED, name)
        dim, isa, rotate = encoder.dim, encoder.isa, self.rotate
        advice = None
        threshold: Threshold
        if rule == "auto":
            use = Use.of_index(
                self.scoring, has_originals=bool(encoder.stores), is_corrected=encoder.corrected
            )
            hint = "; call fit(sample) with as many before the first add, or give a threshold"
            some = _some_rows(sample, MOST_ROWS_COMPARED, name)  # those that `advise` looks at
            advice = advise_on(some, encoder.metric, isa, use=use, rotate=rotate, hint=hint)
            threshold, rotate = advice.best.threshold, advice.best.rotate
        else:
            threshold = rule
        flips = random_flips(dim) if rotate else None
        if threshold == "zero":
            return Binarizer(dim, 0.0, isa, flips=flips), advice
        normalized = encoder.metric == "cosine"
        if normalized:
            rows = unit_rows(rows)
        fitted = compute_threshold(rows, threshold)
        return Binarizer(dim, fitted, isa, flips=flips, normalized=normalized), advice


def _some_rows(sample: NDArray[Any], n: int, name: str) -> NDArray[np.float32]:
    """Return at most `n` rows, evenly spaced, as finite float32; `name` is for errors."""
    numbers = evenly_spaced(len(sample), n)
    some = evenly(sample, n)
    narrowed: NDArray[np.float32] = interruptibly(
        some.size, arguments.narrow, some, np.float32, name, numbers=numbers
    )
    return np.ascontiguousarray(narrowed)


def _warn_of_few(n: int, what: str) -> None:
    """Warn if something was fitted to few vectors."""
    if n < FEW_VECTORS:
        warn(
            f"{what} fitted to {n} vector{'' if n == 1 else 's'} only; call fit(sample) with "
            f"{FEW_VECTORS} or more before the first add"
        )


def warn_of_poor_bits(sample: NDArray[Any], codes: NDArray[np.uint8], encoder: Encoder) -> None:
    """Warn if the bits of a sample carry little information, and name what would help.

    `codes` are those of the sample's rows.
    """
    if len(sample) < _LEAST_ROWS_CHECKED:
        return
    some_codes = scattered(codes, _MOST_ROWS_CHECKED)
    ones = np.unpackbits(some_codes, axis=1, count=encoder.dim).mean(axis=0)
    more_frequent = np.maximum(ones, 1 - ones)
    constant = float((more_frequent >= _NEARLY_ALL).mean())
    uneven = float(2 * more_frequent.mean() - 1)
    if constant <= _MOST_CONSTANT and uneven <= _MOST_UNEVEN:
        return
    better = better_than(
        encoder.binarizer,
        _some_rows(sample, MOST_ROWS_COMPARED, "vectors"),
        encoder.metric,
        has_originals=bool(encoder.stores),
        is_corrected=encoder.corrected,
    )
    if better is None:
        return
    threshold, rotate = better.option
    changes = []  # what the index has to change
    if threshold != "zero":
        changes.append(f"threshold={threshold!r}")
    elif encoder.binarizer.is_centred:
        changes.append("threshold=0.0")
    if rotate != encoder.binarizer.is_rotated:
        changes.append(f"rotate={rotate}")
    if better.correction and not encoder.corrected:
        changes.append("correction=True")
    if not changes:  # the same option, on vectors scaled
        return
    warn(
        f"the bits of these vectors say little: {constant:.0%} of the dimensions have the same bit "
        f"in {_NEARLY_ALL:.0%} of them, and on average a bit is the more frequent one in "
        f"{more_frequent.mean():.0%}. On a sample, a search finds {better.share_before:.2f} of the "
        f"true neighbours; with {', '.join(changes)} it finds {better.share:.2f}. bitsift.advise "
        "compares the options"
    )
