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

import bitsift._old_modules  # noqa: F401 (for its effect: pickles of version 0.1.0 open)
from bitsift import codes, core, evaluation, index, quantization, retrieval, storage
from bitsift.codes import *
from bitsift.core import *
from bitsift.evaluation import *
from bitsift.index import *
from bitsift.quantization import *
from bitsift.retrieval import *
from bitsift.storage import *

__all__: list[str] = []
__all__ += core.__all__
__all__ += codes.__all__
__all__ += quantization.__all__
__all__ += retrieval.__all__
__all__ += storage.__all__
__all__ += index.__all__
__all__ += evaluation.__all__
