# SPDX-License-Identifier: Apache-2.0
"""The thread pool as Python sees it: concurrent callers, forked children, a released GIL."""

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import bitsift
from bitsift.index.table import _Repairing

pytestmark = pytest.mark.usefixtures("fits_at_once")


@pytest.fixture
def codes(rng):
    return rng.integers(0, 256, (200_000, 16), dtype=np.uint8)


def test_concurrent_callers_get_their_own_results(codes):
    expected = [bitsift.search(codes, codes[i : i + 3], 5, threads=1) for i in range(24)]
    with ThreadPoolExecutor(8) as executor:
        found = list(
            executor.map(lambda i: bitsift.search(codes, codes[i : i + 3], 5, threads=3), range(24))
        )
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a.ids, b.ids)
        np.testing.assert_array_equal(a.scores, b.scores)


def test_callers_of_one_shared_scan_get_their_own_results(rng):
    # Large enough to share a scan: the same codes, other queries and numbers of results.
    codes = rng.integers(0, 256, (50_000, 96), dtype=np.uint8)
    vectors = rng.standard_normal((40, 768), dtype=np.float32)
    index = bitsift.Index(768, store=None)
    index.add(codes)

    def search(i):
        k = (3, 10)[i % 2]
        if i % 5 == 0:
            return index.search(vectors[i : i + 2], k, scoring="asymmetric")
        return bitsift.search(codes, codes[i : i + 1 + i % 3], k)

    expected = [search(i) for i in range(32)]
    with ThreadPoolExecutor(16) as executor:
        for _ in range(3):
            for a, b in zip(expected, executor.map(search, range(32)), strict=True):
                np.testing.assert_array_equal(a.ids, b.ids)
                np.testing.assert_array_equal(a.scores, b.scores)


def test_the_gil_is_released(codes):
    # While one thread is inside a long scan, this one runs Python.
    started, done = threading.Event(), threading.Event()
    queries = codes[:4_000]

    def scan():
        started.set()
        bitsift.search(codes, queries, 1, threads=1)
        done.set()

    thread = threading.Thread(target=scan)
    thread.start()
    started.wait()
    steps = 0
    while not done.is_set():
        steps += 1
    thread.join()
    assert steps > 1000


def _search_in_child(codes, pipe):
    pipe.send(bitsift.search(codes, codes[:5], 3, threads=2).ids.tolist())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_children_search(codes):
    expected = bitsift.search(codes, codes[:5], 3, threads=2).ids.tolist()
    context = multiprocessing.get_context("fork")
    for _ in range(3):
        ours, theirs = context.Pipe()
        child = context.Process(target=_search_in_child, args=(codes, theirs))
        child.start()
        assert ours.poll(60), "the child hangs"
        assert ours.recv() == expected
        child.join()
        assert child.exitcode == 0
    assert bitsift.search(codes, codes[:5], 3, threads=2).ids.tolist() == expected


def test_more_threads_than_the_machine_has(codes):
    expected = bitsift.search(codes, codes[:2], 4, threads=1)
    found = bitsift.search(codes, codes[:2], 4, threads=64)
    np.testing.assert_array_equal(found.ids, expected.ids)


@pytest.mark.parametrize(
    "work",
    [
        pytest.param("flat.search(codes, codes[:200], 10)", marks=pytest.mark.slow),
        "index.search(vectors)",
    ],
)
def test_daemon_threads_may_be_searching_at_exit(work):
    program = f"""
import threading, time
import numpy as np
import bitsift as flat

codes = np.random.default_rng(0).integers(0, 256, (50_000, 96), dtype=np.uint8)
vectors = np.ones((300, 768), np.float32)
index = flat.Index(768)
index.add(vectors)

def run():
    while True:
        {work}

for _ in range(4):
    threading.Thread(target=run, daemon=True).start()
time.sleep(0.2)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_children_forked_while_a_thread_adds(rng):
    vectors = rng.standard_normal((3_000, 64), dtype=np.float32)
    index = bitsift.Index(64)
    index.add(vectors[:1])
    done = threading.Event()

    def add():
        while not done.is_set():
            index.add(vectors)

    thread = threading.Thread(target=add)
    thread.start()
    try:
        for _ in range(5):
            child = multiprocessing.get_context("fork").Process(target=_use_in_child, args=(index,))
            child.start()
            child.join(60)
            assert child.exitcode == 0
    finally:
        done.set()
        thread.join()


def _use_in_child(index):
    n = len(index)
    assert 0 in index
    assert index.get(0).shape == (64,)
    assert index.add(np.ones((1, 64))).tolist() == [n]
    assert len(index) == len(index.ids) == len(index.codes) == n + 1


def test_the_first_writer_of_a_forked_child_replaces_a_lock_that_nobody_releases():
    index = bitsift.Index(8)
    index.add(np.eye(8))
    table = index._table
    holder = threading.Thread(target=table._lock.acquire)
    holder.start()
    holder.join()
    table._writer, table._process = holder.ident, -1  # as a child finds them
    _Repairing.forget()
    index.add(np.eye(8))
    assert len(index) == 16
    assert table._process == os.getpid()
    table._repair_after_fork()  # another thread comes late: nothing is left to do
    assert table._process == os.getpid()


def test_an_add_that_a_warning_refuses_lets_the_next_one_in():
    rng = np.random.default_rng(0)
    index = bitsift.Index(8, store="int8")
    index.fit(rng.standard_normal((200, 8)))
    far = rng.standard_normal((200, 8)) * 50

    def add_one_by_one():
        for row in far:
            index.add(row)

    with pytest.raises(bitsift.BitsiftWarning, match="outside the bounds"):
        add_one_by_one()
    n = len(index)
    assert 0 < n < 200
    index.add(rng.standard_normal(8))
    assert len(index) == n + 1
