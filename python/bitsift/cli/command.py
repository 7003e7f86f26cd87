# SPDX-License-Identifier: Apache-2.0
"""The class of every command: it refuses what is no path, and tells messages its options."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from bitsift.cli.wording import speaking_of

__all__ = ["Command", "path_parameters"]

_OUTPUTS = ("out", "markdown", "picture")


class Command(TyperCommand):
    """A command of ``bitsift``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse arguments and options; an empty path, and "-" for an output, are usage errors.

        An empty path would be the current folder once it is a ``Path``.
        """
        words = list(args)
        rest = super().parse_args(ctx, args)
        typed, _, _ = self.make_parser(ctx).parse_args(words)
        for param in path_parameters(self):
            given = typed.get(param.name)
            for text in given if isinstance(given, (list, tuple)) else [given]:
                if text == "":
                    raise typer.BadParameter("the path must not be empty; got ''", ctx, param)
                if text == "-" and param.name in _OUTPUTS:
                    raise typer.BadParameter(
                        "the output must be a path; got '-'. --json prints to standard output, and "
                        "./- is a file of that name",
                        ctx,
                        param,
                    )
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and let messages name its options."""
        with speaking_of(self, ctx.find_root().command.commands["build"]):
            return super().invoke(ctx)


def path_parameters(command: Any) -> list[Any]:
    """Return the parameters of a command that take a path, perhaps beside other words."""
    hints = get_type_hints(inspect.unwrap(command.callback))
    return [
        param
        for param in command.params
        if _has_path(hints.get(param.name)) or {"FILE", "PATH"} & _words(param.metavar)
    ]


def _has_path(hint: object) -> bool:
    return hint is Path or any(map(_has_path, get_args(hint)))


def _words(metavar: str | None) -> set[str]:
    return set((metavar or "").replace("|", "_").split("_"))
