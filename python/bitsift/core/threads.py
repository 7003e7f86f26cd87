# SPDX-License-Identifier: Apache-2.0
"""How many threads a call uses that does not say: a setting of the process."""

from __future__ import annotations

import os
from typing import SupportsIndex

import bitsift.core.native as native
from bitsift.core import arguments
from bitsift.core.cpu_quota import cpu_quota
from bitsift.core.errors import warn
from bitsift.core.limits import MAX_THREADS
from bitsift.core.public import public
from bitsift.core.unreadable import shown

__all__ = ["available_threads", "set_num_threads"]

_VARIABLE = "BITSIFT_NUM_THREADS"


@public
def available_threads() -> int:
    """Return how many threads a call with ``threads=0``, the default, uses at most.

    Returns
    -------
    int
        What :func:`set_num_threads` or the environment variable ``BITSIFT_NUM_THREADS`` says. Else
        the processors that the calling thread may run on, its affinity, and not more than the
        processor time of the container: the quota of Linux's control groups (versions 1 and 2),
        rounded up, as it was when bitsift was imported.

    Examples
    --------
    >>> bitsift.available_threads() >= 1
    True
    """
    return native.default_threads()


@public
def set_num_threads(n: SupportsIndex) -> None:
    """Set how many threads a call with ``threads=0``, the default, uses at most.

    Parameters
    ----------
    n : int
        1 to 1,024, also more than there are processors. 0 takes the setting back, and that of
        ``BITSIFT_NUM_THREADS``: see :func:`available_threads`.

    Raises
    ------
    TypeError, ValueError
        Not an integer, or not 0 to 1,024.

    Notes
    -----
    For the whole process and for its forked children. Calls that are under way keep their threads.
    The number changes the time, never the result. Safe to call from any thread.

    Examples
    --------
    >>> bitsift.set_num_threads(2)
    >>> bitsift.available_threads()
    2
    >>> bitsift.set_num_threads(0)
    """
    native.set_default_threads(arguments.integer(n, "n", 0, MAX_THREADS))


def _set_up() -> None:
    """Read the environment variable and the quota."""
    native.limit_default_threads(cpu_quota() or 0)
    said = os.environ.get(_VARIABLE, "").strip()
    if not said:
        return
    if said.isascii() and said.isdecimal() and 1 <= int(said[:5]) <= MAX_THREADS:
        native.set_default_threads(int(said[:5]))
    else:
        warn(
            f"the environment variable {_VARIABLE} must be an integer from 1 to {MAX_THREADS}; got "
            f"{shown(said)}. It is not used"
        )


_set_up()
