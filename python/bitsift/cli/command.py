# SPDX-License-Identifier: Apache-2.0
"""The classes of commands: they check paths, name options in messages, print help and usage."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from bitsift.cli.failure import print_json_error
from bitsift.cli.help import page, usage
from bitsift.cli.text import visible
from bitsift.cli.wording import speaking_of
from bitsift.core.unreadable import shown

__all__ = ["Command", "Commands", "path_parameters"]

_WRONG_USAGE = 2  # the exit code
_OUTPUTS = ("out", "markdown", "picture")
# Of all usage errors: typer publishes only this subclass.
_UsageError: type[Any] = typer.BadParameter.__mro__[1]


class Commands(TyperGroup):
    """The program's commands. A usage error of a program that asks for JSON is JSON."""

    def get_help(self, ctx: Any) -> str:
        """Return the list of commands."""
        return page(self, ctx)

    def get_usage(self, ctx: Any) -> str:
        """Return how the program is called."""
        return usage(self, ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what stands before the command; without anything, print help."""
        if not args:
            typer.echo(ctx.get_help())
            raise typer.Exit(_WRONG_USAGE)
        return super().parse_args(ctx, args)

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **more: Any) -> Any:
        """Parse what stands before the command."""
        words = tuple(args)
        with _usage_errors(words):
            context = super().make_context(info_name, args, parent, **more)
        context.meta[__name__] = words
        return context

    def invoke(self, ctx: Any) -> Any:
        """Find the command, parse its arguments and options, and run it."""
        with _usage_errors(ctx.meta[__name__]):
            return super().invoke(ctx)


@contextmanager
def _usage_errors(words: tuple[str, ...]) -> Iterator[None]:
    """Print a usage error: as JSON, as other errors are, if ``--json`` is among the words typed.

    Else below the usage of the command, with what a terminal obeys escaped.
    """
    try:
        yield
    except _UsageError as error:
        typed = words[: words.index("--")] if "--" in words else words
        message = _message(error)
        if "--json" in typed:
            print_json_error("UsageError", message)
            raise typer.Exit(1) from None
        if error.ctx is not None:
            typer.echo(
                f"{error.ctx.get_usage()}\n{error.ctx.command_path} --help says more.", err=True
            )
        typer.echo(f"bitsift: error: {visible(message)}", err=True)
        raise typer.Exit(_WRONG_USAGE) from None


def _message(error: Any) -> str:
    """Return the message of a usage error, in one line; of a wrong number also what was given."""
    found: list[Any] = getattr(error.__cause__, "errors", list)()  # by the parser of types
    reason = _of_number(found[0]) if found else None
    if reason is not None:
        error.message = reason
    return " ".join(error.format_message().split()).replace(": Value error, ", ": ")


def _of_number(found: dict[str, Any]) -> str | None:
    """Return what is wrong with a number, and which was given; None for another error."""
    limits = found.get("ctx", {})
    wanted = {
        "greater_than_equal": f"{limits.get('ge')} or more",
        "less_than_equal": f"{limits.get('le')} or less",
        "int_parsing": "a whole number, such as 10",
        "int_from_float": "a whole number, such as 10",
        "int_parsing_size": "a whole number of fewer digits",
        "float_parsing": "a number, such as 2.5 or 10e6",
    }.get(found["type"])
    return None if wanted is None else f"must be {wanted}; got {shown(found['input'])}"


class Command(TyperCommand):
    """A command of ``bitsift``."""

    def get_help(self, ctx: Any) -> str:
        """Return the page of help."""
        return page(self, ctx)

    def get_usage(self, ctx: Any) -> str:
        """Return how the command is called."""
        return usage(self, ctx)

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
