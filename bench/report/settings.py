# SPDX-License-Identifier: Apache-2.0
"""What the command line chose, and the sizes that follow from it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path

import bitsift
import bitsift.core.native as native


@dataclass(frozen=True)
class Settings:
    """`threads` is a number, not 0; `isa` a level that this machine has."""

    quick: bool
    threads: int
    isa: str
    output: Path

    @property
    def n_rows(self) -> int:
        return 100_000 if self.quick else 1_000_000

    @property
    def n_codes_bytes(self) -> int:
        """Limit the codes of any number of bits."""
        return 9_600_000 if self.quick else 96_000_000

    @property
    def n_vectors(self) -> int:
        return 50_000 if self.quick else 200_000

    @property
    def least_rounds(self) -> int:
        return 3 if self.quick else 5

    @property
    def limit_seconds(self) -> float:
        """Limit the whole run, with a margin for what is not timed."""
        return 40 if self.quick else 500

    def thread_counts(self) -> list[int]:
        """1, 2, 4, ... and all."""
        powers = [2**i for i in range(self.threads.bit_length())]
        return sorted({*powers, self.threads})


def choose(*, quick: bool, threads: int, isa: str | None, output: Path) -> Settings:
    """Fill in the defaults; raises ValueError or BitsiftError for a level there is not."""
    level = bitsift.Index(1, isa=isa).isa
    return Settings(quick, threads or native.default_threads(), level, output)


def other_levels(isa: str) -> list[str]:
    """Name the levels beside `isa`, the best first."""
    return [level for level in reversed(bitsift.available_isas()) if level != isa]


def has_ceilings() -> bool:
    return hasattr(native, "read_all") and hasattr(native, "run_ceiling")


def has_asymmetric() -> bool:
    return "scoring" in inspect.signature(bitsift.Index.search).parameters


def has_knn_graph() -> bool:
    return hasattr(bitsift, "knn_graph")
