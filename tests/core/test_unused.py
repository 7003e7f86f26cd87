# SPDX-License-Identifier: Apache-2.0
"""An argument that changes nothing is named by a warning or an error, and one that does is not."""

import json
import warnings

import numpy as np
import pytest

import bitsift
from bitsift import BitsiftWarning
from helpers.cli_runner import run

VECTORS = np.random.default_rng(0).standard_normal((200, 16)).astype(np.float32)
CODES = bitsift.pack(VECTORS)
CALIBRATOR = bitsift.MinMaxCalibrator().fit(VECTORS)
RANGES = CALIBRATOR.ranges


def filled(**options):
    index = bitsift.Index(16, **options)
    if options == {"store": None}:
        index.add(CODES)
    else:
        index.fit(VECTORS).add(VECTORS)
    return index


FLOATS, BITS = filled(), filled(store=None)
CORRECTED, CORRECTED_BITS = (
    filled(store=store, correction=True, scoring="hamming") for store in ("float32", None)
)
# These scan by asymmetric scores unless a search says otherwise, and so use the correction.
USING, USING_BITS = filled(correction=True), filled(store=None, correction=True)
INT8 = filled(store="int8")
RULED = bitsift.Index(16, threshold="mean").fit(VECTORS)
ASYMMETRIC = {"scoring": "asymmetric"}
HAMMING = {"scoring": "hamming"}
LADDER = {"ladder": [("hamming", 4), "asymmetric"]}

# What begins the message, or None where the argument has its use; and the call.
CALLS = [
    ("calibrator does nothing", lambda: bitsift.Index(16, calibrator=CALIBRATOR)),
    ("calibrator does nothing", lambda: bitsift.Index(16, store=None, calibrator=CALIBRATOR)),
    (
        "calibrator does nothing",
        lambda: bitsift.Index(16, store=("float16", "float32"), calibrator=CALIBRATOR),
    ),
    (None, lambda: bitsift.Index(16, store=("int8", "float32"), calibrator=CALIBRATOR)),
    (r"fit\(sample\) does nothing", lambda: RULED.fit(VECTORS)),
    (
        r"fit\(sample\) does nothing",
        lambda: bitsift.Index(16, store="int8", calibrator=CALIBRATOR, **HAMMING).fit(VECTORS),
    ),
    (None, lambda: bitsift.Index(16, store="int8", calibrator=CALIBRATOR).fit(VECTORS)),
    (None, lambda: bitsift.Index(16).fit(VECTORS)),
    (None, lambda: bitsift.Index(16, **HAMMING).fit(VECTORS)),  # there is nothing to compute
    (
        None,
        lambda: bitsift.Index(16, store="int8", calibrator=CALIBRATOR, threshold="mean").fit(
            VECTORS
        ),
    ),
    ("rotate=True does nothing to bits", lambda: rotated().add(CODES)),
    ("rotate=True does nothing to bits", lambda: rotated().add(VECTORS > 0)),
    (None, lambda: rotated().add(VECTORS)),
    ("oversampling=8 does nothing.*has no originals", lambda: BITS.search(VECTORS, oversampling=8)),
    (
        "oversampling=4 does nothing.*rescore=False",
        lambda: FLOATS.search(VECTORS, oversampling=4.0, rescore=False),
    ),
    ("oversampling=4 does nothing.*bits", lambda: FLOATS.search(CODES, oversampling=4)),
    ("oversampling=4 does nothing.*bits", lambda: FLOATS.search(VECTORS > 0, oversampling=4)),
    (
        "oversampling=2 does nothing",
        lambda: CORRECTED_BITS.search(VECTORS, oversampling=2, **ASYMMETRIC),
    ),
    (None, lambda: FLOATS.search(VECTORS, oversampling=4)),
    (None, lambda: BITS.search(VECTORS)),
    (None, lambda: FLOATS.search(CODES)),
    (None, lambda: FLOATS.search(VECTORS, rescore=False)),
    ("correction=True is of no use", lambda: CORRECTED.search(VECTORS)),
    ("correction=True is of no use", lambda: CORRECTED.search(VECTORS[0])),
    ("correction=True is of no use", lambda: CORRECTED.search(VECTORS, rescore=False)),
    ("correction=True is of no use.*float queries", lambda: CORRECTED_BITS.search(CODES)),
    (None, lambda: CORRECTED.search(VECTORS, **ASYMMETRIC)),
    (None, lambda: CORRECTED.search(VECTORS, **HAMMING)),
    (None, lambda: CORRECTED.search(VECTORS, **LADDER)),
    (None, lambda: CORRECTED.search(VECTORS, ladder=[("hamming", 4), "float32"])),
    (None, lambda: CORRECTED_BITS.search(CODES, **HAMMING)),
    *((None, lambda q=q: USING.search(q)) for q in (VECTORS, VECTORS[0], CODES)),
    *((None, lambda q=q: USING_BITS.search(q)) for q in (VECTORS, VECTORS[0], CODES)),
    *(
        (f"ranges does nothing.*{name}", lambda name=name: quantized(name, RANGES))
        for name in ("float32", "float16", "binary", "ubinary")
    ),
    ("calibration_embeddings does nothing", lambda: quantized("binary", None, VECTORS)),
    ("ranges and calibration_embeddings does", lambda: quantized("binary", RANGES, VECTORS)),
    ("calibration_embeddings does nothing beside", lambda: quantized("int8", RANGES, VECTORS)),
    (None, lambda: quantized("int8", RANGES)),
    (None, lambda: quantized("int8", None, VECTORS)),
]


def rotated():
    return bitsift.Index(16, store=None, rotate=True)


def quantized(*arguments):
    return bitsift.quantize_embeddings(VECTORS, *arguments)


@pytest.mark.parametrize(("message", "call"), CALLS)
def test_what_does_nothing(message, call):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call()
    if message is None:
        assert [str(warning.message) for warning in seen] == []
        return
    assert [warning.category for warning in seen] == [BitsiftWarning]
    with pytest.warns(BitsiftWarning, match=f"^{message}"):
        call()


@pytest.mark.parametrize(
    "given",
    [
        {"oversampling": 4.0},
        {"oversampling": 4},
        {"scoring": "hamming"},
        {"rescore": False},
        {"rescore": True},
    ],
)
def test_a_ladder_replaces_other_arguments(given):
    (name,) = given
    with pytest.raises(ValueError, match=f"ladder must come without .*; got {name}="):
        FLOATS.search(VECTORS, **LADDER, **given)


def test_none_is_the_same_as_nothing():
    given = {"oversampling": None, "rescore": None, "scoring": None, "ladder": None}
    given["offset"] = 0
    expected = FLOATS.search(VECTORS, 5)
    found = FLOATS.search(VECTORS, 5, **given)
    assert found.scores.tobytes() == expected.scores.tobytes()
    explicit = FLOATS.search(VECTORS, 5, oversampling=20, rescore=True, scoring="asymmetric")
    assert explicit.ids.tobytes() == expected.ids.tobytes()


class TestCommands:
    """Options that change nothing are a line on standard error; the rest is as without them."""

    @pytest.fixture
    def paths(self, tmp_path):
        np.save(tmp_path / "vectors.npy", VECTORS)
        np.save(tmp_path / "queries.npy", VECTORS[:2])
        FLOATS.save(tmp_path / "floats")
        BITS.save(tmp_path / "bits")
        CORRECTED.save(tmp_path / "corrected")
        return {path.stem: path for path in tmp_path.iterdir()} | {"out": tmp_path / "out"}

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (
                ["build", "vectors", "-o", "out", "--scoring", "hamming", "--sample", 50],
                "--sample does nothing",
            ),
            (["build", "vectors", "-o", "out", "--sample", 50], ""),
            (["search", "floats", "queries", "--show", 1, "--json"], "--show does nothing"),
            (["search", "bits", "queries", "--oversampling", 8], "--oversampling 8 does nothing"),
            (
                ["search", "floats", "queries", "--no-rescore", "--oversampling", 4],
                "--oversampling 4 does nothing",
            ),
            (["search", "corrected", "queries"], "correction is of no use"),
            (["search", "corrected", "queries", "--scoring", "hamming"], ""),
            (["search", "floats", "queries", "--show", 1], ""),
            (["build", "vectors", "-o", "out"], ""),
            (["build", "vectors", "-o", "out", "--threshold", "mean", "--sample", 150], ""),
        ],
    )
    def test_options(self, paths, words, told):
        result = run(*(paths.get(word, word) for word in words))
        assert result.exit_code == 0, result.output
        assert result.stderr.count("\n") == bool(told)
        assert result.stderr.startswith(f"warning: {told}" if told else "")
        if "--json" in words:
            json.loads(result.stdout)

    def test_a_page_to_append_to_must_be_named(self, tmp_path):
        for command in ("compare", "eval"):
            result = run(command, tmp_path / "any.json", "--append")
            assert result.exit_code == 1
            assert "--append must come with --markdown" in result.stderr

    def test_codes_of_an_index_that_rotates(self, paths, tmp_path):
        np.save(tmp_path / "codes.npy", CODES)
        words = ["build", tmp_path / "codes.npy", "-o", paths["out"], "--store", "none"]
        result = run(*words, "--dim", 16, "--rotate")
        assert result.exit_code == 0, result.output
        assert result.stderr.startswith("warning: --rotate does nothing to bits")
