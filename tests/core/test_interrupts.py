# SPDX-License-Identifier: Apache-2.0
"""Signals end long calls, and what their handlers do and raise is the call's.

Each program below would run for much longer than its time limit if the signal had to wait.
"""

import os
import subprocess
import sys
import textwrap

import pytest

SETUP = """
import faulthandler, os, signal, sys, threading, time
import numpy as np
import bitsift

faulthandler.dump_traceback_later(100, exit=True)
# Where the tests run in the background, a process is born deaf to the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
random = np.random.default_rng(0)


def make_codes(n, n_bytes):
    return random.integers(0, 256, (n, n_bytes), dtype=np.uint8)


def make_vectors(n, dim):
    # Rows of one memory: many, and no more to hold than one.
    return np.lib.stride_tricks.as_strided(
        random.standard_normal(dim, dtype=np.float32), (n, dim), (0, 4)
    )


def make_index(**options):
    index = bitsift.Index(128, isa="scalar", **options)
    index.add(random.standard_normal((50_000, 128), dtype=np.float32))
    return index


def signal_soon():
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()


codes = make_codes(100_000, 96)
expected = bitsift.search(codes, codes[:3], 4, threads=1).ids.tolist()


def check_that_all_works():
    assert bitsift.search(codes, codes[:3], 4).ids.tolist() == expected
    assert bitsift.search(codes, codes[:3], 4, threads=7).ids.tolist() == expected
"""

# What is made first, and a call that takes minutes.
CALLS = {
    "search": (
        "queries = make_codes(500_000, 96)",
        "bitsift.search(codes, queries, 10, isa='scalar')",
    ),
    "search of many results": ("", "bitsift.search(codes, codes[:1_000], 90_000, isa='scalar')"),
    "range_search": (
        "queries = make_codes(500_000, 96)",
        "bitsift.range_search(codes, queries, 300, isa='scalar')",
    ),
    "range_search that counts": (
        "queries = make_codes(500_000, 96)",
        "bitsift.range_search(codes, queries, 400, count_only=True, isa='scalar')",
    ),
    "range_search of scores": (
        "index, queries = make_index(), make_vectors(100_000, 128)",
        "index.range_search(queries, 0.9)",
    ),
    "iter_range of everything": (
        "index, queries = make_index(store=None), make_vectors(100_000, 128)",
        "[None for _ in index.iter_range(queries, -1.0)]",
    ),
    "merge": (
        "found = bitsift.search(codes, codes[:2_000], 1_000)",
        "[bitsift.merge([found] * 9, 1_000) for _ in range(1_000)]",
    ),
    "search of long codes": (
        "long, queries = make_codes(5_000, 8192), make_codes(50_000, 8192)",
        "bitsift.search(long, queries, 9, isa='scalar')",
    ),
    "hamming": (
        "left, right = make_codes(20_000, 4096), make_codes(20_000, 4096)",
        "bitsift.hamming(left, right, isa='scalar')",
    ),
    "pack": (
        "vectors = make_vectors(30_000_000, 1024)",
        "bitsift.pack(vectors, isa='scalar', threads=1)",
    ),
    "knn_graph": (
        "many = make_codes(1_000_000, 96)",
        "bitsift.knn_graph(many, 10, isa='scalar')",
    ),
    "knn_graph with progress": (
        "many = make_codes(1_000_000, 96)",
        "bitsift.knn_graph(many, 10, isa='scalar', progress=lambda part: None)",
    ),
    "quantize_embeddings": (
        "vectors = make_vectors(1_000_000, 256)",
        "[bitsift.quantize_embeddings(vectors, 'int8') for _ in range(1_000)]",
    ),
    "index": (
        "index, queries = make_index(store=None), make_vectors(5_000_000, 128)",
        "index.search(queries, 10)",
    ),
    "rescored": (
        "index, queries = make_index(), make_vectors(20_000, 128)",
        "[index.search(queries, 100, oversampling=10) for _ in range(1_000)]",
    ),
    "asymmetric": (
        "index, queries = make_index(store=None), make_vectors(1_000_000, 128)",
        "index.search(queries, 10, scoring='asymmetric')",
    ),
    "ladder": (
        "index, queries = make_index(store='int8'), make_vectors(1_000_000, 128)",
        "index.search(queries, 50, ladder=[('hamming', 100), ('asymmetric', 20), 'int8'])",
    ),
    "add": (
        "index, vectors = make_index(rotate=True, store='int4'), make_vectors(20_000_000, 128)",
        "index.add(vectors)",
    ),
    "evaluate": (
        "vectors = random.standard_normal((80_000, 128), dtype=np.float32)",
        "bitsift.evaluate(vectors[:60_000], vectors[60_000:], isa='scalar')",
    ),
    "advise": (
        "vectors = random.standard_normal((5_000, 128), dtype=np.float32)",
        "[bitsift.advise(vectors, isa='scalar') for _ in range(1_000)]",
    ),
}


def run(program):
    """Run a program that ends long before the work in it could."""
    ended = subprocess.run(
        [sys.executable, "-c", SETUP + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.split()


def interrupted(prepare, call):
    return f"""
{prepare}
signal_soon()
try:
    {call}
    print("not interrupted")
except KeyboardInterrupt:
    check_that_all_works()
    print("interrupted")
sys.stdout.flush()
os._exit(0)
"""


def test_an_interrupt_ends_a_call():
    assert run(interrupted(*CALLS["ladder"])) == ["interrupted"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_an_interrupt_ends_every_call(name):
    assert run(interrupted(*CALLS[name])) == ["interrupted"]


SEARCHING_THREADS = """
def search_for_ever():
    while True:
        assert bitsift.search(codes, codes[:3], 4).ids.tolist() == expected

for _ in range(4):
    threading.Thread(target=search_for_ever, daemon=True).start()
"""


def test_an_interrupt_ends_searches_that_meet_those_of_other_threads():
    # Few queries and the same codes: the interrupted call waits for others, or scans for them.
    call = "while True: bitsift.search(codes, codes[:3], 4)"
    assert run(interrupted(SEARCHING_THREADS, call)) == ["interrupted"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_an_interrupt_ends_every_call_beside_searching_threads(name):
    prepare, call = CALLS[name]
    assert run(interrupted(prepare + SEARCHING_THREADS, call)) == ["interrupted"]


def test_the_other_threads_go_on():
    prepare, call = CALLS["search"]
    program = f"""
        {prepare}
        results = []
        def search():
            for i in range(10):
                results.append(bitsift.search(codes, codes[:3], 4).ids.tolist() == expected)

        threads = [threading.Thread(target=search) for _ in range(4)]
        for thread in threads:
            thread.start()
        signal_soon()
        try:
            {call}
        except KeyboardInterrupt:
            pass
        for thread in threads:
            thread.join()
        print(len(results), all(results))
    """
    assert run(program) == ["40", "True"]


def test_any_error_of_a_handler_is_the_error_of_the_call():
    prepare, call = CALLS["search"]
    program = f"""
        {prepare}
        class Stop(BaseException):
            pass

        def handler(*_):
            raise Stop("from the handler")

        signal.signal(signal.SIGTERM, handler)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        try:
            {call}
        except Stop as error:
            print(error)
        check_that_all_works()
    """
    assert run(program) == ["from", "the", "handler"]


@pytest.mark.slow
def test_a_handler_searches_the_same_codes_and_the_call_goes_on():
    # As few queries as a shared scan takes: the handler must not wait for its own thread's scan.
    program = """
        large = make_codes(2_000_000, 96)
        wanted = bitsift.search(large, codes[:16], 3, threads=1)
        found = []

        def handler(*_):
            found.append(bitsift.search(codes, codes[:3], 4).ids.tolist() == expected)
            few = bitsift.search(large, codes[:2], 3)
            found.append((few.ids == wanted.ids[:2]).all())

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.2)
        for _ in range(2):
            result = bitsift.search(large, codes[:16], 3, isa="scalar")
            assert (result.ids == wanted.ids).all()
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(len(found) > 0, all(found))
    """
    assert run(program) == ["True", "True"]


@pytest.mark.slow
def test_a_handler_waits_for_threads_that_search_the_same_codes():
    program = """
        large = make_codes(2_000_000, 96)
        wanted = bitsift.search(large, codes[:2], 3, threads=1).ids.tolist()
        stopping = threading.Event()
        wrong = []

        def work():
            while not stopping.is_set():
                if bitsift.search(large, codes[:2], 3, isa="scalar").ids.tolist() != wanted:
                    wrong.append(1)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()

        def handler(*_):
            stopping.set()
            for thread in threads:
                thread.join()

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        while not stopping.is_set():
            assert bitsift.search(large, codes[:2], 3, isa="scalar").ids.tolist() == wanted
        print(len(wrong))
    """
    assert run(program) == ["0"]


@pytest.mark.slow
def test_a_signal_in_another_thread_of_python_ends_nothing():
    # Python runs handlers in the main thread only, which waits for the other one here.
    program = """
        done = []
        def search():
            done.append(bitsift.search(codes, codes[:3000], 4, isa="scalar").ids[:3].tolist())

        thread = threading.Thread(target=search)
        signal_soon()
        try:
            thread.start()
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            while not done:
                time.sleep(0.01)
        print(done == [expected])
    """
    assert run(program) == ["True"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_child_forked_by_a_handler_amid_a_search_searches():
    program = """
        children = []

        def handler(*_):
            child = os.fork()
            if child == 0:
                check_that_all_works()
                os._exit(7)
            children.append(child)

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        while not children:
            bitsift.search(codes, codes[:3000], 4, isa="scalar")
        print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
        check_that_all_works()
    """
    assert run(program) == ["7"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.parametrize("others", ["", SEARCHING_THREADS], ids=["alone", "beside others"])
@pytest.mark.parametrize(
    "call",
    [
        "bitsift.search(codes, codes[:20_000], 4, threads=2)",
        "bitsift.search(large, codes[:3], 4)",
        "bitsift.knn_graph(codes, 4)",
    ],
)
def test_a_call_ends_in_a_child_that_a_handler_has_forked(call, others):
    # The handler returns in the child, too, which has no other threads.
    program = f"""
        large = make_codes(2_000_000, 96)
        {textwrap.indent(others, "        ").lstrip()}
        children = []

        def handler(*_):
            child = os.fork()
            if child:
                children.append(child)
            else:
                children.append(None)

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            while not children:
                {call}
            ended = 0
        except RuntimeError as error:
            ended = 7 if "forked" in str(error) else 8
        if children == [None]:
            check_that_all_works()
            os._exit(ended)
        assert ended == 0
        print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
        sys.stdout.flush()
        os._exit(0)
    """
    assert run(program) in (["7"], ["0"])
