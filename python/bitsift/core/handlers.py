# SPDX-License-Identifier: Apache-2.0
"""Errors of signal handlers, told from those of the call that they interrupt.

Python runs a handler between two steps of whatever runs, so its error comes out of a call that has
nothing to do with it. It may be of any type: that of an alarm is often TimeoutError, an OSError.
"""

from __future__ import annotations

import re
from types import TracebackType

__all__ = ["call_raised", "is_of_system", "suppress_system_errors"]


def call_raised(error: BaseException, *packages: str, methods: bool = False) -> bool:
    """Say whether an error is of the call that is tried, and not of a signal handler amid it.

    An error of the call is raised by compiled code which the function that catches it has called,
    or within Python code of the `packages` named, or, with `methods`, by a special method of a
    caller's object, such as ``__index__``.
    """
    assert error.__traceback__ is not None  # it was caught
    inner = error.__traceback__.tb_next
    if inner is None:
        return True
    while inner.tb_next is not None:
        inner = inner.tb_next
    name = inner.tb_frame.f_code.co_name
    if methods and re.fullmatch("__(?!call__).*__", name):
        return True
    module = str(inner.tb_frame.f_globals.get("__name__"))
    return module.partition(".")[0] in packages


def is_of_system(error: BaseException) -> bool:
    """Say whether an error is the system's answer to a call: such an OSError has a number.

    One of a signal handler seldom has, and those of this package have none.
    """
    return isinstance(error, OSError) and error.errno is not None


class suppress_system_errors:
    """``contextlib.suppress(OSError)``, of what `is_of_system` alone."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        return error is not None and is_of_system(error)
