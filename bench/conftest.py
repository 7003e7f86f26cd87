# SPDX-License-Identifier: Apache-2.0
"""Options, the data that every question shares, and the table of ratios."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

import bitsift

from . import data, ratio_table
from .contest import FAISS_MISSING, Contest
from .formats import machine
from .peers.libraries import faiss

COMPARISONS = pytest.StashKey[list[ratio_table.Comparison]]()
LOAD = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bench", "bitsift against its peers")
    group.addoption("--quick", action="store_true", help="100,000 rows instead of 1,000,000")
    group.addoption(
        "--threads",
        type=int,
        action="append",
        help="number of threads, may be repeated (default: 1 and all cores)",
    )
    group.addoption("--isa", help="instruction set of bitsift (default: the best)")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[COMPARISONS] = []
    config.stash[LOAD] = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    if any(n < 1 for n in config.getoption("--threads") or ()):
        raise pytest.UsageError("--threads must be at least 1")
    try:
        _isa(config)
    except (ValueError, bitsift.BitsiftError) as error:
        raise pytest.UsageError(f"--isa: {error}") from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "threads" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--threads") or sorted({1, _n_cores()})
        metafunc.parametrize("threads", chosen, ids=lambda n: f"{n}-threads")


def pytest_report_header(config: pytest.Config) -> str:
    versions = f"bitsift {bitsift.__version__} ({_isa(config)}), numpy {np.__version__}"
    peer = FAISS_MISSING if faiss is None else f"faiss-cpu {faiss.__version__}"
    return f"bench: {machine()}, {versions}, {peer}"


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    rows = config.stash[COMPARISONS]
    if not rows:
        return
    terminalreporter.section("bitsift against its peers, interleaved")
    terminalreporter.write_line(pytest_report_header(config))
    terminalreporter.write_line(
        "Median times of a call, median over the rounds of their ratio. "
        f"Load of the machine before the run: {config.stash[LOAD]}."
    )
    terminalreporter.write_line("")
    for line in ratio_table.lines(ratio_table.by_question(rows)):
        missing = FAISS_MISSING in line
        terminalreporter.write_line(line, red=missing, bold=missing)
    if faiss is None:
        terminalreporter.write_line(
            f"{FAISS_MISSING}: nothing above compares bitsift with FAISS. "
            "Install the extra: pip install '.[bench]'",
            red=True,
            bold=True,
        )


@pytest.fixture
def contest(request: pytest.FixtureRequest, benchmark: BenchmarkFixture, *, quick: bool) -> Contest:
    threads = request.getfixturevalue("threads") if "threads" in request.fixturenames else 1
    if faiss is not None:
        faiss.omp_set_num_threads(threads)
    return Contest(benchmark, request.config.stash[COMPARISONS], 0.3 if quick else 1.5, threads)


@pytest.fixture(scope="session")
def quick(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--quick"))


@pytest.fixture(scope="session")
def isa(pytestconfig: pytest.Config) -> str:
    return _isa(pytestconfig)


@pytest.fixture(scope="session")
def n_rows(*, quick: bool) -> int:
    return 100_000 if quick else 1_000_000


@pytest.fixture(scope="session")
def codes(n_rows: int) -> NDArray[np.uint8]:
    return data.random_codes(n_rows)


@pytest.fixture(scope="session")
def query_codes() -> NDArray[np.uint8]:
    return data.random_query_codes()


@pytest.fixture(scope="session")
def vectors(n_rows: int) -> NDArray[np.float32]:
    return data.random_vectors(n_rows)


@pytest.fixture(scope="session")
def vectors16(vectors: NDArray[np.float32]) -> NDArray[np.float16]:
    return data.in_float16(vectors)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder that is gone afterwards: pytest would keep gigabytes of three runs."""
    with tempfile.TemporaryDirectory(prefix="bitsift-bench-") as name:
        yield Path(name)


def _isa(config: pytest.Config) -> str:
    return bitsift.Index(1, isa=config.getoption("--isa")).isa


def _n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
