# SPDX-License-Identifier: Apache-2.0
"""What an evaluation gives: a row for each condition, and what they cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bitsift.core.public import public
from bitsift.evaluation.checks import Check

__all__ = ["N_VECTORS", "PRICE_PER_GB", "Evaluation", "Row", "gigabytes"]

# US dollars for a GB of memory and month: the figure of the article "Binary and Scalar Embedding
# Quantization" (Hugging Face, 2024), whose GB has 2**30 bytes.
PRICE_PER_GB = 3.80
_GB = 2**30
N_VECTORS = (1_000_000, 250_000_000)


def gigabytes(bytes_per_vector: int, n_vectors: int) -> float:
    """Return what so many vectors take, in GB of 2**30 bytes."""
    return bytes_per_vector * n_vectors / _GB


@dataclass(frozen=True)
class Row:
    """One condition.

    Attributes
    ----------
    name, group : str
    ndcg, recall : float or None
        NDCG@k and recall@depth by the judgments, if there are any.
    overlap, deep_overlap : float
        Share of float32's top `k` among the first `k`, of its top `depth` among the first `depth`.
    bytes_per_vector : int
        What is read of a vector: bits, corrections, originals.
    bytes_scanned : int
        Those that every search reads of every vector; the others may stay on disk.
    queries_per_second : float or None
        In a batch of all queries. Of float32, of NumPy's matrix product. None where bitsift has no
        scan for it, and the store's rescoring scored all vectors.
    latency_s : float or None
        Seconds of a search for one query alone.
    code : str
        Python that makes it, from `documents` and `queries` to `found`.
    """

    name: str
    group: str
    ndcg: float | None
    recall: float | None
    overlap: float
    deep_overlap: float
    bytes_per_vector: int
    bytes_scanned: int
    queries_per_second: float | None
    latency_s: float | None
    code: str

    @property
    def quality(self) -> float:
        """NDCG, or overlap where there are no judgments."""
        return self.overlap if self.ndcg is None else self.ndcg


@public
@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` measured. ``print(evaluation)`` shows it as a table.

    Attributes
    ----------
    metric : str
        What makes neighbours.
    k, depth : int
        Results that count for NDCG and overlap, and for recall and the deep overlap.
    n_documents, n_queries, dim : int
        What was searched, for how many.
    n_judged : int or None
        Queries with a document of a grade above 0; None without judgments.
    held_out : int
        How many of the documents served as queries, and were not searched; 0 if queries were given.
    price_per_gb : float
        US dollars for a GB (2**30 bytes) of memory and month.
    rows : tuple
        The conditions, float32 first. Each has `name`, `group`, `ndcg`, `recall`, `overlap`,
        `deep_overlap`, `bytes_per_vector`, `bytes_scanned`, `queries_per_second`, `latency_s` and
        `code`, the Python that makes it.
    checks : tuple
        What others report, and whether it held: each has `statement`, `verdict` and numbers.
    recommendation : dict or None
        Arguments of :class:`Index` that ``threshold="auto"`` chose, for an index with originals.
    warnings : tuple of str
        What bitsift warned of meanwhile.
    machine : dict
        What the times were measured on, and versions.
    """

    metric: str
    k: int
    depth: int
    n_documents: int
    n_queries: int
    dim: int
    n_judged: int | None
    held_out: int
    price_per_gb: float
    rows: tuple[Row, ...]
    checks: tuple[Check, ...]
    recommendation: dict[str, Any] | None
    warnings: tuple[str, ...]
    machine: dict[str, Any]

    @property
    def measure(self) -> str:
        """Name what quality is here."""
        return f"overlap@{self.k}" if self.n_judged is None else f"NDCG@{self.k}"

    def __getitem__(self, name: str) -> Row:
        """Return the row of that name."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"{name!r} is none of {[row.name for row in self.rows]}")

    def share(self, row: Row) -> float | None:
        """Return the quality of a row as a share of float32's; None if that is 0."""
        return row.quality / self.rows[0].quality if self.rows[0].quality else None

    def price(self, n_bytes: int, n_vectors: int) -> float:
        """Return US dollars a month for so many vectors of so many bytes in memory."""
        return gigabytes(n_bytes, n_vectors) * self.price_per_gb

    def to_json(self) -> dict[str, Any]:
        """Give the same as plain values, which ``json.dumps`` takes."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["measure"] = self.measure
        plain["warnings"] = list(self.warnings)
        plain["checks"] = [check.to_json() for check in self.checks]
        plain["rows"] = [self._row_to_json(row) for row in self.rows]
        return plain

    def _row_to_json(self, row: Row) -> dict[str, Any]:
        sizes = [
            {
                "vectors": n,
                "gb": gigabytes(row.bytes_per_vector, n),
                "gb_scanned": gigabytes(row.bytes_scanned, n),
                "usd_per_month": self.price(row.bytes_per_vector, n),
                "usd_per_month_scanned": self.price(row.bytes_scanned, n),
            }
            for n in N_VECTORS
        ]
        return {**asdict(row), "share_of_float32": self.share(row), "sizes": sizes}

    def summary(self) -> str:
        """Say in a sentence what was searched and what quality is."""
        asked = f"{self.n_queries:,} queries"
        if self.held_out:
            asked = f"{self.held_out:,} documents held out as queries, evenly spaced,"
        judged = "no judgments"
        if self.n_judged is not None:
            judged = f"{self.n_judged:,} of the queries judged"
        return (
            f"{asked} among {self.n_documents:,} vectors of {self.dim} dimensions, {self.metric}; "
            f"{judged}"
        )

    def __str__(self) -> str:
        width = max(len(row.name) for row in self.rows)
        heads = [] if self.n_judged is None else [f"NDCG@{self.k}", f"recall@{self.depth}"]
        heads += [f"overlap@{self.k}", f"overlap@{self.depth}", "of float32", "bytes"]
        heads += ["USD/month, 250 M", "queries/s"]
        lines = [self.summary(), "", "  ".join([" " * width, *heads])]
        for row in self.rows:
            values = [] if row.ndcg is None else [f"{row.ndcg:.4f}", f"{row.recall:.4f}"]
            share = self.share(row)
            values += [
                f"{row.overlap:.3f}",
                f"{row.deep_overlap:.3f}",
                "-" if share is None else f"{share:.1%}",
                str(row.bytes_per_vector),
                f"{self.price(row.bytes_per_vector, N_VECTORS[-1]):,.2f}",
                "-" if row.queries_per_second is None else f"{row.queries_per_second:,.0f}",
            ]
            cells = [value.rjust(len(head)) for head, value in zip(heads, values, strict=True)]
            lines.append("  ".join([row.name.ljust(width), *cells]))
        lines += ["", *(str(check) for check in self.checks)]
        return "\n".join(lines)
