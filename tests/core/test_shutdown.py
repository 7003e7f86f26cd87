# SPDX-License-Identifier: Apache-2.0
"""The end of the process, and interpreters beside the main one."""

import subprocess
import sys

import pytest

SETUP = """
import atexit, threading, time
import numpy as np
import bitsift

codes = np.random.default_rng(0).integers(0, 256, (100_000, 96), dtype=np.uint8)


def for_ever(work):
    while True:
        work()


def start(work, n=4):
    for _ in range(n):
        threading.Thread(target=for_ever, args=(work,), daemon=True).start()
    time.sleep(0.3)
"""


def run(program, *options):
    ended = subprocess.run(
        [sys.executable, *options, "-c", program],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


# Threads are elsewhere in their work each time that a process ends.
quick_or_often = pytest.mark.parametrize("n_ends", [1, pytest.param(5, marks=pytest.mark.slow)])


@quick_or_often
@pytest.mark.parametrize(
    "progress",
    [
        "report",
        *(
            pytest.param(progress, marks=pytest.mark.slow)
            for progress in ("None", "lambda part: None", "print")
        ),
    ],
)
def test_daemon_threads_make_graphs_at_exit(progress, n_ends):
    # Progress calls Python, and bitsift again: the interpreter ends threads inside it.
    program = f"""
def report(part):
    total = sum(range(3_000))
    bitsift.search(codes[:100], codes[:2], 1)

start(lambda: bitsift.knn_graph(codes, 2, isa="scalar", progress={progress}))
"""
    for _ in range(n_ends):
        run(SETUP + program)


@quick_or_often
def test_daemon_threads_share_scans_at_exit_and_callbacks_search(n_ends):
    program = """
def last_search():
    print(bitsift.search(codes, codes[:2], 1).ids.tolist())

class Late:
    def __del__(self):
        bitsift.search(codes, codes[:2], 1)

late = Late()
atexit.register(last_search)
start(lambda: bitsift.search(codes, codes[:2], 1))
"""
    for _ in range(n_ends):
        assert run(SETUP + program) == ["[[0], [1]]"]


@pytest.mark.slow
def test_the_thread_that_imported_bitsift_is_a_daemon_that_searches_at_exit():
    # It asks for the GIL while it scans: it may run signal handlers.
    program = """
import threading, time

def work():
    import numpy as np
    import bitsift

    codes = np.random.default_rng(0).integers(0, 256, (100_000, 96), dtype=np.uint8)
    started.set()
    bitsift.search(codes, np.repeat(codes, 10, axis=0), 10, isa="scalar")

started = threading.Event()
threading.Thread(target=work, daemon=True).start()
started.wait()
time.sleep(0.3)
"""
    run(program)


@pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="the module of interpreters has another interface"
)
def test_a_subinterpreter_is_refused_and_the_main_one_is_not():
    program = """
import warnings
import _xxsubinterpreters as interpreters

warnings.simplefilter("ignore")

def import_elsewhere():
    other = interpreters.create()
    try:
        interpreters.run_string(other, "import bitsift")
    except Exception as error:
        print(error)
    finally:
        interpreters.destroy(other)

import_elsewhere()
import_elsewhere()
import numpy as np
import bitsift
codes = np.zeros((3, 8), np.uint8)
print(bitsift.search(codes, codes, 1).ids[:, 0].tolist())
import_elsewhere()
print(bitsift.search(codes, codes, 1).ids[:, 0].tolist())
"""
    refused = "bitsift must be imported in the main interpreter; got a subinterpreter"
    first, second, found, third, found_again = run(program)
    for line in (first, second, third):
        assert refused in line
    assert found == found_again == "[0, 0, 0]"
