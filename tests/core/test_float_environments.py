# SPDX-License-Identifier: Apache-2.0
"""Results, errors and warnings do not depend on the caller's floating-point environment."""

from __future__ import annotations

import functools
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import bitsift
from bitsift.core.floats import DefaultFloats, in_default_floats
from helpers.float_calls import CALLS, METRICS, STORES, digest, run
from helpers.float_environments import ENVIRONMENTS, control, control_and_flags, environment

# Public functions and members that neither compute with floats nor convert them. A search enters
# `DefaultFloats` only where it converts queries: its calls run in every environment.
WITHOUT_FLOATS = {
    "available_isas",
    "available_threads",
    "codes_from_int8",
    "codes_from_response",
    "from_codes",
    "hamming",
    "knn_graph",
    "range_search",
    "search",
    "set_num_threads",
    "unpack",
    "Index.close",
    "Index.compact",
    "Index.contains",
    "Index.filter",
    "Index.iter_range",
    "Index.range_search",
    "Index.remove",
    "Index.reserve",
    "Index.rollback",
    "Index.search",
    "Calibrator.state",
    "Evaluation.summary",
    "EvaluationCheck.to_dict",  # copies
    "EvaluationCheck.to_json",
    "Evaluation.to_json",  # calls to_dict
}
ONE_METRIC_EACH = [
    f"Index.search store={store} metric={METRICS[i % len(METRICS)]}"
    for i, store in enumerate((None, *STORES))
]
CORRECTED = {f"{name} corrected" for name in ONE_METRIC_EACH[::2]}
# The calls of the quick run: of searches, one metric of each store, corrected for every other one.
QUICK_CALLS = [
    name
    for name in CALLS
    if not name.startswith("Index.search ") or name in {*ONE_METRIC_EACH, *CORRECTED}
]
# Those whose work the threads of the pool share.
QUICK_SHARED_CALLS = [name for name in QUICK_CALLS if name.startswith(("Index.search ", "pack"))]
# These open and save; the guard is where all of their ways meet.
GUARDED_BELOW = {
    "Index.load": "bitsift.storage.reader.read_stored",
    "Index.save": "bitsift.storage.writer.write",
}


@functools.cache
def wanted(call: str) -> str:
    """The digest of a call in the default environment."""
    return digest(run(call))


def public_functions():
    """Every public function, and every public method of a public class that has results."""
    for name in bitsift.__all__:
        thing = getattr(bitsift, name)
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing) and not issubclass(thing, (BaseException, tuple)):
            # Bases that are public have their own turn.
            bases = [thing] + [base for base in thing.__mro__ if "bitsift." in base.__module__]
            for member in {member: None for base in bases for member in vars(base)}:
                function = inspect.getattr_static(thing, member)
                function = getattr(function, "__func__", function)
                if not member.startswith("_") and inspect.isfunction(function):
                    yield f"{name}.{member}", function


def test_every_public_function_is_guarded_or_has_no_floats():
    functions = dict(public_functions())
    guarded = {name for name, function in functions.items() if hasattr(function, "is_guarded")}
    assert len(guarded) > 12
    assert not guarded & WITHOUT_FLOATS
    assert functions.keys() - guarded == WITHOUT_FLOATS | GUARDED_BELOW.keys()
    pickles = "bitsift.storage.contents_check.checked_contents"
    for place in (*GUARDED_BELOW.values(), pickles):
        module, name = place.rsplit(".", 1)
        assert hasattr(getattr(sys.modules[module], name), "is_guarded")


def test_every_guarded_function_has_a_call():
    words = " ".join(CALLS).replace(",", " ").split()
    called = {word.split(".")[-1] for word in words} | {"Calibrator"}
    for name in dict(public_functions()).keys() - WITHOUT_FLOATS:
        owner, _, member = name.rpartition(".")
        assert member in called or owner in called, name


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        pytest.param("all", QUICK_CALLS, id="all, some calls"),
        *(pytest.param(name, CALLS, id=name, marks=pytest.mark.slow) for name in ENVIRONMENTS),
    ],
)
def test_the_same_bits_in_every_environment(name, calls, capfd):
    wrong = []
    for call in calls:
        expected = wanted(call)
        with environment(name) as log:
            before = control(), np.geterr(), np.geterrcall()
            result = run(call)
            after = control(), np.geterr(), np.geterrcall()
        assert after == before, call
        assert log.entries == [], call
        if digest(result) != expected:
            wrong.append(call)
    assert not wrong
    assert capfd.readouterr() == ("", "")  # NumPy's "print" prints


# The pool's threads begin in the environment of the thread that makes them. Before the import no
# rounding mode is set: Python itself reads the numbers of a source file in the mode of the moment.
@pytest.mark.parametrize(
    ("name", "when", "calls"),
    [
        pytest.param("all", "after", QUICK_SHARED_CALLS, id="all-after, some calls"),
        *(
            pytest.param(name, when, [*CALLS], id=f"{name}-{when}", marks=pytest.mark.slow)
            for name, when in (
                ("flush-to-zero", "before"),
                ("numpy-raise", "before"),
                ("all", "after"),
            )
        ),
    ],
)
def test_an_environment_that_was_there_first(name, when, calls):
    paths = [str(Path(bitsift.__file__).parents[1]), str(Path(__file__).parents[1])]
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "helpers.float_calls", name, when, *calls],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.stderr == ""
    assert json.loads(ran.stdout) == {call: wanted(call) for call in calls}


def test_the_caller_gets_back_control_and_flags():
    for name in ENVIRONMENTS:
        with environment(name):
            found = control_and_flags()
            with DefaultFloats():
                assert np.geterr() == dict.fromkeys(
                    ("divide", "over", "under", "invalid"), "ignore"
                )
                np.float64(1) / np.float64(3)  # raises the flag of an inexact result
            again = control_and_flags()
        assert again == found


def test_python_code_within_a_native_call_has_the_callers_environment():
    codes = np.random.default_rng(0).integers(0, 256, (20_000, 16), np.uint8)
    seen = []
    with environment("upward"):
        here = control()
        bitsift.knn_graph(codes, 3, progress=lambda done: seen.append(control()), threads=1)
        after = control()
    assert set(seen) == {here}
    assert after == here


def test_an_exception_gives_back_what_was_found():
    @in_default_floats
    def fail(error):
        raise error

    for error in (ValueError("x"), KeyboardInterrupt(), SystemExit(1)):
        with environment("all"):
            before = control(), np.geterr()
            with pytest.raises(type(error)):
                fail(error)
            after = control(), np.geterr()
        assert after == before


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this platform has no such timer")
@pytest.mark.parametrize("n_times", [500, pytest.param(5_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, TimeoutError])
@pytest.mark.usefixtures("no_collection")
def test_a_handler_that_raises_anywhere_leaves_the_environment(kind, n_times):
    def handle(number, frame):
        raise kind("from the handler")

    index = bitsift.Index(8)
    index.add(np.eye(8))
    found = signal.signal(signal.SIGALRM, handle)
    try:
        with environment("all"):
            before = control(), np.geterr()
            for _ in range(n_times):
                with pytest.raises(kind, match="from the handler"):  # noqa: PT012
                    signal.setitimer(signal.ITIMER_REAL, 3e-5)  # once
                    for _ in range(100_000):
                        bitsift.pack([[1.0, -1.0]])
                        index.get([1, 2])
                assert (control(), np.geterr()) == before
    finally:
        signal.signal(signal.SIGALRM, found)


def test_each_thread_has_its_own():
    inside, done = threading.Event(), threading.Event()
    seen = []

    def other():
        with DefaultFloats():
            inside.set()
            done.wait(60)
            seen.append(control())

    thread = threading.Thread(target=other)
    default = control()
    with environment("upward"):
        here = control()
        thread.start()
        assert inside.wait(60)
        unchanged = control() == here
        done.set()
        thread.join()
    assert unchanged
    assert seen == [default]


def test_decorated_functions_show_their_signature():
    assert list(inspect.signature(bitsift.pack).parameters) == ["x", "threshold", "isa", "threads"]
    assert "dim" in inspect.signature(bitsift.Index).parameters
