# SPDX-License-Identifier: Apache-2.0
"""Which segments a commit merges."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from bitsift.index.drafts import merged


def class_of(count: int) -> int:
    size = 0
    while 4 ** (size + 1) <= count:
        size += 1
    return size


@given(st.lists(st.integers(1, 10_000), max_size=60))
def test_few_segments_are_left_and_none_grows_along_the_index(counts: list[int]) -> None:
    groups = merged(counts)
    assert sum(groups) == len(counts)
    ends = [0, *accumulate(groups)]
    classes = [class_of(sum(counts[begin:end])) for begin, end in pairwise(ends)]
    assert classes == sorted(classes, reverse=True)
    assert all(classes.count(size) <= 8 for size in classes)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=300))
def test_a_row_is_written_about_once_a_class(commits: list[int]) -> None:
    segments: list[int] = []
    n_written = 0
    for count in commits:
        segments.append(count)
        groups, begin, after = merged(segments), 0, []
        for n in groups:
            after.append(sum(segments[begin : begin + n]))
            if n > 1 or begin + n == len(segments):
                n_written += after[-1]
            begin += n
        segments = after
    assert n_written <= sum(commits) * (class_of(sum(commits)) + 3)


def test_commits_of_one_row() -> None:
    segments: list[int] = []
    for _ in range(1000):
        segments.append(1)
        groups, begin, after = merged(segments), 0, []
        for n in groups:
            after.append(sum(segments[begin : begin + n]))
            begin += n
        segments = after
        assert len(segments) <= 8 * (class_of(sum(segments)) + 1)
    assert sum(segments) == 1000
