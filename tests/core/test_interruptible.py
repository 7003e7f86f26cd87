# SPDX-License-Identifier: Apache-2.0
"""Long NumPy calls: the same results in blocks and in other threads, and interrupts end them."""

import _thread
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from bitsift.core import interruptible
from bitsift.core.interruptible import copied, copy_into, counted, interruptibly, taken

LONG = 60  # seconds, far beyond what any of this takes
MANY = 1 << 18


class HandlerError(Exception):
    """What a signal handler raises."""


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few rows, so that small arrays have many."""
    monkeypatch.setattr(interruptible, "_BLOCK_BYTES", 100)
    monkeypatch.setattr(interruptible, "_MANY_VALUES", 10)


def run_in(n_values):
    return interruptibly(n_values, threading.get_ident)


def test_only_long_calls_of_the_main_thread_get_a_thread():
    main = threading.get_ident()
    assert run_in(MANY - 1) == main
    assert run_in(MANY) != main
    found = []
    thread = threading.Thread(target=lambda: found.append(run_in(MANY)))
    thread.start()
    thread.join(LONG)
    assert found == [thread.ident]


def test_results_arguments_and_errors_come_through():
    assert interruptibly(MANY, divmod, 7, 2) == (3, 1)
    assert interruptibly(MANY, sorted, [1, 2], reverse=True) == [2, 1]
    with pytest.raises(ZeroDivisionError):
        interruptibly(MANY, divmod, 7, 0)


def test_settings_of_floating_point_errors_hold():
    with np.errstate(divide="ignore"):
        assert interruptibly(MANY, np.geterr) == np.geterr()
    assert interruptibly(MANY, np.log, np.ones(3)).tolist() == [0, 0, 0]


def test_where_no_thread_can_start(monkeypatch):
    def refuse(function, args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    assert run_in(MANY) == threading.get_ident()


def test_a_runtime_error_of_a_handler_is_not_taken_for_a_refusal(monkeypatch):
    def handled(function, args):
        raise RuntimeError("stop")

    monkeypatch.setattr(_thread, "start_new_thread", handled)
    with pytest.raises(RuntimeError, match="stop"):
        run_in(MANY)


@pytest.mark.usefixtures("no_collection")
def test_a_handler_ends_the_wait_and_the_call_goes_on_for_nobody():
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def call():
        started.set()
        go_on.wait(LONG)
        ended.set()

    def stop(number, frame):
        raise HandlerError

    replaced = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(HandlerError):
            interruptibly(MANY, call)
    finally:
        signal.signal(signal.SIGALRM, replaced)
    assert started.wait(LONG)
    assert not ended.is_set()
    go_on.set()
    assert ended.wait(LONG)


def test_handlers_that_do_not_raise_run_during_the_call():
    handled = threading.Event()
    replaced = signal.signal(signal.SIGALRM, lambda number, frame: handled.set())
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        assert interruptibly(MANY, handled.wait, LONG)
    finally:
        signal.signal(signal.SIGALRM, replaced)


def test_the_process_may_end_while_a_call_is_abandoned():
    program = f"""
import _thread, threading
import numpy as np
from bitsift.core.interruptible import interruptibly

values = np.random.default_rng(0).random(3_000_000)
threading.Timer(0.1, _thread.interrupt_main).start()
interruptibly({MANY}, lambda: [np.sort(values) for _ in range(1000)])
"""
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},
    )
    assert ended.returncode in (1, -signal.SIGINT), (ended, time.monotonic() - started)
    assert ended.stderr.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("shape", [(), (0,), (1,), (1000,), (0, 3), (50, 3), (3, 500)])
def test_copies(shape):
    array = np.random.default_rng(0).integers(-9, 9, shape)
    for one in (array, np.asfortranarray(array), array[::-1] if shape else array):
        for dtype in (None, np.float32, ">i2"):
            made = copied(one, dtype)
            wanted = one.astype(one.dtype if dtype is None else dtype)
            assert made.dtype == wanted.dtype
            assert made.flags.c_contiguous
            assert not np.shares_memory(made, one)
            np.testing.assert_array_equal(made, wanted)
    out = np.zeros(shape, np.int64)
    copy_into(out, array)
    np.testing.assert_array_equal(out, array)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("shape", [(70,), (70, 3), (70, 500)])
@pytest.mark.parametrize("n", [0, 1, 69, 400])
def test_rows_taken(shape, n):
    rng = np.random.default_rng(0)
    array, rows = rng.random(shape), rng.integers(0, 70, n)
    np.testing.assert_array_equal(taken(array, rows), array[rows])


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("begin", "end"), [(0, 0), (0, 9), (5, 400), (2**63 - 60, 2**63 - 1)])
def test_counting(begin, end):
    made = counted(begin, end)
    assert made.dtype == np.int64
    assert made.tolist() == list(range(begin, end))
