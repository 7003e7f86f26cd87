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

from bitsift._core import __version__
from bitsift.advice import Advice, Trial, advise
from bitsift.arguments import available_isas
from bitsift.calibration import Calibrator, MinMaxCalibrator, RollingCalibrator
from bitsift.conventions import codes_from_int8, from_codes, to_codes
from bitsift.errors import (
    BitsiftError,
    BitsiftWarning,
    CorruptIndexError,
    IndexFileError,
    IndexNotFoundError,
    IndexWriteError,
    NotAnIndexError,
    UnsupportedIsaError,
    UnsupportedVersionError,
)
from bitsift.evaluation import Evaluation, evaluate
from bitsift.index import Index
from bitsift.packing import pack, unpack
from bitsift.quantization import quantize_embeddings
from bitsift.responses import codes_from_response
from bitsift.scanning import SearchResult, hamming, knn_graph, search
from bitsift.storage import verify

__all__ = [
    "Advice",
    "BitsiftError",
    "BitsiftWarning",
    "Calibrator",
    "CorruptIndexError",
    "Evaluation",
    "Index",
    "IndexFileError",
    "IndexNotFoundError",
    "IndexWriteError",
    "MinMaxCalibrator",
    "NotAnIndexError",
    "RollingCalibrator",
    "SearchResult",
    "Trial",
    "UnsupportedIsaError",
    "UnsupportedVersionError",
    "__version__",
    "advise",
    "available_isas",
    "codes_from_int8",
    "codes_from_response",
    "evaluate",
    "from_codes",
    "hamming",
    "knn_graph",
    "pack",
    "quantize_embeddings",
    "search",
    "to_codes",
    "unpack",
    "verify",
]
