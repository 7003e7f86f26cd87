# SPDX-License-Identifier: Apache-2.0
"""Reads and writes while something is added: in other threads, and inside of the add."""

import copy
import itertools
import os
import pickle
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import bitsift
from bitsift.encoding.encoder import Encoder
from bitsift.index.table import Table
from helpers.storage_samples import some_vectors

pytestmark = pytest.mark.usefixtures("fits_at_once")

LONG = 60  # seconds, far beyond what any of this takes
N = 120
VECTORS = some_vectors(N, 12)
IDS = {
    "automatic": None,
    "ascending": np.arange(N) * 2,
    "arbitrary": np.random.default_rng(0).permutation(1000)[:N],
}
READS = {
    "get": lambda index: index.get(index.ids).tobytes(),
    "in": lambda index: [int(i) in index for i in (*index.ids[:3], 5000)],
    "contains": lambda index: index.contains([*index.ids[:3], 5000]).tolist(),
    "iter": list,
    "search": lambda index: [found.tobytes() for found in index.search(VECTORS[:3], 5)],
    "repr": repr,
    "len": len,
    "ids": lambda index: index.ids.tobytes(),
    "codes": lambda index: index.codes.tobytes(),
    "threshold": lambda index: np.array(index.threshold).tobytes(),
    "copy": lambda index: repr(copy.copy(index)),
    "deepcopy": lambda index: repr(copy.deepcopy(index)),
    "pickle": lambda index: repr(pickle.loads(pickle.dumps(index))),
}
WRITES = {
    "add": lambda index: index.add(VECTORS),
    "upsert": lambda index: index.upsert(VECTORS, ids=range(3, N + 3)),
    "remove": lambda index: index.remove([5, 6], missing="ignore"),
    "compact": bitsift.Index.compact,
    "fit": lambda index: index.fit(VECTORS),
    "reserve": lambda index: index.reserve(500),
}
every_call_or_some = pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 4])


@pytest.fixture(autouse=True)
def _limit():
    """Raise where a test hangs: a thread that waits for itself would do so for ever."""

    def give_up(number, frame):
        raise TimeoutError

    replaced = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 2 * LONG)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, replaced)


def filled(ids="arbitrary", **options):
    index = bitsift.Index(12, **options)
    index.add(VECTORS, ids=IDS[ids])
    return index


def at_call(n, happens, action):
    """Act, and let something happen at the n-th call inside the package; say whether it did."""
    countdown = iter(range(n))
    tracer = sys.gettrace()
    happened = []

    def trace(frame, event, argument):
        ours = event == "call" and "bitsift" in frame.f_code.co_filename
        if ours and next(countdown, None) is None and not happened:
            happened.append(True)
            sys.settrace(None)
            happens()

    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(tracer)
    return bool(happened)


@every_call_or_some
@pytest.mark.parametrize("ids", IDS)
def test_reads_inside_of_an_add(ids, step):
    def read_all(index):
        return [read(index) for read in READS.values()]

    new_ids = None if ids == "automatic" else [4000, 3999]
    grown = filled(ids)
    before = read_all(grown)
    grown.add(VECTORS[:2], ids=new_ids)
    after = read_all(grown)
    for n in itertools.count(1, step):
        index, seen = filled(ids), []
        if not at_call(
            n,
            lambda: seen.extend(read_all(index)),  # noqa: B023
            lambda: index.add(VECTORS[:2], ids=new_ids),  # noqa: B023
        ):
            break
        assert seen in (before, after)
        assert read_all(index) == after
    assert n > 20


@pytest.mark.filterwarnings("ignore:fit.sample. does nothing:bitsift.BitsiftWarning")
@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 13])
@pytest.mark.parametrize("inner", WRITES)
@pytest.mark.parametrize("outer", WRITES)
def test_writes_inside_of_a_write_raise_or_come_before_or_after_it(outer, inner, step):
    messages = []

    def write_or_note(index, how):
        try:
            WRITES[how](index)
        except (RuntimeError, ValueError) as error:
            messages.append(str(error))

    for n in itertools.count(1, step):
        index = bitsift.Index(12, threshold="mean", store=("int8", "float32"), correction=True)
        if outer != "fit":
            index.add(VECTORS, ids=np.arange(N)[::-1])
            index.remove(range(9))
        if not at_call(
            n,
            lambda: write_or_note(index, inner),  # noqa: B023
            lambda: write_or_note(index, outer),  # noqa: B023
        ):
            break
        assert len(index) == len(index.ids) == len(index.codes)
        n_before = len(index)
        index.add(VECTORS)
        assert index.get(index.ids[n_before:]).tobytes() == VECTORS.tobytes()
    inside = f"{inner} must be called while no other call of this thread is changing the index"
    late = "fit comes before the vectors are encoded"
    assert any(message.startswith(inside) for message in messages)
    assert all(message.startswith((inside, late)) for message in messages)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this platform has no such signal")
def test_a_signal_handler_uses_the_index(tmp_path):
    index, seen = filled(), []

    def handle(number, frame):
        seen.extend(read(index) for read in READS.values())
        index.save(tmp_path)
        for write in WRITES.values():
            with pytest.raises(RuntimeError, match="must be called while no other call of this"):
                write(index)

    before = [read(index) for read in READS.values()]
    replaced = signal.signal(signal.SIGUSR1, handle)
    written = Encoder.encode_into
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                Encoder,
                "encode_into",
                lambda *args: (written(*args), signal.raise_signal(signal.SIGUSR1)),
            )
            index.add(VECTORS)
    finally:
        signal.signal(signal.SIGUSR1, replaced)
    assert seen == before
    assert len(bitsift.Index.load(tmp_path)) == N
    assert len(index) == 2 * N


@pytest.fixture
def held(monkeypatch):
    """Two events: set when a thread is inside of an add; that lets it go on."""
    inside, go_on = threading.Event(), threading.Event()
    written = Encoder.encode_into

    def encode_into(*args):
        inside.set()
        assert go_on.wait(LONG)
        written(*args)

    def hold():
        monkeypatch.setattr(Encoder, "encode_into", encode_into)
        return inside, go_on

    yield hold
    go_on.set()


def test_other_threads_read_while_one_adds(held, tmp_path):
    index = filled()
    before = [read(index) for read in READS.values()]
    inside, go_on = held()
    with ThreadPoolExecutor(4) as executor:
        adding = executor.submit(index.add, VECTORS)
        assert inside.wait(LONG)
        seen = [executor.submit(read, index).result(LONG) for read in READS.values()]
        executor.submit(index.save, tmp_path).result(LONG)
        waiting = executor.submit(index.add, VECTORS)
        assert not adding.done()
        assert not waiting.done()
        go_on.set()
        adding.result(LONG)
        waiting.result(LONG)
    assert seen == before
    assert len(index) == 3 * N


@pytest.mark.parametrize("write", WRITES)
def test_an_interrupt_ends_waiting_for_another_thread(held, write):
    index = filled()
    inside, go_on = held()
    adding = threading.Thread(target=index.add, args=(VECTORS,))
    adding.start()
    assert inside.wait(LONG)
    timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        WRITES[write](index)
        threading.Event().wait(LONG)  # it did not wait
    assert adding.is_alive()
    go_on.set()
    adding.join(LONG)
    assert len(index) == 2 * N
    index.add(VECTORS)
    assert len(index) == 3 * N


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_inside_of_an_add_goes_on_with_it(monkeypatch):
    index = filled()
    written = Encoder.encode_into
    pids = []

    def encode_into(*args):
        written(*args)
        pids.append(os.fork())

    monkeypatch.setattr(Encoder, "encode_into", encode_into)
    parent = os.getpid()
    try:
        index.add(VECTORS)
        monkeypatch.undo()
        index.add(VECTORS)
        right = len(index) == 3 * N and index.get(index.ids).shape == (3 * N, 12)
    finally:
        if os.getpid() != parent:
            os._exit(0 if right else 1)
    assert right
    assert os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]) == 0


def test_look_ups_of_ids_that_other_threads_add():
    rng = np.random.default_rng(1)
    ids = rng.permutation(50_000)[:6000]
    codes = rng.integers(0, 256, (len(ids), 2), dtype=np.uint8)
    index = bitsift.Index(16, store=None)
    done = threading.Event()
    failures = []

    def look_up(seed):
        rng = np.random.default_rng(seed)
        while not done.is_set():
            n = len(index)
            if n == 0:
                continue
            rows = rng.integers(0, n, rng.choice([1, 3, 400]))
            if not np.array_equal(index.get(ids[rows]), codes[rows]):
                failures.append("get")
            if int(ids[rows[0]]) not in index or 60_000 in index:
                failures.append("in")
            old = copy.copy(index)
            if any(int(i) in old for i in ids[len(old) :][:5]):
                failures.append("too early")

    threads = [threading.Thread(target=look_up, args=(seed,)) for seed in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        begin = 0
        while begin < len(ids):
            end = begin + int(rng.choice([1, 2, 300]))
            index.add(codes[begin:end], ids=ids[begin:end])
            begin = end
    finally:
        done.set()
        for thread in threads:
            thread.join(LONG)
        sys.setswitchinterval(interval)
    assert failures == []


@pytest.mark.parametrize("ids", IDS)
@every_call_or_some
def test_reads_inside_of_an_upsert(ids, step):
    def read_all(index):
        order = np.argsort(index.ids)
        return index.ids[order].tolist(), index.get(index.ids[order]).tobytes(), len(index)

    grown = filled(ids)
    some = grown.ids[[7, 2, 50]]
    before = read_all(grown)
    grown.upsert(VECTORS[:3], ids=some)
    after = read_all(grown)
    assert before[0] == after[0]
    for n in itertools.count(1, step):
        index, seen = filled(ids), []
        if not at_call(
            n,
            lambda: seen.append(read_all(index)),  # noqa: B023
            lambda: index.upsert(VECTORS[:3], ids=some),  # noqa: B023
        ):
            break
        assert seen[0] in (before, after)
        assert read_all(index) == after
    assert n > 20


def test_searches_miss_no_vector_while_others_are_put_in_their_place():
    """Each vector is put anew, with the same values or their negatives, on another row."""
    rng = np.random.default_rng(0)
    vectors = some_vectors(300, 24)
    ids = rng.permutation(1000)[:300]
    index = bitsift.Index(24, store="float32")
    index.add(vectors, ids=ids)
    prepared = index.filter(ids[:150])
    done, failures = threading.Event(), []

    def check(seed):
        rng = np.random.default_rng(seed)
        while not done.is_set():
            i = int(rng.integers(0, 150))
            try:
                # The best one if it has its own values, the worst one otherwise.
                one = index.search(vectors[i], 300, rescore=True, oversampling=1).ids
                many = index.search(vectors[i : i + 1], 300, scoring="hamming").ids[0]
                some = index.search(vectors[i], 300, filter=prepared).ids
                if not (sorted(one) == sorted(many) == sorted(ids)):
                    failures.append("search")
                if sorted(some) != sorted(ids[:150]):
                    failures.append("filter")
                if not index.contains(ids).all() or int(ids[i]) not in index:
                    failures.append("contains")
                found = index.get(ids[i])
                if not (np.array_equal(found, vectors[i]) or np.array_equal(found, -vectors[i])):
                    failures.append("get")
            except Exception as error:
                failures.append(repr(error))

    threads = [threading.Thread(target=check, args=(seed,)) for seed in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for turn in range(300):
            some = rng.permutation(300)[: rng.choice([1, 2, 40])]
            index.upsert(vectors[some] * rng.choice([-1, 1]), ids=ids[some])
            if turn % 50 == 0:
                index.compact()
    finally:
        done.set()
        for thread in threads:
            thread.join(LONG)
        sys.setswitchinterval(interval)
    assert failures == []


class CountingTable(Table):
    """Counts how often its snapshot is read."""

    n_reads = 0

    @property
    def snapshot(self):
        self.n_reads += 1
        return self._kept

    @snapshot.setter
    def snapshot(self, snapshot):
        self._kept = snapshot


@pytest.mark.parametrize("store", [None, "int8"])
@pytest.mark.parametrize("removed", [False, True])
def test_each_operation_reads_one_state(store, removed, tmp_path):
    index = filled(store=store, threshold="mean", metric="l2")
    if removed:
        index.remove(index.ids[:3])
    index._table = table = CountingTable(index._table.snapshot)
    names = [
        name for name in dir(bitsift.Index) if isinstance(getattr(bitsift.Index, name), property)
    ]
    operations = {
        **{name: lambda name=name: getattr(index, name) for name in names},
        "save": lambda: index.save(tmp_path),
        "in": lambda: 3 in index,
        "contains": lambda: index.contains([3]),
        "iter": lambda: next(iter(index)),
        "filter": lambda: index.filter([3]),
        "filtered search": lambda: index.search(VECTORS, filter=[3]),
        "get": lambda: index.get(IDS["arbitrary"][3:]),
        "search": lambda: index.search(VECTORS),
        "repr": lambda: repr(index),
        "len": lambda: len(index),
        "copy": lambda: copy.copy(index),
        "pickle": lambda: pickle.dumps(index),
    }
    assert operations.pop("generation")() is None  # no state of the table
    assert len(operations) > 18
    for name, operation in operations.items():
        table.n_reads = 0
        operation()
        assert table.n_reads == 1, name
