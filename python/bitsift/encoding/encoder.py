# SPDX-License-Identifier: Apache-2.0
"""The encoder: from vectors to what an index keeps of them, and to what a search compares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from bitsift.core.arguments import Codes, Values
from bitsift.core.options import Metric
from bitsift.core.samples import Stacked
from bitsift.core.segments import Rows, taken
from bitsift.encoding.binarizer import Binarizer, EncodedBlock
from bitsift.encoding.correction import compute_factors, n_factors
from bitsift.encoding.originals import Originals
from bitsift.quantization.few_rows import FewRows
from bitsift.quantization.losses import sample_of

__all__ = ["Columns", "Encoder", "Queries"]

_CHUNK_BYTES = 1 << 24

# An array, where rows are written; where they are read, perhaps several.
R_co = TypeVar("R_co", bound=Rows, covariant=True)


class Columns(NamedTuple, Generic[R_co]):
    """Encoded vectors, one row a vector: arrays, or segments of them.

    Attributes
    ----------
    codes : rows of uint8, shape (n, ceil(dim / 8))
        Packed bits.
    originals : tuple of rows, each n
        The vectors as each store of the encoder keeps them.
    factors : rows of uint16, shape (n, 1) or (n, 2), or None
        The correction.
    """

    codes: R_co
    originals: tuple[R_co, ...]
    factors: R_co | None


class Queries(NamedTuple):
    """Encoded queries.

    Attributes
    ----------
    codes : ndarray of uint8, shape (n, ceil(dim / 8))
        Packed bits.
    block : EncodedBlock or None
        The same queries with their values; None if they came as bits.
    """

    codes: NDArray[np.uint8]
    block: EncodedBlock | None

    @property
    def are_bits(self) -> bool:
        """Whether there are codes alone."""
        return self.block is None

    def part(self, part: slice) -> Queries:
        """Return some of the queries."""
        return Queries(self.codes[part], None if self.block is None else self.block.part(part))


@dataclass(frozen=True, eq=False)
class Encoder:
    """What becomes of a vector. Parts of it may still have to be fitted.

    Attributes
    ----------
    binarizer : Binarizer
        Makes the code.
    stores : tuple of Originals
        Each keeps the vector for rescoring.
    metric : {"cosine", "dot", "l2"}
        What rescoring computes.
    corrected : bool
        Whether each vector gets factors.
    """

    binarizer: Binarizer
    stores: tuple[Originals, ...]
    metric: Metric
    corrected: bool

    @property
    def dim(self) -> int:
        """Dimensions of vectors."""
        return self.binarizer.dim

    @property
    def isa(self) -> str:
        """The instruction set that all kernels use."""
        return self.binarizer.isa

    @cached_property
    def store_names(self) -> tuple[str, ...]:
        """The names of the stores."""
        return tuple(store.name for store in self.stores)

    @cached_property
    def _may_lose(self) -> bool:
        return not set(self.store_names) <= {"float32"}

    @cached_property
    def _has_bounds(self) -> bool:
        return any(store.calibrator is not None for store in self.stores)

    @property
    def n_factors(self) -> int:
        """Factors of the correction of each vector."""
        return n_factors(self.metric, self.binarizer.is_centred) if self.corrected else 0

    def differs_from(self, other: Encoder) -> str | None:
        """Name what makes other rows of the same vectors; None if nothing does.

        A store of `other` that is not fitted has no bounds to differ in.
        """
        for name in ("dim", "metric", "store_names", "corrected"):
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours != theirs:
                said = {"store_names": "store", "corrected": "correction"}.get(name, name)
                return f"{said}: {theirs!r}, and here {ours!r}"
        if (different := self.binarizer.differs_from(other.binarizer)) is not None:
            return different
        for store, same in zip(self.stores, other.stores, strict=True):
            if same.is_fitted and not store.has_bounds_of(same):
                return f"bounds of store={store.name!r}"
        return None

    def empty_columns(self, n: int = 0) -> Columns[NDArray[Any]]:
        """Return columns of `n` rows that are not written yet."""
        return Columns(
            np.empty((n, self.binarizer.n_bytes), np.uint8),
            tuple(store.empty(n) for store in self.stores),
            np.empty((n, self.n_factors), np.uint16) if self.corrected else None,
        )

    def encode_queries(self, parsed: Codes | Values, threads: int) -> Queries:
        """Return queries as codes and, unless they are bits, as float32."""
        self.binarizer.check_width(parsed, "queries")
        if isinstance(parsed, Codes):
            return Queries(parsed.rows, None)
        block = self.binarizer.encode(parsed.rows, "queries", 0, threads)
        return Queries(block.codes, None if parsed.are_bits else block)

    def encode_into(
        self, columns: Columns[NDArray[Any]], rows: NDArray[Any], threads: int = 0
    ) -> None:
        """Encode documents, shape (n, dim), into n rows of columns, a chunk at a time."""
        step = 1 + _CHUNK_BYTES // (4 * self.dim)
        for begin in range(0, len(rows), step):
            part = slice(begin, begin + step)
            block = self.binarizer.encode(rows[part], "vectors", begin, threads)
            columns.codes[part] = block.codes
            for store, originals in zip(self.stores, columns.originals, strict=True):
                store.write(block.values, originals[part], begin, threads)
            if columns.factors is not None:
                columns.factors[part] = self._factors(block, begin, threads)

    def warn_of_losses(
        self, rows: NDArray[Any] | Stacked, fitted_before: tuple[Originals, ...], few: FewRows
    ) -> FewRows:
        """Warn if a store keeps little of documents that were encoded, by a sample of them.

        Few rows are judged alone, as far as they can be, and once more together with `few`, the
        rows of earlier small batches.

        Parameters
        ----------
        rows : ndarray, shape (n, dim)
            The documents.
        fitted_before : tuple of Originals
            The stores as they were before these documents came.
        few : FewRows
            What the last call returned.

        Returns
        -------
        FewRows
            The rows that wait for more to be judged together.
        """
        if not self._may_lose:
            return few
        sample = sample_of(rows)
        warned = False
        for store, before in zip(self.stores, fitted_before, strict=True):
            warned |= store.warn_of_losses(sample, were_fitted_to=store is not before)
        if warned:
            return FewRows()
        if few.are_enough(len(sample), self.dim) or not self._has_bounds:
            return few
        kept = few.with_rows(sample)
        if kept.n == few.n or not few.are_enough(kept.n, self.dim):
            return kept
        sample = kept.joined()
        for store in self.stores:
            warned |= store.warn_of_losses(sample, were_fitted_to=False)
        return FewRows() if warned else kept.judged_fine()

    def decode(self, columns: Columns[Rows], rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the vectors of some rows as the last store keeps them, or else their codes."""
        if not self.stores:
            return taken(columns.codes, rows)
        return self.stores[-1].read(taken(columns.originals[-1], rows))

    def _factors(self, block: EncodedBlock, first_row: int, threads: int) -> NDArray[np.uint16]:
        vectors = np.ascontiguousarray(self.binarizer.centred_rows(block), np.float32)
        threshold = self.binarizer.rotated_threshold() if self.n_factors == 2 else None
        return compute_factors(vectors, threshold, self.metric, first_row, threads)
