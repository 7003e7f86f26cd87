# SPDX-License-Identifier: Apache-2.0
"""Advice: which threshold, rotation and correction suit the data, measured on a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.floats import in_default_floats
from bitsift.core.isa import resolve_isa
from bitsift.core.options import METRICS, Metric, Scoring, Threshold
from bitsift.core.public import public
from bitsift.core.samples import scattered
from bitsift.encoding.binarizer import Binarizer
from bitsift.retrieval.comparison import Comparison, Option, Use, compare
from bitsift.retrieval.evidence import LEAST_QUERIES, gain_over, least_gain
from bitsift.retrieval.parts import LEAST_ROWS_TO_CHOOSE
from bitsift.retrieval.trials import K, Scan, Way

__all__ = ["Advice", "Better", "Trial", "advise", "advise_on", "better_than"]

_LEAST_ROWS = 20
_WITH_ORIGINALS = Use(("asymmetric", "hamming"), is_rescored=True)
# A correction is advised with the threshold for which it finds more than threshold 0 without one.
_BITS_ALONE = Use(("corrected",), is_rescored=False, base="asymmetric")
_RESCORED = [Way("asymmetric", is_rescored=True), Way("hamming", is_rescored=True)]
# A sample of so many rows says whether it pays to look at more.
_MOST_ROWS_FIRST = 2_560


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
        if self.gain is None or self.error is None:
            return "-"
        return f"{self.gain:+.3f} +- {self.error:.3f}"


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
        option = _named(self.contender)
        if self.what_for == "corrected" and (self.is_certain or not self.correction):
            option += ", correction=True"
        gain = self.contender.gain_text
        if self.is_certain:
            return f"{option} finds more than {first}, beyond doubt: {gain}"
        return (
            f"{first} is kept: nothing finds more beyond doubt. The best other, {option}, gains "
            f"{gain}; with {self.n_queries} queries, {least_gain(self.contender.error):.3f} would "
            "be beyond doubt"
        )

    @in_default_floats
    def __str__(self) -> str:
        lines = [
            f"Share of float search's top {K} ({self.metric}), {self.n_queries} queries among "
            f"{self.n_rows} vectors; rescored: {self.n_candidates} candidates:",
            "",
            "  threshold  rotate  hamming  rescored  asymmetric  corrected            gain",
        ]
        for trial in self.trials:
            mark = "*" if trial is self.best else " "
            lines.append(
                f"{mark} {trial.threshold:9}  {'yes' if trial.rotate else 'no':6}"
                f"  {trial.hamming:7.3f}  {trial.rescored:8.3f}"
                f"  {trial.asymmetric:10.3f}  {trial.corrected:9.3f}  {trial.gain_text:>14}"
            )
        chosen = ", ".join(f"{name}={value!r}" for name, value in self.recommendation.items())
        lines += [
            "",
            f"{self.verdict}.",
            f"* recommended, by the column {self.what_for!r}: {chosen}",
        ]
        if self.what_for == "corrected":
            lines.append('  search it with scoring="asymmetric"')
        return "\n".join(lines)


def _named(trial: Trial) -> str:
    """Return the arguments of an index with the bits of a trial."""
    threshold = "0" if trial.threshold == "zero" else repr(trial.threshold)
    return f"threshold={threshold}{', rotate=True' if trial.rotate else ''}"


@public
@in_default_floats
def advise(
    sample: ArrayLike,
    *,
    metric: Metric = "cosine",
    queries: ArrayLike | None = None,
    bits_alone: bool = False,
    isa: str | None = None,
    threads: SupportsIndex = 0,
) -> Advice:
    """Try thresholds, rotation and correction on a sample, and recommend what finds most.

    Threshold 0 without rotation is recommended unless another option finds more beyond doubt.

    Parameters
    ----------
    sample : array_like, shape (n, dim)
        Documents: float16, float32 or float64, finite. At least 20, better some thousands. Of more
        than 20,000, as many are used, evenly spaced.
    metric : {"cosine", "dot", "l2"}
        The metric of the search that bits have to imitate.
    queries : array_like, shape (m, dim) or (dim,), optional
        Real queries, 60 or more; of more than 512, as many are used, evenly spaced. By default, a
        quarter of the sample serves as queries, and is not searched; so 240 vectors are needed.
        Real queries give better advice where queries differ from documents.
    bits_alone : bool
        False recommends for an index with originals: what finds most by rescoring candidates. True
        recommends for an index without originals, which is searched with ``scoring="asymmetric"``:
        with threshold 0, or with ``correction=True`` and the threshold that finds most then.
    isa : str, optional
        Instruction set, as in :class:`Index`.
    threads : int
        Number of threads; 0 means all.

    Returns
    -------
    Advice
        The measurements, and ``recommendation``: keyword arguments of :class:`Index`.

    Raises
    ------
    TypeError
        Another dtype.
    ValueError
        Shapes that do not fit, too few vectors, values that are not finite.

    Notes
    -----
    Documents and queries are split in two parts. Thresholds are computed from the first part, and
    the best option is chosen there. The second part judges: each query is searched with that option
    and with threshold 0, and the mean of the differences is the option's gain. It is beyond doubt
    if three standard errors less are still more than .02. All numbers shown are those of the second
    part. With fewer than 60 queries, there is one part, and threshold 0 is kept.

    Costs two products of queries and sample, and some small searches for each of eight options. The
    same input gives the same result, with each instruction set and number of threads. Safe to call
    from many threads.
    """
    rows = arguments.parse_matrix(sample, "sample")
    arguments.choice(metric, "metric", METRICS)
    arguments.check_bool(bits_alone, "bits_alone")
    some_queries = None
    if queries is not None:
        given = arguments.parse_values(queries, "queries", floats=True).rows
        if given.shape[1] != rows.shape[1]:
            raise ValueError(
                f"queries must have {rows.shape[1]} values a row, like sample; got {given.shape[1]}"
            )
        if len(given) == 0:
            raise ValueError(f"queries must have at least one row; got shape {given.shape}")
        some_queries = arguments.narrow(given, np.float32, "queries")
    return advise_on(
        arguments.narrow(rows, np.float32, "sample"),
        metric,
        resolve_isa(isa),
        use=_BITS_ALONE if bits_alone else _WITH_ORIGINALS,
        queries=some_queries,
        threads=arguments.check_threads(threads),
    )


def advise_on(
    rows: NDArray[np.float32],
    metric: Metric,
    isa: str,
    *,
    use: Use,
    rotate: bool = False,
    queries: NDArray[np.float32] | None = None,
    threads: int = 0,
    hint: str = "",
) -> Advice:
    """Return what :func:`advise` returns, for checked arguments.

    `use` is that of the index; `rotate` tries only options with a rotation; `hint` ends the error
    about too few rows.
    """
    if len(rows) < _LEAST_ROWS:
        raise ValueError(
            f"too few vectors to choose a threshold: must be {_LEAST_ROWS} or more; got "
            f"{len(rows)}{hint}"
        )
    compared = compare(
        rows, queries, metric, isa, use=use, rotate=rotate, threads=threads, counts_all=True
    )
    trials = tuple(_trial(compared, i) for i in range(len(compared.options)))
    best, part = compared.best, compared.trials
    correction = use.scans == ("corrected",) and (use.base is None or compared.is_certain)
    return Advice(
        metric,
        part.n_rows,
        part.n_queries,
        trials,
        trials[best],
        use.what_for,
        contender=trials[compared.contender],
        is_certain=compared.is_certain,
        has_few_queries=compared.has_few_queries,
        n_candidates=part.n_candidates,
        correction=correction,
    )


def _trial(compared: Comparison, i: int) -> Trial:
    """Return what the option of that number found."""
    counts, used, gain = compared.counts[i], compared.ways[i], compared.gains[i]
    if not used.is_rescored:
        used = max(_RESCORED, key=lambda way: counts[way].sum())
    return Trial(
        *compared.options[i],
        hamming=compared.trials.share(counts[Way("hamming")]),
        rescored=compared.trials.share(counts[used]),
        asymmetric=compared.trials.share(counts[Way("asymmetric")]),
        corrected=compared.trials.share(counts[Way("corrected")]),
        gain=gain.mean,
        error=gain.error,
        scan="hamming" if used.scan == "hamming" else "asymmetric",
    )


class Better(NamedTuple):
    """What finds more than a binarizer beyond doubt.

    Attributes
    ----------
    option : Option
        Threshold and rotation.
    correction : bool
        Whether it is with ``correction=True``.
    share, share_before : float
        What it finds, and what the binarizer finds.
    """

    option: Option
    correction: bool
    share: float
    share_before: float


def better_than(
    binarizer: Binarizer,
    rows: NDArray[np.float32],
    metric: Metric,
    *,
    has_originals: bool,
    is_corrected: bool,
) -> Better | None:
    """Return what :func:`advise` recommends, if it finds more than a binarizer beyond doubt.

    The rows, 240 or more, are those that :func:`advise` would get, so that it never says otherwise.
    """
    use = _WITH_ORIGINALS if has_originals else _BITS_ALONE
    scan: Scan = "corrected" if is_corrected else "asymmetric"
    ways = _RESCORED if has_originals else [Way(scan)]
    better = None
    for some in (scattered(rows, _MOST_ROWS_FIRST), rows):
        compared = compare(some, None, metric, binarizer.isa, use=use)
        better = _better_than(binarizer, compared, ways, use)
        if better is None or len(some) == len(rows):
            break
    return better


def _better_than(
    binarizer: Binarizer, compared: Comparison, ways: list[Way], use: Use
) -> Better | None:
    best, trials = compared.best, compared.trials
    correction = use.base is not None and compared.is_certain
    way = compared.ways[best] if correction or use.base is None else Way(use.base)
    hits = compared.counts[best][way]
    counts = trials.count(binarizer, ways, as_given=True)
    before = max(counts.values(), key=np.sum)
    if not gain_over(hits, before, trials.k).is_certain:
        return None
    return Better(compared.options[best], correction, trials.share(hits), trials.share(before))
