# SPDX-License-Identifier: Apache-2.0
"""Fitting: what an index finds out from its first vectors, and the vectors that wait for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bitsift.core import arguments
from bitsift.core.arguments import Codes, Values
from bitsift.core.blocks import row_blocks
from bitsift.core.errors import BitsiftWarning, warn
from bitsift.core.floats import in_default_floats
from bitsift.core.interruptible import copy_into
from bitsift.core.limits import FEW_VECTORS, LEAST_ROWS_FITTED, MOST_ROWS_FITTED
from bitsift.core.options import Metric, Rule, Scoring, Threshold
from bitsift.core.samples import Stacked
from bitsift.encoding.binarizer import Binarizer
from bitsift.encoding.encoder import Encoder
from bitsift.encoding.rotation import random_flips
from bitsift.encoding.thresholds import compute_threshold, unit_rows
from bitsift.index.growable import GrowableColumns
from bitsift.index.waiting import Waiting
from bitsift.quantization.few_rows import FewRows
from bitsift.retrieval.advice import Advice
from bitsift.retrieval.comparison import Use
from bitsift.retrieval.defaults import DEFAULTS, SearchDefaults
from bitsift.retrieval.ladder import LadderOptions
from bitsift.retrieval.parts import LEAST_ROWS_TO_CHOOSE, MOST_ROWS_COMPARED, some_rows
from bitsift.retrieval.pipeline import Documents
from bitsift.retrieval.scoring import LEAST_VECTORS, decide_scoring, n_tried
from bitsift.retrieval.trials import advise_on, warn_of_poor_bits

__all__ = ["NO_ROWS", "Fitting", "Grown"]

NO_ROWS = FewRows()

_Sample: TypeAlias = "NDArray[Any] | Stacked"


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
    is_decided : bool
        Whether the scoring has been decided.
    waiting : Waiting or None
        The encoder of the index, while its vectors wait as floats; None once all is known.
    """

    rule: Rule | None
    rotate: bool
    is_done: bool = False
    advice: Advice | None = None
    defaults: SearchDefaults = DEFAULTS
    is_decided: bool = True
    waiting: Waiting | None = None

    @property
    def scoring(self) -> Scoring | None:
        """What a search scans with unless it says so; None while it is not decided."""
        return self.defaults.scan if self.is_decided else None

    @property
    def is_pending(self) -> bool:
        """Whether the threshold still has to be computed."""
        return self.rule is not None and not self.is_done

    def is_needed(self, encoder: Encoder) -> bool:
        """Say whether the threshold or a store has to be fitted before vectors can be encoded."""
        return self.is_pending or not all(store.is_fitted for store in encoder.stores)

    def is_complete(self, encoder: Encoder) -> bool:
        """Say whether all that an index finds out from its vectors is known."""
        return self.is_decided and not self.is_needed(encoder)

    def is_useless(self, encoder: Encoder) -> bool:
        """Say whether there are a rule or bounds to fit, and all of them are fitted."""
        has_any = self.rule is not None or any(store.calibrator for store in encoder.stores)
        return has_any and self.is_complete(encoder)

    def of(self, encoder: Encoder) -> Fitting:
        """Return this for an index with an encoder: vectors wait unless all of it is known."""
        is_complete = self.is_complete(encoder)
        return self._replace(waiting=None if is_complete else Waiting(encoder))

    @property
    def has_final_codes(self) -> bool:
        """Whether codes are compared with those of the documents as in an index that is fitted."""
        return self.waiting is None or not (self.is_pending or self.waiting.encoder.corrected)

    def fit(
        self, encoder: Encoder, sample: _Sample, name: str, threads: int
    ) -> tuple[Encoder, Fitting]:
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
        binarizer, advice = self._fit_by_rule(self.rule, encoder, sample, name, threads)
        if advice is None:
            _warn_of_few(len(sample), f"threshold={self.rule!r}")
        elif advice.has_few_queries:
            warn(
                f"threshold='auto' keeps 0: {len(sample)} vectors are too few to choose by; "
                f"call fit(sample) with {LEAST_ROWS_TO_CHOOSE} or more before the first add"
            )
        return replace(encoder, binarizer=binarizer), self._replace(is_done=True, advice=advice)

    def decide(self, encoder: Encoder, sample: _Sample, name: str, threads: int) -> Fitting:
        """Return this with the scoring decided by a sample, if it has not been.

        `sample` has shape (n, dim), and `name` is what errors call it. Too few vectors decide
        nothing.
        """
        if self.is_decided or len(sample) < LEAST_VECTORS:
            return self
        rows = some_rows(sample, n_tried(encoder.dim), name)
        return self.decided(decide_scoring(encoder, rows, threads))

    def decided(self, scoring: Scoring) -> Fitting:
        """Return this with a scoring, if none has been decided."""
        if self.is_decided:
            return self
        return self._replace(defaults=self.defaults._replace(scan=scoring), is_decided=True)

    # ---- While vectors wait ------------------------------------------------------------------

    def documents_for(
        self, documents: Documents, options: LadderOptions, *, are_bits: bool
    ) -> Documents:
        """Return the documents that a search reads: while vectors wait, their floats.

        Unless it asks for bits, and is given those of a provisional fit. `are_bits` says that the
        queries are bits.
        """
        if self.waiting is None:
            return documents
        rescore = options.rescore
        asks = are_bits or options.ladder is not None or options.says_scoring
        asks = asks or (isinstance(rescore, (bool, np.bool_)) and not rescore)
        if not self.waiting.encoder.stores:
            asks = asks or rescore is not None or options.oversampling is not None
            asks = asks or self.scoring == "hamming"
        return self.encoded(documents, "this search asks for bits, which") if asks else documents

    @in_default_floats
    def encoded(self, documents: Documents, asker: str | None = None) -> Documents:
        """Return documents as the index encodes them; those that wait as if no more came.

        Bits are of a provisional threshold while it is not known, for ``"auto"`` of 0, and stores
        without bounds keep floats. `asker` says who asks for bits, and begins a warning that they
        are provisional.
        """
        waiting = self.waiting
        if waiting is None:
            return documents
        if self.is_pending and asker is not None and len(documents):
            self._warn_of_provisional(waiting, len(documents), asker)
        if waiting.encoded is not None and waiting.encoded[0] is documents:
            known: Documents = waiting.encoded[1]
            return known
        vectors = waiting.vectors_of(documents.columns)
        encoder = waiting.encoder
        encoder = replace(encoder, stores=tuple(store.or_floats() for store in encoder.stores))
        if self.is_pending and self.rule is not None and len(vectors):
            threshold: Threshold = "zero" if self.rule == "auto" else self.rule
            binarizer = _fit_binarizer(
                threshold, vectors, encoder.metric, encoder.isa, 0, rotate=self.rotate
            )
            encoder = replace(encoder, binarizer=binarizer)
        columns = encoder.empty_columns(len(vectors))
        encoder.encode_into(columns, vectors)
        encoded = Documents(encoder, columns, documents.ids, documents.tie_ids, self.defaults)
        waiting.encoded = documents, encoded  # not locked: another thread would compute the same
        return encoded

    def _warn_of_provisional(self, waiting: Waiting, n: int, asker: str) -> None:
        if waiting.has_warned:
            return
        warn(
            f"{asker} are provisional: threshold={self.rule!r} is computed from the first "
            f"{LEAST_ROWS_FITTED} vectors, and there are {n}. fit(sample) computes it at once, "
            f"from {FEW_VECTORS} vectors or more that are like those to come"
        )
        waiting.has_warned = True

    def _fit_by_rule(
        self, rule: Rule, encoder: Encoder, sample: _Sample, name: str, threads: int
    ) -> tuple[Binarizer, Advice | None]:
        """Return a binarizer with the rule's threshold."""
        rotate = self.rotate
        if rule != "auto":
            rows = some_rows(sample, MOST_ROWS_FITTED, name)
            return _fit_binarizer(
                rule, rows, encoder.metric, encoder.isa, threads, rotate=rotate
            ), None
        use = Use.of_index(
            self.scoring, has_originals=bool(encoder.stores), is_corrected=encoder.corrected
        )
        hint = "; call fit(sample) with as many before the first add, or give a threshold"
        some = some_rows(sample, MOST_ROWS_COMPARED, name)  # those that `advise` looks at
        advice = advise_on(
            some, encoder.metric, encoder.isa, use=use, rotate=rotate, hint=hint, threads=threads
        )
        rows = some_rows(sample, MOST_ROWS_FITTED, name)
        best = advice.best
        return _fit_binarizer(
            best.threshold, rows, encoder.metric, encoder.isa, threads, rotate=best.rotate
        ), advice


def _fit_binarizer(
    threshold: Threshold,
    rows: NDArray[np.float32],
    metric: Metric,
    isa: str,
    threads: int,
    *,
    rotate: bool,
) -> Binarizer:
    """Return a binarizer with the threshold of that name, computed from rows.

    For the cosine, vectors are first scaled to length 1: their lengths mean nothing.
    """
    dim = rows.shape[1]
    flips = random_flips(dim) if rotate else None
    if threshold == "zero":
        return Binarizer(dim, 0.0, isa, flips=flips)
    normalized = metric == "cosine"
    if normalized:
        rows = unit_rows(rows, threads)
    fitted = compute_threshold(rows, threshold)
    return Binarizer(dim, fitted, isa, flips=flips, normalized=normalized)


def _warn_of_few(n: int, what: str) -> None:
    """Warn if something was fitted to few vectors."""
    if n < FEW_VECTORS:
        warn(
            f"{what} fitted to {n} vector{'' if n == 1 else 's'} only; call fit(sample) with "
            f"{FEW_VECTORS} or more before the first add"
        )


class Grown(NamedTuple):
    """What of a snapshot an add makes anew. An object never changes.

    Attributes
    ----------
    encoder : Encoder
        What made the rows; of those that wait, `Waiting.holding`.
    fitting : Fitting
    memory : GrowableColumns
    few : FewRows
        As in `Snapshot`.
    """

    encoder: Encoder
    fitting: Fitting
    memory: GrowableColumns
    few: FewRows

    @classmethod
    def of_waiting(
        cls, fitting: Fitting, vectors: NDArray[np.float32], few: FewRows = NO_ROWS
    ) -> Grown:
        """Return vectors that wait; `fitting` says for what."""
        assert fitting.waiting is not None
        holding = fitting.waiting.holding
        empty = cls(holding, fitting, GrowableColumns.of(holding.empty_columns()), few)
        return empty._replace(memory=empty._memory_waiting(vectors, 0)) if len(vectors) else empty

    @property
    def _n(self) -> int:
        return len(self.memory.codes.rows)

    def with_vectors(self, parsed: Codes | Values, threads: int) -> Grown:
        """Return this with other vectors behind its own."""
        if self.fitting.waiting is None:
            return self._encoding(parsed, threads)
        if isinstance(parsed, Codes) or parsed.are_bits:  # of which no scores can be tried
            return self.converted("hamming", threads)._encoding(parsed, threads)
        if self._n + len(parsed.rows) < LEAST_ROWS_FITTED:
            return self._waiting(parsed.rows, threads)
        return self._fitting_all(parsed.rows, threads)

    def fitted(self, sample: NDArray[Any], threads: int) -> Grown:
        """Return this, whose vectors wait, fitted to a sample as far as that decides."""
        waiting = self.fitting.waiting
        assert waiting is not None
        encoder, fitting = self.fitting.fit(waiting.encoder, sample, "sample", threads)
        fitting = fitting.decide(encoder, sample, "sample", threads)
        vectors = waiting.vectors_of(self.memory.rows())
        if not fitting.is_complete(encoder):  # codes of those that wait may be others now
            return Grown.of_waiting(fitting.of(encoder), vectors, self.few)
        memory = self._memory_encoded(encoder, threads)
        few = self.few
        if len(vectors):
            few = encoder.warn_of_losses(vectors, encoder.stores, few)
        return Grown(encoder, fitting._replace(waiting=None), memory, few)

    def converted(self, scoring: Scoring, threads: int) -> Grown:
        """Return this, whose vectors wait for the scoring alone, with them encoded."""
        waiting = self.fitting.waiting
        assert waiting is not None
        fitting = self.fitting.decided(scoring)._replace(waiting=None)
        memory = self._memory_encoded(waiting.encoder, threads)
        return Grown(waiting.encoder, fitting, memory, self.few)

    def _encoding(self, parsed: Codes | Values, threads: int) -> Grown:
        """Return this with vectors encoded; all that they need is fitted."""
        encoder, fitting, memory, few = self
        rows, n = parsed.rows, len(parsed.rows)
        memory = memory.with_room(n)
        columns = memory.next_rows(n)
        if isinstance(parsed, Codes):
            copy_into(columns.codes, rows)
        else:
            encoder.encode_into(columns, rows, threads)
            few = encoder.warn_of_losses(rows, encoder.stores, few)
            if self._n == 0 and fitting.rule is None and not parsed.are_bits:
                warn_of_poor_bits(rows, columns.codes, encoder)
        return Grown(encoder, fitting, memory.committed(n), few)

    def _waiting(self, rows: NDArray[Any], threads: int) -> Grown:
        """Return this with vectors that wait."""
        waiting = self.fitting.waiting
        assert waiting is not None
        memory = self._memory_waiting(rows, threads)
        known = waiting.part_fitted
        few = known.warn_of_losses(rows, known.stores, self.few)
        return self._replace(memory=memory, few=few)

    def _fitting_all(self, rows: NDArray[Any], threads: int) -> Grown:
        """Return what is fitted to the vectors that waited and to others, and has both."""
        waiting, n = self.fitting.waiting, len(rows)
        assert waiting is not None
        waited = waiting.vectors_of(self.memory.rows())
        sample: NDArray[Any] | Stacked = rows
        if len(waited):
            for begin, end in row_blocks(*rows.shape):  # errors count the caller's rows
                arguments.narrow(rows[begin:end], np.float32, "vectors", begin)
            sample = Stacked(waited, rows)
        encoder, fitting = self.fitting.fit(waiting.encoder, sample, "vectors", threads)
        memory = self._memory_encoded(encoder, threads, room=n)
        encoder.encode_into(memory.next_rows(n), rows, threads)
        memory = memory.committed(n)
        few = self.few
        if not waiting.are_judged:
            try:
                few = encoder.warn_of_losses(sample, waiting.encoder.stores, few)
                if fitting.rule is None:
                    warn_of_poor_bits(sample, np.asarray(memory.codes.rows), encoder)
            except BitsiftWarning:
                # Where warnings are errors, vectors that waited must not refuse each later add.
                waiting.are_judged = len(waited) > 0
                raise
        # Decided for ever, also if there were too few for a trial.
        fitting = fitting.decide(encoder, sample, "vectors", threads).decided(DEFAULTS.scan)
        return Grown(encoder, fitting._replace(waiting=None), memory, few)

    def _memory_waiting(self, rows: NDArray[Any], threads: int) -> GrowableColumns:
        """Return the memory with vectors more that wait, as far as the index can take them."""
        waiting, n = self.fitting.waiting, len(rows)
        assert waiting is not None
        known = waiting.part_fitted
        encoded = known.empty_columns(n)
        known.encode_into(encoded, rows, threads)  # refuses what a store or a correction refuses
        memory = self.memory.with_room(n)
        columns = memory.next_rows(n)
        columns.codes[:] = encoded.codes
        columns.originals[0][:] = rows
        return memory.committed(n)

    def _memory_encoded(self, encoder: Encoder, threads: int, *, room: int = 0) -> GrowableColumns:
        """Return the vectors that wait encoded, with room for others behind them."""
        waiting = self.fitting.waiting
        assert waiting is not None
        vectors = waiting.vectors_of(self.memory.rows())
        n = len(vectors)
        memory = GrowableColumns.of(encoder.empty_columns())
        memory = memory.reserved(max(waiting.n_reserved, n + room))
        encoder.encode_into(memory.next_rows(n), vectors, threads)
        return memory.committed(n)
