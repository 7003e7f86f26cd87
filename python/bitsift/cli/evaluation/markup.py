# SPDX-License-Identifier: Apache-2.0
"""Text in pages of HTML."""

from __future__ import annotations

import html
import re

from bitsift.cli.text import visible

__all__ = ["escaped"]

# Marks that turn the direction of what stands beside them.
_DIRECTION = re.compile("[\u061c\u200e\u200f]")


def escaped(text: str) -> str:
    """Return a text that HTML shows literally, in an element or in a quoted attribute."""
    seen = _DIRECTION.sub(lambda found: f"\\u{ord(found[0]):04x}", visible(text))
    return html.escape(seen, quote=True)
