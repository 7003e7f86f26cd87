# SPDX-License-Identifier: Apache-2.0
"""All groups of questions, in the order in which they are measured."""

from __future__ import annotations

from .rows.calls import callers, small
from .rows.join import self_join
from .rows.search import batch, levels, one_query
from .rows.shape import batches, bits, ks, sizes, threads, widths
from .rows.vectors import asymmetric, packing, rescoring
from .session import Group

GROUPS = [
    Group("one-query", "One query, bound by memory", one_query, 20, 2),
    Group("widths", "One query at every width, one thread and all", widths, 40, 3),
    Group("batch", "A batch, bound by the processor", batch, 50, 4),
    Group("levels", "A batch at each other level", levels, 30, 3),
    Group("batches", "Batches from 1 to 256 queries", batches, 25, 4),
    Group("k", "The k nearest, of 256 queries", ks, 25, 3),
    Group("small", "What a call costs: one query, 1,000 rows and more", small, 4, 2),
    Group("bits", "Other numbers of bits", bits, 30, 4),
    Group("packing", "Packing float32 to bits", packing, 5, 1),
    Group("rescoring", "Rescoring by the cosine", rescoring, 5, 2),
    Group("self-join", "The nearest of every row", self_join, 25, 2),
    Group("asymmetric", "Asymmetric scores: 6-bit query, 1-bit documents", asymmetric, 30, 3),
    Group("threads", "Threads", threads, 20, 3),
    Group("callers", "Callers at once", callers, 5, 1),
    Group("sizes", "Time against the number of rows", sizes, 20, 3),
]
