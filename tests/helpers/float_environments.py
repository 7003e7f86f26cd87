# SPDX-License-Identifier: Apache-2.0
"""Floating-point environments that an application or another library leaves behind in a thread."""

from __future__ import annotations

import contextlib
import ctypes
import platform
import sys
from collections.abc import Iterator

import numpy as np

_IS_X86 = platform.machine() == "x86_64"
# The bits of the control register: MXCSR, or FPCR.
_REGISTER = (
    {"flush-to-zero": 0x8040, "downward": 0x2000, "upward": 0x4000, "toward-zero": 0x6000}
    if _IS_X86
    else {"flush-to-zero": 1 << 24, "downward": 2 << 22, "upward": 1 << 22, "toward-zero": 3 << 22}
)
_CONTROL = 0xFFC0 if _IS_X86 else 0xFFFFFFFF  # without the flags that arithmetic raises
_NUMPY = ("raise", "warn", "call", "print", "log")

ENVIRONMENTS = (*_REGISTER, *(f"numpy-{action}" for action in _NUMPY), "all")


# Where fenv_t has the register, and its size in bytes.
_PLACE = {
    ("linux", True): slice(28, 32),
    ("linux", False): slice(0, 4),
    ("darwin", True): slice(4, 8),
    ("darwin", False): slice(8, 16),
}[sys.platform, _IS_X86]


class _FloatState:
    """The environment of this thread, by the C library's fegetenv and fesetenv."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)  # all that this process has loaded
        self._state = ctypes.create_string_buffer(64)

    def read(self) -> int:
        assert self._library.fegetenv(self._state) == 0
        return int.from_bytes(self._state[_PLACE], sys.byteorder)

    def write(self, register: int) -> None:
        assert self._library.fegetenv(self._state) == 0
        n_bytes = _PLACE.stop - _PLACE.start
        self._state[_PLACE] = register.to_bytes(n_bytes, sys.byteorder)
        assert self._library.fesetenv(self._state) == 0


def control() -> int:
    """How this thread rounds, what it flushes and what it traps."""
    return _FloatState().read() & _CONTROL


def control_and_flags() -> int:
    """The same, and the flags that arithmetic has raised."""
    return _FloatState().read()


class Log:
    """What NumPy calls, or writes to, where it meets an error."""

    def __init__(self) -> None:
        self.entries: list[object] = []

    def __call__(self, *error: object) -> None:
        self.entries.append(error)

    def write(self, text: str) -> None:
        self.entries.append(text)


@contextlib.contextmanager
def environment(name: str) -> Iterator[Log]:
    """Set one of `ENVIRONMENTS` in this thread; give back what was there."""
    state, log = _FloatState(), Log()
    found, found_errors, found_call = state.read(), np.geterr(), np.geterrcall()
    # First what raises: no arithmetic of this function may come after it.
    names = (*_REGISTER, "numpy-raise") if name == "all" else (name,)
    bits = 0
    for one in names:
        bits |= _REGISTER.get(one, 0)
    action = names[-1].removeprefix("numpy-")
    try:
        if action in _NUMPY:
            np.seterrcall(log)
            np.seterr(all=action)
        state.write(found | bits)
        yield log
    finally:
        state.write(found)
        np.seterr(**found_errors)
        np.seterrcall(found_call)
