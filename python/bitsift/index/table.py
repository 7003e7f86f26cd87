# SPDX-License-Identifier: Apache-2.0
"""What an index holds: arrays that grow together, and the consistent set of them for searches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitsift.encoding.encoder import Recipe, Room, fill_rows
from bitsift.index.fitting import Fitting, warn_of_poor_bits
from bitsift.index.growable import GrowingArray
from bitsift.index.ids import IdTable
from bitsift.retrieval.rows import Rows

__all__ = ["Holdings"]


class Published(NamedTuple):
    """One state of an index: replaced as a whole when all else has been done."""

    rows: Rows
    recipe: Recipe
    fitting: Fitting


class Holdings:
    """The rows of an index. One thread changes them at a time; any number reads what is published.

    Attributes
    ----------
    recipe : Recipe
        What becomes of a vector.
    fitting : Fitting
        What of that was or is to be learnt.
    ids : IdTable
        Ids of the rows.
    published : Published
        What everybody else sees.
    """

    def __init__(
        self,
        recipe: Recipe,
        fitting: Fitting,
        codes: NDArray[np.uint8],
        originals: Sequence[NDArray[Any]],
        factors: NDArray[np.uint16] | None,
        ids: IdTable,
    ) -> None:
        self.recipe, self.fitting = recipe, fitting
        self._codes = GrowingArray(codes)
        self._originals = [GrowingArray(rows) for rows in originals]
        self._factors = None if factors is None else GrowingArray(factors)
        self.ids = ids
        self.publish()

    @classmethod
    def empty(cls, recipe: Recipe, fitting: Fitting) -> Holdings:
        """Hold no rows."""
        return cls(
            recipe,
            fitting,
            codes=np.empty((0, recipe.binarizer.n_bytes), np.uint8),
            originals=[kept.empty() for kept in recipe.formats],
            factors=_no_factors(recipe) if recipe.corrected else None,
            ids=IdTable(),
        )

    def __len__(self) -> int:
        return len(self._codes)

    def _parts(self) -> list[GrowingArray]:
        parts = [self._codes, *self._originals]
        return parts if self._factors is None else [*parts, self._factors]

    def publish(self) -> None:
        """Let searches see what is here now."""
        stored = self.ids.stored
        rows = Rows(
            binarizer=self.recipe.binarizer,
            codes=self._codes.rows,
            formats=self.recipe.formats,
            originals=tuple(part.rows for part in self._originals),
            factors=None if self._factors is None else self._factors.rows,
            ids=stored,
            tie_ids=None if self.ids.ascending else stored,
        )
        self.published = Published(rows, self.recipe, self.fitting)

    @property
    def rows(self) -> Rows:
        """What searches see."""
        return self.published.rows

    def return_to_published(self) -> None:
        """Forget what searches do not see."""
        rows, self.recipe, self.fitting = self.published
        if rows.factors is not None and len(rows.codes) == 0:
            self._factors = GrowingArray(rows.factors)  # there may be more of them a row by now
        for part in self._parts():
            part.truncate(len(rows.codes))
        self.ids = IdTable(len(rows.codes), rows.ids, ascending=rows.tie_ids is None)

    def fit(self, sample: NDArray[Any], isa: str) -> None:
        """Learn what has to be learnt; there are no rows yet."""
        self.recipe, self.fitting = self.fitting.fit(self.recipe, sample, isa)
        if self._factors is not None:
            self._factors = GrowingArray(_no_factors(self.recipe))

    def reserve(self, size: int) -> None:
        """Make room for `size` rows in all."""
        for part in self._parts():
            part.reserve(size)

    def append(
        self, array: NDArray[Any], ids: NDArray[np.int64], isa: str, *, packed: bool
    ) -> None:
        """Add rows of checked values or codes, all of them or, if anything is raised, none."""
        try:
            self._fill(array, isa, packed=packed)
            self.ids.append(ids)
            for part in self._parts():
                part.commit(len(array))
            self.publish()
        except BaseException:  # KeyboardInterrupt may come between any two of these
            self.return_to_published()
            raise

    def _fill(self, array: NDArray[Any], isa: str, *, packed: bool) -> None:
        """Write rows behind the others, to be committed, and fit what has to be."""
        is_first = len(self) == 0
        if self.fitting.is_needed(self.recipe):
            self.fit(array, isa)
        n = len(array)
        room = Room(
            self._codes.room(n),
            [part.room(n) for part in self._originals],
            None if self._factors is None else self._factors.room(n),
        )
        if packed:
            room.codes[:] = array
            return
        fill_rows(self.recipe, array, room)
        if is_first and self.fitting.rule is None and array.dtype.kind == "f":
            warn_of_poor_bits(array, room.codes, self.recipe.binarizer, self.recipe.metric, isa)


def _no_factors(recipe: Recipe) -> NDArray[np.uint16]:
    return np.empty((0, recipe.n_factors), np.uint16)
