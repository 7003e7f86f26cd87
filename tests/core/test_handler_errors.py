# SPDX-License-Identifier: Apache-2.0
"""What a signal handler raises amid a call leaves the call unchanged, whatever its type.

A handler runs at each step of a call in turn: wherever a function of bitsift is entered or left, or
one that it calls, in Python or compiled. What the standard library does inside, it does itself.
"""

from __future__ import annotations

import base64
import copy
import inspect
import json
import operator
import os
import pickle
import shutil
import signal
import sys

import numpy as np
import pytest

import bitsift
from bitsift.cli.evaluation.compare import compare_files
from bitsift.cli.failure import InputError
from bitsift.cli.files import outfile
from bitsift.cli.files.arrays import open_npy
from bitsift.cli.files.infile import read_text
from bitsift.core.handlers import call_raised, is_of_system, suppress_system_errors
from bitsift.evaluation import machine
from bitsift.storage import lock

MOST_STEPS = 4000

ROW = [-51, 0, 7, 9]
TEXT = json.dumps({"data": [{"index": 0, "embedding": ROW}]})
BASE64 = {"data": [{"index": 0, "embedding": base64.b64encode(bytes(4)).decode()}]}
VECTORS = np.random.default_rng(0).standard_normal((9, 8), dtype=np.float32)
INDEX = bitsift.Index(8)
INDEX.add(VECTORS)
STORED = bitsift.Index(8, store="int8", threshold="mean", correction=True)
STORED.fit(np.tile(VECTORS, (12, 1)))
STORED.add(VECTORS, ids=[3, 1, 2, *range(4, 10)])
PICKLE = pickle.dumps(STORED)


class Subclass(bitsift.Index):
    """An index whose constructor is looked at when it is opened."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((3, 4), np.float32))
    (tmp_path / "page.md").write_text("text", encoding="utf-8")
    row = {"name": "float32", "overlap": 1.0, "ndcg": None, "share_of_float32": 1.0}
    plain = {"title": "t", "measure": "m", "command": "c", "rows": [row]}
    (tmp_path / "e.json").write_text(json.dumps(plain), encoding="utf-8")
    STORED.save(tmp_path / "index")
    return tmp_path


CALLS = {
    "response": lambda folder: bitsift.codes_from_response(TEXT, "binary"),
    "response in UTF-16": lambda folder: bitsift.codes_from_response(
        TEXT.encode("utf-16"), "binary"
    ),
    "response in base64": lambda folder: bitsift.codes_from_response(BASE64, "ubinary", dim=32),
    "array": lambda folder: open_npy(folder / "x.npy"),
    "text": lambda folder: read_text(folder / "page.md", ".md"),
    "evaluation": lambda folder: compare_files([folder / "e.json"]),
    "output": lambda folder: outfile._is_same(folder / "page.md", folder / "none.npy"),
    "machine": lambda folder: machine._processor(),
    "search": lambda folder: INDEX.search(VECTORS[:2], 3, oversampling=2.0),
    "ladder": lambda folder: INDEX.search(VECTORS[:2], 3, ladder=[("hamming", 2.0), "float16"]),
    "membership": lambda folder: 5 in INDEX,
    "graph": lambda folder: bitsift.knn_graph(INDEX.codes, 3, threads=1),
    "list": lambda folder: bitsift.pack(VECTORS.tolist(), 0.5),
    "new index": lambda folder: bitsift.Index(8, store="float16").add(VECTORS, ids=range(9)),
    "subclass": lambda folder: Subclass._loaded(bitsift.Index(8)._table.snapshot, None),
}
FOLDER_CALLS = {
    "load": lambda folder: bitsift.Index.load(folder / "index"),
    "map": lambda folder: bitsift.Index.load(folder / "index", mmap=True),
    "verify": lambda folder: bitsift.verify(folder / "index"),
    "save": lambda folder: STORED.save(folder / "index"),
    "first save": lambda folder: (STORED.save(folder / "a" / "new"), shutil.rmtree(folder / "a")),
}
COPIES = {
    "pickle": lambda folder: pickle.dumps(STORED),
    "unpickle": lambda folder: pickle.loads(PICKLE),
    "copy": lambda folder: copy.copy(STORED),
    "deepcopy": lambda folder: copy.deepcopy(STORED),
}
# Those of thousands of steps: each step has one of the errors.
SHARED_OUT = {*FOLDER_CALLS, "unpickle"}
# The quick run has one error in each, and of those of thousands of steps one in so many.
LONG = {*FOLDER_CALLS, *COPIES, "new index", "subclass"}
QUICK_STRIDE = 17
CALLS |= FOLDER_CALLS | COPIES
ERRORS = [ValueError, TypeError, TimeoutError, OverflowError, MemoryError, RecursionError]


def is_slow(name, kind):
    """The quick run has the two kinds most often caught, and one of them where calls take long."""
    if name in LONG:
        return kind is not (ValueError, TimeoutError)[[*CALLS].index(name) % 2]
    return kind not in (ValueError, TimeoutError)


def is_ours(frame):
    return str(frame.f_globals["__name__"]).startswith("bitsift.")


class Interruption:
    """A signal at one of the steps of a call; its handler raises."""

    def __init__(self, step, error):
        self.left = step
        self.error = error

    def __enter__(self):
        self._replaced = signal.signal(signal.SIGUSR1, self._handle)
        self._profile = sys.getprofile()
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_):
        sys.setprofile(self._profile)
        signal.signal(signal.SIGUSR1, self._replaced)

    def _handle(self, number, frame):
        raise self.error

    def _count(self, frame, event, called):
        if frame.f_code.co_flags & inspect.CO_GENERATOR:
            return  # it may be left unfinished, where Python drops any error
        if event == "c_call" and called.__name__ == "__exit__":
            return  # no signal is handled between a block and the end of its compiled manager
        is_entered_or_left = event in ("call", "return")
        if not (is_ours(frame) or (is_entered_or_left and is_ours(frame.f_back))):
            return
        self.left -= 1
        if self.left == 0:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGUSR1)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    ("name", "kind", "stride"),
    [
        *(
            pytest.param(name, kind, QUICK_STRIDE, id=f"{name}-{kind.__name__}-some steps")
            for name in CALLS
            for kind in ERRORS
            if name in SHARED_OUT and not is_slow(name, kind)
        ),
        *(
            pytest.param(
                name,
                kind,
                len(ERRORS) if name in SHARED_OUT else 1,
                id=f"{name}-{kind.__name__}",
                marks=[pytest.mark.slow] if name in SHARED_OUT or is_slow(name, kind) else [],
            )
            for name in CALLS
            for kind in ERRORS
        ),
    ],
)
def test_the_error_of_a_handler_passes_through(folder, name, kind, stride):
    call = CALLS[name]
    call(folder)  # what is imported or kept at the first time
    swallowed = []
    first = 1 + ERRORS.index(kind) if name in SHARED_OUT else 1
    for step in range(first, MOST_STEPS, stride):
        error = kind("of the handler")
        interruption = Interruption(step, error)
        try:
            with interruption:
                call(folder)
        except Exception as raised:
            if raised is not error:
                swallowed.append((step, raised))
        else:
            if interruption.left > 0:
                break
            swallowed.append((step, None))
        error.__traceback__ = None  # it leads back to the error: nothing collects it
    else:
        raise AssertionError("the call has more steps")
    assert step > 5
    assert swallowed == []
    assert not lock._opening._is_owned()  # or the saves of other threads would wait for ever


def test_errors_of_the_call_are_told_as_before(folder):
    for text in ("{", "[" * 100_000, b"\xff\xfe", b"\xef\xbb\xbf{", "[" + "9" * 5000 + "]"):
        with pytest.raises(ValueError, match=r"^response must be JSON"):
            bitsift.codes_from_response(text)
    for text in (b'{"\xff', "[}".encode("utf-16"), b"\xff\xfe\x00"):
        with pytest.raises(ValueError, match=r"^response must be JSON; got b"):
            bitsift.codes_from_response(text)
    for row in ("A", "!!!!", "\xe9" * 4):
        with pytest.raises(ValueError, match=r"^embedding 0 must be base64; got"):
            bitsift.codes_from_response({"data": [{"index": 0, "embedding": row}]}, "binary", dim=8)
    with pytest.raises(ValueError, match="an integer of more than 64 bits"):
        bitsift.codes_from_response([[1 << 70]], "binary")
    (folder / "e.json").write_bytes(b'"\xff"')
    with pytest.raises(InputError, match="must be a file that bitsift eval -o wrote"):
        compare_files([folder / "e.json"])
    with pytest.raises(InputError, match="must be text in UTF-8"):
        read_text(folder / "e.json", ".md")
    with pytest.raises(InputError, match="no such file"):
        open_npy(folder / "none.npy")


def test_whose_error_it_is():
    def own():
        raise ValueError

    def is_of_call(packages, function, *args, **options):
        try:
            function(*args)
        except ValueError as error:
            return call_raised(error, *packages, **options)

    class Odd:
        def __index__(self):
            raise ValueError

    assert is_of_call((), int, "x")  # compiled code
    assert not is_of_call((), operator.index, Odd())
    assert is_of_call((), operator.index, Odd(), methods=True)
    assert not is_of_call((), own, methods=True)
    assert is_of_call((__name__.partition(".")[0],), own)
    assert not is_of_call(("json",), own)
    assert is_of_call(("json",), json.loads, "{")
    assert not is_of_call(("base64",), json.loads, "{")


def test_what_the_system_says():
    assert is_of_system(FileNotFoundError(2, "none"))
    assert not is_of_system(TimeoutError("of the handler"))
    assert not is_of_system(ValueError(2, "none"))
    with suppress_system_errors():
        os.fstat(1 << 30)
    with pytest.raises(TimeoutError), suppress_system_errors():
        raise TimeoutError


def test_a_subclass_is_opened_as_before():
    opened = pickle.loads(pickle.dumps(bitsift.Index(8)))
    assert type(Subclass._loaded(opened._table.snapshot, None)) is Subclass
