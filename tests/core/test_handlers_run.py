# SPDX-License-Identifier: Apache-2.0
"""Signal handlers run again and again during one conversion, and end it by raising.

A handler that must wait for one long NumPy call runs a few times in a whole call, however long.
"""

import subprocess
import sys

import pytest

SETUP = """
import faulthandler, signal, sys
import numpy as np
import bitsift

faulthandler.dump_traceback_later(100, exit=True)
random = np.random.default_rng(0)
N_RUNS = 12  # more than a call has NumPy calls


class Stop(BaseException):
    pass


class Handler:
    n_runs = 0

    def __call__(self, number, frame):
        self.n_runs += 1
        if self.n_runs == N_RUNS:
            raise Stop


def codes(n, n_bytes=96):
    return random.integers(0, 256, (n, n_bytes), dtype=np.uint8)


def bits(n):
    return np.unpackbits(codes(n), axis=1)


def ends(call):
    handler = Handler()
    signal.signal(signal.SIGALRM, handler)
    for _ in range(5):
        handler.n_runs = 0
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        try:
            call()
        except Stop:
            return True
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return False
"""

# What is made first, and a call.
CALLS = {
    "unpack": ("x = codes(1_000_000)", "bitsift.unpack(x, 768)"),
    "from bits": ("x = codes(1_000_000)", "bitsift.from_codes(x, 'bits')"),
    "from signs": ("x = codes(1_000_000)", "bitsift.from_codes(x, 'signs')"),
    "from binary": ("x = codes(4_000_000)", "bitsift.from_codes(x, 'binary')"),
    "from vespa": ("x = codes(4_000_000)", "bitsift.from_codes(x, 'vespa')"),
    "from sqlite-vec": ("x = codes(2_000_000)", "bitsift.from_codes(x, 'sqlite-vec')"),
    "to bits": ("x = bits(1_000_000)", "bitsift.to_codes(x, 'bits')"),
    "to signs": ("x = bits(1_000_000).view('int8') * 2 - 1", "bitsift.to_codes(x, 'signs')"),
    "to binary": ("x = codes(4_000_000).view('int8')", "bitsift.to_codes(x, 'binary')"),
    "to sqlite-vec": ("x = codes(2_000_000)", "bitsift.to_codes(x, 'sqlite-vec')"),
    "wide integers": ("x = codes(1_000_000).astype(int)", "bitsift.to_codes(x, 'ubinary')"),
    "int8": (
        "x = codes(4_000_000).view('int8')",
        "bitsift.codes_from_int8(x, convention='offset')",
    ),
    "list of arrays": (
        "x = list(random.standard_normal((20_000, 4096), dtype=np.float32))",
        """try:
            bitsift.unpack(x, 8)
        except TypeError:  # they are floats, which the list had to be read for
            pass""",
    ),
    "list of lists": (
        "x = [[0.5, -0.5] * 2048] * 10_000",
        """try:
            bitsift.unpack(x, 8)
        except TypeError:  # they are floats, which the list had to be read for
            pass""",
    ),
    "list of integers": (
        "x = list(range(3_000_000)); some = np.empty((0, 1), np.uint8)",
        """try:
            bitsift.Index(8, store=None).add(some, ids=x)
        except ValueError:
            pass""",
    ),
    "response": (
        "x = {'embeddings': {'binary': (codes(200_000).view('int8')).tolist()}}",
        "bitsift.codes_from_response(x)",
    ),
    "base64": (
        """import base64
x = {'data': [{'index': i, 'embedding': base64.b64encode(row).decode()}
              for i, row in enumerate(codes(200_000))]}""",
        "bitsift.codes_from_response(x, 'ubinary', dim=768)",
    ),
}


def check(name):
    prepare, call = CALLS[name]
    program = f"""{SETUP}
{prepare}


def call():
        {call}


print(ends(call))
some = codes(100)
assert (bitsift.to_codes(bitsift.from_codes(some, "signs"), "signs") == some).all()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=150, check=False
    )
    assert (ended.returncode, ended.stderr, ended.stdout.split()) == (0, "", ["True"])


def test_handlers_run_and_end_a_conversion():
    check("unpack")


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_handlers_run_and_end_every_conversion(name):
    check(name)
