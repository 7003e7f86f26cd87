# SPDX-License-Identifier: Apache-2.0
"""Text from elsewhere, such as names of files: made visible, for terminals, pages and pictures."""

from __future__ import annotations

import re

__all__ = ["code_span", "markdown_text", "visible"]

# Control characters but tab and line feed, separators and changes of direction, and halves of
# characters, which stand for bytes of a file's name that are not UTF-8.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# What Markdown interprets within a line, at its start, and "#" at the end of a heading.
_MARKUP = re.compile(r"[\\`*\[\]<&~|$]|(?<![^\W_])_|_(?![^\W_])|^>|^[#+-](?=\s)|#(?=#*$)")


def visible(text: str) -> str:
    """Escape, as Python does, characters that a terminal obeys or that no file can hold."""
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def markdown_text(text: str) -> str:
    """Return a text as one line of Markdown that shows it literally."""
    return _MARKUP.sub(r"\\\g<0>", _one_line(text))


def code_span(text: str) -> str:
    """Return a text as a code span of Markdown."""
    line = _one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _one_line(text: str) -> str:
    return visible(" ".join(text.split()))
