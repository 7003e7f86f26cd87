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

import bitsift.core.native as native

__all__ = ["DefaultFloats", "in_default_floats"]

P = ParamSpec("P")
R = TypeVar("R")


# A context: NumPy neither warns nor raises, and the processor computes as IEEE 754 says. At its end
# the calling thread has back what it had, whatever a signal handler raises meanwhile. An object
# serves one `with`. Takes about two microseconds: too much for a search of one query, which enters
# it only where it converts.
DefaultFloats = native.DefaultFloats


def in_default_floats(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function run within `DefaultFloats`."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        with DefaultFloats():
            return function(*args, **kwargs)

    guarded.is_guarded = True  # type: ignore[attr-defined]
    return guarded
