# SPDX-License-Identifier: Apache-2.0
"""Pages of help: a list of arguments, options and commands, each with what it takes and does."""

from __future__ import annotations

import inspect
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

import typer

__all__ = ["metavar", "page", "usage"]

# Long lines read badly; where names are longer than the left column, help begins on a new line.
_WIDEST = 100
_WIDEST_LEFT = 24
_INDENT = 2


def usage(command: Any, context: Any) -> str:
    """Return the line that says how a command is called: what must be given, then options."""
    hints = _hints(command)
    words = [context.command_path]
    if hasattr(command, "commands"):
        words.append("COMMAND")
    for param in command.params:
        if param.param_type_name == "argument":
            words.append(_value(param, hints) if param.required else f"[{_value(param, hints)}]")
        elif param.required:
            words.append(f"{max(param.opts, key=len)} {_value(param, hints)}")
    return " ".join(["Usage:", *words, "[OPTIONS]"])


def page(command: Any, context: Any) -> str:
    """Return the help of a command, for the width of the terminal."""
    width = min(_WIDEST, max(40, shutil.get_terminal_size().columns))
    params = [param for param in command.get_params(context) if not getattr(param, "hidden", False)]
    arguments = [param for param in params if param.param_type_name == "argument"]
    options = [param for param in params if param.param_type_name == "option"]
    hints = _hints(command)
    sections = {
        "Arguments": [(_value(param, hints), _text(param)) for param in arguments],
        "Commands": [(name, one.help) for name, one in getattr(command, "commands", {}).items()],
        "Options": [(_names(param, hints), _text(param)) for param in options],
    }
    lefts = [len(left) for rows in sections.values() for left, _ in rows]
    column = 2 * _INDENT + max(n for n in lefts if n <= _WIDEST_LEFT)
    lines = [
        *textwrap.wrap(usage(command, context), width, subsequent_indent=" " * 7),
        "",
        *textwrap.wrap(command.help or "", width),
    ]
    for title, rows in sections.items():
        if rows:
            lines += ["", _bold(f"{title}:")]
            lines += [line for row in rows for line in _row(*row, column, width)]
    if sections["Commands"]:
        lines += ["", f"{context.command_path} COMMAND --help says more about a command."]
    return "\n".join(lines)


def _row(left: str, text: str, column: int, width: int) -> Iterator[str]:
    """Give the lines of a name and its meaning; words are not divided."""
    first, *others = textwrap.wrap(
        text, width - column, break_long_words=False, break_on_hyphens=False
    ) or [""]
    begin = " " * _INDENT + _bold(left)
    if _INDENT + len(left) + _INDENT > column:
        yield begin
        yield " " * column + first
    else:
        yield f"{begin}{' ' * (column - _INDENT - len(left))}{first}".rstrip()
    yield from (" " * column + line for line in others)


def _hints(command: Any) -> Mapping[str, Any]:
    return get_type_hints(inspect.unwrap(command.callback))


def _value(param: Any, hints: Mapping[str, Any]) -> str:
    """Return what stands for the value of a parameter."""
    if param.metavar:
        return str(param.metavar)
    if param.param_type_name == "argument":
        return str(param.name.upper())
    return metavar(hints[param.name])


def _names(option: Any, hints: Mapping[str, Any]) -> str:
    """Return an option as it is typed, short names first, and what it takes unless it is a flag."""
    names = sorted(option.opts, key=len)
    if option.secondary_opts:
        return " / ".join([*names, *option.secondary_opts])
    joined = ", ".join(names)
    return joined if option.is_flag else f"{joined} {_value(option, hints)}"


def metavar(hint: object) -> str:
    """Return what stands for a value of a type; for one of several words, these words."""
    if get_origin(hint) is Literal:
        return "|".join(get_args(hint))
    for part in get_args(hint):
        if part is not NoneType:
            return metavar(part)
    return {int: "N", float: "NUMBER"}.get(cast(type, hint), "TEXT")


def _text(param: Any) -> str:
    """Return what a parameter means, its default, and whether it must be given."""
    parts = [param.help or ""]
    if param.required and param.param_type_name == "option":
        parts.append("[needed]")
    elif param.show_default and (default := _default(param)):
        parts.append(f"[default: {default}]")
    return " ".join(parts)


def _default(param: Any) -> str:
    if param.default is None or param.required:
        return ""
    if isinstance(param.default, bool):
        names = param.opts if param.default else param.secondary_opts
        return str(names[0]) if param.secondary_opts else ""
    return str(param.default)


def _bold(text: str) -> str:
    shows = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return typer.style(text, bold=True) if shows else text
