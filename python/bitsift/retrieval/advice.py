# SPDX-License-Identifier: Apache-2.0
"""Advice: which threshold, rotation and correction suit the data, measured on a sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.core.floats import in_default_floats
from bitsift.core.isa import resolve_isa
from bitsift.core.limits import MOST_ROWS_ADVISED
from bitsift.core.options import DEFAULT_OVERSAMPLING, METRICS, THRESHOLDS, Metric, Threshold
from bitsift.core.public import public
from bitsift.core.samples import evenly, evenly_spaced
from bitsift.encoding.binarizer import Binarizer
from bitsift.encoding.encoder import Encoder, Queries
from bitsift.encoding.rotation import random_flips
from bitsift.encoding.thresholds import compute_threshold, unit_rows
from bitsift.retrieval.defaults import Step
from bitsift.retrieval.ladder import BEFORE_CORRECTION, Plan, Rung
from bitsift.retrieval.pipeline import Documents, find_rows

__all__ = ["Advice", "Trial", "advise", "advise_on", "better_than"]

_MOST_QUERIES = 256
_LEAST_ROWS = 20
_K = 10
# Another option than threshold 0 is advised only if it gains this much, and this many standard
# errors of the difference.
_LEAST_GAIN = 0.005
_STANDARD_ERRORS = 3.0
# The columns of what is measured.
_MEASURES = {"hamming": 0, "rescored": 1, "asymmetric": 2, "corrected": 3}


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
        Found by rescoring, from the originals, the best 40 by Hamming distance.
    asymmetric : float
        Found by asymmetric scoring.
    corrected : float
        Found by asymmetric scoring with ``correction=True``.
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
        How many vectors were searched, and for how many queries.
    trials : tuple of Trial
        What was measured; the first is threshold 0 without rotation.
    best : Trial
        The recommended one.
    what_for : str
        The measure by which it was chosen: ``"hamming"``, ``"rescored"`` or ``"corrected"``.
    """

    metric: str
    n_rows: int
    n_queries: int
    trials: tuple[Trial, ...]
    best: Trial
    what_for: str

    @property
    def recommendation(self) -> dict[str, Any]:
        """Keyword arguments of :class:`Index`: ``Index(dim, **advice.recommendation)``.

        With ``bits_alone=True``, ``correction=True`` is among them if `best` found more by
        corrected scores than by asymmetric ones. Both are searched with ``scoring="asymmetric"``.
        """
        chosen: dict[str, Any] = {
            "metric": self.metric,
            "threshold": 0.0 if self.best.threshold == "zero" else self.best.threshold,
            "rotate": self.best.rotate,
        }
        if self.what_for == "corrected" and self.best.corrected > self.best.asymmetric:
            chosen["correction"] = True
        return chosen

    @in_default_floats
    def __str__(self) -> str:
        rescored = f"rescored x{DEFAULT_OVERSAMPLING:g}"
        lines = [
            f"Share of float search's top {_K} ({self.metric}), {self.n_queries} queries among "
            f"{self.n_rows} vectors:",
            "",
            f"  threshold  rotate  hamming  {rescored}  asymmetric  corrected",
        ]
        for trial in self.trials:
            mark = "*" if trial is self.best else " "
            lines.append(
                f"{mark} {trial.threshold:9}  {'yes' if trial.rotate else 'no':6}"
                f"  {trial.hamming:7.3f}  {trial.rescored:{len(rescored)}.3f}"
                f"  {trial.asymmetric:10.3f}  {trial.corrected:9.3f}"
            )
        chosen = ", ".join(f"{name}={value!r}" for name, value in self.recommendation.items())
        lines += ["", f"* recommended, by the column {self.what_for!r}: {chosen}"]
        if self.what_for == "corrected":
            lines.append('  search it with scoring="asymmetric"')
        return "\n".join(lines)


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

    Parameters
    ----------
    sample : array_like, shape (n, dim)
        Documents: float16, float32 or float64, finite. At least 20, better some thousands. Of more
        than 20,000, as many are used, evenly spaced.
    metric : {"cosine", "dot", "l2"}
        The metric of the search that bits have to imitate.
    queries : array_like, shape (m, dim) or (dim,), optional
        Real queries; of more than 256, as many are used, evenly spaced. By default, some vectors of
        the sample serve as queries and are not searched. Real queries give better advice where
        queries differ from documents.
    bits_alone : bool
        False recommends for an index with originals: what finds most among 4 candidates for each
        result. True recommends for an index without originals, which is searched with
        ``scoring="asymmetric"``: what finds most by corrected asymmetric scoring. It recommends
        ``correction=True`` only if the recommended option's mean share `corrected` is greater than
        its share `asymmetric`.
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
    Threshold 0 is kept unless another option gains more than .005 and more than three standard
    errors of the difference, because a sample does not measure finer. Costs two products of queries
    and sample, and eight small searches in each of four ways. The same input gives the same result.
    Safe to call from many threads.
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
        some_queries = evenly(arguments.narrow(given, np.float32, "queries"), _MOST_QUERIES)
    return advise_on(
        arguments.narrow(rows, np.float32, "sample"),
        metric,
        resolve_isa(isa),
        what_for="corrected" if bits_alone else "rescored",
        rotate=False,
        queries=some_queries,
        threads=arguments.check_threads(threads),
    )


def advise_on(
    rows: NDArray[np.float32],
    metric: Metric,
    isa: str,
    *,
    what_for: str,
    rotate: bool,
    queries: NDArray[np.float32] | None = None,
    threads: int = 0,
    hint: str = "",
) -> Advice:
    """Return what :func:`advise` returns, for checked arguments.

    `what_for` is the measure to maximise; `rotate` tries only options with a rotation; `hint` ends
    the error about too few rows.
    """
    if len(rows) < _LEAST_ROWS:
        raise ValueError(
            f"too few vectors to choose a threshold: must be {_LEAST_ROWS} or more; got "
            f"{len(rows)}{hint}"
        )
    if queries is None:
        rows, queries = _held_out(rows)
    rows = np.ascontiguousarray(evenly(rows, MOST_ROWS_ADVISED))
    trials = _Trials(rows, queries, metric, isa, threads)
    options = list(_options(rotate))
    shares = [trials.of(*option) for option in options]
    means = [
        Trial(*option, *found.mean(axis=0).tolist())
        for option, found in zip(options, shares, strict=True)
    ]
    best = _best([found[:, _MEASURES[what_for]] for found in shares])
    return Advice(metric, len(rows), len(queries), tuple(means), means[best], what_for)


def better_than(
    binarizer: Binarizer, rows: NDArray[np.float32], metric: Metric
) -> tuple[float, Trial] | None:
    """Return what rescoring finds with the bits of a binarizer, and the option that finds most.

    None if no option surely finds more than the binarizer. There must be at least 20 rows.
    """
    rows, queries = _held_out(rows)
    trials = _Trials(rows, queries, metric, binarizer.isa, 0)
    now = trials.rescored_by(binarizer)
    options = list(_options(False))
    shares = [trials.of(*option) for option in options]
    best = _best([now, *(found[:, _MEASURES["rescored"]] for found in shares)]) - 1
    if best < 0:
        return None
    return float(now.mean()), Trial(*options[best], *shares[best].mean(axis=0).tolist())


def _held_out(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the rows, without some that serve as queries, and these."""
    n_queries = min(_MOST_QUERIES, len(rows) // 4)
    is_query = np.zeros(len(rows), np.bool_)
    is_query[evenly_spaced(len(rows), n_queries)] = True
    return rows[~is_query], rows[is_query]


def _scaled(
    rows: NDArray[np.float32], queries: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return both times one power of two: the order of scores stays, and no trial overflows."""
    exponent = np.frexp(max(np.abs(rows).max(), np.abs(queries).max()))[1]
    return np.ldexp(rows, -exponent), np.ldexp(queries, -exponent)


def _options(rotate: bool) -> Iterator[tuple[Threshold, bool]]:
    for rotated in (True,) if rotate else (False, True):
        for threshold in THRESHOLDS:
            yield threshold, rotated


def _best(shares: list[NDArray[np.float64]]) -> int:
    """Return the number of the option with the largest mean: 0 unless the gain is certain."""
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
        metric: Metric,
        isa: str,
        threads: int,
    ) -> None:
        self._given = rows, queries
        if metric == "cosine":
            self._rows, self._queries = unit_rows(rows), unit_rows(queries)
        else:
            self._rows, self._queries = _scaled(rows, queries)
        self._metric, self._isa, self._threads = metric, isa, threads
        self._k = min(_K, len(rows))
        all_rows = np.broadcast_to(np.arange(len(rows)), (len(queries), len(rows)))
        self._true = self._rescore(np.ascontiguousarray(all_rows), self._k)

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

    def rescored_by(self, binarizer: Binarizer) -> NDArray[np.float64]:
        """Return the share that each query finds with a binarizer of the vectors as they came."""
        rows, queries = (
            binarizer.encode(some, "vectors", 0, self._threads) for some in self._given
        )
        encoder = Encoder(binarizer, (), self._metric, corrected=False)
        documents = Documents(encoder, encoder.empty_columns()._replace(codes=rows.codes))
        candidates = self._candidates(documents, Queries(queries.codes, queries))
        return self._shares(self._rescore(candidates, self._k))

    def of(self, threshold: Threshold, rotate: bool) -> NDArray[np.float64]:
        """Return the share that each query finds by each measure, shape (n_queries, 4)."""
        dim = self._rows.shape[1]
        binarizer = Binarizer(
            dim,
            compute_threshold(self._rows, threshold),
            self._isa,
            flips=random_flips(dim) if rotate else None,
        )
        encoder = Encoder(binarizer, (), self._metric, corrected=True)
        columns = encoder.empty_columns(len(self._rows))
        encoder.encode_into(columns, self._rows, self._threads)
        corrected = Documents(encoder, columns)
        uncorrected = Documents(encoder, columns._replace(factors=None))
        block = binarizer.encode(self._queries, "queries", 0, self._threads)
        queries = Queries(block.codes, block)
        candidates = self._candidates(uncorrected, queries)
        found = {
            "hamming": candidates[:, : self._k],
            "rescored": self._rescore(candidates, self._k),
            "asymmetric": self._find(uncorrected, queries, [Rung("asymmetric", 1.0)], self._k),
            "corrected": self._find(
                corrected,
                queries,
                [Rung("asymmetric", BEFORE_CORRECTION), Rung("asymmetric", 1.0)],
                self._k,
            ),
        }
        return np.stack([self._shares(found[measure]) for measure in _MEASURES], axis=1)

    def _candidates(self, documents: Documents, queries: Queries) -> NDArray[np.int64]:
        n = min(math.ceil(self._k * DEFAULT_OVERSAMPLING), len(documents))
        return self._find(documents, queries, [Rung("hamming", 1.0)], n)

    def _find(
        self, documents: Documents, queries: Queries, rungs: list[Rung], n: int
    ) -> NDArray[np.int64]:
        return find_rows(documents, queries, Plan((Step(n, n),), rungs, self._threads))[1]

    def _shares(self, found: NDArray[np.int64]) -> NDArray[np.float64]:
        hits = (found[:, :, np.newaxis] == self._true[:, np.newaxis, :]).any(axis=1)
        return np.asarray(hits.mean(axis=1), np.float64)
