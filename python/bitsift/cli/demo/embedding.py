# SPDX-License-Identifier: Apache-2.0
"""Text to a vector, where the package sentence-transformers is installed."""

from __future__ import annotations

import contextlib
import importlib.util
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
        Prepared queries, which the error names if the package is missing.

    Returns
    -------
    ndarray of float32, shape (dim,)

    Raises
    ------
    MissingPackageError
        sentence-transformers is not installed or cannot be imported.
    ModelError
        The model cannot be loaded or used, or its vector is not `dim` finite numbers.
    """
    if not _is_there("sentence_transformers"):
        why = "which is not installed\n  pip install sentence-transformers"
        raise _missing(text, why, examples)
    # Output of the libraries must not mix with results on standard output.
    with spinner("loading the model"), contextlib.redirect_stdout(sys.stderr):
        encoder = _load(model, _import_package(text, examples))
        try:
            vector = np.asarray(encoder.encode(text, show_progress_bar=False), dtype=np.float32)
        except Exception as error:
            raise ModelError(f"model {model!r} cannot embed the text: {one_line(error)}") from error
    if vector.shape != (dim,):
        raise ModelError(
            f"model {model!r} must give vectors of shape ({dim},), as {DEFAULT_MODEL} does; got "
            f"shape {vector.shape}"
        )
    if not np.isfinite(vector).all():
        raise ModelError(f"model {model!r} must give finite values; got NaN or infinity")
    return vector


def _is_there(name: str) -> bool:
    """Whether a package is installed; it may still fail to import."""
    if name in sys.modules:
        return sys.modules[name] is not None
    return importlib.util.find_spec(name) is not None


def _import_package(text: str, examples: list[str]) -> Any:
    try:
        return importlib.import_module("sentence_transformers")
    except Exception as error:  # packages that it needs raise whatever they raise
        raise _missing(text, f"which fails to import: {one_line(error)}", examples) from error


def _missing(text: str, why: str, examples: list[str]) -> MissingPackageError:
    return MissingPackageError(
        f'embedding "{text}" needs the package sentence-transformers, '
        f"{why}\n"
        "Prepared queries do not need it, for example "
        + ", ".join(f'"{example}"' for example in examples)
        + "\n  bitsift demo --list"
    )


def _load(model: str, package: Any) -> Any:
    # No network, no such model, not enough memory: each library raises errors of its own, and
    # each of them means that the model cannot be loaded.
    try:
        return package.SentenceTransformer(model)
    except Exception as error:
        raise ModelError(
            f"model {model!r} cannot be loaded ({type(error).__name__}: {one_line(error)}); "
            "--model takes the name or the folder of a sentence-transformers model"
        ) from error
