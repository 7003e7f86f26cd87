# SPDX-License-Identifier: Apache-2.0
"""Levels of this machine, and how one is chosen."""

import os
import subprocess
import sys

import numpy as np
import pytest

import bitsift
from conftest import expected_isas


def test_every_level_of_this_machine_is_there():
    assert bitsift.available_isas() == expected_isas()


def test_default_is_the_best():
    assert bitsift.Index(8).isa == bitsift.available_isas()[-1]


def test_named_level_is_used(isa):
    assert bitsift.Index(8, isa=isa).isa == isa


def test_environment_sets_the_default_only(monkeypatch):
    monkeypatch.setenv("BITSIFT_ISA", "scalar")
    assert bitsift.Index(8).isa == "scalar"
    best = bitsift.available_isas()[-1]
    assert bitsift.Index(8, isa=best).isa == best


def test_environment_is_checked(monkeypatch):
    monkeypatch.setenv("BITSIFT_ISA", "mmx")
    with pytest.raises(ValueError, match=r"BITSIFT_ISA must be one of scalar, .*; got 'mmx'"):
        bitsift.Index(8)


def test_unknown_level():
    with pytest.raises(ValueError, match=r"isa must be one of scalar, .*; got 'sse9'"):
        bitsift.pack(np.zeros((1, 8)), isa="sse9")


def test_level_of_another_processor():
    foreign = "avx2" if "neon" in bitsift.available_isas() else "neon"
    with pytest.raises(bitsift.UnsupportedIsaError, match="does not have; available: scalar"):
        bitsift.Index(8, isa=foreign)


def test_level_of_wrong_type():
    with pytest.raises(TypeError, match="isa must be a string or None; got int"):
        bitsift.Index(8, isa=2)


def test_bad_environment_does_not_break_the_import():
    environment = {**os.environ, "BITSIFT_ISA": "nonsense"}
    subprocess.run([sys.executable, "-c", "import bitsift"], env=environment, check=True)
