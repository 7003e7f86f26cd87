# SPDX-License-Identifier: Apache-2.0
"""The compiled core. The Python layer checks arguments; this module only prevents bad accesses.

One order of arguments: arrays, options, ``isa``, ``threads``. A function of more than four
arguments takes all but the arrays by keyword. ``isa`` is a name from ``available_isas()``;
``threads=0`` uses every available thread. Arrays must be aligned and in native byte order, and
rows of a two-dimensional array contiguous.
Functions that take arrays release the GIL.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__version__: str

# --- The machine and its limits ---

def available_isas() -> list[str]:
    """Return the instruction sets of this build and processor, slowest first."""

def known_isas() -> list[str]:
    """Return every instruction set that the source knows, on any architecture, slowest first."""

def default_threads() -> int:
    """Return how many threads a call with ``threads=0`` uses at most."""

def set_default_threads(n: int) -> None:
    """Set this number; 0 takes it back: then it is that of the affinity, and at most the limit."""

def limit_default_threads(n: int) -> None:
    """Set the limit; 0: none."""

def read_all(array: NDArray[np.uint8], isa: str, threads: int) -> int:
    """Read every byte: the fastest that a scan could be. Return the exclusive-or of the bytes."""

def read_rows(array: NDArray[np.uint8], rows: NDArray[np.int64], isa: str, threads: int) -> int:
    """Read every byte of some rows: the fastest that rescoring them could be.

    Return the exclusive-or of the words, as `read_all` does.
    """

def run_ceiling(kernel: str, n: int, isa: str, threads: int) -> float:
    """Run the instructions that bound "batch", "weighted_batch" or "product", without memory.

    Only level "amx" has a kernel "product".

    About `n` times on each thread. Return the number of pairs (query bit, document bit) compared.
    """

# --- The floating-point environment of the calling thread. The functions below set the default one
# --- while they compute, and give back what they found.

class DefaultFloats:
    """A context with the default environment, in which NumPy ignores errors; then what it found."""

    def __init__(self) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *args: object) -> None: ...

# --- Files ---

def map_file(descriptor: int, n_bytes: int) -> NDArray[np.uint8]:
    """Map the first `n_bytes` > 0 bytes of an open file as a read-only array, (n_bytes,).

    The array keeps no descriptor; the file is unmapped when the last view of it is gone. `OSError`
    if the system refuses. Whoever reads bytes behind the end of the file is ended by the system, so
    the caller compares its size first.
    """

class Checksums:
    """The CRC-32C of each `n_bytes` of bytes that come one behind the other; for one thread."""

    def __init__(self, n_bytes: int, isa: str) -> None: ...
    def add(self, data: NDArray[np.uint8], threads: int) -> None:
        """Take more bytes. If it raises, none has been taken."""

    def values(self) -> list[int]:
        """Return the checksums; the last one is of the bytes that are left."""

def first_not_finite(rows: NDArray[np.floating], threads: int) -> int | None:
    """Return the first of (n, d) floats of any size with a value that is infinite or NaN."""

def first_with_pad_bits(codes: NDArray[np.uint8], mask: int, threads: int) -> int | None:
    """Return the first of (n, d) codes of which a bit of `mask`, in the last byte, is set."""

# --- Sets of rows ---

class RowSet:
    """Some rows of a matrix; it never changes."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Raise: `of_values` and `of_numbers` make sets."""

    @staticmethod
    def of_values(values: NDArray[np.bool_]) -> RowSet:
        """Return the rows whose value is true."""

    @staticmethod
    def of_numbers(numbers: NDArray[np.int64], n_rows: int) -> RowSet:
        """Return the rows with these numbers, of so many; negative ones stand for none."""

    def __len__(self) -> int: ...
    def __and__(self, other: RowSet) -> RowSet:
        """Return the rows that both have, of as many rows as this set is one of."""

    @property
    def n_rows(self) -> int: ...
    def with_numbers(self, numbers: NDArray[np.int64]) -> RowSet:
        """Return these rows and others, as of `of_numbers`."""

    def selected(self, values: NDArray[np.bool_]) -> RowSet:
        """Return those of these rows, in ascending order, whose value is true."""

    def extended_to(self, n_rows: int) -> RowSet:
        """Return the same rows of a matrix to which others were appended."""

    def numbers(self, begin: int = 0, end: int | None = None) -> NDArray[np.int64]:
        """Return the numbers of these rows in ascending order, of rows `begin` to `end` - 1."""

    def kept(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return row numbers with -1 in place of those that are not in the set."""

class LiveRows:
    """The rows of a matrix that have not been removed."""

    def __init__(self, n_rows: int) -> None: ...
    def __len__(self) -> int: ...
    @property
    def n_rows(self) -> int: ...
    def current(self) -> RowSet | None:
        """Return the rows that are live now, a set that never changes; None if all are."""

    def remove(self, numbers: NDArray[np.int64]) -> int:
        """Remove rows, as of `RowSet.of_numbers`, all at once. Return how many were live."""

    def remove_one(self, number: int) -> bool:
        """Remove a row. Return whether it was live."""

    def extended_to(self, n_rows: int) -> LiveRows:
        """Return the same rows, and appended ones, to be changed apart from this."""

class IdIndex:
    """Finds the rows of ids. The ids themselves are an array of the caller's, one a row.

    Any thread may look up, while one enters. A look-up gives the ids of the rows that it knows.
    """

    def __init__(self, ids: NDArray[np.int64], capacity: int, seed: int) -> None:
        """Enter all rows. Of rows that have the same id, the last one counts."""

    def __len__(self) -> int:
        """Return how many entries there are."""

    @property
    def capacity(self) -> int:
        """How many entries there may be."""

    @property
    def version(self) -> int:
        """Becomes another where `enter` lets the id of a removed row be found on another row.

        Who knows only rows from before that must not rely on what is not found.
        """

    def enter(
        self, ids: NDArray[np.int64], rows: RowSet | None, new_ids: NDArray[np.int64]
    ) -> int | None:
        """Enter rows behind those of `ids`, for which there must be room.

        If one of the new ids is that of one of the `rows`, None for all, or comes twice: enter none
        and return its place.
        """

    def find(
        self, ids: NDArray[np.int64], rows: RowSet | None, wanted: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the row of each wanted id, of the `rows` (None: all); -1 if there is none."""

    def find_one(self, ids: NDArray[np.int64], id: int) -> int:
        """Return the row of an id, -1 if there is none."""

# --- Segments ---

class Segments:
    """Arrays with their rows one behind the other; it never changes, and keeps the arrays alive.

    Functions that take rows of documents take it in the place of an array.
    """

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Take at least one array; all of one type, and matrices equally wide.

        Matrices of bytes, float32, float16 or uint16, or vectors of int64.
        """

    @property
    def arrays(self) -> list[NDArray[Any]]: ...
    def __len__(self) -> int: ...

# --- Encoding ---

def pack(
    values: NDArray[np.floating] | NDArray[np.bool_],
    thresholds: NDArray[np.floating],
    isa: str,
    threads: int,
) -> tuple[NDArray[np.uint8], bool]:
    """Pack (n, d) float16, float32, float64 or bool values into (n, ceil(d / 8)) codes.

    A bit is set where a value is above its column's threshold, or is true; the first column is the
    highest bit of a byte. The bool is whether every value is finite.
    """

def encode_integers(
    values: NDArray[np.float32] | NDArray[np.float64],
    ranges: NDArray[np.float32],
    integer_type: str,
    threads: int,
) -> NDArray[np.uint8]:
    """Quantize (n, d) values to "int8", "uint8", "int4" or "ternary"; return the bytes of n rows.

    `ranges` is (2, d): the lower and the upper bounds. NaN becomes the lowest integer, or 0.
    """

def flips_per_round(n_dims: int) -> int:
    """Return how many rows of sign flips one round of a rotation takes: 1 or 2."""

def centre_and_rotate(
    values: NDArray[np.float32],
    threshold: NDArray[np.float32],
    flips: NDArray[np.float32],
    *,
    normalize: bool,
    threads: int,
) -> tuple[NDArray[np.float32], bool]:
    """Return (n, d) rows R (x / |x| - threshold), and whether all of their values are finite.

    Without `normalize`, x is not divided. `flips` is (rounds * flips_per_round(d), d), values +1
    and -1; no rows mean no rotation.
    """

def round_queries(
    values: NDArray[np.float64], threshold: NDArray[np.float32], threads: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float64]]:
    """Round (n, d) queries to scale * magnitude * sign.

    Return codes (n, ceil(d / 8)), magnitudes (n, 8 * ceil(d / 8)) from 0 to 31, and (4, n): each
    query's scale, Euclidean norm, sum of magnitudes and product with the threshold.
    """

def correction_factors(
    vectors: NDArray[np.float32], threshold: NDArray[np.float32] | None, metric: str, threads: int
) -> tuple[NDArray[np.uint16], bool]:
    """Return the factors of each vector: two for l2 or with a threshold, else one.

    (n, 1) or (n, 2) bfloat16 values, as their bits. The bool is whether all of them are finite.
    """

# --- Search of codes ---

def search(
    codes: NDArray[np.uint8] | Segments,
    queries: NDArray[np.uint8],
    magnitudes: NDArray[np.uint8] | None,
    *,
    k: int,
    ids: NDArray[np.int64] | Segments | None,
    rows: RowSet | None = None,
    isa: str,
    threads: int,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return distances and rows (n_queries, k), by (distance, id), of the `rows` or of all.

    Distances are Hamming, or weighted by `magnitudes`: (n_queries, 8 * n_bytes), 0 to 31. Without
    `ids`, a row's number is its id. Beyond the last row: the largest int32, and row -1.
    """

def range_search(
    codes: NDArray[np.uint8] | Segments,
    queries: NDArray[np.uint8],
    magnitudes: NDArray[np.uint8] | None,
    limits: NDArray[np.int64],
    *,
    ids: NDArray[np.int64] | Segments | None,
    rows: RowSet | None = None,
    begin: int = 0,
    most: int | None = None,
    isa: str,
    threads: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64], int]:
    """Find all rows from row `begin` on within the limit of each query, of the `rows` or of all.

    Return lims (n_queries + 1,), distances, rows and `end`: those of query i are lims[i] to
    lims[i + 1] - 1, by (distance, id). With `most`, rows from `end` on are not searched, so that no
    more are found; there are at most 256 queries, and no more than `most`. Else `end` is their
    number.
    """

def count_in_range(
    codes: NDArray[np.uint8] | Segments,
    queries: NDArray[np.uint8],
    magnitudes: NDArray[np.uint8] | None,
    limits: NDArray[np.int64],
    *,
    rows: RowSet | None = None,
    isa: str,
    threads: int,
) -> NDArray[np.int64]:
    """Return how many rows are within the limit of each query."""

def knn_graph(
    codes: NDArray[np.uint8],
    *,
    k: int,
    progress: Callable[[float], object] | None,
    isa: str,
    threads: int,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return distances and rows (n, k) of the k nearest other rows, by (Hamming distance, row).

    `progress` is called on the calling thread with the part of the work that is done, 0 to 1.
    """

def hamming(
    a: NDArray[np.uint8], b: NDArray[np.uint8], isa: str, threads: int
) -> NDArray[np.int32]:
    """Return the Hamming distances (len(a), len(b)) of all pairs."""

# --- Searches of one query, an ndarray of shape (d,) or (1, d) readable in place; numbers are ints.
# --- The result is a `result_type`, a subclass of tuple, of scores and ids; None for
# --- arguments of any other type, and for all that is wrong.

_R = TypeVar("_R", bound=tuple[Any, ...])

def search_one(
    codes: object,
    query: object,
    k: object,
    isa: str | None,
    threads: object,
    result_type: type[_R],
    /,
) -> _R | None:
    """Search (n, n_bytes) uint8 codes for a code. Without `isa`, the fastest is used.

    There are no more results than codes.

    There are no keywords, which would take a tenth of the time of a call.
    """

def one_query_search(
    codes: NDArray[np.uint8] | Segments,
    *,
    dim: int,
    thresholds: NDArray[np.float32],
    centring: tuple[NDArray[np.float32], NDArray[np.float32], bool] | None,
    originals: tuple[
        NDArray[Any] | Segments, str | None, NDArray[np.float64] | None, NDArray[np.float64] | None
    ]
    | None,
    metric: str,
    ids: NDArray[np.int64] | Segments | None,
    tie_ids: NDArray[np.int64] | Segments | None,
    candidates: int | Sequence[tuple[int, int]],
    asymmetric: bool,
    live: LiveRows | None,
    isa: str,
    result_type: type[_R],
) -> Callable[[object, object, object], _R | None]:
    """Return a function that searches an index for a query, `k` results, with `threads`.

    The query is a code, or floats: these are centred by `centring` (threshold, flips and normalize
    of `centre_and_rotate`), compared with `thresholds` (of `pack`) and, if there are `originals`,
    rescored by them. These are the array and, for integers, their type, base and step (of
    `rescore_integers`). `candidates` are as many for each result, or steps as of `rescore`.
    `asymmetric` says that floats are compared with codes as of `round_queries`, in place of their
    code. `tie_ids` order rows of equal scores, `ids` are what results call them. A result of float
    scores has the attribute `_kind`, the metric. Only rows that are `live` at the time of a search
    are found, all without it. There are no more results than these.
    """

# --- Rescoring. Candidates are (n_queries, n) row numbers, -1 for none. Results are scores and rows
# --- (n_queries, k), best first, ties by ascending id; beyond the last candidate: the worst score,
# --- and row -1. A step (n_results, n_candidates) says that results up to number `n_results` are
# --- the best of the first `n_candidates`, without those of earlier steps; no steps: the best of
# --- all. Both numbers of the steps ascend, and the last `n_results` is at least `k`.

def rescore(
    originals: NDArray[np.float32] | NDArray[np.float16] | Segments,
    queries: NDArray[np.float32],
    candidates: NDArray[np.int64],
    *,
    k: int,
    metric: str,
    steps: Sequence[tuple[int, int]] = ...,
    keep_order: bool = ...,
    ids: NDArray[np.int64] | Segments | None,
    isa: str,
    threads: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Score candidates by the original vectors: "cosine", "dot" or "l2".

    `keep_order` gives the score of each of the `k` candidates, in their order.
    """

def rescore_integers(
    originals: NDArray[np.uint8] | NDArray[np.int8] | Segments,
    queries: NDArray[np.float32],
    candidates: NDArray[np.int64],
    base: NDArray[np.float64],
    step: NDArray[np.float64],
    *,
    integer_type: str,
    k: int,
    metric: str,
    steps: Sequence[tuple[int, int]] = ...,
    keep_order: bool = ...,
    ids: NDArray[np.int64] | Segments | None,
    isa: str,
    threads: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Score candidates by quantized vectors, rows as of `encode_integers`.

    Value i of a vector is base[i] + step[i] * integer[i].
    """

def rescore_codes(
    codes: NDArray[np.uint8] | Segments,
    queries: NDArray[np.uint8],
    magnitudes: NDArray[np.uint8],
    candidates: NDArray[np.int64],
    *,
    estimate: tuple[str, NDArray[np.uint16] | Segments, NDArray[np.float64]] | None,
    k: int,
    steps: Sequence[tuple[int, int]] = ...,
    keep_order: bool = ...,
    ids: NDArray[np.int64] | Segments | None,
    isa: str,
    threads: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Score candidates by weighted Hamming distances, or by what these estimate.

    An estimate is the metric, the result of `correction_factors` and (3, n_queries): each query's
    scale, sum of magnitudes and constant.
    """
