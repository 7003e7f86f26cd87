# SPDX-License-Identifier: Apache-2.0
"""The decorator of public classes and functions, which then say ``bitsift`` as their module."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

__all__ = ["public"]

T = TypeVar("T", bound=Callable[..., Any])


def public(thing: T) -> T:
    """Make a class or function say ``bitsift`` as its module.

    Reprs, documentation and pickles then name the import path that users write, so the file may
    move.
    """
    if isinstance(thing, type):
        # `typing.get_type_hints` resolves names in the module that a class states, so annotations
        # are resolved before it states another.
        hints = get_type_hints(thing, include_extras=True)
        own = {name: hints[name] for name in inspect.get_annotations(thing)}
        thing.__annotations__ = own
    thing.__module__ = "bitsift"
    return thing
