# SPDX-License-Identifier: Apache-2.0
"""What an index finds that was filled a few vectors at a time, beside one that got all at once.

``python -m bench.first_adds`` prints a table in Markdown. The environment variable BITSIFT_DATA
names the folder of collections, which are no part of the repository: in a folder for each,
``docs.npy`` and ``queries.npy``.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import bitsift

from .defaults import Collection, collections, nearest, overlap

K = 10
FIRST = (1, 2, 10, 100)
ONE_AT_A_TIME = 5_000
STORES = ("int8", "uint8", "int4", "ternary")
THRESHOLDS = ("zero", "half-mean", "mean", "median")
# How far the share of float's top 10 may be from that of one add: by rules that choose by the
# sample, and by others.
ASKED, ASKED_OF_RULES = 0.005, 0.02


def filled(
    collection: Collection, store: str, threshold: str, sizes: list[int]
) -> NDArray[np.int64]:
    """Return what the queries find in an index filled by adds of these sizes."""
    index = bitsift.Index(
        collection.documents.shape[1],
        metric=collection.metric,
        store=store,  # type: ignore[arg-type]
        threshold=0.0 if threshold == "zero" else threshold,
    )
    begin = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bitsift.BitsiftWarning)  # bits that say little
        for size in sizes:
            index.add(collection.documents[begin : begin + size])
            begin += size
    return index.search(collection.queries, K).ids


def main() -> int:
    """Print the table, and say what is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    folder = os.environ.get("BITSIFT_DATA")
    if folder is None:
        print("NOT MEASURED: BITSIFT_DATA names no folder of collections")
        return 0
    missed = []
    firsts = " | ".join(f"first {n}" for n in FIRST)
    print(f"| collection | store | threshold | one add | {firsts} | adds of one | change |")
    print("|---|---|---|---|" + "---|" * len(FIRST) + "---|---|")
    for collection in collections(Path(folder)):
        if len(collection.documents) < 1_000:
            continue
        best = nearest(collection, K)
        few = Collection(
            collection.name,
            collection.documents[:ONE_AT_A_TIME],
            collection.queries,
            collection.metric,
        )
        best_of_few = nearest(few, K)
        n = len(collection.documents)
        for store in STORES:
            for threshold in THRESHOLDS:
                whole = overlap(filled(collection, store, threshold, [n]), best, K)
                after = [
                    overlap(filled(collection, store, threshold, [first, n - first]), best, K)
                    for first in FIRST
                ]
                one = overlap(filled(few, store, threshold, [len(few.documents)]), best_of_few, K)
                ones = overlap(
                    filled(few, store, threshold, [1] * len(few.documents)), best_of_few, K
                )
                asked = ASKED if threshold == "zero" else ASKED_OF_RULES
                worst = min(*(share - whole for share in after), ones - one)
                if worst < -asked:
                    missed.append(f"{collection.name}, {store}, {threshold}: {worst:+.4f}")
                name = f"{collection.name}, {collection.metric}"
                shares = " | ".join(f"{share:.4f}" for share in after)
                print(
                    f"| {name} | {store} | {threshold} | {whole:.4f} | {shares} | {ones:.4f} "
                    f"(one add {one:.4f}) | {worst:+.4f} |",
                    flush=True,
                )
    for line in missed:
        print(f"MISSED: {line}")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
