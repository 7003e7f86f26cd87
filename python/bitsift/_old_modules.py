# SPDX-License-Identifier: Apache-2.0
"""Module names that pickles made by version 0.1.0 carry.

A pickle names each class and function by its module. In 0.1.0 all modules lay beside each other;
here each old name leads to what it held.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from bitsift import codes, core, quantization, retrieval, storage
from bitsift.storage.contents import Contents

_MODULES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "advice": (retrieval, ("Advice", "Trial", "advise")),
    "arguments": (core, ("available_isas",)),
    "calibration": (quantization, ("Calibrator", "MinMaxCalibrator", "RollingCalibrator")),
    "conventions": (codes, ("codes_from_int8", "from_codes", "to_codes")),
    "errors": (
        core,
        (
            "BitsiftError",
            "BitsiftWarning",
            "CorruptIndexError",
            "IndexFileError",
            "IndexNotFoundError",
            "IndexWriteError",
            "NotAnIndexError",
            "UnsupportedIsaError",
            "UnsupportedVersionError",
        ),
    ),
    "packing": (quantization, ("pack", "unpack")),
    "responses": (codes, ("codes_from_response",)),
    "scanning": (codes, ("hamming", "knn_graph", "search")),
}


def _register() -> None:
    for name, (face, members) in _MODULES.items():
        module = ModuleType(f"bitsift.{name}", "What pickles of version 0.1.0 name.")
        module.__spec__ = ModuleSpec(module.__name__, None)
        for member in members:
            setattr(module, member, getattr(face, member))
        sys.modules[module.__name__] = module
        setattr(sys.modules["bitsift"], name, module)
    sys.modules["bitsift.scanning"].SearchResult = core.SearchResult  # type: ignore[attr-defined]
    storage.Contents = Contents  # type: ignore[attr-defined]


_register()
