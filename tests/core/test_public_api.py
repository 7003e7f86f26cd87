# SPDX-License-Identifier: Apache-2.0
"""The public names: what there is, its parameters, module and examples; and the distribution."""

import doctest
import inspect
import pickle
import re
import subprocess
import sys
import typing
from importlib.metadata import requires, version
from pathlib import Path

import pytest

import bitsift
from bitsift import codes, core, evaluation, index, quantization, retrieval, storage

PUBLIC = {
    "advise",
    "Trial",
    "Advice",
    "Calibrator",
    "Evaluation",
    "EvaluationCheck",
    "EvaluationRow",
    "Filter",
    "Index",
    "MinMaxCalibrator",
    "Plan",
    "PlanRow",
    "RollingCalibrator",
    "RangeResult",
    "SearchResult",
    "available_isas",
    "available_threads",
    "codes_from_int8",
    "codes_from_response",
    "evaluate",
    "from_codes",
    "hamming",
    "knn_graph",
    "merge",
    "pack",
    "plan",
    "quantize_embeddings",
    "range_search",
    "search",
    "set_num_threads",
    "to_codes",
    "unpack",
    "verify",
    "BitsiftError",
    "BitsiftWarning",
    "CorruptIndexError",
    "IndexFileError",
    "IndexLockedError",
    "DiskFullError",
    "IndexClosedError",
    "IndexExistsError",
    "IndexNotFoundError",
    "IndexReadOnlyError",
    "IndexStaleError",
    "IndexWriteError",
    "NoLocksError",
    "NotAnIndexError",
    "UnsupportedIsaError",
    "UnsupportedVersionError",
    "__version__",
}
INDEX_MEMBERS = {
    "extend",
    "from_bytes",
    "to_bytes",
    "close",
    "commit",
    "compact",
    "contains",
    "generation",
    "open",
    "refresh",
    "rollback",
    "remove",
    "upsert",
    "rotate",
    "fit",
    "correction",
    "calibrators",
    "advice",
    "add",
    "codes",
    "dim",
    "filter",
    "get",
    "ids",
    "isa",
    "iter_range",
    "load",
    "metric",
    "nbytes",
    "range_search",
    "reserve",
    "save",
    "scoring",
    "search",
    "store",
    "threshold",
}
CALIBRATOR_MEMBERS = {
    "dim",
    "fit",
    "from_state",
    "merge",
    "n",
    "partial_fit",
    "ranges",
    "share_clipped",
    "state",
}


NAMES = sorted(PUBLIC - {"__version__"})
THINGS = [getattr(bitsift, name) for name in NAMES]


def members(thing):
    return {name for name in dir(thing) if not name.startswith("_")}


def test_public_names():
    assert set(bitsift.__all__) == PUBLIC
    faces = (codes, core, evaluation, index, quantization, retrieval, storage)
    assert sorted(bitsift.__all__) == sorted(name for face in faces for name in face.__all__)
    assert all(hasattr(bitsift, name) for name in PUBLIC)
    assert members(bitsift.Index) == INDEX_MEMBERS
    assert members(bitsift.Calibrator) == CALIBRATOR_MEMBERS
    assert members(bitsift.MinMaxCalibrator) == CALIBRATOR_MEMBERS
    assert members(bitsift.RollingCalibrator) == CALIBRATOR_MEMBERS | {"n_std"}


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (bitsift.pack, ["x", "threshold"]),
        (bitsift.unpack, ["codes", "dim"]),
        (bitsift.to_codes, ["embeddings", "convention", "dim"]),
        (bitsift.from_codes, ["codes", "convention", "dim"]),
        (bitsift.codes_from_response, ["response", "encoding_type", "dim"]),
        (bitsift.hamming, ["a", "b"]),
        (bitsift.search, ["codes", "queries", "k", "filter", "isa", "threads"]),
        (
            bitsift.range_search,
            ["codes", "queries", "radius", "filter", "count_only", "isa", "threads"],
        ),
        (bitsift.merge, ["results", "k", "offset"]),
        (
            bitsift.Index.range_search,
            [
                *("self", "queries", "radius", "filter", "rescore", "scoring", "count_only"),
                "threads",
            ],
        ),
        (
            bitsift.Index.iter_range,
            [
                *("self", "queries", "radius", "filter", "rescore", "scoring", "chunk_size"),
                "threads",
            ],
        ),
        (bitsift.knn_graph, ["codes", "k", "progress", "isa", "threads"]),
        (
            bitsift.Index,
            [
                *("dim", "metric", "store", "threshold", "rotate", "correction", "calibrator"),
                *("scoring", "isa"),
            ],
        ),
        (bitsift.Index.add, ["self", "vectors", "ids", "threads"]),
        (bitsift.Index.upsert, ["self", "vectors", "ids", "threads"]),
        (bitsift.Index.remove, ["self", "ids", "missing"]),
        (bitsift.Index.contains, ["self", "ids"]),
        (bitsift.Index.compact, ["self"]),
        (bitsift.Index.extend, ["self", "other"]),
        (
            bitsift.Index.search,
            [
                "self",
                "queries",
                "k",
                "offset",
                "oversampling",
                "rescore",
                "scoring",
                "filter",
                "threads",
                "ladder",
            ],
        ),
        (bitsift.Index.get, ["self", "ids", "missing"]),
        (bitsift.Index.save, ["self", "path"]),
        (bitsift.Index.load, ["path", "mmap"]),
        (
            bitsift.Index.open,
            [
                *("path", "mode", "dim", "timeout", "generation", "keep_generations", "isa"),
                *("follow_links", "options"),
            ],
        ),
        (
            bitsift.quantize_embeddings,
            ["embeddings", "precision", "ranges", "calibration_embeddings"],
        ),
        (
            bitsift.evaluate,
            ["documents", "queries", "qrels", "metric", "k", "conditions", "price_per_gb"],
        ),
        (bitsift.plan, ["vectors", "dim", "price", "bandwidth", "threads"]),
        (bitsift.MinMaxCalibrator, []),
        (bitsift.RollingCalibrator, ["n_std"]),
        (bitsift.Calibrator.fit, ["self", "sample"]),
        (bitsift.Calibrator.partial_fit, ["self", "batch"]),
        (bitsift.Calibrator.merge, ["self", "other"]),
        (bitsift.Calibrator.share_clipped, ["self", "values"]),
        (bitsift.Calibrator.from_state, ["fields", "array"]),
    ],
)
def test_parameters_that_users_rely_on(function, parameters):
    names = list(inspect.signature(function).parameters)
    assert names[: len(parameters)] == parameters


def test_every_public_thing_is_documented():
    things = [*THINGS]
    things += [getattr(bitsift.Index, name) for name in INDEX_MEMBERS]
    things += [getattr(bitsift.Calibrator, name) for name in CALIBRATOR_MEMBERS]
    things += [bitsift.RollingCalibrator.n_std]
    assert [thing for thing in things if not inspect.getdoc(thing)] == []


@pytest.mark.parametrize("thing", THINGS, ids=NAMES)
def test_its_module_is_the_package(thing):
    assert thing.__module__ == "bitsift"
    assert getattr(bitsift, thing.__qualname__) is thing
    assert pickle.loads(pickle.dumps(thing)) is thing
    typing.get_type_hints(thing)


def test_which_things_have_examples():
    found = {
        thing.__name__
        for thing in THINGS
        if any(test.examples for test in doctest.DocTestFinder().find(thing, module=False))
    }
    assert found >= {
        "Index",
        "MinMaxCalibrator",
        "RollingCalibrator",
        "codes_from_response",
        "evaluate",
        "from_codes",
        "hamming",
        "knn_graph",
        "merge",
        "pack",
        "plan",
        "quantize_embeddings",
        "range_search",
        "search",
        "to_codes",
        "unpack",
    }


def test_version_is_the_distributions():
    assert bitsift.__version__ == version("bitsift")


def test_numpy_is_all_it_needs():
    needed = [line for line in requires("bitsift") if "extra ==" not in line]
    assert [re.split(r"[<>=!~ ]", line)[0] for line in needed] == ["numpy"]


def test_importing_it_imports_little():
    """What only some calls need takes long to import: they import it."""
    code = (
        "import sys, numpy; before = set(sys.modules); import bitsift; "
        "print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slow = {"statistics", "importlib.metadata", "email", "zipfile", "typer", "rich", "ir_measures"}
    assert slow & set(done.stdout.split()) == set()


def test_typed():
    package = Path(bitsift.__file__).parent
    assert (package / "py.typed").exists()
    assert (package / "core" / "native.pyi").exists()
