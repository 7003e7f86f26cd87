# SPDX-License-Identifier: Apache-2.0
"""Memory, price and time of a collection, before it exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np

from bitsift.core import arguments
from bitsift.core.errors import warn
from bitsift.core.floats import in_default_floats
from bitsift.core.options import FLOAT_STORES, STORES, Store
from bitsift.core.public import public
from bitsift.core.unreadable import shown
from bitsift.evaluation.bandwidth import measure_bandwidth
from bitsift.evaluation.prices import GB, GIB, PRICE_PER_GB, as_count, as_price
from bitsift.quantization.integers import INTEGER_CODECS

__all__ = ["Plan", "PlanRow", "plan"]

_SLOWEST, _FASTEST = 0.001, 1_000_000  # far beyond any machine
_MONTHS = 12

# The two lines above each column of the table.
_HEADS = (
    ("", "RAM", "RAM", "disk", "disk", "RAM, $", "RAM, $", "all, $", "one"),
    ("", "GB", "GiB", "GB", "GiB", "a month", "a year", "a year", "pass"),
)


@public
@dataclass(frozen=True)
class PlanRow:
    """One way to keep the vectors: a row of a :class:`Plan`.

    Attributes
    ----------
    name : str
        ``"float32 alone"``, which is a search of the floats; ``"bits alone"``, an index with
        ``store=None``; or such as ``"bits + int8"``, an index with that store.
    store : str or None
        The store of the index; None for the first two.
    ram_bytes : int
        Bytes that every search reads, so that they belong in memory: the codes, or the floats.
    disk_bytes : int
        Bytes of the originals. Only rescoring reads them, so that they may stay on disk
        (``Index.load(path, mmap=True)``).
    usd_per_month, usd_per_year : float
        US dollars for `ram_bytes`. What is on disk costs nothing here.
    usd_per_month_all, usd_per_year_all : float
        US dollars if the originals are in memory, too.
    pass_s : float
        Seconds in which the machine reads `ram_bytes` once. A search of one query takes at least
        that.
    """

    name: str
    store: Store | None
    ram_bytes: int
    disk_bytes: int
    usd_per_month: float
    usd_per_year: float
    usd_per_month_all: float
    usd_per_year_all: float
    pass_s: float

    @property
    def ram_gb(self) -> float:
        """`ram_bytes` in GB of 10**9 bytes."""
        return self.ram_bytes / GB

    @property
    def ram_gib(self) -> float:
        """`ram_bytes` in GiB of 2**30 bytes."""
        return self.ram_bytes / GIB

    @property
    def disk_gb(self) -> float:
        """`disk_bytes` in GB of 10**9 bytes."""
        return self.disk_bytes / GB

    @property
    def disk_gib(self) -> float:
        """`disk_bytes` in GiB of 2**30 bytes."""
        return self.disk_bytes / GIB

    @in_default_floats
    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        units = {name: getattr(self, name) for name in ("ram_gb", "ram_gib", "disk_gb", "disk_gib")}
        return {**asdict(self), **units}


@public
@dataclass(frozen=True)
class Plan:
    """The result of :func:`plan`. ``print(plan)`` shows it as a table.

    Attributes
    ----------
    vectors, dim : int
        The size of the collection.
    price : float
        US dollars per GB (10**9 bytes) of memory per month.
    bandwidth : float
        GB (10**9 bytes) a second that the machine reads from memory.
    measured : bool
        Whether the bandwidth was measured on this machine; else it was given.
    rows : tuple of PlanRow
        Floats alone, bits alone, and bits with each store.
    """

    vectors: int
    dim: int
    price: float
    bandwidth: float
    measured: bool
    rows: tuple[PlanRow, ...]

    def __getitem__(self, name: str) -> PlanRow:
        """Return the row `name`."""
        for row in self.rows:
            if row.name == name:
                return row
        names = [row.name for row in self.rows]
        raise KeyError(f"name must be that of a row; got {shown(name)}. The rows are {names}")

    @in_default_floats
    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, which ``json.dumps`` takes."""
        return {**vars(self), "rows": [row.to_dict() for row in self.rows]}

    @in_default_floats
    def __str__(self) -> str:
        lines = [*_HEADS, *map(_cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        source = "measured on this machine" if self.measured else "as given"
        return "\n".join(
            [
                f"{self.vectors:,} vectors of {self.dim:,} dimensions",
                "",
                *(_aligned(line, widths) for line in lines),
                "",
                f"RAM   what every search reads; ${self.price:,.2f} per GB per month",
                "disk  originals, of which a search reads its candidates; not priced",
                "all   with the originals in RAM, too; an index that is built has them there",
                f"pass  the RAM read once, at {_digits(self.bandwidth)} GB a second ({source});",
                "      a search of one query takes at least that",
                "GB    10**9 bytes; GiB: 2**30 bytes. Sizes and times have three digits,",
                "      dollars below 100 have cents",
            ]
        )


@public
@in_default_floats
def plan(
    vectors: SupportsIndex | float,
    dim: SupportsIndex,
    *,
    price: SupportsFloat = PRICE_PER_GB,
    bandwidth: SupportsFloat | None = None,
    threads: SupportsIndex = 0,
) -> Plan:
    """Compute what a collection takes in memory and on disk, costs, and how long a query reads.

    Parameters
    ----------
    vectors : int
        Number of vectors, 1 to 10**15; also a float that is a whole number, such as ``250e6``.
    dim : int
        Dimensions of a vector.
    price : float
        US dollars per GB (10**9 bytes) of memory per month, 0 to 1,000,000. Divide a price per GiB
        (2**30 bytes) by 1.074.
    bandwidth : float, optional
        GB (10**9 bytes) a second that the machine reads from memory. By default it is measured on
        this one.
    threads : int
        Number of threads of the measurement; 0 means all.

    Returns
    -------
    Plan
        A row for float32 search, for bits alone, and for bits with each store. ``print(plan)``
        shows a table, ``plan.to_dict()`` gives plain values.

    Raises
    ------
    TypeError
        An argument is not a number.
    ValueError
        An argument is out of range, or `vectors` is no whole number.

    Notes
    -----
    A GB has 10**9 bytes here, as memory is sold by some; a GiB has 2**30. Tables that write 715 GB,
    22.3 GB and $1,095 a year for 250 million vectors of 768 dimensions write GiB as GB, cut 22.35
    and round $1,094.40 up.

    Bytes are those of ``Index.nbytes``: codes and originals. Ids of your own take 8 bytes a vector
    more, ``correction=True`` 2 or 4; indexes that number their vectors themselves store no ids.

    A pass is a lower bound. Scans by Hamming distance come near it for one query; asymmetric ones
    take longer. A batch of queries shares its passes. Collections that fit a cache are faster.

    The measurement takes 256 MiB and a few tenths of a second: a loop that only reads, the fastest
    of 5 runs. If `bandwidth` is given, nothing is measured, and the result is the same on every
    machine.

    Examples
    --------
    >>> plan = bitsift.plan(250e6, 768, price=3.80, bandwidth=20)
    >>> floats, bits = plan["float32 alone"], plan["bits alone"]
    >>> floats.ram_gb, bits.ram_gb
    (768.0, 24.0)
    >>> round(floats.usd_per_year), round(bits.usd_per_year)
    (35021, 1094)
    >>> bits.pass_s
    1.2
    """
    n = as_count(vectors, "vectors")
    dim = arguments.check_dim(dim)
    price = as_price(price, "price")
    threads = arguments.check_threads(threads)
    if bandwidth is None:
        speed = measure_bandwidth(threads) / GB
    else:
        speed = _as_bandwidth(bandwidth)
        if threads:
            warn(f"threads={threads} does nothing: nothing is measured, as the bandwidth is given")

    def row(name: str, store: Store | None, ram: int, disk: int) -> PlanRow:
        month, all_month = (n * size / GB * price for size in (ram, ram + disk))
        return PlanRow(
            name=name,
            store=store,
            ram_bytes=n * ram,
            disk_bytes=n * disk,
            usd_per_month=month,
            usd_per_year=_MONTHS * month,
            usd_per_month_all=all_month,
            usd_per_year_all=_MONTHS * all_month,
            pass_s=n * ram / GB / speed,
        )

    bits = -(-dim // 8)
    rows = (
        row("float32 alone", None, 4 * dim, 0),
        row("bits alone", None, bits, 0),
        *(row(f"bits + {store}", store, bits, _row_bytes(store, dim)) for store in STORES),
    )
    return Plan(n, dim, price, speed, bandwidth is None, rows)


def _row_bytes(store: Store, dim: int) -> int:
    """Return the bytes of a vector in a store."""
    if store in FLOAT_STORES:
        return np.dtype(store).itemsize * dim
    return INTEGER_CODECS[store].n_columns(dim)


def _as_bandwidth(bandwidth: SupportsFloat) -> float:
    number = arguments.real(bandwidth, "bandwidth", "a number")  # type: ignore[arg-type]
    if not _SLOWEST <= number <= _FASTEST:  # nor a NaN
        raise ValueError(
            f"bandwidth must be from {_SLOWEST} to {_FASTEST:,} GB a second; got {number}"
        )
    return number


def _cells(row: PlanRow) -> list[str]:
    disk = [_digits(row.disk_gb), _digits(row.disk_gib)] if row.disk_bytes else ["-", "-"]
    return [
        row.name,
        _digits(row.ram_gb),
        _digits(row.ram_gib),
        *disk,
        _usd(row.usd_per_month),
        _usd(row.usd_per_year),
        _usd(row.usd_per_year_all) if row.disk_bytes else "-",
        _seconds(row.pass_s),
    ]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join([first.strip().ljust(widths[0]), *others]).rstrip()


def _digits(value: float) -> str:
    """Format a number with three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def _usd(dollars: float) -> str:
    return f"{dollars:,.0f}" if dollars >= 100 else f"{dollars:.2f}"


def _seconds(seconds: float) -> str:
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{_digits(seconds * factor)} {unit}"
    return f"{_digits(seconds * 1e6)} us"
