# SPDX-License-Identifier: Apache-2.0
"""Rows that an add makes: encoded, or kept as floats until the index is fitted to all of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitsift.core import arguments
from bitsift.core.arguments import Codes, Values
from bitsift.core.blocks import row_blocks
from bitsift.core.errors import BitsiftWarning
from bitsift.core.interruptible import copy_into
from bitsift.core.limits import LEAST_ROWS_FITTED
from bitsift.core.options import Scoring
from bitsift.core.samples import Stacked
from bitsift.encoding.encoder import Encoder
from bitsift.index.fitting import Fitting, warn_of_poor_bits
from bitsift.index.growable import GrowableColumns
from bitsift.quantization.few_rows import FewRows
from bitsift.retrieval.defaults import DEFAULTS

__all__ = ["Grown"]


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

    @property
    def _n(self) -> int:
        return len(self.memory.codes.rows)

    def with_vectors(self, parsed: Codes | Values, threads: int) -> Grown:
        """Return this with other vectors behind its own."""
        if self.fitting.waiting is None:
            return self._encoding(parsed, threads)
        if isinstance(parsed, Codes) or parsed.are_bits:  # of which no scores can be tried
            return self.converted("hamming")._encoding(parsed, threads)
        if self._n + len(parsed.rows) < LEAST_ROWS_FITTED:
            return self._waiting(parsed.rows, threads)
        return self._fitting_all(parsed.rows, threads)

    def fitted(self, sample: NDArray[Any]) -> Grown:
        """Return this, whose vectors wait, fitted to a sample as far as that decides."""
        waiting = self.fitting.waiting
        assert waiting is not None
        encoder, fitting = self.fitting.fit(waiting.encoder, sample, "sample")
        fitting = fitting.decide(encoder, sample, "sample")
        vectors = waiting.vectors_of(self.memory.rows())
        if not fitting.is_complete(encoder):  # codes of those that wait may be others now
            fitting = fitting.of(encoder)
            assert fitting.waiting is not None
            memory = GrowableColumns.of(fitting.waiting.columns_of(vectors))
            return self._replace(encoder=fitting.waiting.holding, fitting=fitting, memory=memory)
        memory = waiting.memory_with(encoder, vectors)
        few = self.few
        if len(vectors):
            few = encoder.warn_of_losses(vectors, encoder.stores, few)
        return Grown(encoder, fitting._replace(waiting=None), memory, few)

    def converted(self, scoring: Scoring) -> Grown:
        """Return this, whose vectors wait for the scoring alone, with them encoded."""
        waiting = self.fitting.waiting
        assert waiting is not None
        fitting = self.fitting.decided(scoring)._replace(waiting=None)
        memory = waiting.memory_with(waiting.encoder, waiting.vectors_of(self.memory.rows()))
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
        memory = waiting.appended(self.memory, rows, threads)
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
        encoder, fitting = self.fitting.fit(waiting.encoder, sample, "vectors")
        memory = waiting.memory_with(encoder, waited, room=n)
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
        fitting = fitting.decide(encoder, sample, "vectors").decided(DEFAULTS.scan)
        return Grown(encoder, fitting._replace(waiting=None), memory, few)
