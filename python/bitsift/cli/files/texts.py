# SPDX-License-Identifier: Apache-2.0
"""Texts of vectors: a file with one a line, of which only the lines that are wanted are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitsift.cli.failure import InputError
from bitsift.cli.files.infile import open_regular
from bitsift.core.unreadable import shown

__all__ = ["Texts"]

_CHUNK_BYTES = 1 << 20
_KIND = "text"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Texts:
    """The lines of a file: line `i` belongs to vector `i` of an index, counted from 0.

    Lines end with a line feed, or a carriage return and a line feed. A file whose name ends in
    ``.jsonl`` has a JSON object in each line, whose field ``text`` is the text.

    Parameters
    ----------
    path : Path
    ids : ndarray of int64, shape (n,)
        Ids of the vectors, in the order of the index.

    Raises
    ------
    InputError
        The file cannot be read, or has another number of lines than the index has vectors.
    """

    def __init__(self, path: Path, ids: NDArray[np.int64]) -> None:
        self._path = path
        self._ends = _line_ends(path)
        if len(self._ends) != len(ids):
            raise InputError(
                f"{path}: the file must have {len(ids):,} lines, one for each vector of the index; "
                f"got {len(self._ends):,}"
            )
        self._order = np.argsort(ids)
        self._sorted_ids = ids[self._order]

    def of(self, ids: Iterable[int]) -> dict[int, str]:
        """Return the text of each id; -1, which is no result, has none."""
        wanted = np.unique(np.fromiter(ids, np.int64))
        wanted = wanted[wanted >= 0]
        lines = self._order[np.searchsorted(self._sorted_ids, wanted)]
        texts = {}
        with open_regular(self._path, _KIND) as file:
            for one, line in zip(wanted.tolist(), lines.tolist(), strict=True):
                begin = int(self._ends[line - 1]) if line else 0
                file.seek(begin)
                texts[one] = self._text(line, file.read(int(self._ends[line]) - begin))
        return texts

    def _text(self, line: int, data: bytes) -> str:
        if line == 0:
            data = data.removeprefix(_BYTE_ORDER_MARK)
        data = data.removesuffix(b"\n").removesuffix(b"\r")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self._path}: line {line + 1} must be text in UTF-8: {error}"
            ) from error
        return self._field(line, text) if self._path.suffix == ".jsonl" else text

    def _field(self, line: int, text: str) -> str:
        wanted = f'{self._path}: line {line + 1} must be a JSON object such as {{"text": "..."}}'
        try:
            record: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{wanted}; {error}") from error
        if not isinstance(record, dict) or not isinstance(record.get("text"), str):
            raise InputError(f"{wanted}; got {shown(record)}")
        return str(record["text"])


def _line_ends(path: Path) -> NDArray[np.int64]:
    """Return where each line ends, and the next one begins, in bytes."""
    ends = [np.empty(0, np.int64)]
    size, last = 0, b"\n"
    with open_regular(path, _KIND) as file:
        while chunk := file.read(_CHUNK_BYTES):
            ends.append(np.flatnonzero(np.frombuffer(chunk, np.uint8) == ord("\n")) + size + 1)
            size, last = size + len(chunk), chunk[-1:]
    if last != b"\n":  # the last line has no line feed
        ends.append(np.array([size]))
    return np.concatenate(ends)
