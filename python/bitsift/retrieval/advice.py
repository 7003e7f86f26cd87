# SPDX-License-Identifier: Apache-2.0
"""Advice: what was measured of thresholds, rotation and correction, and what is recommended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bitsift.core.floats import in_default_floats
from bitsift.core.options import Scoring, Threshold
from bitsift.core.public import public
from bitsift.retrieval.evidence import LEAST_QUERIES, least_gain
from bitsift.retrieval.exact import MOST_NEIGHBOURS
from bitsift.retrieval.parts import LEAST_ROWS_TO_CHOOSE

__all__ = ["Advice", "Trial"]


@public
@dataclass(frozen=True)
class Trial:
    """One way to make bits, and how much of float search's top 10 it finds in a sample: 0 to 1.

    Attributes
    ----------
    threshold : {"zero", "half-mean", "mean", "median"}
        The threshold of the bits.
    rotate : bool
        Whether vectors are rotated.
    hamming : float
        Found by Hamming distance alone.
    rescored : float
        Found by rescoring candidates from the originals. The candidates are the best by asymmetric
        scores or by Hamming distance: as `scan` says.
    asymmetric : float
        Found by asymmetric scoring.
    corrected : float
        Found by asymmetric scoring with ``correction=True``.
    gain : float or None
        What it finds more than the first trial, by the measure of the advice; None in advice of
        version 0.1.0.
    error : float or None
        The standard error of `gain`; None also for one query.
    scan : {"hamming", "asymmetric"} or None
        The scan that found the candidates of `rescored`: the one with which more is found. None in
        advice of version 0.1.0, where it was by Hamming distance.
    """

    threshold: Threshold
    rotate: bool
    hamming: float
    rescored: float
    asymmetric: float
    corrected: float
    gain: float | None = None
    error: float | None = None
    scan: Scoring | None = None

    @property
    def gain_text(self) -> str:
        """The gain and its standard error, as ``"+0.012 +- 0.004"``; ``"-"`` without."""
        return _gain_text(self.gain, self.error)


@public
@dataclass(frozen=True)
class Advice:
    """What :func:`advise` measured and recommends. ``print(advice)`` shows it as a table.

    Attributes
    ----------
    metric : str
        The metric.
    n_rows, n_queries : int
        How many vectors were searched, and for how many queries.
    trials : tuple of Trial
        What was measured; the first is threshold 0 without rotation.
    best : Trial
        The recommended one: the first, unless another finds more beyond doubt.
    what_for : str
        The measure by which it was chosen: ``"hamming"``, ``"asymmetric"``, ``"rescored"`` or
        ``"corrected"``.
    contender : Trial or None
        The best other option on the part of the sample that chooses; its gain is that on the part
        that judges. None in advice of version 0.1.0.
    is_certain : bool
        Whether the contender finds more beyond doubt. If not, the first trial is recommended.
    has_few_queries : bool
        Whether there were too few queries to choose by.
    n_candidates : int
        Candidates for each query that were rescored.
    correction : bool or None
        Whether ``correction=True`` is recommended; None in advice of version 0.1.0.
    correction_gain, correction_error : float or None
        What a correction with the best trial finds more than the first trial without, and the
        standard error; None if that was not compared.
    """

    metric: str
    n_rows: int
    n_queries: int
    trials: tuple[Trial, ...]
    best: Trial
    what_for: str
    contender: Trial | None = None
    is_certain: bool = False
    has_few_queries: bool = False
    n_candidates: int = 40
    correction: bool | None = None
    correction_gain: float | None = None
    correction_error: float | None = None

    @property
    def gain(self) -> float | None:
        """What the contender finds more than the first trial: the mean over all queries."""
        return None if self.contender is None else self.contender.gain

    @property
    def error(self) -> float | None:
        """The standard error of :attr:`gain`."""
        return None if self.contender is None else self.contender.error

    @property
    def recommendation(self) -> dict[str, Any]:
        """Keyword arguments of :class:`Index`: ``Index(dim, **advice.recommendation)``.

        With ``bits_alone=True``, ``correction=True`` is among them if it finds more beyond doubt,
        with the threshold recommended. Search such an index with ``scoring="asymmetric"``.
        """
        chosen: dict[str, Any] = {
            "metric": self.metric,
            "threshold": 0.0 if self.best.threshold == "zero" else self.best.threshold,
            "rotate": self.best.rotate,
        }
        correction = self.correction
        if correction is None:  # of 0.1.0
            correction = self.what_for == "corrected" and self.best.corrected > self.best.asymmetric
        if correction:
            chosen["correction"] = True
        return chosen

    @property
    def verdict(self) -> str:
        """Whether another option than the first finds more beyond doubt, in words."""
        first = _named(self.trials[0])
        if self.has_few_queries:
            were = "query is" if self.n_queries == 1 else "queries are"
            return (
                f"{first} is kept: {self.n_queries} {were} too few to choose by; give "
                f"{2 * LEAST_QUERIES} or more, or {LEAST_ROWS_TO_CHOOSE} vectors, of which some "
                "serve as queries"
            )
        if self.contender is None or self.contender.gain is None or self.contender.error is None:
            return "measured by version 0.1.0, which gave no standard errors"
        option, gain = _named(self.contender), self.contender.gain_text
        if self.is_certain:
            return f"{option} finds more than {first}, beyond doubt: {gain}{self._on_correction()}"
        least = least_gain(self.contender.error, is_rescored=self.what_for == "rescored")
        return (
            f"{first} is kept: nothing finds more beyond doubt. The best other, {option}, gains "
            f"{gain}; with {self.n_queries} queries, {least:.3f} would be beyond doubt"
            f"{self._on_correction()}"
        )

    def _on_correction(self) -> str:
        """Return a sentence on the correction, if it was compared."""
        if self.correction_gain is None:
            return ""
        gain = _gain_text(self.correction_gain, self.correction_error)
        if self.is_certain:
            return f". With correction=True, it gains {gain} over {_named(self.trials[0])} without"
        is_certain = "beyond doubt" if self.correction else "not beyond doubt"
        return f". correction=True gains {gain}: {is_certain}"

    @in_default_floats
    def __str__(self) -> str:
        lines = [
            f"Share of float search's top {MOST_NEIGHBOURS} ({self.metric}), {self.n_queries} "
            f"queries among {self.n_rows} vectors; rescored: {self.n_candidates} candidates:",
            "",
            "  threshold  rotate  hamming  rescored  asymmetric  corrected             gain",
        ]
        for trial in self.trials:
            mark = "*" if trial is self.best else " "
            lines.append(
                f"{mark} {trial.threshold:9}  {'yes' if trial.rotate else 'no':6}"
                f"  {trial.hamming:7.3f}  {trial.rescored:8.3f}"
                f"  {trial.asymmetric:10.3f}  {trial.corrected:9.3f}  {trial.gain_text:>15}"
            )
        chosen = ", ".join(f"{name}={value!r}" for name, value in self.recommendation.items())
        lines += [
            "",
            *f"{self.verdict}.".replace(". ", ".\n").splitlines(),
            f"* recommended, by the column {self.what_for!r}: {chosen}",
        ]
        if self.what_for == "corrected":
            lines.append('  search it with scoring="asymmetric"')
        return "\n".join(lines)


def _gain_text(gain: float | None, error: float | None) -> str:
    if gain is None or error is None:
        return "-"
    return f"{gain:+.3f} +- {error:.3f}"


def _named(trial: Trial) -> str:
    """Return the arguments of an index with the bits of a trial."""
    threshold = "0" if trial.threshold == "zero" else repr(trial.threshold)
    return f"threshold={threshold}{', rotate=True' if trial.rotate else ''}"
