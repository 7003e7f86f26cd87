# SPDX-License-Identifier: Apache-2.0
"""How a command fails: one clear line (or one JSON object) and exit code 1. And how it warns."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer

from bitsift.core.errors import BitsiftError, BitsiftWarning

__all__ = [
    "CommandError",
    "InputError",
    "MissingPackageError",
    "ModelError",
    "one_line",
    "reporting",
]


class CommandError(Exception):
    """Base of what a command itself finds wrong."""


class InputError(CommandError):
    """A file or an option that the command cannot work with."""


class MissingPackageError(CommandError):
    """The command needs a package that is not installed."""


class ModelError(CommandError):
    """An embedding model cannot be loaded or does not fit."""


def one_line(error: BaseException | str) -> str:
    """Give the message of an exception without line breaks, or its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def reporting(as_json: bool) -> Iterator[None]:
    """Turn the errors that a user can cause into a message and exit code 1.

    ``ValueError`` and ``TypeError`` are how the library refuses an argument. A closed pipe is no
    error of the command: the framework ends it quietly. Warnings of the library become a line each.
    """
    try:
        with _warning_in_lines():
            yield
    except BrokenPipeError:
        raise
    except (CommandError, BitsiftError, OSError, ValueError, TypeError, MemoryError) as error:
        message = str(error) if isinstance(error, CommandError) else one_line(error)
        if as_json:
            typer.echo(json.dumps({"error": {"type": type(error).__name__, "message": message}}))
        else:
            typer.echo(f"bitsift: error: {message}", err=True)
        raise typer.Exit(1) from None


@contextmanager
def _warning_in_lines() -> Iterator[None]:
    """Print each warning of the library once, as a line on standard error; leave others alone."""
    show_others = warnings.showwarning
    printed = set()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, BitsiftWarning):
            show_others(message, category, *where, **more)
        elif (line := f"warning: {one_line(message)}") not in printed:
            printed.add(line)
            with suppress(OSError):  # a warning that cannot be written ends nothing
                print(line, file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", BitsiftWarning)
        warnings.showwarning = show
        try:
            yield
        finally:
            warnings.showwarning = show_others
