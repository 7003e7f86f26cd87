# SPDX-License-Identifier: Apache-2.0
"""Fixtures of all tests: the instruction sets under test, seeded random data, fast saves."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

import bitsift
from helpers.pairs import mark_others_slow

FSYNC = os.fsync
# A shell's background job ignores Ctrl-C, and so would its children; some tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
AVX2_FLAGS = {"avx2", "f16c"}
AVX512_FLAGS = AVX2_FLAGS | {
    "avx512f",
    "avx512bw",
    "avx512dq",
    "avx512vl",
    "avx512_vpopcntdq",
    "avx512vbmi",
    "avx512_vnni",
}
AMX_FLAGS = AVX512_FLAGS | {"amx_tile", "amx_int8"}


@pytest.fixture(scope="module")
def fits_at_once():
    """Let indexes fit themselves to the first vectors, however few, as others do to a thousand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bitsift.index.fitting.LEAST_ROWS_FITTED", 1)
        yield


@pytest.fixture(scope="module", params=["fits", pytest.param("waits", marks=pytest.mark.slow)])
def fits_or_waits(request):
    """Let indexes fit themselves to the first vectors, or, with few of them, wait."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "fits":
            patch.setattr("bitsift.index.fitting.LEAST_ROWS_FITTED", 1)
        yield request.param


def tiles_granted() -> bool:
    """Ask the operating system for AMX and say whether this process may use it."""
    arch_prctl, request_permission, tile_data = 158, 0x1023, 18
    return ctypes.CDLL(None).syscall(arch_prctl, request_permission, tile_data) == 0


def expected_isas() -> list[str]:
    """Levels that the library must offer here, found without the library."""
    if platform.machine() in ("aarch64", "arm64"):
        return ["scalar", "neon"]
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return bitsift.available_isas()
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    flags = set(next(line for line in lines if line.startswith("flags")).split())
    levels = ["scalar"]
    if flags >= AVX2_FLAGS:
        levels.append("avx2")
    if flags >= AVX512_FLAGS:
        levels.append("avx512")
    if flags >= AMX_FLAGS and tiles_granted():
        levels.append("amx")
    return levels


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the option
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run all tests on all cores, and those that somebody names one by one."""
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if is_whole and config.option.numprocesses is None and not hasattr(config, "workerinput"):
        config.option.numprocesses = "auto"


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items) -> None:
    mark_others_slow(items)


def pytest_collection_finish() -> None:
    """Let no collection of garbage walk through the thousands of tests again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=expected_isas())
def isa(request) -> str:
    """Each level that this machine has; a test fails at one that the library lacks."""
    return request.param


@pytest.fixture
def rng(request) -> np.random.Generator:
    """Random numbers that depend on the test's name alone."""
    return np.random.default_rng(list(request.node.name.encode()))


@pytest.fixture(scope="session", autouse=True)
def _surroundings():
    """The default level, and fast saves: files need not outlive the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("BITSIFT_ISA", raising=False)
        patch.setattr(os, "fsync", lambda fd: None)
        yield


@pytest.fixture
def no_collection():
    """No garbage is collected: Python drops what a handler raises in a callback of the collector.

    Hypothesis has such a callback.
    """
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def real_fsync(monkeypatch):
    """Let saves wait for the disk, as they do outside of tests."""
    monkeypatch.setattr(os, "fsync", FSYNC)
