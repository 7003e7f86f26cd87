# SPDX-License-Identifier: Apache-2.0
"""The peers that are installed; None for one that is not."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from typing import Any


def _import(name: str) -> Any:
    with warnings.catch_warnings():
        # SWIG's classes lack an attribute that Python 3.12 asks for; errors here are for bitsift.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return importlib.import_module(name)
        except ImportError:
            return None


faiss = _import("faiss")
