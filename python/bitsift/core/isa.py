# SPDX-License-Identifier: Apache-2.0
"""Instruction sets: which are available, and which one an object uses."""

from __future__ import annotations

import os

import bitsift.core.native as native
from bitsift.core.errors import UnsupportedIsaError
from bitsift.core.public import public
from bitsift.core.unreadable import shown

__all__ = ["available_isas", "chosen_isa", "resolve_isa"]


@public
def available_isas() -> list[str]:
    """List the instruction sets that this processor and this build support, slowest first.

    Returns
    -------
    list of str
        Names among ``"scalar"``, ``"avx2"``, ``"avx512"``, ``"amx"`` and ``"neon"``. The last one
        is the default, unless the environment variable ``BITSIFT_ISA`` names another.
    """
    return native.available_isas()


def chosen_isa(isa: str | None) -> str | None:
    """Return `isa`, or else what ``BITSIFT_ISA`` names; None for the fastest."""
    return os.environ.get("BITSIFT_ISA") or None if isa is None else isa


def resolve_isa(isa: str | None) -> str:
    """Return the level to use: `isa`, else that of ``BITSIFT_ISA``, else the fastest."""
    source = "isa" if isa is not None else "the environment variable BITSIFT_ISA"
    isa = chosen_isa(isa)
    available = native.available_isas()
    if isa is None:
        return available[-1]
    if not isinstance(isa, str):
        raise TypeError(f"isa must be a string or None; got {type(isa).__name__}")
    if isa in available:
        return isa
    if isa in native.known_isas():
        raise UnsupportedIsaError(
            f"{source} is {isa!r}, which this processor or build does not have; "
            f"available: {', '.join(available)}"
        )
    raise ValueError(f"{source} must be one of {', '.join(native.known_isas())}; got {shown(isa)}")
