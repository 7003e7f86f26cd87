# SPDX-License-Identifier: Apache-2.0
"""Write docs/reference/python.md and docs/reference/cli.md from docstrings and options."""

from __future__ import annotations

import argparse
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer.models

import bitsift
from bitsift.cli.app import app
from bitsift.cli.help import metavar, usage

FOLDER = Path(__file__).parents[2] / "docs" / "reference"

MADE = "<!-- Made by tests/tools/make_reference.py from the code. -->"

# Every public name, under a heading and a link to the page that shows it at work.
GROUPS = {
    "An index": (
        ("Index", "SearchResult", "RangeResult", "Filter", "merge"),
        "[Rescoring and ladders](../how-to/rescoring-and-ladders.md) shows the ways to search, "
        "[Files](../how-to/files.md) saving and loading.",
    ),
    "Codes that you keep": (
        ("pack", "unpack", "search", "range_search", "knn_graph", "hamming"),
        "These work on your own arrays, without an index: "
        "[Near-duplicates](../how-to/near-duplicates.md).",
    ),
    "Codes from elsewhere": (
        ("to_codes", "from_codes", "codes_from_response", "codes_from_int8"),
        "[Conventions of packed bits](../how-to/conventions.md), "
        "[Responses of embeddings APIs](../how-to/embeddings-api-responses.md).",
    ),
    "Smaller numbers": (
        ("quantize_embeddings", "Calibrator", "MinMaxCalibrator", "RollingCalibrator"),
        "[Memory and price](../how-to/memory-and-price.md) says what each costs and loses.",
    ),
    "Choosing and measuring": (
        (
            *("advise", "Advice", "Trial"),
            *("evaluate", "Evaluation", "EvaluationRow", "EvaluationCheck"),
            *("plan", "Plan", "PlanRow"),
        ),
        "[Choosing a threshold](../how-to/choosing-a-threshold.md), "
        "[Memory and price](../how-to/memory-and-price.md).",
    ),
    "Files and errors": (
        (
            "verify",
            "BitsiftError",
            "IndexFileError",
            "IndexNotFoundError",
            "NotAnIndexError",
            "UnsupportedVersionError",
            "CorruptIndexError",
            "IndexWriteError",
            "IndexLockedError",
            "IndexExistsError",
            "DiskFullError",
            "NoLocksError",
            "IndexStaleError",
            "IndexReadOnlyError",
            "IndexClosedError",
            "UnsupportedIsaError",
            "BitsiftWarning",
        ),
        "A mistake of the caller, such as a wrong shape, is a plain `ValueError` or `TypeError`. "
        "[Files](../how-to/files.md).",
    ),
    "Platform": (
        ("available_isas", "available_threads", "set_num_threads", "__version__"),
        "[Threads and processes](../how-to/threads-and-processes.md).",
    ),
}


def as_markdown(text: str) -> str:
    """Return a line of a docstring without the marks of reStructuredText."""
    text = re.sub(r":\w+:`([^`]*)`", r"`\1`", " ".join(text.split()))
    return text.replace("``", "`").replace("`~", "`")


def summary(thing: object) -> str:
    """Return the first paragraph of a docstring."""
    return as_markdown((inspect.getdoc(thing) or "").split("\n\n")[0])


def attributes(thing: object) -> Iterator[tuple[str, str]]:
    """Give names and meanings from the section Attributes of a docstring."""
    lines = (inspect.getdoc(thing) or "").split("\n")
    if "Attributes" not in lines:
        return
    begin = lines.index("Attributes") + 2
    end = next((i for i in range(begin, len(lines)) if lines[i].startswith("---")), len(lines) + 1)
    block = "\n".join(lines[begin : end - 1])
    for entry in re.findall(r"^\S.*(?:\n(?: .*|(?=\n +\S)))*", block, flags=re.MULTILINE):
        head, _, body = entry.partition("\n")
        names, _, kind = head.partition(" : ")
        meaning = as_markdown(body) or as_markdown(kind)
        yield names, meaning


def signature(function: Callable[..., Any], *, is_method: bool) -> str:
    """Return the parameters as they are written, without types."""
    parts: list[str] = []
    starred = False
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters[1:] if is_method else parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        parts.append(parameter.name + default)
    return f"({', '.join(parts)})"


def members(cls: type) -> Iterator[str]:
    """Give a line for each public member that a class defines, itself or by a base of no name."""
    documented = dict(attributes(cls))
    listed = {name for names in documented for name in names.split(", ")}
    for names, meaning in documented.items():
        yield f"* {', '.join(f'`{name}`' for name in names.split(', '))}: {meaning}"
    own = {}
    for base in reversed(cls.__mro__):
        if base is cls or base.__module__.startswith("bitsift."):  # public ones are of "bitsift"
            own.update(vars(base))
    for name, raw in sorted(own.items()):
        if name.startswith("_") or name in listed:
            continue
        if isinstance(raw, property):
            yield f"* `{name}`: {summary(raw)}"
        elif isinstance(raw, staticmethod | classmethod | types.FunctionType):
            function = raw if isinstance(raw, types.FunctionType) else raw.__func__
            bound = not isinstance(raw, staticmethod)
            yield f"* `{name}{signature(function, is_method=bound)}`: {summary(function)}"


def entry(name: str) -> Iterator[str]:
    """Give the lines of one public name."""
    thing = getattr(bitsift, name)
    if isinstance(thing, str):
        yield from (f"### `bitsift.{name}`", "", "The version of the package, a string.", "")
        return
    if not inspect.isclass(thing):
        yield from (f"### `bitsift.{name}`", "")
        yield f"`{name}{signature(thing, is_method=False)}`"
        yield from ("", summary(thing), "")
        return
    yield from (f"### `bitsift.{name}`", "")
    is_made_by_callers = name in ("Index", "MinMaxCalibrator", "RollingCalibrator")
    if is_made_by_callers:
        yield from (f"`{name}{signature(thing.__init__, is_method=True)}`", "")
    yield from (summary(thing), "")
    bases = [base.__name__ for base in thing.__bases__ if base.__name__ in bitsift.__all__]
    if bases:
        links = ", ".join(f"[`{base}`](#bitsift{base.lower()})" for base in bases)
        yield from (f"It is a {links}, and has all of its members.", "")
    lines = list(members(thing))
    if lines:
        yield from (*lines, "")


def python_page() -> str:
    """Return the page of all public names."""
    grouped = [name for names, _ in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(bitsift.__all__), set(grouped) ^ set(bitsift.__all__)
    lines = [
        MADE,
        "",
        "# Python reference",
        "",
        "Every public name, its parameters and what it does in a sentence. `help(bitsift.Index)` "
        "and the like say the rest: types, shapes, errors, cost and thread safety. What is not "
        "listed here is not public and may change.",
        "",
    ]
    for title, (names, _) in GROUPS.items():
        links = ", ".join(f"[`{name}`](#bitsift{name.lower()})" for name in names)
        lines.append(f"* {title}: {links}")
    lines.append("")
    for title, (names, about) in GROUPS.items():
        lines += [f"## {title}", "", about, ""]
        for name in names:
            lines += entry(name)
    return "\n".join(lines).rstrip() + "\n"


def cli_page() -> str:
    """Return the page of all commands."""
    commands = {
        info.name or info.callback.__name__: info.callback  # type: ignore[union-attr]
        for info in app.registered_commands
    }
    lines = [
        MADE,
        "",
        "# Command line reference",
        "",
        "The command `bitsift` comes with the extra `cli`, `python -m bitsift` is the same. Files "
        "of vectors are `.npy`. Every command has `--help`, and exits with 0, with 1 after an "
        "error, which is one line on standard error, or with 2 if its options are wrong. With "
        "`--json`, any error is one JSON object on standard output, and the exit code is 1.",
        "",
    ]
    lines += [f"* [`{name}`](#bitsift-{name}): {summary(run)}" for name, run in commands.items()]
    lines.append("")
    for name, run in commands.items():
        lines += command_section(name, run)
    return "\n".join(lines).rstrip() + "\n"


def command_section(name: str, run: Callable[..., Any]) -> Iterator[str]:
    """Give the lines of one command."""
    hints = typing.get_type_hints(run, include_extras=True)
    given, options = [], []
    for parameter in inspect.signature(run).parameters.values():
        kind, about = typing.get_args(hints[parameter.name])[:2]
        is_argument = isinstance(about, typer.models.ArgumentInfo)
        (given if is_argument else options).append((parameter, kind, about))
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    called = usage(command, types.SimpleNamespace(command_path=f"bitsift {name}"))
    yield from (f"## `bitsift {name}`", "", summary(run), "")
    yield from ("```text", called.removeprefix("Usage: "), "```", "")
    yield from ("| | default | |", "|---|---|---|")
    for parameter, _, about in given:
        shown = about.metavar or parameter.name.upper()
        yield f"| `{shown}` | {default_of(parameter, about)} | {about.help or ''} |"
    for parameter, kind, about in options:
        flags = names_of(parameter.name, kind, about)
        text = about.help or ""
        if parameter.name == "isa":  # names those of the machine at hand
            text = text.replace(", ".join(bitsift.available_isas()), "`scalar` or a better one")
        yield f"| `{flags}` | {default_of(parameter, about)} | {text} |"
    yield ""


def names_of(name: str, kind: object, about: typer.models.OptionInfo) -> str:
    """Return an option's names and what it takes, such as `--out, -o FILE`."""
    long = "--" + name.replace("_", "-")
    # Inside Annotated, what stands first is a name and not the default.
    declared = [about.default] if isinstance(about.default, str) else []
    declared += about.param_decls or ()
    inner = [one for one in typing.get_args(kind) if one is not type(None)] or [kind]
    if typing.get_origin(kind) is typing.Literal:
        inner = [kind]
    if inner == [bool]:
        return ", ".join(declared or [f"{long}/--no-{long[2:]}"])
    takes = about.metavar or metavar(kind)
    # In a table, a bar ends the cell.
    return f"{', '.join(declared or [long])} {takes}".replace("|", "\\|")


def default_of(parameter: inspect.Parameter, about: Any) -> str:
    """Return the default as it is typed, or what stands for there being none."""
    value = parameter.default
    if value is parameter.empty:
        return "needed"
    if value is None or isinstance(value, bool):
        return "yes" if value else ""
    return f"`{value}`"


def main() -> None:
    """Write both pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=FOLDER)
    folder = parser.parse_args().output
    (folder / "python.md").write_text(python_page(), encoding="utf-8")
    (folder / "cli.md").write_text(cli_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
