# SPDX-License-Identifier: Apache-2.0
"""``bitsift verify``: every byte of an index against its checksums."""

from __future__ import annotations

import bitsift
from bitsift.cli.console import print_json, print_line, progress_bar, stdout_console
from bitsift.cli.failure import reporting
from bitsift.cli.parameters import FollowLinks, IndexFolder, Json

__all__ = ["verify"]


def verify(index: IndexFolder, follow_links: FollowLinks = False, as_json: Json = False) -> None:
    """Check every byte of an index against its checksums."""
    with reporting(as_json):
        with progress_bar("checking", 100) as update:
            bitsift.verify(
                index,
                progress=lambda done, total: update(100 * done // max(total, 1)),
                follow_links=follow_links,
            )
        if as_json:
            print_json({"path": str(index), "ok": True})
        else:
            print_line(stdout_console(), f"OK: {index}")
