# SPDX-License-Identifier: Apache-2.0
"""How many bytes of a file the disk holds: a sparse file has holes, which read as zeros."""

from __future__ import annotations

import errno
import os

__all__ = ["stored_bytes"]

# Enough for any file that is written from its start to its end, even to a full disk.
_MOST_EXTENTS = 1 << 16


def stored_bytes(fd: int, enough: int) -> int:
    """Return how many bytes of an open file are data, not holes; stop counting at `enough`.

    The position in the file is changed. Where the system cannot tell, all bytes count as data.

    Notes
    -----
    The number of blocks alone would refuse files that a file system compresses (ZFS, btrfs) or
    knows nothing of (some user-space ones); the extents alone take time to count. So extents are
    counted where the blocks are few. They are those of the file's content also where blocks are
    compressed, with one exception: long runs of zeros, which ZFS stores as holes.
    """
    status = os.fstat(fd)
    n_bytes = status.st_size
    if not hasattr(os, "SEEK_DATA") or 512 * getattr(status, "st_blocks", n_bytes) >= enough:
        return n_bytes
    n_data = end = 0
    for _ in range(_MOST_EXTENTS):
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
            end = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole follows
                return n_data
            if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP):
                return n_bytes
            raise
        n_data += end - start
        if n_data >= enough or end >= n_bytes:
            break
    return n_data
