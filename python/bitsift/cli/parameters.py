# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Json", "Threads"]

Threads = Annotated[int, typer.Option(min=0, help="Threads; 0 means all cores.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
