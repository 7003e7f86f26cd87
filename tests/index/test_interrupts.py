# SPDX-License-Identifier: Apache-2.0
"""Interrupts at any moment: the index is as before, or has grown, and goes on working."""

import copy
import itertools
import pickle
import signal
import sys
import time

import numpy as np
import pytest

import bitsift
from bitsift.core import interruptible
from helpers.storage_samples import some_vectors

pytestmark = [
    pytest.mark.filterwarnings("ignore::bitsift.BitsiftWarning"),
    pytest.mark.usefixtures("fits_at_once"),
]

N = 30_000
DIM = 13


class HandlerError(Exception):
    """What a signal handler raises."""


@pytest.fixture
def short_is_long(monkeypatch):
    """Small arrays take the paths of large ones."""
    monkeypatch.setattr(interruptible, "_MANY_VALUES", 100)
    monkeypatch.setattr(interruptible, "_BLOCK_BYTES", 1 << 10)


def new_index(kind):
    if kind == "bits":
        return bitsift.Index(DIM, store=None)
    return bitsift.Index(
        DIM, store=("int4", "float16"), threshold=kind, rotate=True, correction=True, metric="l2"
    )


def state_of(index):
    arrays = [index.codes, index.ids, np.array(index.threshold)]
    arrays += [index.get(index.ids)] if len(index) else []
    return repr(index), repr(index.calibrators), [array.tobytes() for array in arrays]


@pytest.mark.parametrize(
    "call",
    [
        pytest.param("fit", marks=pytest.mark.slow),
        "add",  # fits, too
        pytest.param("second add", marks=pytest.mark.slow),
        "upsert",
        "remove",
        "compact",
        "reserve",
        "copy",
        pytest.param("deepcopy", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 7])
@pytest.mark.usefixtures("short_is_long", "no_collection")
def test_an_interrupt_at_any_call(call, step):
    vectors, more = some_vectors(150, DIM), some_vectors(150, DIM, seed=1)
    ids = np.random.default_rng(0).permutation(1000)
    tracer = sys.gettrace()

    def prepared():
        index = new_index("median")
        if call not in ("fit", "add"):
            index.add(vectors, ids=ids[:150])
        if call in ("upsert", "compact"):
            index.remove(ids[:20])
            index.add(more[:3], ids=ids[:3])  # entered in the hash table of ids
        return index

    def act(index):
        if call == "fit":
            index.fit(vectors)
        elif call.endswith("add"):
            index.add(more, ids=ids[150:300])
        elif call == "upsert":
            index.upsert(more, ids=ids[100:250])
        elif call == "remove":
            index.remove(ids[30:50], missing="ignore")
        elif call == "compact":
            index.compact()
        elif call == "reserve":
            index.reserve(5000)
        else:
            getattr(copy, call)(index)

    grown = prepared()
    before = state_of(grown)
    act(grown)
    after = state_of(grown)
    last = 0
    for n_calls in itertools.count(1, step):
        index, countdown = prepared(), iter(range(n_calls))

        def interrupt(frame, event, argument, countdown=countdown):
            ours = event == "call" and "bitsift" in frame.f_code.co_filename
            if ours and next(countdown, None) is None:
                sys.settrace(None)
                raise HandlerError

        sys.settrace(interrupt)
        try:
            act(index)
            last = n_calls
        except HandlerError:
            pass
        finally:
            sys.settrace(tracer)
        found = state_of(index)
        assert found in (before, after)
        if found == before:
            act(index)
            assert state_of(index) == after
        assert index.contains(index.ids).all()
        rows = index.add(some_vectors(3, DIM, seed=2))
        assert index.get(rows).shape == (3, DIM)
        if last:
            break
    assert last > 10


def interrupted_at_random(prepare, act, check, tries):
    """Act with a signal after a random time, again and again; check what is left each time."""

    def stop(number, frame):
        raise HandlerError

    rng = np.random.default_rng(0)
    begin = time.perf_counter()
    act(prepare())
    duration = time.perf_counter() - begin
    replaced = signal.signal(signal.SIGALRM, stop)
    n_interrupted = 0
    try:
        for _ in range(tries):
            thing = prepare()
            try:
                signal.setitimer(signal.ITIMER_REAL, max(1e-6, duration * rng.random()))
                act(thing)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except HandlerError:
                n_interrupted += 1
            check(thing)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, replaced)
    return n_interrupted


TRIES = [5, pytest.param(300, marks=pytest.mark.slow)]


@pytest.mark.parametrize("tries", TRIES)
@pytest.mark.parametrize("kind", ["bits", pytest.param("mean", marks=pytest.mark.slow), "median"])
@pytest.mark.usefixtures("no_collection")
def test_adds_cut_short(kind, tries):
    vectors = some_vectors(N, DIM)
    if kind == "bits":
        vectors = bitsift.pack(vectors)
    ids = np.random.default_rng(1).permutation(2 * N)

    def prepare():
        index = new_index(kind)
        index.add(vectors[:200], ids=ids[N : N + 200])
        return index

    whole = prepare()
    before = state_of(whole)
    whole.add(vectors, ids=ids[:N])
    after = state_of(whole)

    def check(index):
        found = state_of(index)
        assert found in (before, after)
        if found == before:
            index.add(vectors, ids=ids[:N])
            assert state_of(index) == after

    assert interrupted_at_random(
        prepare, lambda index: index.add(vectors, ids=ids[:N]), check, tries
    )


@pytest.mark.parametrize("tries", TRIES)
@pytest.mark.parametrize(
    "read",
    [
        lambda index: index.get(index.ids),
        lambda index: 5 in copy.copy(index),
        copy.deepcopy,
        lambda index: pickle.loads(pickle.dumps(index)),
        lambda index: index.search(some_vectors(200, DIM), 50),
    ],
    ids=["get", "in", "deepcopy", "pickle", "search"],
)
@pytest.mark.usefixtures("short_is_long", "no_collection")
def test_reads_cut_short(read, tries):
    index = new_index("mean")
    index.add(some_vectors(N, DIM), ids=np.random.default_rng(1).permutation(2 * N)[:N])
    before = state_of(index)

    def check(same):
        assert state_of(same) == before

    assert interrupted_at_random(lambda: index, read, check, tries)
