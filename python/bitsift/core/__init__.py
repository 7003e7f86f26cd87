# SPDX-License-Identifier: Apache-2.0
"""What every other package stands on: options, checks of arguments, errors, results."""

import bitsift.core.native as native
from bitsift.core.errors import (
    BitsiftError,
    BitsiftWarning,
    CorruptIndexError,
    DiskFullError,
    IndexClosedError,
    IndexExistsError,
    IndexFileError,
    IndexLockedError,
    IndexNotFoundError,
    IndexReadOnlyError,
    IndexStaleError,
    IndexWriteError,
    NoLocksError,
    NotAnIndexError,
    UnsupportedIsaError,
    UnsupportedVersionError,
)
from bitsift.core.isa import available_isas
from bitsift.core.merging import merge
from bitsift.core.range_results import RangeResult
from bitsift.core.results import SearchResult
from bitsift.core.threads import available_threads, set_num_threads

__version__ = native.__version__

__all__ = [
    "BitsiftError", "BitsiftWarning", "CorruptIndexError", "DiskFullError", "IndexClosedError",
    "IndexExistsError", "IndexFileError", "IndexLockedError", "IndexNotFoundError",
    "IndexReadOnlyError", "IndexStaleError", "IndexWriteError", "NoLocksError", "NotAnIndexError",
    "RangeResult", "SearchResult", "UnsupportedIsaError", "UnsupportedVersionError", "__version__",
    "available_isas", "available_threads", "merge", "set_num_threads",
]  # fmt: skip
