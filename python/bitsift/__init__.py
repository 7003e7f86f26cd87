# SPDX-License-Identifier: Apache-2.0
"""Exact search of binary embeddings: one bit per dimension, Hamming scan, rescoring.

>>> import bitsift, numpy
>>> vectors = numpy.random.default_rng(0).standard_normal((1000, 256), dtype="float32")
>>> index = bitsift.Index(256)
>>> ids = index.add(vectors)
>>> scores, ids = index.search(vectors[:2], k=3)
>>> ids[:, 0]
array([0, 1])
"""

# First: in a subinterpreter it says no, before numpy is loaded, which one interpreter can be alone.
import bitsift.core as _core  # noqa: F401
from bitsift import _old_modules  # noqa: F401 (for its effect: pickles of version 0.1.0 open)
from bitsift.codes import *
from bitsift.core import *
from bitsift.evaluation import *
from bitsift.index import *
from bitsift.quantization import *
from bitsift.retrieval import *
from bitsift.storage import *

# The sum of the faces, spelt out: type checkers do not add up.
__all__ = [
    "Advice", "BitsiftError", "BitsiftWarning", "Calibrator", "CorruptIndexError", "DiskFullError",
    "Evaluation", "EvaluationCheck", "EvaluationRow", "Filter", "Index", "IndexClosedError",
    "IndexExistsError", "IndexFileError", "IndexLockedError", "IndexNotFoundError",
    "IndexReadOnlyError", "IndexStaleError", "IndexWriteError", "MinMaxCalibrator", "NoLocksError",
    "NotAnIndexError", "Plan", "PlanRow", "RangeResult", "RollingCalibrator", "SearchResult",
    "Trial", "UnsupportedIsaError", "UnsupportedVersionError", "__version__", "advise",
    "available_isas", "available_threads", "codes_from_int8", "codes_from_response", "evaluate",
    "from_codes", "hamming", "knn_graph", "merge", "pack", "plan", "quantize_embeddings",
    "range_search", "search", "set_num_threads", "to_codes", "unpack", "verify",
]  # fmt: skip
