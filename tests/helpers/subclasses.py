# SPDX-License-Identifier: Apache-2.0
"""Subclasses of Index as users write them; here, so that pickle finds them by name."""

from __future__ import annotations

import threading
from typing import Any

import bitsift


class Labelled(bitsift.Index):
    """Sets an attribute; its constructor takes the arguments of Index."""

    def __init__(self, dim: int, **options: Any) -> None:
        super().__init__(dim, **options)
        self.labels: dict[int, str] = {}


class Named(bitsift.Index):
    """Its constructor needs an argument of its own, and takes no dim."""

    def __init__(self, name: str, *, store: Any = None) -> None:
        super().__init__(12, store=store)
        self.name = name


class Opened(bitsift.Index):
    """Its first argument is no dim, though other arguments are those of Index."""

    def __init__(self, path: str, **options: Any) -> None:
        assert isinstance(path, str)
        super().__init__(12, **options)
        self.path = path


class Slotted(bitsift.Index):
    """Keeps an attribute in a slot."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__(12)
        self.name = name


class Mixin:
    """Another base, with an attribute and a constructor of its own."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.mixed = ["in"]


class Mixed(Mixin, Named):
    """A subclass of a subclass, with two bases."""


class Locked(bitsift.Index):
    """Holds what cannot be pickled, and makes it anew as Python's documentation advises."""

    def __init__(self, note: str) -> None:
        super().__init__(12)
        self.note = note
        self.lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock = threading.Lock()


class Made(bitsift.Index):
    """Needs an argument where it is made."""

    made_with: str

    def __new__(cls, text: str) -> Made:
        index = super().__new__(cls)
        index.made_with = text
        return index

    def __init__(self, text: str) -> None:
        super().__init__(12)

    def __getnewargs__(self) -> tuple[str]:
        return (self.made_with,)


class MadeByKeyword(Made):
    """The same with an argument that has a name."""

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, str]]:
        return (), {"text": self.made_with}
