# SPDX-License-Identifier: Apache-2.0
"""``bitsift plan``: the library's plan, as text and as JSON."""

from __future__ import annotations

import pytest

import bitsift
from helpers.cli_runner import check_failure, run, run_json

SIZE = ("--vectors", "250e6", "--dim", 768)


def test_it_prints_the_plan() -> None:
    planned = bitsift.plan(250e6, 768, price=3.8, bandwidth=20)
    result = run("plan", *SIZE, "--price", "3.8", "--bandwidth", 20)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{planned}\n"
    shown = run_json("plan", *SIZE, "--bandwidth", 20)
    assert shown == planned.to_dict()


def test_it_measures_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def measure(threads: int) -> float:
        asked.append(threads)
        return 5e9

    monkeypatch.setattr("bitsift.evaluation.planning.measure_bandwidth", measure)
    shown = run_json("plan", *SIZE, "--threads", 1)
    assert (asked, shown["bandwidth"], shown["measured"]) == ([1], 5, True)
    # A wrong argument is told before anything is measured.
    check_failure(["plan", "--vectors", 2.5, "--dim", 8], "ValueError", ["--vectors must be a wh"])
    check_failure(["plan", *SIZE, "--threads", 5000], "ValueError", ["--threads must be 0 to"])
    check_failure(["plan", *SIZE, "--price", -1], "ValueError", ["--price must be from 0 to"])
    check_failure(["plan", *SIZE, "--bandwidth", 0], "ValueError", ["--bandwidth must be from"])
    assert asked == [1]


def test_threads_that_measure_nothing() -> None:
    result = run("plan", *SIZE, "--bandwidth", 20, "--threads", 2)
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: --threads 2 does nothing: nothing is measured, as the bandwidth is given\n"
    )


@pytest.mark.parametrize("words", [[], ["--dim", "8"], ["--vectors", "many", "--dim", "8"]])
def test_what_must_be_given(words: list[str]) -> None:
    assert run("plan", *words).exit_code == 2
