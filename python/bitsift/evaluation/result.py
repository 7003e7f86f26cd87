# SPDX-License-Identifier: Apache-2.0
"""The result of an evaluation: a row for each condition, with its quality, memory and price."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bitsift.core.floats import in_default_floats
from bitsift.core.public import public
from bitsift.core.unreadable import shown
from bitsift.evaluation.checks import EvaluationCheck
from bitsift.evaluation.prices import gigabytes, short_count

__all__ = ["N_VECTORS", "Evaluation", "EvaluationRow"]

# Collections for which memory and price are given.
N_VECTORS = (1_000_000, 250_000_000)


@public
@dataclass(frozen=True)
class EvaluationRow:
    """The measurements of one condition: a row of an :class:`Evaluation`.

    Attributes
    ----------
    name, group : str
        The condition, and the group of conditions that it belongs to.
    ndcg, recall : float or None
        NDCG@k and recall@depth by the judgments; None without judgments.
    overlap, deep_overlap : float
        Share of float32's first `k` results that are among the first `k`, and of its first `depth`
        that are among the first `depth`.
    bytes_per_vector : int
        Bytes of a vector that a search may read: code, correction, originals.
    bytes_scanned : int
        Bytes of a vector that every search reads; the others may stay on disk.
    queries_per_second : float or None
        In one batch of all queries. float32 is timed in NumPy. None where bitsift has no scan:
        there, rescoring scores all vectors.
    latency_s : float or None
        Seconds of a search for one query.
    code : str
        Python that repeats the search, from `documents` and `queries` to `found`.
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


Row = EvaluationRow  # The name that pickles of version 0.1.0 carry.


@public
@dataclass(frozen=True)
class Evaluation:
    """The result of :func:`evaluate`. ``print(evaluation)`` shows it as a table.

    Attributes
    ----------
    metric : str
        The metric: ``"cosine"``, ``"dot"`` or ``"l2"``.
    k, depth : int
        The number of results that count for NDCG and overlap (`k`), and for recall and the deep
        overlap (`depth`).
    n_documents, n_queries, dim : int
        The number of documents, of queries, and of dimensions.
    n_judged : int or None
        Queries that have a document of a grade above 0; None without judgments.
    held_out : int
        Documents that served as queries and were not searched; 0 if queries were given.
    price_per_gb : float
        US dollars per GB (10**9 bytes) of memory per month.
    rows : tuple of EvaluationRow
        One row for each condition, float32 first.
    checks : tuple of EvaluationCheck
        Statements that others report, checked here.
    recommendation : dict or None
        Arguments of :class:`Index` that ``threshold="auto"`` chose for an index with originals.
    warnings : tuple of str
        The warnings of bitsift during the evaluation.
    machine : dict
        The machine that the times belong to, and the versions of the software.
    sizes : tuple of int
        Sizes of the collections for which memory and price are given.
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
    rows: tuple[EvaluationRow, ...]
    checks: tuple[EvaluationCheck, ...]
    recommendation: dict[str, Any] | None
    warnings: tuple[str, ...]
    machine: dict[str, Any]
    # Pickles of earlier versions have none.
    sizes: tuple[int, ...] = N_VECTORS

    @property
    def measure(self) -> str:
        """The name of the measure that `quality` is: NDCG@k, or overlap@k without judgments."""
        return f"overlap@{self.k}" if self.n_judged is None else f"NDCG@{self.k}"

    def __getitem__(self, name: str) -> EvaluationRow:
        """Return the row of the condition `name`."""
        for row in self.rows:
            if row.name == name:
                return row
        names = [row.name for row in self.rows]
        raise KeyError(f"name must be that of a row; got {shown(name)}. The rows are {names}")

    @in_default_floats
    def share(self, row: EvaluationRow) -> float | None:
        """Return the quality of a row as a share of float32's quality; None if that is 0."""
        return row.quality / self.rows[0].quality if self.rows[0].quality else None

    @in_default_floats
    def price(self, n_bytes: int, n_vectors: int) -> float:
        """Return US dollars per month for `n_vectors` vectors of `n_bytes` each in memory."""
        return gigabytes(n_bytes, n_vectors) * self.price_per_gb

    @in_default_floats
    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, which ``json.dumps`` takes."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["measure"] = self.measure
        plain["warnings"] = list(self.warnings)
        plain["sizes"] = list(self.sizes)
        plain["checks"] = [check.to_dict() for check in self.checks]
        plain["rows"] = [self._row_to_dict(row) for row in self.rows]
        return plain

    def to_json(self) -> dict[str, Any]:
        """Return :meth:`to_dict`; the older name."""
        return self.to_dict()

    def _row_to_dict(self, row: EvaluationRow) -> dict[str, Any]:
        sizes = [
            {
                "vectors": n,
                "gb": gigabytes(row.bytes_per_vector, n),
                "gb_scanned": gigabytes(row.bytes_scanned, n),
                "usd_per_month": self.price(row.bytes_per_vector, n),
                "usd_per_month_scanned": self.price(row.bytes_scanned, n),
            }
            for n in self.sizes
        ]
        return {**asdict(row), "share_of_float32": self.share(row), "sizes": sizes}

    def summary(self) -> str:
        """Return one line: queries, documents, dimensions, metric and judgments."""
        queries = f"{self.n_queries:,} queries"
        if self.held_out:
            queries = f"{self.held_out:,} documents held out as queries, evenly spaced,"
        judged = "no judgments"
        if self.n_judged is not None:
            judged = f"{self.n_judged:,} of the queries judged"
        return (
            f"{queries} among {self.n_documents:,} vectors of {self.dim} dimensions, "
            f"{self.metric}; {judged}"
        )

    @in_default_floats
    def __str__(self) -> str:
        width = max(len(row.name) for row in self.rows)
        heads = [] if self.n_judged is None else [f"NDCG@{self.k}", f"recall@{self.depth}"]
        heads += [f"overlap@{self.k}", f"overlap@{self.depth}", "of float32", "bytes"]
        heads += [f"USD/month, {short_count(self.sizes[-1])}", "queries/s"]
        lines = [self.summary(), "", "  ".join([" " * width, *heads])]
        for row in self.rows:
            values = [] if row.ndcg is None else [f"{row.ndcg:.4f}", f"{row.recall:.4f}"]
            share = self.share(row)
            values += [
                f"{row.overlap:.1%}",
                f"{row.deep_overlap:.1%}",
                "-" if share is None else f"{share:.1%}",
                str(row.bytes_per_vector),
                f"{self.price(row.bytes_per_vector, self.sizes[-1]):,.2f}",
                "-" if row.queries_per_second is None else f"{row.queries_per_second:,.0f}",
            ]
            cells = [value.rjust(len(head)) for head, value in zip(heads, values, strict=True)]
            lines.append("  ".join([row.name.ljust(width), *cells]))
        lines += ["", *(str(check) for check in self.checks)]
        return "\n".join(lines)
