# SPDX-License-Identifier: Apache-2.0
"""Any text as a vector, where sentence-transformers is installed."""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.cli.console import spinner
from bitsift.cli.failure import MissingPackageError, ModelError, one_line

__all__ = ["DEFAULT_MODEL", "embed"]

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


def embed(text: str, model: str, dim: int, examples: list[str]) -> NDArray[np.float32]:
    """Embed one text.

    Parameters
    ----------
    text : str
    model : str
        Name or folder of a sentence-transformers model.
    dim : int
        Dimensions that the vector must have.
    examples : list of str
        Texts that need no model, named where the package is missing.

    Returns
    -------
    ndarray of float32, shape (dim,)

    Raises
    ------
    MissingPackageError
        sentence-transformers is not installed or cannot be imported.
    ModelError
        The model cannot be loaded or used, or does not give `dim` finite numbers.
    """
    # What the libraries print must not mix with results on standard output.
    with spinner("loading the model"), contextlib.redirect_stdout(sys.stderr):
        encoder = _load(model, _import_package(text, examples))
        try:
            vector = np.asarray(encoder.encode(text, show_progress_bar=False), dtype=np.float32)
        except Exception as error:
            raise ModelError(f"model {model!r} cannot embed the text: {one_line(error)}") from error
    if vector.shape != (dim,):
        raise ModelError(
            f"model {model!r} gives vectors of shape {vector.shape}; the demo's papers need "
            f"({dim},), as {DEFAULT_MODEL} gives"
        )
    if not np.isfinite(vector).all():
        raise ModelError(f"model {model!r} gives NaN or infinity for the text")
    return vector


def _import_package(text: str, examples: list[str]) -> Any:
    try:
        return importlib.import_module("sentence_transformers")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "sentence_transformers"
        why = "which is not installed" if missing else f"which fails to import: {one_line(error)}"
        raise MissingPackageError(
            f'to embed "{text}" takes sentence-transformers, '
            f"{why}\n  pip install sentence-transformers\n"
            "Prepared queries need nothing more, for example "
            + ", ".join(f'"{example}"' for example in examples)
            + "\n  bitsift demo --list"
        ) from error


def _load(model: str, package: Any) -> Any:
    # Not in the network, not in the cache, not a model, not enough memory: each library below
    # raises errors of its own, and every one of them means that this model cannot be had.
    try:
        return package.SentenceTransformer(model)
    except Exception as error:
        raise ModelError(
            f"model {model!r} cannot be loaded ({type(error).__name__}: {one_line(error)}); "
            "--model takes the name or the folder of a sentence-transformers model"
        ) from error
