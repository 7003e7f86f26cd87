# SPDX-License-Identifier: Apache-2.0
"""Messages of the library, which speak of Python calls, in words of the command line.

A parameter of the library has the name of the option that sets it. The running command knows its
own options; an option of ``bitsift build`` is named with that command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["as_options", "as_words", "speaking_of", "typed"]

# Remedies that are other steps on the command line; what replaces them may hold NAME=VALUE.
_STEPS = (
    (
        re.compile(r"call fit\(sample\) with ([0-9,]+) or more before the first add"),
        r"give \1 or more vectors, and no smaller --sample",
    ),
    (
        re.compile(r"call fit\(sample\) with as many before the first add, or give a threshold"),
        "give as many, and no smaller --sample, or a threshold",
    ),
    (
        re.compile(r"fit\(sample\) before the first add, with vectors [^,]*, makes bounds [^,]*,"),
        "a larger --sample makes bounds that suit more of them,",
    ),
    (
        re.compile(r"calibrator=.* has bounds that outliers widen less, and (store=\S+) has none"),
        r"\1 has no bounds, which outliers widen",
    ),
    (re.compile(r"; where bits are all there is, .*$"), ""),
    (re.compile(r"\bladder=\[.*\] needs"), "it needs"),
    (re.compile(r": bitsift\.Index\([0-9]+\)$"), ""),
    (re.compile(r"\bbitsift\.advise\b"), "bitsift advise"),
    (re.compile(r"; dim= makes a new (index|one)$"), "; bitsift build makes an index"),
)
_VALUE = r"""True|False|None|"[^"]*"|'[^']*'|\([^()]*\)|-?[0-9][0-9.e+-]*[0-9]|[0-9]"""
_ARGUMENT = re.compile(rf"""\b([a-z_]+)=({_VALUE})((?:,? or (?:"[a-z0-9-]+"|'[a-z0-9-]+'))*)""")
# What the library calls an array is the option of a file, or of a number of rows.
_ARRAYS = ("ids", "qrels", "queries", "sample")
_SUBJECT = re.compile(r"^([a-z_]+)(?= must | cannot )")
_QUOTED = re.compile(r"""["']([^"']*)["']""")


class _Option(NamedTuple):
    """An option of a command.

    Attributes
    ----------
    on : str
        How it is given, without its value.
    off : str
        How a switch is turned off; "" if it is off unless given.
    """

    on: str
    off: str


class _Speaker(NamedTuple):
    """The options of the running command, and of ``bitsift build``, by the library's names."""

    own: Mapping[str, _Option]
    builds: Mapping[str, _Option]


_NOBODY = _Speaker({}, {})
_speaker: ContextVar[_Speaker] = ContextVar("speaker", default=_NOBODY)


@contextmanager
def speaking_of(command: Any, build: Any) -> Iterator[None]:
    """Let messages name the options of a command, and of the command that builds an index."""
    token = _speaker.set(_Speaker(_options(command), _options(build)))
    try:
        yield
    finally:
        _speaker.reset(token)


def as_options(message: str) -> str:
    """Rewrite what a message of the library says of Python calls for the running command."""
    own, builds = _speaker.get()

    def argument(found: re.Match[str]) -> str:
        name, value, others = found[1], found[2], _QUOTED.sub(r"\1", found[3])
        if name in own:
            return _given(own[name], value) + others
        begins = found.start() == 0
        if name in builds and not begins:
            return f"bitsift build {_given(builds[name], value)}{others}"
        plain = name.replace("_", " ")
        return plain if value == "True" else f"{plain} {_plain(value)}{others}"

    def subject(found: re.Match[str]) -> str:
        name = found[1]
        return own[name].on if name in own and name not in _ARRAYS else name

    for pattern, replacement in _STEPS:
        message = pattern.sub(replacement, message)
    return _SUBJECT.sub(subject, _ARGUMENT.sub(argument, message))


def as_words(arguments: Mapping[str, object]) -> str:
    """Return arguments of `Index` as they are typed after ``bitsift build``; False is left out."""
    words = []
    for name, value in arguments.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not False:
            words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    return " ".join(words)


def typed(path: Path | str) -> str:
    """Return a path as it can be typed: one that begins with a dash is no option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def _options(command: Any) -> dict[str, _Option]:
    return {
        one.name: _Option(max(one.opts, key=len), max(one.secondary_opts, key=len, default=""))
        for one in command.params
        if one.param_type_name == "option"
    }


def _given(option: _Option, value: str) -> str:
    if value == "True":
        return option.on
    if value == "False":
        return option.off or f"no {option.on}"
    return f"{option.on} {_plain(value)}"


def _plain(value: str) -> str:
    """Return a value as it is typed: without quotes, several with commas, None as none."""
    if value == "None":
        return "none"
    if value.startswith("("):
        return ",".join(_QUOTED.findall(value))
    return value.strip("\"'")
