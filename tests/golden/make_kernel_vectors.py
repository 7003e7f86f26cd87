# SPDX-License-Identifier: Apache-2.0
"""Inputs and expected results for the compiled core, from NumPy alone.

``python -m golden.make_kernel_vectors``, run in ``tests``, writes ``kernels/vectors-v1.bin`` beside
this file; the tests of the core on every architecture read it. The same bytes come out of every
NumPy: the random numbers are raw output of PCG64, which NumPy keeps stable, and all arithmetic is
exact or correctly rounded.

Layout, little-endian, nothing padded::

    8 bytes   b"BSVECT01"
    uint32    number of arrays
    uint32    number of cases
    arrays    3 x uint32: type, rows, columns; then the values, C order
              types: 0 uint8, 1 int32, 2 int64, 3 float16, 4 float32, 5 float64, 6 bool
    cases     9 x int32: kind, k, option, then the numbers of six arrays, -1 for none
              kind 0, packing:   option 1 if all values are finite, else 0;
                                 values, thresholds, codes
                                 (thresholds of one column hold for every dimension; bool: none)
              kind 1, search:    codes, queries, ids, distances, rows
              kind 2, all pairs: a, b, distances
              kind 3, rescoring: option 0 cosine, 1 dot, 2 l2;
                                 originals, queries, candidates, ids, scores, rows

Without ids a row's number is its id. Rows and candidates are int32 here, int64 in the core.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle import reference

PATH = Path(__file__).parent / "kernels" / "vectors-v1.bin"
MAGIC = b"BSVECT01"
TYPES = [np.dtype(t) for t in ("<u1", "<i4", "<i8", "<f2", "<f4", "<f8", "?")]
PACKING, SEARCH, ALL_PAIRS, RESCORING = range(4)
METRICS = ("cosine", "dot", "l2")
MAX_ID = np.iinfo(np.int64).max

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """One call of the core: its kind, `k`, an option, and what goes in and comes out."""

    kind: int
    k: int
    option: int
    arrays: tuple[Array | None, ...]


# ---- The oracle ------------------------------------------------------------------------------


def pack(values: Array, thresholds: Array | None) -> tuple[Array, bool]:
    threshold = np.zeros((1, 1), np.float32) if thresholds is None else thresholds
    return reference.pack(values, threshold), bool(np.isfinite(values).all())


def best(badness: Array, rows: Array, ids: Array | None, k: int) -> Array:
    """Positions of the `k` smallest by (badness, id)."""
    return np.lexsort((rows if ids is None else ids[rows], badness))[:k]


def search(codes: Array, queries: Array, ids: Array | None, k: int) -> tuple[Array, Array]:
    """The k nearest; where there are fewer, the largest distance and row -1, as the core says."""
    distances, rows = reference.search(codes, queries, k, ids)
    missing = (0, 0), (0, k - rows.shape[1])
    largest = np.iinfo(np.int32).max
    return (
        np.pad(distances, missing, constant_values=largest),
        np.pad(rows.astype(np.int32), missing, constant_values=-1),
    )


def lane_sum(terms: Array) -> Array:
    """Sum over the last axis as the core does: 16 lanes, then a tree."""
    n_blocks = -(-terms.shape[-1] // 16)
    padded = np.zeros((*terms.shape[:-1], n_blocks * 16))
    padded[..., : terms.shape[-1]] = terms
    lanes = np.zeros((*terms.shape[:-1], 16))
    for block in range(n_blocks):
        lanes = lanes + padded[..., 16 * block : 16 * block + 16]
    for width in (8, 4, 2, 1):
        lanes = lanes[..., :width] + lanes[..., width : 2 * width]
    return lanes[..., 0]


def badness(metric: str, query: Array, vectors: Array) -> Array:
    """The smaller the better; one query against many vectors, float32."""
    q, x = query.astype(np.float64), vectors.astype(np.float64)
    if metric == "l2":
        result = np.sqrt(lane_sum((q - x) * (q - x)))
    elif metric == "dot":
        result = -lane_sum(q * x)
    else:
        norms = np.sqrt(lane_sum(q * q)) * np.sqrt(lane_sum(x * x))
        dots = lane_sum(q * x)
        result = np.zeros(len(x))
        np.divide(-dots, norms, out=result, where=norms != 0)
    with np.errstate(over="ignore"):
        return result.astype(np.float32)


def rescore(
    metric: str, originals: Array, queries: Array, candidates: Array, ids: Array | None, k: int
) -> tuple[Array, Array]:
    worst = np.float32(np.inf if metric == "l2" else -np.inf)
    scores = np.full((len(queries), k), worst, np.float32)
    rows = np.full((len(queries), k), -1, np.int32)
    for query, of_query in enumerate(candidates):
        present = of_query[of_query >= 0]
        bad = badness(metric, queries[query], originals[present])
        order = best(bad, present, ids, k)
        # 0 - x: no score is a negative zero.
        found = bad[order] if metric == "l2" else np.float32(0) - bad[order]
        scores[query, : len(order)] = found
        rows[query, : len(order)] = present[order]
    return scores, rows


# ---- Inputs ----------------------------------------------------------------------------------


@dataclass
class Source:
    """Random numbers that are the same with every NumPy."""

    seed: int
    bits: np.random.PCG64 = field(init=False)

    def __post_init__(self) -> None:
        self.bits = np.random.PCG64(self.seed)

    def raw(self, *shape: int) -> NDArray[np.uint64]:
        return np.asarray(self.bits.random_raw(int(np.prod(shape))), np.uint64).reshape(shape)

    def below(self, n: int, *shape: int) -> NDArray[np.int64]:
        return (self.raw(*shape) % np.uint64(n)).astype(np.int64)

    def codes(self, n_rows: int, n_bytes: int) -> NDArray[np.uint8]:
        return (self.raw(n_rows, n_bytes) >> np.uint64(56)).astype(np.uint8)

    def values(self, dtype: str, n_rows: int, dim: int) -> Array:
        """In (-1, 1), with every bit of the significand in use."""
        bits = {"<f2": 10, "<f4": 23, "<f8": 52}[dtype]
        integers = (self.raw(n_rows, dim) >> np.uint64(63 - bits)).astype(np.int64) - (1 << bits)
        return np.ldexp(integers.astype(np.float64), -bits).astype(dtype)

    def ids(self, n: int) -> NDArray[np.int64]:
        """Unique, in no order, from 0 to the largest."""
        if n == 0:
            return np.zeros(0, np.int64)
        step = MAX_ID // max(n - 1, 1)
        return (np.arange(n, dtype=np.int64) * step)[np.argsort(self.raw(n), kind="stable")]


def packing_cases() -> list[Case]:
    source = Source(1)
    cases = []
    dims = (1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 384, 1000)
    for dim in dims:
        n_rows = 3 if dim < 100 else 1
        for dtype in ("<f4", "<f2", "<f8") if dim < 1000 else ("<f4", "<f2"):
            of_threshold = "<f8" if dtype == "<f8" else "<f4"
            values = source.values(dtype, n_rows, dim)
            thresholds = source.values(dtype, 1, dim).astype(of_threshold)
            info = np.finfo(dtype)
            magnitudes = np.array([0, info.max, info.tiny, info.smallest_subnormal], dtype)
            special = np.concatenate([magnitudes, -magnitudes])
            for i in range(0, dim, 3):
                values[i % n_rows, i] = special[(i // 3 + dim) % len(special)]
            for i in range(1, dim, 3):  # equal, and a step to either side
                values[i % n_rows, i] = thresholds[0, i]
            for i in range(7, dim, 9):
                direction = thresholds.dtype.type(np.inf if i % 2 else -np.inf)
                thresholds[0, i] = np.nextafter(thresholds[0, i], direction)
            zero = np.zeros((1, 1), of_threshold)
            one_value = values[:1, dim // 2 : dim // 2 + 1].astype(of_threshold)
            for of_case in (thresholds, zero, -zero, one_value):
                codes, finite = pack(values, of_case)
                cases.append(Case(PACKING, 0, int(finite), (values, of_case, codes)))
            for number in (np.inf, -np.inf, np.nan):
                if dim in {1, 9, 64, 65, 129}:
                    damaged = values.copy()
                    damaged[-1, source.below(dim, 1)[0]] = number
                    codes, finite = pack(damaged, zero)
                    cases.append(Case(PACKING, 0, int(finite), (damaged, zero, codes)))
        flags = source.below(2, n_rows, dim).astype(bool)
        codes, finite = pack(flags, None)
        cases.append(Case(PACKING, 0, int(finite), (flags, None, codes)))
    return cases


def search_cases() -> list[Case]:
    source = Source(2)
    cases = []

    def add(codes: Array, queries: Array, ks: tuple[int, ...]) -> None:
        ids = source.ids(len(codes))
        for i, k in enumerate(ks):
            both = (None, ids)
            for of_case in both if k <= 20 else both[i % 2 :][:1]:
                found = search(codes, queries, of_case, k)
                cases.append(Case(SEARCH, k, 0, (codes, queries, of_case, *found)))

    #        bytes, rows, queries; of one byte most distances are tied
    shapes = [(1, 300, 5), (3, 65, 5), (8, 90, 4), (13, 33, 3), (48, 65, 8), (96, 35, 1)]
    shapes += [(97, 17, 2), (130, 33, 5), (520, 10, 5), (2, 16, 4), (5, 15, 4), (31, 31, 5)]
    shapes += [(32, 32, 1), (33, 33, 4), (63, 8, 3), (64, 9, 4), (65, 7, 2), (128, 4, 5)]
    for n_bytes, n, n_queries in shapes:
        ks = (0, 1, 10, n, n + 3) if n < 50 else (0, 1, 10, n + 3)
        add(source.codes(n, n_bytes), source.codes(n_queries, n_bytes), ks)
    add(source.codes(20, 3), source.codes(300, 3), (3,))
    for n in (0, 1, 2, 3):
        add(source.codes(n, 6), source.codes(5, 6), (0, 1, 4))
        add(source.codes(n, 11), source.codes(1, 11), (1, 4))
    # Few different rows: ties within and across the places where the core cuts a list back.
    repeated = source.codes(4, 24)[source.below(4, 200)]
    add(repeated, np.concatenate([repeated[:2], source.codes(4, 24)]), (1, 5, 64, 99))
    # The largest code and the largest distance.
    extremes = np.repeat(np.array([[0x00], [0xFF], [0x0F], [0xFF]], np.uint8), 8192, axis=1)
    add(extremes, extremes, (2, 4))
    add(extremes, extremes[:1], (5,))
    return cases


def all_pairs_cases() -> list[Case]:
    source = Source(3)
    cases = []
    shapes = [(1, 1, 1), (1, 9, 17), (3, 4, 16), (8, 5, 15), (13, 8, 33), (48, 3, 40), (97, 12, 7)]
    shapes += [(130, 1, 31), (520, 6, 5), (7, 0, 3), (7, 3, 0), (2, 300, 3), (3, 3, 300)]
    for n_bytes, n_a, n_b in shapes:
        a, b = source.codes(n_a, n_bytes), source.codes(n_b, n_bytes)
        cases.append(Case(ALL_PAIRS, 0, 0, (a, b, reference.hamming(a, b))))
    return cases


def rescoring_cases() -> list[Case]:
    source = Source(4)
    cases = []
    #        dim, rows, queries, candidates
    shapes = [(1, 9, 3, 9), (3, 12, 2, 8), (8, 20, 1, 20), (15, 7, 2, 5), (16, 16, 3, 9)]
    shapes += [(17, 11, 1, 7), (31, 30, 5, 12), (33, 25, 2, 25), (64, 10, 4, 6), (100, 13, 3, 13)]
    shapes += [(384, 5, 3, 5), (5, 0, 2, 3), (6, 4, 2, 0), (1000, 2, 2, 2)]
    for dim, n, n_queries, n_candidates in shapes:
        queries = source.values("<f4", n_queries, dim)
        if n_queries >= 3:
            queries[1] = 0
        for dtype in ("<f4", "<f2"):
            originals = source.values(dtype, n, dim)
            scales = source.below(13, n, 1) - 6
            originals = np.ldexp(originals.astype(np.float32), scales).astype(dtype)
            if n >= 4:
                originals[1] = 0
                originals[2] = originals[3]  # a tie
            shuffled = np.argsort(source.raw(n_queries, n), axis=1, kind="stable")
            candidates = np.full((n_queries, n_candidates), -1, np.int32)
            candidates[:, :n] = shuffled[:, :n_candidates]
            candidates[source.below(8, n_queries, n_candidates) == 0] = -1
            ids = source.ids(n)
            for option, metric in enumerate(METRICS):
                for of_case, k in ((None, 4), (ids, n_candidates + 2)):
                    found = rescore(metric, originals, queries, candidates, of_case, k)
                    arrays = (originals, queries, candidates, of_case, *found)
                    cases.append(Case(RESCORING, k, option, arrays))
    # Scores beyond float32, subnormal products, and k = 0.
    for dtype in ("<f4", "<f2"):
        info = np.finfo(dtype)
        extremes = np.array(
            [[info.max] * 5, [info.min] * 5, [info.smallest_subnormal] * 5, [info.tiny] * 5], dtype
        )
        queries = np.array(
            [[np.finfo("<f4").max] * 5, [np.finfo("<f4").smallest_subnormal] * 5], "<f4"
        )
        candidates = np.array([[0, 1, 2, 3], [3, 2, 1, 0]], np.int32)
        for option, metric in enumerate(METRICS):
            for k in (0, 4):
                found = rescore(metric, extremes, queries, candidates, None, k)
                arrays = (extremes, queries, candidates, None, *found)
                cases.append(Case(RESCORING, k, option, arrays))
    return cases


# ---- The file --------------------------------------------------------------------------------


def make() -> bytes:
    """All cases, as the bytes of the file."""
    cases = packing_cases() + search_cases() + all_pairs_cases() + rescoring_cases()
    numbers: dict[bytes, int] = {}  # equal arrays are written once

    def number(array: Array | None) -> int:
        if array is None:
            return -1
        matrix = np.atleast_2d(array)
        little = matrix.astype(matrix.dtype.newbyteorder("<"))
        head = struct.pack("<III", TYPES.index(little.dtype), *little.shape)
        return numbers.setdefault(head + little.tobytes(), len(numbers))

    records = []
    for case in cases:
        arrays = [number(array) for array in case.arrays]
        arrays += [-1] * (6 - len(arrays))
        records.append(struct.pack("<9i", case.kind, case.k, case.option, *arrays))
    head = MAGIC + struct.pack("<II", len(numbers), len(records))
    return head + b"".join(numbers) + b"".join(records)


def read(content: bytes) -> list[Case]:
    """The cases of a file's bytes."""
    if content[:8] != MAGIC:
        raise ValueError(f"wanted a file that starts with {MAGIC!r}, got {content[:8]!r}")
    n_arrays, n_cases = struct.unpack_from("<II", content, 8)
    at = 16
    arrays = []
    for _ in range(n_arrays):
        kind, n_rows, n_columns = struct.unpack_from("<III", content, at)
        at += 12
        flat = np.frombuffer(content, TYPES[kind], n_rows * n_columns, at)
        arrays.append(flat.reshape(n_rows, n_columns).copy())  # aligned, which the file is not
        at += flat.nbytes
    cases = []
    for _ in range(n_cases):
        kind, k, option, *indices = struct.unpack_from("<9i", content, at)
        at += 36
        cases.append(Case(kind, k, option, tuple(None if i < 0 else arrays[i] for i in indices)))
    if at != len(content):
        raise ValueError(f"wanted {at} bytes, got {len(content)}")
    return cases


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_bytes(make())
