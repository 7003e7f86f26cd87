# SPDX-License-Identifier: Apache-2.0
"""The vectors and ids that an index holds."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitsift.core import arguments
from bitsift.core.floats import in_default_floats
from bitsift.core.handlers import call_raised
from bitsift.core.limits import MAX_ID
from bitsift.core.segments import joined, taken
from bitsift.index.ids import as_ids, one_axis, require_found
from bitsift.index.table import Table

__all__ = ["Holding"]

_IDS_AT_A_TIME = 1 << 12


class Holding:
    """The base of `Index` that reads vectors and ids, without a lock."""

    _table: Table

    @property
    def codes(self) -> NDArray[np.uint8]:
        """The codes, shape (n, ceil(dim / 8)), in order of addition; read-only.

        A view; a copy while there is memory of vectors that were removed, or where vectors were
        added to mapped ones. Provisional, with a warning, while the threshold is still to be
        computed from more vectors.
        """
        snapshot = self._table.snapshot
        documents = snapshot.fitting.encoded(snapshot.documents, "these codes")
        codes, live = documents.columns.codes, snapshot.live.current()
        codes = joined(codes) if live is None else taken(codes, live.numbers())
        codes.flags.writeable = False
        return codes

    @property
    def ids(self) -> NDArray[np.int64]:
        """The ids, shape (n,), in order of addition; read-only.

        Allocated if they are 0 to n-1, or while there is memory of vectors that were removed.
        """
        snapshot = self._table.snapshot
        return snapshot.ids.of_rows(snapshot.live.current())

    def __len__(self) -> int:
        return len(self._table.snapshot.live)

    def __iter__(self) -> Iterator[int]:
        """Iterate over the ids as they are now, in order of addition."""
        ids = self.ids
        parts = range(0, len(ids), _IDS_AT_A_TIME)
        return (id for begin in parts for id in ids[begin : begin + _IDS_AT_A_TIME].tolist())

    def __contains__(self, id: object) -> bool:
        try:
            wanted = operator.index(id)  # type: ignore[arg-type]
        except TypeError as error:
            if not call_raised(error, methods=True):
                raise
            return False
        if not 0 <= wanted <= MAX_ID:
            return False
        return bool(self._rows_of(np.array([wanted], np.int64))[0] >= 0)

    def contains(self, ids: ArrayLike) -> NDArray[np.bool_]:
        """Say which ids are in the index.

        Parameters
        ----------
        ids : int or array_like of int, shape (m,)
            Any ids, in any order.

        Returns
        -------
        ndarray of bool, shape (m,), or () for one id
            Whether each id is in the index.

        Raises
        ------
        TypeError, ValueError
            Ids are not integers, or have more than one axis.

        Examples
        --------
        >>> index = bitsift.Index(8)
        >>> ids = index.add(numpy.eye(2, 8, dtype="float32"), ids=[10, 20])
        >>> index.contains([20, 30])
        array([ True, False])
        >>> 10 in index
        True
        """
        wanted = one_axis(as_ids(ids))
        return (self._rows_of(wanted.reshape(-1)) >= 0).reshape(wanted.shape)

    @overload
    def get(self, ids: ArrayLike, *, missing: Literal["raise"] = "raise") -> NDArray[Any]: ...
    @overload
    def get(
        self, ids: ArrayLike, *, missing: Literal["none"]
    ) -> NDArray[Any] | list[NDArray[Any] | None] | None: ...
    @in_default_floats
    def get(
        self, ids: ArrayLike, *, missing: Literal["raise", "none"] = "raise"
    ) -> NDArray[Any] | list[NDArray[Any] | None] | None:
        """Return the vectors with these ids.

        Parameters
        ----------
        ids : int or array_like of int, shape (m,)
            Ids in the index, in any order; may repeat.
        missing : {"raise", "none"}
            What to do about an id that is not in the index: raise, or answer None for it.

        Returns
        -------
        ndarray, shape (m, dim), or (dim,) for one id
            The vectors as the last store keeps them: float16, or float32, which is also what
            integers are converted to, unrounded while their bounds are still to be computed. With
            ``store=None``, the codes: uint8 of shape (m, ceil(dim / 8)). A copy. With
            ``missing="none"`` a list of `m` vectors of shape (dim,), or None for those that are
            missing; for one id the vector or None.

        Raises
        ------
        KeyError
            An id is not in the index, and `missing` is ``"raise"``.
        TypeError
            Ids are not integers.
        ValueError
            Ids have more than one axis; another `missing`.

        Examples
        --------
        >>> index = bitsift.Index(8, store="float32")
        >>> ids = index.add(numpy.eye(2, 8, dtype="float32"), ids=[10, 20])
        >>> index.get([20, 30], missing="none")
        [array([0., 1., 0., 0., 0., 0., 0., 0.], dtype=float32), None]
        """
        arguments.choice(missing, "missing", ("raise", "none"))
        wanted = one_axis(as_ids(ids))
        snapshot = self._table.snapshot
        rows = snapshot.ids.rows_of(wanted.reshape(-1), snapshot.live.current())
        if missing == "raise":
            require_found(wanted.reshape(-1), rows)
        asker = None if snapshot.encoder.stores else "these codes"
        documents = snapshot.fitting.encoded(snapshot.documents, asker)
        found = documents.encoder.decode(documents.columns, rows[rows >= 0])
        if missing == "raise":
            return found if wanted.ndim == 1 else found[0]
        vectors = iter(found)
        answers = [next(vectors) if row >= 0 else None for row in rows.tolist()]
        return answers if wanted.ndim == 1 else answers[0]

    def _rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        snapshot = self._table.snapshot
        return snapshot.ids.rows_of(ids, snapshot.live.current())
