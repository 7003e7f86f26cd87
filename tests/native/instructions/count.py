# SPDX-License-Identifier: Apache-2.0
"""Count the instructions of the kernels, without a clock, and compare with the expected counts.

    python tests/native/instructions/count.py build/release/tests/native/counted_work
    python tests/native/instructions/count.py build/release/tests/native/counted_work --update
    python tests/native/instructions/count.py build/release/tests/native/counted_work --self-test

The program is a release build of counted_work.cpp, which lies beside this file. Valgrind's
callgrind counts each work with n and with 2 n rows. The difference, divided by n, is the number of
instructions per row: everything that does not depend on rows cancels out. A figure varies by less
than 0.1 % from run to run.

Exit status: 0, no count is too large; 1, some are; 2, counting failed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

# The levels whose instructions valgrind can emulate.
LEVELS = ("scalar", "avx2")
EXPECTED = Path(__file__).with_name("expected.json")
TOLERANCE = 0.03
# Other compilers unroll and order code differently: only gross changes mean something.
OTHER_COMPILER_TOLERANCE = 0.40
TIMEOUT_S = 300
# The exit status of counted_work if the processor lacks the level.
NOT_AVAILABLE = 3
SELF_TEST_WORK = "pack_float32"

PerRow = dict[str, dict[str, float]]  # level, work


class CannotCount(Exception):
    """Counting failed: there is nothing to compare."""


@dataclass(frozen=True)
class Figures:
    """Instructions per row, and the compiler that built the program."""

    compiler: str
    per_row: PerRow

    @classmethod
    def read(cls, path: Path) -> Figures:
        """Read a file written by write()."""
        try:
            content = json.loads(path.read_text())
            return cls(content["compiler"], content["instructions_per_row"])
        except (OSError, ValueError, KeyError) as error:
            raise CannotCount(f"{path} cannot be read: {error!r}; --update writes it") from error

    def write(self, path: Path) -> None:
        """Write a file that people can read and compare, too."""
        content = {"compiler": self.compiler, "instructions_per_row": self.per_row}
        path.write_text(json.dumps(content, indent=2) + "\n")

    def scaled(self, factor: float) -> Figures:
        """Return figures `factor` times as large."""
        return Figures(
            self.compiler,
            {
                level: {work: factor * count for work, count in works.items()}
                for level, works in self.per_row.items()
            },
        )


def output_of(command: list[str], streams: str) -> str:
    """Run a command and return what it wrote to `streams`: "stdout" or "stderr"."""
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotCount(f"{command[0]} did not run: {error}") from error
    if done.returncode != 0:
        raise CannotCount(
            f"{' '.join(command)} exited with {done.returncode}:\n{done.stderr[-2000:]}"
        )
    return str(getattr(done, streams))


def works_of(binary: Path) -> dict[str, int]:
    """Return the works of the program, and the rows to count each with."""
    lines = output_of([str(binary), "--list"], "stdout").splitlines()
    return {name: int(n_rows) for name, n_rows in (line.split() for line in lines)}


def is_available(binary: Path, level: str, work: str) -> bool:
    """Return whether this processor has the level."""
    command = [str(binary), level, work, "1"]
    return subprocess.run(command, check=False, capture_output=True).returncode != NOT_AVAILABLE


def count(binary: Path, level: str, work: str, n_rows: int) -> int:
    """Return the instructions of one run of the program."""
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    report = output_of([*valgrind, str(binary), level, work, str(n_rows)], "stderr")
    collected = re.search(r"Collected : (\d+)", report)
    if collected is None:
        raise CannotCount(f"no count in the output of valgrind:\n{report[-2000:]}")
    return int(collected[1])


def measure(binary: Path, works: Mapping[str, int], n_jobs: int) -> Figures:
    """Count these works on every level that the processor has."""
    compiler = output_of([str(binary), "--compiler"], "stdout").strip()
    first_work = next(iter(works))
    levels = [level for level in LEVELS if is_available(binary, level, first_work)]
    with ThreadPoolExecutor(n_jobs) as pool:
        counts = {
            (level, work, times): pool.submit(count, binary, level, work, times * n_rows)
            for level in levels
            for work, n_rows in works.items()
            for times in (1, 2)
        }
        per_row: PerRow = {
            level: {
                work: round(
                    (counts[level, work, 2].result() - counts[level, work, 1].result()) / n_rows, 2
                )
                for work, n_rows in works.items()
            }
            for level in levels
        }
    return Figures(compiler, per_row)


def check(counted: Figures, expected: Figures) -> bool:
    """Print a comparison; return whether no count is too large."""
    tolerance = TOLERANCE
    if counted.compiler != expected.compiler:
        tolerance = OTHER_COMPILER_TOLERANCE
        print(
            f"built by {counted.compiler}, expected counts by {expected.compiler}: "
            f"only an increase of more than {tolerance:.0%} fails"
        )
    for level in LEVELS:
        if level not in counted.per_row:
            print(f"not counted: {level}, which this processor does not have")
        elif expected.per_row.get(level, {}).keys() != counted.per_row[level].keys():
            raise CannotCount(f"the works of {level} are not those expected; --update writes them")

    slower = []
    fewer = False
    print(f"{'instructions per row':31}{'expected':>12}{'counted':>12}{'change':>10}")
    for level, works in counted.per_row.items():
        for work, n in works.items():
            wanted = expected.per_row[level][work]
            change = n / wanted - 1
            verdict = ""
            if change > tolerance:
                verdict = "  FAIL"
                slower.append(f"{level} {work} by {change:.1%}")
            elif change < -tolerance:
                verdict = "  fewer"
                fewer = True
            print(f"{level:7} {work:23}{wanted:12.2f}{n:12.2f}{change:+10.1%}{verdict}")
    if fewer:
        print("Fewer than expected: run again with --update to keep the gain in expected.json.")
    if slower:
        print(f"FAIL: more instructions than expected: {', '.join(slower)}")
    return not slower


def self_test(counted: Figures) -> bool:
    """Test that check() fails when it must, and only then; return whether it did."""
    other = Figures("another compiler", counted.per_row)
    cases = [
        ("as expected", counted, counted, True),
        ("10 % more", counted, counted.scaled(1 / 1.10), False),
        ("4 % more", counted, counted.scaled(1 / 1.04), False),
        ("2 % more", counted, counted.scaled(1 / 1.02), True),
        ("10 % fewer", counted, counted.scaled(1 / 0.90), True),
        ("10 % more, another compiler", other, counted.scaled(1 / 1.10), True),
        ("50 % more, another compiler", other, counted.scaled(1 / 1.50), False),
    ]
    all_right = True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "expected.json"
        for name, now, expected, must_pass in cases:
            expected.write(path)
            with contextlib.redirect_stdout(io.StringIO()) as output:
                passes = check(now, Figures.read(path))
            said = output.getvalue()
            right = (
                passes == must_pass
                and ("FAIL" in said) != must_pass
                and ("--update" in said) == ("fewer" in name)
            )
            all_right &= right
            print(f"{name}: {'passes' if passes else 'fails'}, {'right' if right else 'WRONG'}")
            if not right:
                print(said)
    return all_right


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("binary", type=Path, help="counted_work, a release build")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--update", action="store_true", help=f"write {EXPECTED.name}")
    mode.add_argument("--self-test", action="store_true", help="show that the check can fail")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at the same time")
    options = parser.parse_args(arguments)
    try:
        binary = options.binary.resolve()
        works = works_of(binary)
        if options.self_test:
            one_work = {SELF_TEST_WORK: works[SELF_TEST_WORK]}
            return 0 if self_test(measure(binary, one_work, options.jobs)) else 1
        counted = measure(binary, works, options.jobs)
        if options.update:
            missing = set(LEVELS) - counted.per_row.keys()
            if missing:
                raise CannotCount(f"this processor lacks {', '.join(missing)}: update elsewhere")
            counted.write(EXPECTED)
            print(f"wrote {EXPECTED.name}, built by {counted.compiler}")
            return 0
        return 0 if check(counted, Figures.read(EXPECTED)) else 1
    except CannotCount as error:
        print(f"count.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
