# SPDX-License-Identifier: Apache-2.0
"""The rule of candidates by position, in NumPy: one list, of which every page is a slice."""

from __future__ import annotations

import numpy as np


def step_ends(n):
    """The last result and the number of candidates of each step, until candidates are all rows."""
    ends, n_candidates = [(16, 100), (100, 600)], 600
    while n_candidates < n:
        ends.append((2 * ends[-1][0], 2 * n_candidates))
        n_candidates *= 2
    return ends


def by_position(scanned, badness, ids):
    """All rows, in the order of the results.

    `scanned` are the rows as the scan orders them; `badness` and `ids` belong to each row, and the
    smaller badness is the better score.
    """
    n = len(scanned)
    given = []
    for n_results, n_candidates in step_ends(n):
        candidates = scanned[:n_candidates]
        left = candidates[~np.isin(candidates, given)]
        best = left[np.lexsort((ids[left], badness[left]))]
        n_wanted = n if n_candidates >= n else n_results - len(given)
        given.extend(best[:n_wanted].tolist())
        if n_candidates >= n:
            break
    return np.array(given, np.int64)
