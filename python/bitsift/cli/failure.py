# SPDX-License-Identifier: Apache-2.0
"""How a command fails: one clear line (or one JSON object) and exit code 1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from bitsift.errors import BitsiftError

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


def one_line(error: BaseException) -> str:
    """Give the message of an exception without line breaks, or its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def reporting(as_json: bool) -> Iterator[None]:
    """Turn the errors that a user can cause into a message and exit code 1.

    ``ValueError`` and ``TypeError`` are how the library refuses an argument. A closed pipe is no
    error of the command: the framework ends it quietly.
    """
    try:
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
