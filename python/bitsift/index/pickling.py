# SPDX-License-Identifier: Apache-2.0
"""Indexes that are made without their constructor: loaded, copied or unpickled."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Self

from bitsift.core import __version__
from bitsift.core.errors import CorruptIndexError, UnsupportedVersionError
from bitsift.core.handlers import call_raised
from bitsift.core.isa import resolve_isa
from bitsift.index.opened_tables import table_at
from bitsift.index.persistence import from_contents, to_contents
from bitsift.index.table import Snapshot, Table
from bitsift.retrieval.advice import Advice
from bitsift.storage.contents import Contents
from bitsift.storage.contents_check import checked_contents, checked_place, refusing

__all__ = ["Kept", "Remakable"]

# Of the fields below. Version 1, of 0.1.0, had those of `Contents` alone, and version 2 no scoring.
_VERSION = 3
# Of a pickle that names a folder and a generation of it, and has no rows.
_VERSION_OF_PLACES = 4
# What errors call the place of a pickle, as Python calls that of other code "<string>".
_SOURCE = "<pickle>"


class Kept:
    """What an index is, without the attributes that a user hung on it.

    A copy takes it as it is. A pickle takes plain data and arrays, which are checked when it is
    opened, and chooses the instruction set there.

    Attributes
    ----------
    snapshot : Snapshot
        The state of the table.
    store_is_name : bool
        Whether the only store was given as a name, and not in a list.
    """

    def __init__(
        self,
        table: Table,
        store_is_name: bool,
        opener: Callable[[dict[str, Any]], Kept],
        *,
        is_opened: bool = False,
    ) -> None:
        self._table = table
        self.snapshot = table.snapshot
        self.store_is_name = store_is_name
        self._opener = opener
        self._is_opened = is_opened

    @property
    def table(self) -> Table:
        """The table of the copy; that of a folder if a pickle has named one."""
        return self._table if self._is_opened else Table(self.snapshot.apart())

    @classmethod
    def opened(cls, state: Any, opener: Callable[[dict[str, Any]], Kept]) -> Kept:
        """Return what a pickle holds, which may be damaged."""
        if not isinstance(state, dict):
            raise CorruptIndexError(_SOURCE, f"it is not an index: it holds {type(state).__name__}")
        fields = dict(state)
        version = fields.pop("version", 1)
        if type(version) is not int or not 1 <= version <= _VERSION_OF_PLACES:
            raise UnsupportedVersionError(
                _SOURCE,
                f"the index was pickled in version {version!r}; bitsift {__version__} reads "
                f"versions 1 to {_VERSION_OF_PLACES}: install the release that made it, or a newer "
                "one",
            )
        advice = fields.pop("advice", None)
        if not (advice is None or isinstance(advice, Advice)):
            raise CorruptIndexError(_SOURCE, f"advice is of type {type(advice).__name__}")
        store_is_name = fields.pop("store_is_name", None)
        if not (store_is_name is None or isinstance(store_is_name, bool)):
            got = type(store_is_name).__name__
            raise CorruptIndexError(_SOURCE, f"store_is_name is of type {got}")
        isa = resolve_isa(None)
        if version == _VERSION_OF_PLACES:
            table: Table = table_at(checked_place(fields, _SOURCE), isa)
            return cls(table, store_is_name is True, opener, is_opened=True)
        contents = checked_contents(fields, _SOURCE)
        with refusing(_SOURCE):
            snapshot = Snapshot.of(*from_contents(contents, isa))
        fitting = snapshot.fitting._replace(advice=advice)
        one = len(contents.originals) == 1
        table = Table(snapshot._replace(fitting=fitting))
        return cls(table, one and store_is_name in (None, True), opener)

    def __reduce__(self) -> tuple[Any, ...]:
        place = self._table.place()
        if place is not None:
            state = {"version": _VERSION_OF_PLACES, "store_is_name": self.store_is_name, **place}
            return self._opener, (state,)
        # It names no class of this package but `Index`, so that all others may move.
        state = {
            "version": _VERSION,
            "store_is_name": self.store_is_name,
            "advice": self.snapshot.fitting.advice,
            **vars(to_contents(*self.snapshot.compact()[:3])),
        }
        return self._opener, (state,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Kept:
        return Kept(Table(self.snapshot.copied()), self.store_is_name, self._opener)


class Remakable:
    """The base of `Index`, with its ways to come from elsewhere."""

    _table: Table
    _store_is_name: bool

    def __reduce__(self) -> tuple[Any, ...]:
        cls = type(self)
        kept = Kept(self._table, self._store_is_name, cls._open_pickle)
        return cls._remade, (kept, *_new_arguments(self)), _own_attributes(self)

    @classmethod
    def _remade(cls, kept: Kept, args: tuple[Any, ...], options: dict[str, Any]) -> Self:
        # Its user's attributes follow: pickle and copy set them.
        index = cls.__new__(cls, *args, **options)
        index._table = kept.table
        index._store_is_name = kept.store_is_name
        return index

    @classmethod
    def _open_pickle(cls, state: dict[str, Any]) -> Kept:
        return Kept.opened(state, cls._open_pickle)

    # Pickles of version 0.1.0 name this method.
    @classmethod
    def _of(cls, contents: Contents, isa: None) -> Self:
        return cls._loaded(cls._open_pickle(vars(contents)).snapshot, isa)

    # Pickles made after it, and before they had a version, name this one.
    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        return cls._loaded(cls._open_pickle(state).snapshot, None)

    @classmethod
    def _loaded(cls, snapshot: Snapshot, isa: str | None) -> Self:
        """Return an index for which nobody kept the attributes that a subclass may need."""
        encoder = snapshot.encoder
        names = encoder.store_names
        make: Any = cls
        index: Self
        if _takes_arguments_of_index(cls):
            index = make(encoder.dim, metric=encoder.metric, store=names or None, isa=isa)
        else:
            index = cls.__new__(cls)
        index._table = Table(snapshot)
        index._store_is_name = len(names) == 1
        return index


def _own_attributes(index: Remakable) -> Any:
    """Return the state of an index as pickle takes it, without what this package sets."""
    state = index.__getstate__()
    if isinstance(state, tuple) and len(state) == 2:  # with the values of slots
        return _own(state[0]), state[1]
    return _own(state)


def _own(state: Any) -> Any:
    if not isinstance(state, dict):  # None, or what a subclass made of it
        return state
    return {name: value for name, value in state.items() if name not in Remakable.__annotations__}


def _new_arguments(index: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what ``__new__`` of the index's class takes, as pickle finds it out."""
    if hasattr(index, "__getnewargs_ex__"):
        args, options = index.__getnewargs_ex__()
        return args, options
    return (index.__getnewargs__() if hasattr(index, "__getnewargs__") else ()), {}


def _takes_arguments_of_index(cls: type) -> bool:
    """Say whether a constructor takes ``(dim, *, metric, store, isa)``.

    One that passes on other arguments takes them if the next one in the method resolution order
    does.
    """
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        try:
            signature = inspect.signature(vars(base)["__init__"])
            signature.bind(None, 1, metric="cosine", store=None, isa=None)
        except (TypeError, ValueError) as error:
            if not call_raised(error, "inspect"):
                raise
            return False
        first = list(signature.parameters.values())[:2][-1]  # after self
        if first.name != "dim" and first.kind is not first.VAR_POSITIONAL:
            return False
        if all(other.kind is not other.VAR_KEYWORD for other in signature.parameters.values()):
            return True
    return False
