# SPDX-License-Identifier: Apache-2.0
"""Calls of every public function that touches floats, on values that show how floats are treated.

Each call is made from scratch and returns arrays, numbers and texts: in every floating-point
environment the same ones. `python -m helpers.float_calls ENVIRONMENT WHEN CALL...` prints the
digests of these calls, with the environment set before bitsift is imported or after.
"""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import sys
import tempfile
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

DIM = 37
METRICS = ("cosine", "dot", "l2")
STORES = ("float32", "float16", "int8", "uint8", "int4", "ternary")
RULES = ("mean", "half-mean", "median", "auto")


def _values(n: int, seed: int, largest: float) -> np.ndarray:
    """Rows and dimensions of every scale: huge, tiny, subnormal in each float type, zero, mixed."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n, DIM)) + 0.3
    values[:, ::5] *= 3e-42  # subnormal as float32
    values[:, 1::7] *= 2e-7  # subnormal as float16
    values[3::9] *= 1e-41
    values[4::9] *= 1e-7
    values[5::9] *= 5e-310  # subnormal as float64
    values[6::9] *= largest
    values[7::9] = 0
    values[8::9, ::2] = -0.0
    return np.clip(values, -largest, largest)


HUGE, SMALL = _values(700, 0, 1e36), _values(700, 1, 6e4)
QUERIES = _values(40, 2, 1e4)
INPUTS = {
    "float64": HUGE,
    "float32": HUGE.astype(np.float32),
    "float16": SMALL.astype(np.float16),
    "float64, swapped": HUGE.astype(">f8"),
}
QUERIES_32, QUERIES_16 = QUERIES.astype(np.float32), QUERIES.astype(np.float16)
# All arithmetic of this file is done here: within a call, the environment is another one.
EIGHTH, SMALLER, SMALL_EIGHTH = HUGE / 8, HUGE / 1e18, SMALL / 8
DOUBLE, THIRD, SMALL_THIRD = HUGE[:99] * 2, HUGE[:5] / 3, (SMALL[:5] / 3).astype(np.float16)
LARGEST = np.sign(HUGE[:99]) * 3e38
BEYOND = HUGE * 1e4
NOT_FINITE = np.where(np.arange(HUGE.size).reshape(HUGE.shape) == 5 * DIM + 3, np.nan, HUGE)
SMALL_64_32_16 = [SMALL, SMALL.astype(np.float32), SMALL.astype(np.float16), SMALL.astype(">f8")]
BOUNDS = np.stack((HUGE.min(axis=0), HUGE.max(axis=0)))
SIGNS = np.where(SMALL > 0, 1.0, -1.0).astype(np.float16)
NOT_BITS = (SMALL > 0).astype(np.float64)
NOT_BITS[5, 3] = 5e-324
SUBNORMAL = np.array([[1e-45, 0, 1e-40, 5e-324], [3e-45, 0, 1e-40, 1e-323]])
THRESHOLDS = np.where(np.arange(DIM) % 3, 1e-44, -3e-310)
THRESHOLDS_32 = np.full(DIM, 3e-45, np.float32)

# Name of the public function or member, and what else tells calls apart -> call.
CALLS: dict[str, Callable[[Any], Any]] = {}


def _call(name: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    def add(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
        assert name not in CALLS
        CALLS[name] = call
        return call

    return add


def _searches(index: Any, ladder: Any = None) -> list[Any]:
    found = []
    for queries in (QUERIES, QUERIES_32, QUERIES_16):
        for options in (
            {},
            {"scoring": "asymmetric"},
            {"scoring": "asymmetric", "rescore": False},
            {"oversampling": 2.3, "k": 7},
            {"oversampling": Fraction(7, 3), "k": 3},
            *({"ladder": ladder} for _ in range(ladder is not None)),
        ):
            for threads in (1, 2, 7):
                found += index.search(queries, **options, threads=threads)
        for how in ({}, {"scoring": "asymmetric"}):
            radius = index.search(queries, 5, **how).scores[0, -1]
            found += index.range_search(queries, radius, **how)
            found += [
                part for _, chunk in index.iter_range(queries, radius, **how) for part in chunk
            ]
        for query in queries:
            found += index.search(query)
    return found


def _add_index_calls(store: str | None, metric: str) -> None:
    vectors = SMALL if store == "float16" else HUGE

    @_call(f"Index.search store={store} metric={metric}")
    def plain(bitsift: Any) -> Any:
        found = []
        for isa in bitsift.available_isas():
            index = bitsift.Index(DIM, store=store, metric=metric, threshold=1e-43, isa=isa)
            index.add(vectors)
            found += [index.codes, index.get(range(700)), *_searches(index)]
        return found

    @_call(f"Index.search store={store} metric={metric} corrected")
    def corrected(bitsift: Any) -> Any:
        isa = bitsift.available_isas()[-1]
        options = {"threshold": "mean", "rotate": True, "correction": True, "isa": isa}
        index = bitsift.Index(DIM, store=store, metric=metric, **options)
        smaller = SMALL_EIGHTH if store == "float16" else SMALLER  # products fit float32
        index.fit(smaller)
        index.add(smaller)
        last = [("asymmetric", 3.3), store] if store else ["asymmetric"]
        ladder = [("hamming", 12.7), *last]
        return [index.threshold, index.get([3, 6]), *_searches(index, ladder)]


for _store in (None, *STORES):
    for _metric in METRICS:
        _add_index_calls(_store, _metric)


@_call("Index")
def _(bitsift: Any) -> Any:
    thresholds = (0.0, 1e-44, np.float64(1e-46), THRESHOLDS, THRESHOLDS_32, list(THRESHOLDS))
    return [bitsift.Index(DIM, threshold=threshold).threshold for threshold in thresholds]


@_call("Index.fit")
def _(bitsift: Any) -> Any:
    found = []
    for rule in RULES:
        for metric in METRICS:
            index = bitsift.Index(DIM, metric=metric, threshold=rule, store="int4").fit(EIGHTH)
            found += [index.threshold, index.rotate, str(index.advice), _of(index.calibrators)]
    return found


@_call("Index.add")
def _(bitsift: Any) -> Any:
    found = []
    for values in INPUTS.values():
        index = bitsift.Index(DIM, store=("int8", "ternary"), metric="l2")
        index.add(values[:-1])
        index.add(values[6].tolist())
        found += index.search(values[:9], 3)  # while they wait
        index.fit(values).add(values)
        found += [index.codes, *index.search(values[:9], 3), index.nbytes]
    return found


@_call("Index.upsert")
def _(bitsift: Any) -> Any:
    index = bitsift.Index(DIM, store=("int8", "ternary"), metric="l2")
    index.add(SMALL)
    index.upsert(SMALL[:9], range(5, 14))
    return [index.codes, index.ids, *index.search(SMALL[:9], 3), index.nbytes]


@_call("Index.extend")
def _(bitsift: Any) -> Any:
    index, part = (bitsift.Index(DIM, store="int8").fit(SMALL) for _ in range(2))
    index.add(SMALL[:9])
    part.add(SMALL[9:20], range(100, 111))
    return [index.extend(part), index.codes, index.ids, *index.search(SMALL[:9], 3)]


@_call("Index.get")
def _(bitsift: Any) -> Any:
    found = []
    for store in STORES:
        index = bitsift.Index(DIM, store=store, metric="dot")
        index.add(SMALL)
        found += [index.get(np.arange(700)), index.get(6)]
    return found


@_call("Index.open, Index.commit, Index.refresh")
def _open_and_commit(bitsift: Any) -> list[Any]:
    found = []
    options = {"store": STORES, "threshold": "mean", "correction": True}
    with (
        tempfile.TemporaryDirectory() as folder,
        bitsift.Index.open(folder, "a", dim=DIM, **options) as index,
    ):
        index.add(SMALL)
        index.commit()
        reader = bitsift.Index.open(folder)
        index.upsert(SMALL_EIGHTH[:50], ids=range(50))
        index.commit()
        reader.refresh()
        for one in (index, reader):
            found += [one.ids, one.codes, one.get(one.ids), *one.search(QUERIES_32, 9)]
    return found


@_call("Index.save, Index.load, verify, pickle, copy")
def _(bitsift: Any) -> Any:
    index = bitsift.Index(DIM, store=("int4", "float32"), threshold="mean", rotate=True)
    index.fit(EIGHTH).add(EIGHTH)
    number = bitsift.Index(DIM, store="int8", threshold=0.1)
    number.fit(SMALL).add(SMALL)
    with tempfile.TemporaryDirectory() as folder:
        found: list[Any] = []
        for i, saved in enumerate((index, number)):
            path = Path(folder, str(i))
            saved.save(path)
            bitsift.verify(path)
            for opened in (
                bitsift.Index.load(path),
                bitsift.Index.load(path, mmap=True),
                pickle.loads(pickle.dumps(saved)),
                copy.copy(saved),
                copy.deepcopy(saved),
            ):
                found += [opened.threshold, _of(opened.calibrators)]
                found += opened.search(QUERIES_32, 5, scoring="asymmetric")
            manifest = json.loads((path / "manifest.json").read_text(), parse_float=str)
            found += [manifest["threshold"], manifest["calibrations"]]
        return found


@_call("merge")
def _merge(bitsift: Any) -> Any:
    index = bitsift.Index(DIM, store="float32", metric="dot")
    index.add(HUGE)
    found = index.search(QUERIES, 9)
    return bitsift.merge([found, index.search(QUERIES, 4)], 5, offset=1)


@_call("pack")
def _(bitsift: Any) -> Any:
    found = []
    for isa in bitsift.available_isas():
        for values in (*INPUTS.values(), HUGE[6].tolist()):
            for threshold in (0, 0.0, 1e-45, 1e-310, np.float64(1e-44), THRESHOLDS, THRESHOLDS_32):
                found += [bitsift.pack(values, threshold, isa=isa, threads=n) for n in (1, 2)]
    many = np.tile(INPUTS["float32"], (40, 1))  # threads share the work
    return [*found, bitsift.pack(many, 2e-45), bitsift.pack(many, 2e-45, threads=1)]


@_call("quantize_embeddings")
def _(bitsift: Any) -> Any:
    found = []
    calibrator = bitsift.RollingCalibrator(0.1).fit(HUGE)
    for precision in (*STORES, "binary", "ubinary"):
        for values in SMALL_64_32_16 if precision == "float16" else INPUTS.values():
            found.append(bitsift.quantize_embeddings(values, precision))
            found += bitsift.quantize_embeddings([values, values[:9]], precision)
            found += [
                bitsift.quantize_embeddings(values, precision, r) for r in (BOUNDS, calibrator)
            ]
    return found


@_call("to_codes")
def _(bitsift: Any) -> Any:
    return [bitsift.to_codes(SIGNS, "signs"), _error(lambda: bitsift.to_codes(NOT_BITS, "bits"))]


def _of(calibrators: Any) -> list[Any]:
    return [_of_calibrator(calibrator) for calibrator in calibrators.values()]


def _of_calibrator(calibrator: Any) -> list[Any]:
    return [repr(calibrator), calibrator.ranges, calibrator.state()]


def _calibrator_calls(bitsift: Any, make: Callable[[], Any]) -> list[Any]:
    found = []
    for values in INPUTS.values():
        calibrator = make().fit(values)
        found.append(_of_calibrator(calibrator))
        calibrator.partial_fit(SMALL_THIRD if values.dtype == np.float16 else THIRD)
        calibrator.merge(make().fit(HUGE[5:9]))
        found += [_of_calibrator(calibrator), calibrator.share_clipped(values)]
        found.append(calibrator.share_clipped(DOUBLE))
        state = calibrator.state()
        found.append(_of_calibrator(bitsift.Calibrator.from_state(*state)))
        found.append(_of_calibrator(pickle.loads(pickle.dumps(calibrator))))
    return [*found, _of_calibrator(make().fit(SUBNORMAL))]


@_call("MinMaxCalibrator")
def _(bitsift: Any) -> Any:
    return _calibrator_calls(bitsift, bitsift.MinMaxCalibrator)


@_call("RollingCalibrator")
def _(bitsift: Any) -> Any:
    numbers = (0.7, Fraction(1, 3), np.float32(3))
    return [_calibrator_calls(bitsift, lambda n=n: bitsift.RollingCalibrator(n)) for n in numbers]


@_call("advise, Advice, Trial")
def _(bitsift: Any) -> Any:
    found = []
    for metric in METRICS:
        for queries in (None, QUERIES_16):
            advice = bitsift.advise(HUGE, metric=metric, queries=queries, bits_alone=metric == "l2")
            found += [str(advice), repr(advice), advice.recommendation]
    return found


@_call("evaluate, Evaluation")
def _(bitsift: Any) -> Any:
    made = bitsift.evaluate(SMALL[:200], SMALL[200:230], metric="l2", k=5, conditions="quick")
    measures = [(row.name, row.overlap, row.deep_overlap, row.quality) for row in made.rows]
    prices = [(made.price(row.bytes_per_vector, 10**7), made.share(row)) for row in made.rows]
    sizes = [row["sizes"] for row in made.to_dict()["rows"]]
    return [measures, prices, sizes, [str(check) for check in made.checks], made.recommendation]


@_call("plan, Plan, PlanRow")
def _(bitsift: Any) -> Any:
    made = bitsift.plan(250e6, 768, price=3e-300, bandwidth=Fraction(1, 3))
    rows = [(row.ram_gib, row.disk_gib, row.pass_s) for row in made.rows]
    return [rows, made.to_dict(), str(made)]


# Messages that name a value, or that refuse one.
@_call("errors")
def _(bitsift: Any) -> Any:
    index = bitsift.Index(DIM, store="float16")
    calls = [
        lambda: index.add(HUGE),
        lambda: index.search(BEYOND),
        lambda: index.search(NOT_FINITE),
        lambda: bitsift.Index(DIM).add(BEYOND),
        lambda: bitsift.Index(DIM, threshold=1e300),
        lambda: bitsift.Index(DIM, threshold="mean").fit(NOT_FINITE),
        lambda: bitsift.Index(DIM, rotate=True, store=None).add(LARGEST),
        lambda: bitsift.Index(DIM, correction=True, metric="l2").add(LARGEST),
        lambda: bitsift.pack(NOT_FINITE),
        lambda: bitsift.quantize_embeddings(HUGE, "float16"),
        lambda: bitsift.quantize_embeddings(HUGE, "int8", [[1.0] * DIM, [0.1] * DIM]),
        lambda: bitsift.RollingCalibrator(5e-324).fit(BEYOND),
        lambda: bitsift.advise(BEYOND),
        lambda: bitsift.evaluate(BEYOND),
    ]
    return [_error(call) for call in calls]


def _error(call: Callable[[], Any]) -> str:
    try:
        call()
    except ValueError as error:
        return str(error)
    raise AssertionError("no error")


def run(name: str) -> Any:
    """Make a call; any warning but those of bitsift is an error."""
    import bitsift  # noqa: PLC0415 (after the environment is set, where it is set)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", bitsift.BitsiftWarning)
        return CALLS[name](bitsift)


def digest(result: Any) -> str:
    """Return the same text for the same bits; called outside of every environment."""
    sha = hashlib.sha256()

    def add(thing: Any) -> None:
        if isinstance(thing, np.ndarray):
            sha.update(f"{thing.dtype} {thing.shape}".encode() + thing.tobytes())
        elif isinstance(thing, (list, tuple)):
            sha.update(b"[%d" % len(thing))
            for one in thing:
                add(one)
        else:
            sha.update(repr(thing).encode())

    add(result)
    return sha.hexdigest()


def main() -> None:
    """Make calls in an environment that is there before any of the library's threads."""
    from helpers.float_environments import environment  # noqa: PLC0415

    name, when, *calls = sys.argv[1:]
    assert "bitsift" not in sys.modules
    if when == "after":
        import bitsift  # noqa: F401, PLC0415
    with environment(name) as log:
        results = {call: run(call) for call in calls}
    assert log.entries == []
    print(json.dumps({call: digest(result) for call, result in results.items()}))


if __name__ == "__main__":
    main()
