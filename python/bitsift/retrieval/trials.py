# SPDX-License-Identifier: Apache-2.0
"""Trials: searches of a sample with each threshold and rotation, and the advice that follows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.core.errors import warn
from bitsift.core.floats import in_default_floats
from bitsift.core.isa import resolve_isa
from bitsift.core.limits import LEAST_ROWS_ADVISED
from bitsift.core.options import METRICS, THRESHOLDS, Metric
from bitsift.core.public import public
from bitsift.core.samples import Stacked, scattered
from bitsift.encoding.binarizer import Binarizer
from bitsift.encoding.encoder import Encoder, Queries
from bitsift.encoding.rotation import random_flips
from bitsift.encoding.thresholds import compute_threshold
from bitsift.retrieval.advice import Advice, Trial
from bitsift.retrieval.comparison import Comparison, Counts, Option, Use, Way, choose, options
from bitsift.retrieval.defaults import Step
from bitsift.retrieval.evidence import gain_over
from bitsift.retrieval.exact import MOST_NEIGHBOURS, count_hits, exact_neighbours
from bitsift.retrieval.ladder import BEFORE_CORRECTION, Plan, Rung
from bitsift.retrieval.parts import MOST_ROWS_COMPARED, Part, some_rows, split
from bitsift.retrieval.pipeline import Documents, find_rows

__all__ = ["Better", "advise", "advise_on", "better_than", "warn_of_poor_bits"]

# So many candidates are rescored, but at most one of so many documents: a small sample stands for a
# larger collection, of which candidates are a small part.
_MOST_CANDIDATES = 40
_DOCUMENTS_FOR_A_CANDIDATE = 25
_ALONE = (Way("hamming"), Way("asymmetric"), Way("corrected"))
_RESCORED = (Way("asymmetric", is_rescored=True), Way("hamming", is_rescored=True))
_WITH_ORIGINALS = Use(_RESCORED)
_BITS_ALONE = Use((Way("corrected"),), plain=Way("asymmetric"))
# A sample of so many rows says whether it pays to look at more.
_MOST_ROWS_FIRST = 2_560
_MOST_ROWS_CHECKED = 2048
_LEAST_ROWS_CHECKED = 256
# A bit is nearly constant if it is the same in this share of the vectors.
_NEARLY_ALL = 0.95
# Bits are poor if more than this share of the dimensions have a nearly constant bit, or if the
# shares of ones and zeros differ by more than this on average.
_MOST_CONSTANT = 0.05
_MOST_UNEVEN = 0.45


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
    if three standard errors less are still more than .02, or .04 with originals: of a sample, fewer
    candidates are rescored than of a collection, and differences are larger. All numbers shown are
    those of the second part. With fewer than 60 queries, they are all in one part, and threshold 0
    is kept.

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
    if len(rows) < LEAST_ROWS_ADVISED:
        raise ValueError(
            f"too few vectors to choose a threshold: must be {LEAST_ROWS_ADVISED} or more; got "
            f"{len(rows)}{hint}"
        )
    sample = _Sample(rows, queries, metric, isa, rotate=rotate, threads=threads)
    compared = sample.compare(use, counted=_ALONE + _RESCORED)
    part = sample.judging
    trials = tuple(_trial(sample, compared, i) for i in range(len(sample.options)))
    added = compared.correction
    return Advice(
        metric,
        part.n_rows,
        part.n_queries,
        trials,
        trials[compared.best],
        use.what_for,
        contender=trials[compared.contender],
        is_certain=compared.is_certain,
        has_few_queries=sample.learning is None,
        n_candidates=part.n_candidates,
        correction=compared.best_way == Way("corrected"),
        correction_gain=None if added is None else added.mean,
        correction_error=None if added is None else added.error,
    )


def _trial(sample: _Sample, compared: Comparison, i: int) -> Trial:
    """Return what the option of that number found."""
    counts, way, gain = sample.counts[i], compared.ways[i], compared.gains[i]
    if not way.is_rescored:
        way = max(_RESCORED, key=lambda way: counts[way].sum())
    hamming, asymmetric, corrected = (sample.judging.share(counts[way]) for way in _ALONE)
    return Trial(
        *sample.options[i],
        hamming=hamming,
        rescored=sample.judging.share(counts[way]),
        asymmetric=asymmetric,
        corrected=corrected,
        gain=gain.mean,
        error=gain.error,
        scan="hamming" if way.scan == "hamming" else "asymmetric",
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
    alone = Way("corrected" if is_corrected else "asymmetric")
    before = _RESCORED if has_originals else (alone,)
    better = None
    for some in (scattered(rows, _MOST_ROWS_FIRST), rows):
        better = _better_than(binarizer, _Sample(some, None, metric, binarizer.isa), use, before)
        if better is None or len(some) == len(rows):
            break
    return better


def _better_than(
    binarizer: Binarizer, sample: _Sample, use: Use, ways_before: Collection[Way]
) -> Better | None:
    compared = sample.compare(use)
    hits = sample.counts[compared.best][compared.best_way]
    counts = sample.judging.count(binarizer, ways_before, as_given=True)
    before = max(counts.values(), key=np.sum)
    gain = gain_over(hits, before, sample.judging.k)
    if not gain.is_certain(is_rescored=use.is_rescored):
        return None
    return Better(
        sample.options[compared.best],
        compared.best_way == Way("corrected"),
        sample.judging.share(hits),
        sample.judging.share(before),
    )


class _Sample:
    """A sample in two parts, searched with all options.

    Attributes
    ----------
    options : list of Option
        The options; the first is threshold 0.
    counts : list of Counts
        What each option finds of the part that judges, once they are compared.
    learning : _Searches or None
        Searches of the part that learns; None if there are too few queries for two parts.
    judging : _Searches
        Searches of the other part.
    """

    def __init__(
        self,
        rows: NDArray[np.float32],
        queries: NDArray[np.float32] | None,
        metric: Metric,
        isa: str,
        *,
        rotate: bool = False,
        threads: int = 0,
    ) -> None:
        learnt, judged = split(rows, queries, metric, threads)
        self.options = options(rotate=rotate)
        thresholds = {name: compute_threshold(learnt.rows, name) for name in THRESHOLDS}
        dim = rows.shape[1]
        flips = random_flips(dim)
        self._binarizers = [
            Binarizer(dim, thresholds[name], isa, flips=flips if rotated else None)
            for name, rotated in self.options
        ]
        self.counts: list[Counts] = []
        self.judging = _Searches(judged, metric, isa, threads)
        self.learning = None
        if len(learnt.queries) > 0:
            self.learning = _Searches(learnt, metric, isa, threads)

    def compare(self, use: Use, *, counted: tuple[Way, ...] = ()) -> Comparison:
        """Compare the options, and count what they find in some more ways."""
        counted = tuple(dict.fromkeys(use.all_ways + counted))
        self.counts = [self.judging.count(each, counted) for each in self._binarizers]
        learnt = None
        if self.learning is not None:
            learnt = [self.learning.count(each, use.all_ways) for each in self._binarizers]
        return choose(use, self.judging.k, learnt, self.counts)


class _Searches:
    """Searches of a part of a sample.

    Attributes
    ----------
    k : int
        Neighbours of each query that are to be found: 10, or all there are.
    n_candidates : int
        Candidates that are rescored for each query.
    n_rows, n_queries : int
        Documents and queries.
    """

    def __init__(self, part: Part, metric: Metric, isa: str, threads: int) -> None:
        self._part = part
        self._metric, self._isa, self._threads = metric, isa, threads
        n = self.n_rows = len(part.rows)
        self.n_queries = len(part.queries)
        self.k = min(MOST_NEIGHBOURS, n)
        self.n_candidates = max(self.k, min(_MOST_CANDIDATES, n // _DOCUMENTS_FOR_A_CANDIDATE))
        self._exact = exact_neighbours(part.rows, part.queries, self.k, metric, isa, threads)

    def count(
        self, binarizer: Binarizer, ways: Collection[Way], *, as_given: bool = False
    ) -> Counts:
        """Return how many true neighbours each query finds in some ways with a binarizer.

        `as_given` says that the binarizer is for the vectors as they came.
        """
        part = self._part
        rows, asked = (
            (part.given_rows, part.given_queries) if as_given else (part.rows, part.queries)
        )
        corrects = any(way.scan == "corrected" for way in ways)
        encoder = Encoder(binarizer, (), self._metric, corrected=corrects)
        columns = encoder.empty_columns(len(rows))
        encoder.encode_into(columns, rows, self._threads)
        block = binarizer.encode(asked, "queries", 0, self._threads)
        queries = Queries(block.codes, block)
        found = {}
        for way in ways:
            scan, is_rescored = way
            is_corrected = scan == "corrected"
            documents = Documents(
                encoder, columns if is_corrected else columns._replace(factors=None)
            )
            rungs = [Rung("asymmetric" if is_corrected else scan, 1.0)]
            if is_corrected:
                rungs.insert(0, Rung("asymmetric", BEFORE_CORRECTION))
            n = self.n_candidates if is_rescored else self.k
            plan = Plan((Step(n, n),), rungs, self._threads)
            rows_found = find_rows(documents, queries, plan)[1]
            if is_rescored:
                rows_found = self._rescore(rows_found)
            found[way] = count_hits(rows_found, self._exact)
        return found

    def share(self, hits: NDArray[np.int64]) -> float:
        """Return the mean share of true neighbours that these are."""
        return int(hits.sum()) / (self.n_queries * self.k)

    def _rescore(self, candidates: NDArray[np.int64]) -> NDArray[np.int64]:
        return native.rescore(
            self._part.rows,
            self._part.queries,
            candidates,
            k=self.k,
            metric=self._metric,
            ids=None,
            isa=self._isa,
            threads=self._threads,
        )[1]


def warn_of_poor_bits(
    sample: NDArray[Any] | Stacked, codes: NDArray[np.uint8], encoder: Encoder
) -> None:
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
        some_rows(sample, MOST_ROWS_COMPARED, "vectors"),
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
