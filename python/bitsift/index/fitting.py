# SPDX-License-Identifier: Apache-2.0
"""What an index learns from its first vectors: thresholds, and the bounds of integers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitsift.core import arguments
from bitsift.core.blocks import evenly
from bitsift.core.errors import warn
from bitsift.core.options import RULES, Rule, Threshold
from bitsift.encoding.binarizer import Binarizer, random_flips
from bitsift.encoding.encoder import Recipe
from bitsift.encoding.thresholds import centre_of, unit_rows
from bitsift.retrieval.advice import Advice, advise_on

__all__ = ["Fitting", "as_rule", "warn_of_poor_bits"]

_MOST_ROWS = 1 << 16  # that thresholds are fitted to
_FEW_ROWS = 100
_ROWS_CHECKED = 2048
_LEAST_ROWS_CHECKED = 256
# A bit is nearly constant if it is the same in so many rows.
_NEARLY_ALL = 0.95
_MOST_CONSTANT = 0.05
_MOST_UNEVEN = 0.45


def as_rule(name: str) -> Rule:
    """Return the rule of that name."""
    for rule in RULES:
        if rule == name:
            return rule
    raise ValueError(f"threshold must be a number, an array or one of {RULES}; got {name!r}")


class Fitting(NamedTuple):
    """What an index has to learn before it can hold vectors, or has learnt.

    Attributes
    ----------
    rule : {"half-mean", "mean", "median", "auto"} or None
        How the threshold is found, if it is not given.
    rotate : bool
        Whether a rotation was asked for.
    is_done : bool
        Whether the rule has been followed.
    advice : Advice or None
        What ``"auto"`` was told.
    """

    rule: Rule | None
    rotate: bool
    is_done: bool = False
    advice: Advice | None = None

    def is_needed(self, recipe: Recipe) -> bool:
        """Say whether anything of the recipe is not fitted yet."""
        return self.is_pending or not all(kept.is_fitted for kept in recipe.formats)

    @property
    def is_pending(self) -> bool:
        """Whether there is a rule that has not been followed."""
        return self.rule is not None and not self.is_done

    def fit(self, recipe: Recipe, sample: NDArray[Any], isa: str) -> tuple[Recipe, Fitting]:
        """Return both, fitted to a sample of checked values, shape (n, dim), n at least 1."""
        formats = tuple(kept.fitted(sample) for kept in recipe.formats)
        calibrated = [
            kept.name
            for before, kept in zip(recipe.formats, formats, strict=True)
            if before is not kept
        ]
        recipe = recipe._replace(formats=formats)
        if self.rule is None or self.is_done:
            if calibrated:
                _warn_of_few(len(sample), f"the bounds of store={calibrated[0]!r}")
            return recipe, self
        what_for = "rescored" if formats else "corrected" if recipe.corrected else "hamming"
        binarizer, advice = _fit_binarizer(
            self.rule, sample, recipe.metric, isa, rotate=self.rotate, what_for=what_for
        )
        _warn_of_few(len(sample), f"threshold={self.rule!r}")
        return recipe._replace(binarizer=binarizer), self._replace(is_done=True, advice=advice)


def _fit_binarizer(
    rule: Rule, sample: NDArray[Any], metric: str, isa: str, *, rotate: bool, what_for: str
) -> tuple[Binarizer, Advice | None]:
    """Return what turns vectors into bits by the rule, fitted to a sample, shape (n, dim).

    For the cosine, vectors are brought to length 1 first: their lengths mean nothing. `what_for` is
    a column of the advice, the one that ``"auto"`` makes as large as it can.
    """
    rows = arguments.as_finite_float32(evenly(sample, _MOST_ROWS), "vectors")
    dim = rows.shape[1]
    advice = None
    threshold: Threshold
    if rule == "auto":
        advice = advise_on(rows, metric, isa, what_for=what_for, rotate=rotate)
        threshold, rotate = advice.best.threshold, advice.best.rotate
    else:
        threshold = rule
    flips = random_flips(dim) if rotate else None
    if threshold == "zero":
        return Binarizer(dim, 0.0, isa, flips=flips), advice
    normalized = metric == "cosine"
    if normalized:
        rows = unit_rows(rows)
    centre = centre_of(rows, threshold)
    return Binarizer(dim, centre, isa, flips=flips, normalized=normalized), advice


def _warn_of_few(n: int, what: str) -> None:
    """Warn if something was fitted to few vectors."""
    if n < _FEW_ROWS:
        warn(
            f"{what} fitted to {n} vectors only; call fit(sample) with {_FEW_ROWS} or more before "
            "the first add"
        )


def warn_of_poor_bits(
    sample: NDArray[Any], codes: NDArray[np.uint8], binarizer: Binarizer, metric: str, isa: str
) -> None:
    """Warn if bits of a sample say little, and name what would help.

    `codes` are those of the sample's rows.
    """
    if len(sample) < _LEAST_ROWS_CHECKED:
        return
    shares = np.unpackbits(evenly(codes, _ROWS_CHECKED), axis=1, count=binarizer.dim).mean(axis=0)
    more_frequent = np.maximum(shares, 1 - shares)
    constant = float((more_frequent >= _NEARLY_ALL).mean())
    uneven = float(2 * more_frequent.mean() - 1)
    if constant <= _MOST_CONSTANT and uneven <= _MOST_UNEVEN:
        return
    rows = arguments.as_finite_float32(evenly(sample, _ROWS_CHECKED), "vectors")
    advice = advise_on(rows, metric, isa, what_for="rescored", rotate=False)
    now, best = advice.trials[0], advice.best
    if best is now:
        return  # the bits are as good as they get
    options = f"threshold={best.threshold!r}" if best.threshold != "zero" else ""
    options += (", " if options and best.rotate else "") + ("rotate=True" if best.rotate else "")
    warn(
        f"the bits of these vectors say little: {constant:.0%} of the dimensions have the same bit "
        f"in {_NEARLY_ALL:.0%} of them, and on average a bit is the more frequent one in "
        f"{more_frequent.mean():.0%}. On a sample, {now.rescored:.2f} of the true neighbours are "
        f"among 4 candidates for each result; with {options} it is {best.rescored:.2f}. "
        "bitsift.advise compares the options"
    )
