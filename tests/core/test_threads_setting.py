# SPDX-License-Identifier: Apache-2.0
"""The number of threads of a process: the setting, the environment variable, affinity, quotas."""

import os
import subprocess
import sys

import numpy as np
import pytest

import bitsift
import bitsift.core.native as native
from bitsift.core.cpu_quota import cpu_quota

REPORT = "import bitsift; print(bitsift.available_threads())"


@pytest.fixture
def setting():
    """Give back the numbers of threads that a test changes."""
    before = bitsift.available_threads()
    yield
    native.limit_default_threads(0)
    bitsift.set_num_threads(0)
    if bitsift.available_threads() != before:
        bitsift.set_num_threads(before)


def report(code=REPORT, variable=None):
    environment = {name: value for name, value in os.environ.items() if "BITSIFT_NUM" not in name}
    if variable is not None:
        environment["BITSIFT_NUM_THREADS"] = variable
    command = [sys.executable, "-W", "always", "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def slowly(said):
    """Leave a value to the slow run: each takes two processes."""
    return pytest.param(said, marks=pytest.mark.slow)


@pytest.mark.usefixtures("setting")
class TestSetNumThreads:
    def test_the_number_is_that_of_calls_that_say_none(self):
        bitsift.set_num_threads(3)
        assert bitsift.available_threads() == 3
        bitsift.set_num_threads(np.int64(1))
        assert bitsift.available_threads() == 1

    def test_0_takes_it_back(self):
        bitsift.set_num_threads(0)
        by_itself = bitsift.available_threads()
        bitsift.set_num_threads(by_itself + 5)
        bitsift.set_num_threads(0)
        assert bitsift.available_threads() == by_itself

    def test_more_than_there_are_processors(self):
        bitsift.set_num_threads(1024)
        assert bitsift.available_threads() == 1024

    def test_results_are_the_same(self):
        codes = np.random.default_rng(0).integers(0, 256, (70_000, 16), np.uint8)
        found = []
        for n in (1, 2, 5):
            bitsift.set_num_threads(n)
            found.append(bitsift.search(codes, codes[:3], 7))
        for other in found[1:]:
            np.testing.assert_array_equal(found[0].ids, other.ids)
            np.testing.assert_array_equal(found[0].scores, other.scores)

    @pytest.mark.parametrize(
        ("n", "error", "words"),
        [
            (-1, ValueError, "n must be 0 to 1024; got -1"),
            (1025, ValueError, "n must be 0 to 1024; got 1025"),
            (2.0, TypeError, "n must be an integer; got"),
            ("2", TypeError, "n must be an integer; got"),
            (None, TypeError, "n must be an integer; got"),
            (True, TypeError, "n must be an integer; got"),
        ],
    )
    def test_what_is_no_number_of_threads_is_refused(self, n, error, words):
        before = bitsift.available_threads()
        with pytest.raises(error, match=words):
            bitsift.set_num_threads(n)
        assert bitsift.available_threads() == before

    def test_a_forked_child_keeps_it(self):
        bitsift.set_num_threads(7)
        child = os.fork()
        if child == 0:
            os._exit(bitsift.available_threads())
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


class TestEnvironmentVariable:
    @pytest.mark.parametrize("said", [*map(slowly, ["1", "7"]), " 1024 "])
    def test_it_is_the_number(self, said):
        done = report(variable=said)
        assert (done.stdout.strip(), done.stderr) == (said.strip(), "")

    @pytest.mark.parametrize(
        "said",
        ["0", *map(slowly, ["-1", "1025", "two", "1.5", "9" * 5000, "\u0664"]), "\x1b[2J"],
    )
    def test_what_is_none_is_named_and_not_used(self, said):
        done = report(variable=said)
        assert done.stdout == report().stdout
        assert "BITSIFT_NUM_THREADS must be an integer from 1 to 1024; got " in done.stderr
        assert "\x1b" not in done.stderr

    @pytest.mark.parametrize("said", [slowly(""), " "])
    def test_an_empty_one_is_as_none(self, said):
        done = report(variable=said)
        assert (done.stdout, done.stderr) == (report().stdout, "")

    def test_set_num_threads_takes_its_place(self):
        code = "import bitsift; bitsift.set_num_threads(2); print(bitsift.available_threads())"
        assert report(code, variable="9").stdout.strip() == "2"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_the_affinity_is_followed():
    code = (
        "import os, bitsift; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "print(bitsift.available_threads())"
    )
    assert report(code).stdout.strip() == "1"


@pytest.mark.usefixtures("setting")
def test_the_quota_is_a_limit_of_what_is_not_set():
    bitsift.set_num_threads(0)
    native.limit_default_threads(1)
    assert bitsift.available_threads() == 1
    bitsift.set_num_threads(4)
    assert bitsift.available_threads() == 4


class Groups:
    """A made folder of a process, and control groups."""

    def __init__(self, folder):
        self.proc = folder / "proc"
        self.top = folder / "sys fs"
        self.proc.mkdir()
        self.top.mkdir()

    def process(self, cgroup, *mounts):
        (self.proc / "cgroup").write_text(cgroup)
        lines = []
        for root, name, kind, options in mounts:
            point = str(self.top / name).replace(" ", r"\040")
            lines.append(f"31 23 0:26 {root} {point} rw shared:9 - {kind} none {options}\n")
        (self.proc / "mountinfo").write_text("".join(lines))

    def write(self, name, text):
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def quota(self):
        return cpu_quota(str(self.proc))


@pytest.fixture
def groups(tmp_path):
    return Groups(tmp_path)


class TestCpuQuota:
    @pytest.mark.parametrize(
        ("text", "quota"),
        [
            ("200000 100000\n", 2),
            ("150000 100000\n", 2),
            ("1000 100000\n", 1),
            ("max 100000\n", None),
            ("0 100000\n", None),
            ("100000 0\n", None),
            ("100000\n", None),
            ("", None),
            ("a b\n", None),
        ],
    )
    def test_version_2(self, groups, text, quota):
        groups.process("0::/a/b\n", ("/", "", "cgroup2", "rw"))
        groups.write("a/b/cpu.max", text)
        assert groups.quota() == quota

    def test_the_smallest_of_the_groups_around_it(self, groups):
        groups.process("0::/a/b/c\n", ("/", "", "cgroup2", "rw"))
        groups.write("a/b/c/cpu.max", "800000 100000")
        groups.write("a/b/cpu.max", "max 100000")
        groups.write("a/cpu.max", "300000 100000")
        assert groups.quota() == 3

    @pytest.mark.parametrize(("quota", "n"), [("250000", 3), ("-1", None)])
    def test_version_1(self, groups, quota, n):
        groups.process(
            "3:memory:/x\n4:cpu,cpuacct:/a\n0::/\n",
            ("/", "memory", "cgroup", "rw,memory"),
            ("/", "cpu", "cgroup", "rw,cpu,cpuacct"),
            ("/", "unified", "cgroup2", "rw"),
        )
        groups.write("cpu/a/cpu.cfs_quota_us", f"{quota}\n")
        groups.write("cpu/a/cpu.cfs_period_us", "100000\n")
        groups.write("memory/x/cpu.cfs_quota_us", "100000\n")
        assert groups.quota() == n

    def test_a_container_whose_mount_begins_at_its_own_group(self, groups):
        groups.process("4:cpu:/docker/1234\n", ("/docker/1234", "cpu", "cgroup", "rw,cpu"))
        groups.write("cpu/cpu.cfs_quota_us", "400000\n")
        groups.write("cpu/cpu.cfs_period_us", "100000\n")
        assert groups.quota() == 4

    @pytest.mark.parametrize("path", ["/../outside", "/docker/1234"])
    def test_a_path_that_the_mount_does_not_show(self, groups, path):
        groups.process(f"0::{path}\n", ("/other", "", "cgroup2", "rw"))
        groups.write("cpu.max", "500000 100000")
        assert groups.quota() == 5

    @pytest.mark.parametrize("mountinfo", ["", "\n", "nonsense\n", "a - \n", "1 2 3 4 - cgroup2\n"])
    def test_what_cannot_be_read_is_no_quota(self, groups, mountinfo):
        assert groups.quota() is None
        groups.process("nonsense\n\n0::\n")
        (groups.proc / "mountinfo").write_text(mountinfo)
        assert groups.quota() is None

    def test_this_process_has_one_or_none(self):
        quota = cpu_quota()
        assert quota is None or quota >= 1
        assert cpu_quota("/proc/self/none") is None
