# SPDX-License-Identifier: Apache-2.0
"""One writer and many readers of an index on disk, for minutes: no wrong answer, nothing grows.

``python -m bench.soak [--minutes 10]``. A writer adds, removes, commits, compacts and rolls back.
Each reader process has two threads, which refresh and search. The vector of an id is made from the
id, so a reader knows the answer: the nearest of the live ids of its generation, by NumPy. A commit
adds and removes whole groups of ids, so a reader knows a torn generation, too. The exit code is 1
if an answer was wrong, or if memory or descriptors grew.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import bitsift

_DIM = 128
_GROUP = 500  # ids that are added and removed together
_LIVE_GROUPS = 40, 80  # the writer keeps between so many
_GROUPS = 1 << 14  # ids come again after so many groups
_K = 10
# By how much memory may grow after the first third, in which caches fill.
_MOST_GROWTH = 1.1
_MOST_GROWTH_BYTES = 16 << 20
_SECONDS_BETWEEN_LOOKS = 1.0


def codes_of(ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Make the code of each id: bytes of multiples of it that look random."""
    mixed = ids[:, None].astype(np.uint64) * np.array(
        [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64
    )
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return mixed.view(np.uint8)


def ids_of(group: int) -> NDArray[np.int64]:
    """Return the ids of a group."""
    return np.arange(_GROUP, dtype=np.int64) + group * _GROUP


def check(index: bitsift.Index, rng: np.random.Generator) -> str | None:
    """Search for a few random codes; return what is wrong."""
    ids = np.sort(index.ids)
    if len(ids) % _GROUP or (ids[::_GROUP] % _GROUP).any():
        return f"{len(ids)} ids are no whole groups"
    queries = rng.integers(0, 256, (3, _DIM // 8), np.uint8)
    found = index.search(queries, _K)
    distances = np.bitwise_count(codes_of(ids)[None] ^ queries[:, None]).sum(axis=2, dtype=np.int64)
    for i, row in enumerate(distances):
        nearest = np.lexsort((ids, row))[:_K]
        if found.ids[i].tolist() != ids[nearest].tolist():
            return f"found {found.ids[i].tolist()}, expected {ids[nearest].tolist()}"
        if found.scores[i].tolist() != row[nearest].tolist():
            return f"scores {found.scores[i].tolist()}, expected {row[nearest].tolist()}"
    return None


@dataclass
class Report:
    """What a process did.

    Attributes
    ----------
    counts : dict of str to int
        How often it did each thing.
    wrong : list of str
        What was wrong.
    usage : list of (float, int, int)
        The share of the time, bytes of memory that are its alone, and descriptors.
    """

    counts: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    usage: list[tuple[float, int, int]] = field(default_factory=list)

    def count(self, what: str) -> None:
        """Count one thing; each thing is counted by one thread."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def watch(self, seconds: float) -> None:
        """Note memory and descriptors for so long."""
        begin = time.monotonic()
        while (passed := time.monotonic() - begin) < seconds and not self.wrong:
            lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
            private = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
            n_descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
            self.usage.append((passed / seconds, private << 10, n_descriptors))
            time.sleep(min(_SECONDS_BETWEEN_LOOKS, seconds / 10))

    def growth(self) -> list[str]:
        """Say what grew after the first third."""
        early = [used for used in self.usage if 1 / 3 <= used[0] < 2 / 3]
        late = [used for used in self.usage if used[0] >= 2 / 3]
        if not early or not late:
            return []
        found = []
        before, after = (max(used[1] for used in part) for part in (early, late))
        if after > max(before * _MOST_GROWTH, before + _MOST_GROWTH_BYTES):
            found.append(f"memory grew from {before >> 20} to {after >> 20} MiB")
        before, after = (min(used[2] for used in part) for part in (early, late))
        if after > before:  # the fewest: each opening has some for a moment
            found.append(f"descriptors grew from {before} to {after}")
        return found


def write(path: Path, seconds: float) -> Report:
    """Change the index for so long."""
    report = Report()
    watching = threading.Thread(target=report.watch, args=(seconds,))
    watching.start()
    rng = np.random.default_rng(0)
    end = time.monotonic() + seconds
    live: list[int] = []
    following = 0
    with bitsift.Index.open(path, "a") as index:
        while time.monotonic() < end:
            before = list(live), following
            for _ in range(rng.integers(1, 4)):
                many, few = len(live) >= _LIVE_GROUPS[1], len(live) <= _LIVE_GROUPS[0]
                if many or (not few and rng.random() < 0.5):
                    index.remove(ids_of(live.pop(rng.integers(len(live)))))
                else:
                    index.add(codes_of(ids_of(following)), ids_of(following))
                    live.append(following)
                    following = (following + 1) % _GROUPS
            if rng.random() < 0.1:
                index.rollback()
                live, following = before
                report.count("rollbacks")
            else:
                index.commit()
                report.count("commits")
            if rng.random() < 0.02:
                index.compact()
                report.count("compactions")
            if len(index) != _GROUP * len(live):
                report.wrong.append(f"the writer has {len(index)} vectors")
                break
    watching.join()
    return report


def read(path: Path, seconds: float, seed: int) -> Report:
    """Search with two threads for so long."""
    report = Report()
    threads = [
        threading.Thread(target=_search, args=(path, seconds, 2 * seed + i, report))
        for i in range(2)
    ]
    for thread in threads:
        thread.start()
    report.watch(seconds)
    for thread in threads:
        thread.join()
    return report


def _search(path: Path, seconds: float, seed: int, report: Report) -> None:
    """Refresh, search and check; open anew now and then."""
    rng = np.random.default_rng(seed)
    index = bitsift.Index.open(path)
    end = time.monotonic() + seconds
    while time.monotonic() < end and not report.wrong:
        if rng.random() < 0.05:
            index = bitsift.Index.open(path)
        elif rng.random() < 0.5 and index.refresh():
            report.count(f"refreshes by thread {seed % 2}")
        problem = check(index, rng)
        if problem is not None:
            report.wrong.append(f"generation {index.generation}: {problem}")
        report.count(f"searches by thread {seed % 2}")


def main() -> int:
    """Run all processes; 0 if nothing was wrong and nothing grew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--readers", type=int, default=4, help="processes of two threads each")
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        with bitsift.Index.open(path, "w-", dim=_DIM, store=None, scoring="hamming") as index:
            index.commit()
        with multiprocessing.get_context("spawn").Pool(1 + arguments.readers) as pool:
            jobs = {"writer": pool.apply_async(write, (path, seconds))}
            for i in range(arguments.readers):
                jobs[f"reader {i}"] = pool.apply_async(read, (path, seconds, i))
            reports = {name: job.get() for name, job in jobs.items()}
        n_files = len(list(path.iterdir()))
    n_wrong = 0
    for name, report in reports.items():
        counts = ", ".join(f"{n:,} {what}" for what, n in sorted(report.counts.items()))
        most = max(used[1] for used in report.usage) >> 20
        print(f"{name}: {counts}; at most {most} MiB, {report.usage[-1][2]} descriptors")
        for problem in (*report.wrong, *report.growth()):
            print(f"{name}: {problem}")
            n_wrong += 1
    print(f"{n_files} files in the folder; {n_wrong} faults in {arguments.minutes:g} minutes")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
