# SPDX-License-Identifier: Apache-2.0
"""Errors and warnings of commands: one line, or one JSON object, and exit code 1 for errors."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer

from bitsift import BitsiftError, BitsiftWarning, IndexFileError
from bitsift.cli.text import visible
from bitsift.cli.wording import as_options

__all__ = [
    "CommandError",
    "InputError",
    "MissingPackageError",
    "ModelError",
    "one_line",
    "print_json_error",
    "reporting",
]


class CommandError(Exception):
    """Base of the errors that a command itself finds."""


class InputError(CommandError):
    """A file or an option that the command cannot work with."""


class MissingPackageError(CommandError):
    """The command needs a package that is not installed."""


class ModelError(CommandError):
    """An embedding model cannot be loaded or does not fit."""


def one_line(error: BaseException) -> str:
    """Return the message of an exception without line breaks, or its type if it has none.

    What the library says of Python arguments becomes what the command says of its options; a path
    stays as it is.
    """
    if isinstance(error, IndexFileError):
        before, _, after = str(error).rpartition(error.reason)
        text = f"{before}{as_options(error.reason)}{after}"
    else:
        text = as_options(" ".join(str(error).split()))
    return " ".join(text.split()) or type(error).__name__


def print_json_error(kind: str, message: str) -> None:
    """Print an error as one JSON object, on standard output."""
    typer.echo(json.dumps({"error": {"type": kind, "message": message}}))


@contextmanager
def reporting(as_json: bool) -> Iterator[None]:
    """Turn the errors that a user can cause into a message and exit code 1.

    The library refuses an argument by ``ValueError`` or ``TypeError``. A closed pipe is not an
    error of the command: the framework ends it quietly. Each warning of the library becomes a line.
    """
    try:
        with _warnings_as_lines():
            yield
    except BrokenPipeError:
        raise
    except (CommandError, BitsiftError, OSError, ValueError, TypeError, MemoryError) as error:
        message = str(error) if isinstance(error, CommandError) else one_line(error)
        if as_json:
            print_json_error(type(error).__name__, message)
        else:
            typer.echo(f"bitsift: error: {visible(message)}", err=True)
        raise typer.Exit(1) from None


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print each warning of the library once, as a line on standard error; leave others alone."""
    show_others = warnings.showwarning
    printed = set()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, BitsiftWarning):
            show_others(message, category, *where, **more)
        elif (line := f"warning: {as_options(' '.join(str(message).split()))}") not in printed:
            printed.add(line)
            with suppress(OSError):  # A warning that cannot be printed must not end the command.
                print(visible(line), file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", BitsiftWarning)
        warnings.showwarning = show
        try:
            yield
        finally:
            warnings.showwarning = show_others
