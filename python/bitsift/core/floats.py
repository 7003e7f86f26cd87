# SPDX-License-Identifier: Apache-2.0
"""The floating-point environment: results do not depend on the one that the caller has set.

An application may have NumPy raise at an underflow (``numpy.seterr``). A library may have the
processor take subnormal numbers for zero, or round otherwise, some by merely being imported.
Whatever does arithmetic on floats, or converts them, runs within `DefaultFloats`. The compiled
core sees to itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

import bitsift.core.native as native

__all__ = ["DefaultFloats", "in_default_floats"]

P = ParamSpec("P")
R = TypeVar("R")


class DefaultFloats:
    """A context: NumPy neither warns nor raises, and the processor computes as IEEE 754 says.

    At the end, the calling thread has back what it had. An object serves one ``with``. Takes about
    a microsecond: too much for a search of one query, which enters it only where it converts.
    """

    __slots__ = ("_errors", "_found")

    def __enter__(self) -> None:
        self._errors = np.errstate(all="ignore")
        self._errors.__enter__()
        self._found = native.set_default_floats()

    def __exit__(self, *error: object) -> None:
        native.restore_floats(self._found)
        self._errors.__exit__(None, None, None)


def in_default_floats(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function run within `DefaultFloats`."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        with DefaultFloats():
            return function(*args, **kwargs)

    guarded.is_guarded = True  # type: ignore[attr-defined]
    return guarded
