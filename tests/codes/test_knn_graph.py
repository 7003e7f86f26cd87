# SPDX-License-Identifier: Apache-2.0
"""The nearest other rows of every row, equal to the oracle bit for bit."""

import signal
import threading
from functools import cache

import numpy as np
import pytest

import bitsift
from helpers.float_environments import control, environment
from oracle import reference

# A block has 512 rows: no block, one, its edges, several.
SIZES = [0, 1, 2, 3, 17, 255, 257, 511, 512, 513, 1100]


def assert_equals_oracle(result, expected):
    np.testing.assert_array_equal(result.scores, expected[0])
    np.testing.assert_array_equal(result.ids, expected[1])
    assert result.scores.dtype == np.int32
    assert result.ids.dtype == np.int64


@cache
def codes_and_neighbours(n, n_bytes, values):
    """Random codes and their nearest others by the oracle: the same on every level."""
    codes = np.random.default_rng([n, n_bytes]).integers(0, values, (n, n_bytes), dtype=np.uint8)
    return codes, reference.knn_graph(codes, 303)


# A number of threads, or several, to find each k with.
EVERY_THREADS = [(1, 2, 7)] * 5
SOME_THREADS = [(2,), (1, 7), (1,), (2,), (7,)]


@pytest.mark.parametrize(
    "threads",
    [SOME_THREADS, pytest.param(EVERY_THREADS, marks=pytest.mark.slow)],
    ids=["some", "every"],
)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("n_bytes", "values"), [(1, 2), (12, 256), (33, 4)])
def test_every_row(isa, n, n_bytes, values, threads):
    codes, (scores, ids) = codes_and_neighbours(n, n_bytes, values)
    sizes = (0, 1, 10, min(n, 300), n + 3 if n < 300 else 11)
    for k, with_threads in zip(sizes, threads, strict=True):
        for n_threads in with_threads:
            result = bitsift.knn_graph(codes, k, isa=isa, threads=n_threads)
            assert_equals_oracle(result, (scores[:, :k], ids[:, :k]))


def test_equal_rows_are_neighbours_a_row_itself_is_not(isa):
    codes = np.zeros((600, 5), np.uint8)
    result = bitsift.knn_graph(codes, 3, isa=isa)
    assert (result.scores == 0).all()
    assert result.ids[0].tolist() == [1, 2, 3]
    assert result.ids[2].tolist() == [0, 1, 3]
    assert (result.ids[3:] == [0, 1, 2]).all()


def test_longest_codes(isa, rng):
    codes = rng.integers(0, 256, (40, 8192), dtype=np.uint8)
    codes[7] = ~codes[9]  # the largest distance there is
    assert_equals_oracle(bitsift.knn_graph(codes, 39, isa=isa), reference.knn_graph(codes, 39))


def test_views_of_any_stride(rng):
    memory = rng.integers(0, 256, (700, 30), dtype=np.uint8)
    for view in (memory[:, 3:20], memory[::-2], memory[::3, :7]):
        expected = reference.knn_graph(np.ascontiguousarray(view), 4)
        assert_equals_oracle(bitsift.knn_graph(view, 4), expected)


def test_progress_is_reported_in_this_thread_and_grows(rng):
    codes = rng.integers(0, 256, (16_000, 96), dtype=np.uint8)
    reported = []
    threads = set()

    def progress(done):
        reported.append(done)
        threads.add(threading.get_ident())

    bitsift.knn_graph(codes, 5, isa="scalar", progress=progress)
    assert reported
    assert threads == {threading.get_ident()}
    assert (np.diff(reported) >= 0).all()
    assert 0 < reported[0] <= reported[-1] <= 1


def test_progress_runs_in_the_floating_point_environment_of_its_caller(rng):
    codes = rng.integers(0, 256, (16_000, 96), dtype=np.uint8)
    seen = []
    with environment("upward"):
        expected = control()
        bitsift.knn_graph(codes, 5, isa="scalar", progress=lambda done: seen.append(control()))
        left = control()
    assert seen
    assert {*seen, left} == {expected} != {control()}


def test_an_error_of_the_progress_function_ends_the_work(rng):
    codes = rng.integers(0, 256, (20_000, 96), dtype=np.uint8)

    class Enough(Exception):
        pass

    def stop(done):
        raise Enough

    for threads in (1, 3):
        with pytest.raises(Enough):
            bitsift.knn_graph(codes, 5, isa="scalar", threads=threads, progress=stop)
    # The next call is not disturbed.
    few = codes[:300]
    assert_equals_oracle(bitsift.knn_graph(few, 5), reference.knn_graph(few, 5))


@pytest.mark.usefixtures("no_collection")
def test_an_interrupt_ends_the_work(rng):
    codes = rng.integers(0, 256, (100_000, 96), dtype=np.uint8)
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        bitsift.knn_graph(codes, 5, isa="scalar")
    timer.join()


def test_bad_input(rng):
    codes = rng.integers(0, 256, (5, 6), dtype=np.uint8)
    with pytest.raises(TypeError, match=r"codes must be packed bits \(uint8\); got float64"):
        bitsift.knn_graph(codes * 1.0, 2)
    with pytest.raises(ValueError, match=r"codes must have shape \(n, n_bytes\); got shape \(6,\)"):
        bitsift.knn_graph(codes[0], 2)
    with pytest.raises(ValueError, match="k must be 0 to 2147483647; got -1"):
        bitsift.knn_graph(codes, -1)
    with pytest.raises(TypeError, match="progress must be callable or None; got str"):
        bitsift.knn_graph(codes, 1, progress="yes")
