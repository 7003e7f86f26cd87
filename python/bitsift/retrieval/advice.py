# SPDX-License-Identifier: Apache-2.0
"""Which threshold suits the data, and whether a rotation or a correction helps: measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.core.blocks import evenly
from bitsift.core.isa import resolve_isa
from bitsift.core.options import THRESHOLDS, Metric, Threshold
from bitsift.core.public import public
from bitsift.encoding.binarizer import Binarizer, random_flips
from bitsift.encoding.correction import n_factors, write_factors
from bitsift.encoding.thresholds import centre_of, unit_rows
from bitsift.retrieval.ladder import BEFORE_CORRECTION, Rung
from bitsift.retrieval.pipeline import find_rows
from bitsift.retrieval.rows import Plan, Queries, Rows

__all__ = ["Advice", "Trial", "advise", "advise_on"]

_MOST_ROWS = 20_000
_MOST_QUERIES = 256
_LEAST_ROWS = 20
_K = 10
_OVERSAMPLING = 4.0
# What must be gained over the sign at zero before anything else is advised, and in how many
# standard errors of the difference.
_LEAST_GAIN = 0.005
_STANDARD_ERRORS = 3.0


@public
@dataclass(frozen=True)
class Trial:
    """One way to make bits, and how much of float search's top 10 it finds in a sample: 0 to 1.

    Attributes
    ----------
    threshold : {"zero", "half-mean", "mean", "median"}
        Where signs change.
    rotate : bool
        Whether vectors are rotated.
    hamming : float
        By the Hamming distance alone.
    rescored : float
        By the best 40 by Hamming distance, rescored from the originals.
    asymmetric : float
        By float queries against bits.
    corrected : float
        The same with ``correction=True``.
    """

    threshold: Threshold
    rotate: bool
    hamming: float
    rescored: float
    asymmetric: float
    corrected: float


@public
@dataclass(frozen=True)
class Advice:
    """What :func:`advise` measured and recommends. ``print(advice)`` shows it as a table.

    Attributes
    ----------
    metric : str
        The metric.
    n_rows, n_queries : int
        How many vectors were searched, and for how many others.
    trials : tuple of Trial
        What was measured; the first is the sign at zero.
    best : Trial
        The one that is recommended.
    what_for : str
        The column in which it is the best.
    """

    metric: str
    n_rows: int
    n_queries: int
    trials: tuple[Trial, ...]
    best: Trial
    what_for: str

    @property
    def recommendation(self) -> dict[str, Any]:
        """Arguments of :class:`Index`: ``Index(dim, **advice.recommendation)``."""
        chosen: dict[str, Any] = {
            "metric": self.metric,
            "threshold": 0.0 if self.best.threshold == "zero" else self.best.threshold,
            "rotate": self.best.rotate,
        }
        if self.what_for == "corrected":
            chosen["correction"] = True
        return chosen

    def __str__(self) -> str:
        lines = [
            f"Share of float search's top {_K} ({self.metric}), {self.n_queries} queries among "
            f"{self.n_rows} vectors:",
            "",
            "  threshold  rotate  hamming  rescored x4  asymmetric  corrected",
        ]
        for trial in self.trials:
            mark = "*" if trial is self.best else " "
            lines.append(
                f"{mark} {trial.threshold:9}  {'yes' if trial.rotate else 'no':6}"
                f"  {trial.hamming:7.3f}  {trial.rescored:11.3f}  {trial.asymmetric:10.3f}"
                f"  {trial.corrected:9.3f}"
            )
        chosen = ", ".join(f"{name}={value!r}" for name, value in self.recommendation.items())
        lines += ["", f"* recommended, by the column {self.what_for!r}: {chosen}"]
        return "\n".join(lines)


@public
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

    Parameters
    ----------
    sample : array_like, shape (n, dim)
        Documents: float16, float32 or float64, finite; 20 or more, better some thousands. At most
        20,000 are looked at, evenly spaced.
    metric : {"cosine", "dot", "l2"}
        What makes neighbours.
    queries : array_like, shape (m, dim), optional
        Queries such as will be asked, of which 256, evenly spaced, are used if there are more. By
        default some of the sample's vectors ask, and are left out of what is searched; where
        queries are unlike documents, true ones are the better judges.
    bits_alone : bool
        False recommends for an index that rescores from originals: what finds most among 4
        candidates for each result. True recommends for one without originals: what finds most by
        corrected asymmetric scoring.
    isa : str, optional
        Instruction set, as in :class:`Index`.
    threads : int
        Number of threads; 0 means all.

    Returns
    -------
    Advice
        The measurements, and ``recommendation``: arguments of :class:`Index`.

    Raises
    ------
    TypeError
        Another dtype.
    ValueError
        Shapes that do not fit, too few vectors, values that are not finite.

    Notes
    -----
    The sign at zero is kept unless something else gains more than .005 and three standard errors of
    the difference: what is measured on a sample is not known better than that. Costs two
    products of queries and sample, and eight small searches in four ways. Same input, same result.
    """
    rows = arguments.as_values(sample, "sample")
    arguments.refuse_bool(rows, "sample")
    if rows.ndim != 2:
        raise ValueError(f"sample must have shape (n, dim); got shape {rows.shape}")
    arguments.choice(metric, "metric", ("cosine", "dot", "l2"))
    asked = None
    if queries is not None:
        asked = arguments.as_rows(arguments.as_values(queries, "queries"))
        arguments.refuse_bool(asked, "queries")
        if asked.shape[1] != rows.shape[1]:
            raise ValueError(
                f"queries must have as many values as sample: got {asked.shape[1]}; sample has "
                f"{rows.shape[1]}"
            )
        if len(asked) == 0:
            raise ValueError(f"queries must have at least one row; got shape {asked.shape}")
        asked = evenly(arguments.as_finite_float32(asked, "queries"), _MOST_QUERIES)
    return advise_on(
        arguments.as_finite_float32(rows, "sample"),
        metric,
        resolve_isa(isa),
        what_for="corrected" if bits_alone else "rescored",
        rotate=False,
        queries=asked,
        threads=arguments.check_threads(threads),
    )


def advise_on(
    rows: NDArray[np.float32],
    metric: str,
    isa: str,
    *,
    what_for: str,
    rotate: bool,
    queries: NDArray[np.float32] | None = None,
    threads: int = 0,
) -> Advice:
    """Do the work of :func:`advise`; `rotate` leaves no choice but to rotate."""
    if len(rows) < _LEAST_ROWS:
        raise ValueError(
            f"too few vectors to choose a threshold by: got {len(rows)}, wanted {_LEAST_ROWS}"
        )
    if queries is None:
        n_queries = min(_MOST_QUERIES, len(rows) // 4)
        is_query = np.zeros(len(rows), np.bool_)
        is_query[np.linspace(0, len(rows) - 1, n_queries).astype(np.int64)] = True
        rows, queries = rows[~is_query], rows[is_query]
    rows = evenly(rows, _MOST_ROWS)
    if metric == "cosine":
        rows, queries = unit_rows(rows), unit_rows(queries)
    else:
        rows, queries = _of_size_one(rows, queries)
    trials = _Trials(rows, queries, metric, isa, threads)
    shares = [trials.of(*option) for option in _options(rotate)]
    means = [Trial(*option, *found.mean(axis=0).tolist()) for option, found in shares]
    column = list(Trial.__dataclass_fields__).index(what_for) - 2
    best = _best([found[:, column] for _, found in shares])
    return Advice(metric, len(rows), len(queries), tuple(means), means[best], what_for)


def _of_size_one(
    rows: NDArray[np.float32], queries: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return both times a power of two: no order changes, and nothing overflows that is tried."""
    exponent = np.frexp(max(np.abs(rows).max(), np.abs(queries).max()))[1]
    return np.ldexp(rows, -exponent), np.ldexp(queries, -exponent)


def _options(rotate: bool) -> Iterator[tuple[Threshold, bool]]:
    for rotated in (True,) if rotate else (False, True):
        for threshold in THRESHOLDS:
            yield threshold, rotated


def _best(shares: list[NDArray[np.float64]]) -> int:
    """Return the number of the option with the largest mean, the first unless that is certain."""
    best, most = 0, 0.0
    for i, found in enumerate(shares[1:], 1):
        gains = found - shares[0]
        error = gains.std() / np.sqrt(len(gains))
        if gains.mean() > max(_LEAST_GAIN, _STANDARD_ERRORS * error, most):
            best, most = i, gains.mean()
    return best


class _Trials:
    """Searches of a sample in all ways."""

    def __init__(
        self,
        rows: NDArray[np.float32],
        queries: NDArray[np.float32],
        metric: str,
        isa: str,
        threads: int,
    ) -> None:
        self._rows, self._queries = rows, queries
        self._metric, self._isa, self._threads = metric, isa, threads
        self._k = min(_K, len(rows))
        everything = np.broadcast_to(np.arange(len(rows)), (len(queries), len(rows)))
        self._true = self._rescore(np.ascontiguousarray(everything), self._k)

    def _rescore(self, candidates: NDArray[np.int64], k: int) -> NDArray[np.int64]:
        return native.rescore(
            self._rows,
            self._queries,
            candidates,
            k=k,
            metric=self._metric,
            ids=None,
            isa=self._isa,
            threads=self._threads,
        )[1]

    def of(
        self, threshold: Threshold, rotate: bool
    ) -> tuple[tuple[Threshold, bool], NDArray[np.float64]]:
        """Return the option, and what each query finds by each way of scoring."""
        rows, dim = self._rows, self._rows.shape[1]
        centre = centre_of(rows, threshold)
        binarizer = Binarizer(dim, centre, self._isa, flips=random_flips(dim) if rotate else None)
        packed = binarizer.pack(rows, "sample", 0, self._threads)
        codes = packed.codes
        n_columns = n_factors(self._metric, binarizer.is_centred)
        factors = np.empty((len(rows), n_columns), np.uint16)
        write_factors(binarizer, self._metric, packed, factors, 0, n_columns)
        asked = binarizer.pack(self._queries, "queries", 0, self._threads)
        queries = Queries(asked.codes, asked)
        wide = self._search(binarizer, codes, None, queries, [Rung("hamming", _OVERSAMPLING)])
        ways = (
            wide[:, : self._k],
            self._rescore(wide, self._k),
            self._search(binarizer, codes, None, queries, [Rung("asymmetric", 1.0)]),
            self._search(
                binarizer,
                codes,
                factors,
                queries,
                [Rung("asymmetric", BEFORE_CORRECTION), Rung("asymmetric", 1.0)],
            ),
        )
        return (threshold, rotate), np.stack([self._shares(found) for found in ways], axis=1)

    def _search(
        self,
        binarizer: Binarizer,
        codes: NDArray[np.uint8],
        factors: NDArray[np.uint16] | None,
        queries: Queries,
        rungs: list[Rung],
    ) -> NDArray[np.int64]:
        rows = Rows(binarizer, codes, (), (), factors, None, None)
        plan = Plan(self._k, rungs, self._metric, self._isa, self._threads)  # type: ignore[arg-type]
        return find_rows(rows, queries, plan)[1]

    def _shares(self, found: NDArray[np.int64]) -> NDArray[np.float64]:
        hits = (found[:, :, np.newaxis] == self._true[:, np.newaxis, :]).any(axis=1)
        return np.asarray(hits.mean(axis=1), np.float64)
