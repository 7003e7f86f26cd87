# SPDX-License-Identifier: Apache-2.0
"""What the lines and columns of an evaluation mean, for pages."""

from __future__ import annotations

from bitsift.evaluation import PRICE_PER_GB, ROLLING_STDS

__all__ = ["EXPLANATIONS"]

_STDS = ", ".join(f"{std:g} for {store}" for store, std in ROLLING_STDS.items())

# Terms, and what they mean.
EXPLANATIONS = (
    (
        "NDCG, recall",
        "by judgments, as trec_eval computes them, from 0 to 1. A percentage of float32 compares "
        "with the NDCG of exact float32 search.",
    ),
    (
        "overlap@n",
        "the share of the first n results of exact float32 search that are among the first n here. "
        "Overlap is stricter: a document that is as good as the one it replaces counts as lost. "
        "The first 10 and the first 100 results come from two searches with the same oversampling.",
    ),
    (
        "default search -> float16",
        "what a plain Index(dim) and search(queries, k) do: asymmetric scores scan where a trial "
        "on the first vectors finds that they find more, else Hamming distance; 100 candidates "
        "for the first 16 results, 600 for the first 100. auto: the same of "
        'Index(dim, threshold="auto"), where that chose another threshold than 0. x20: with 20 '
        "candidates for each result, where the default keeps less than 99 % of float32's quality.",
    ),
    (
        "x4 -> int8",
        "the scan passes on 4 candidates for each result, which are rescored from originals kept "
        "as int8. -> bits: they are rescored by asymmetric scoring of the same codes.",
    ),
    (
        "int8, int4, ternary",
        "min/max bounds are the smallest and largest value of a dimension. Rolling bounds are its "
        f"mean, plus and minus some standard deviations: {_STDS}. Ternary has no min/max bounds: "
        "no value lies beyond them, so every code would be 0.",
    ),
    (
        "RAM, disk",
        "RAM is what every search reads; disk is what only rescoring reads, which may stay there. "
        "A GB has 10**9 bytes. The price is that of the RAM and a parameter; "
        f"{PRICE_PER_GB:.2f} USD per GB per month is the figure of Hugging Face's article "
        '"Binary and Scalar Embedding Quantization".',
    ),
    (
        "queries a second, one query",
        "one batch of all queries, the fastest of 5 runs; the median of up to 25 single queries, "
        "each the fastest of 5 runs. Both belong to the machine named. float32 is timed in NumPy, "
        "as a matrix product on the threads that NumPy takes; for one query also as a product for "
        "each vector on one core, and the faster counts. A line without times has no scan in "
        "bitsift: there, rescoring scored all vectors.",
    ),
    (
        "best of a group",
        "marked: the condition of the highest quality; of equals, the one with the fewest bytes.",
    ),
)
