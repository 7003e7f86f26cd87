# SPDX-License-Identifier: Apache-2.0
"""Integer stores at the ends of float32: equal, subnormal and huge bounds, on every level."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import bitsift
from bitsift.quantization.integers import INTEGER_CODECS
from oracle import integers

pytestmark = pytest.mark.usefixtures("fits_at_once")

LARGEST = float(np.finfo(np.float32).max)
SMALLEST = 2.0**-149
NORMAL = 2.0**-126
BELOW_LARGEST = float(np.nextafter(np.float32(LARGEST), np.float32(0)))
BOUNDS = [
    (0.0, SMALLEST),
    (-SMALLEST, SMALLEST),
    (SMALLEST, 3 * SMALLEST),
    (NORMAL - SMALLEST, NORMAL),
    (-NORMAL, NORMAL + SMALLEST),
    (0.0, LARGEST),
    (-LARGEST, LARGEST),
    (BELOW_LARGEST, LARGEST),
    (-LARGEST, -BELOW_LARGEST),
    (1.0, 1.0 + 2.0**-23),
    (-1e30, 1e-30),
    (-0.1, 0.7),
]
CONSTANTS = [0.0, -0.0, SMALLEST, -NORMAL, 1.0, -3.3, BELOW_LARGEST, LARGEST, -LARGEST]
METRICS = ["cosine", "dot", "l2"]


def edge_values(lower: float, upper: float) -> list[float]:
    """Values on, beside and between the bounds, and at the ends of float32."""
    marks = [lower, upper, *np.linspace(lower, upper, 6)[1:-1].tolist()]
    sides = [np.nextafter(m, side) for m in marks for side in (-np.inf, np.inf)]
    ends = [0.0, -0.0, SMALLEST, -SMALLEST, NORMAL, LARGEST, -LARGEST]
    return [float(v) for v in np.clip([*marks, *sides, *ends], -LARGEST, LARGEST)]


VALUES = np.ascontiguousarray(np.transpose([edge_values(*bounds) for bounds in BOUNDS]))
RANGES = np.ascontiguousarray(np.transpose(BOUNDS), np.float32)


@pytest.fixture(params=list(INTEGER_CODECS))
def codec(request):
    return INTEGER_CODECS[request.param]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_codes_and_values_are_the_oracles(codec, dtype):
    values = VALUES.astype(dtype)
    stored = codec.encode(values, RANGES)
    codes = integers.quantize(codec.name, values, RANGES)
    assert stored.view(np.uint8).tolist() == [
        [number % 256 for number in integers.pack_row(codec.name, row)] for row in codes
    ]
    decoded = codec.decode(stored, RANGES, len(BOUNDS))
    wanted = np.clip(integers.decode(codec.name, codes, RANGES), -LARGEST, LARGEST)
    # The oracle divides last and the codec first: they differ by a rounding of float64, relative to
    # the bounds, before that to float32.
    lower, upper = RANGES.astype(np.float64)
    sizes = np.minimum(np.abs(wanted), BELOW_LARGEST).astype(np.float32)
    tolerance = np.spacing(sizes) + 1e-15 * (upper - lower)
    assert np.isfinite(decoded).all()
    assert (np.abs(decoded - wanted) <= tolerance).all()


def lane_sums(terms):
    """Sums of rows in the order of the kernels: 16 lanes, then a tree."""
    padded = np.zeros((len(terms), -(-terms.shape[1] // 16) * 16))
    padded[:, : terms.shape[1]] = terms
    lanes = np.add.accumulate(padded.reshape(len(terms), -1, 16), axis=1)[:, -1]
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes[:, 0]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.filterwarnings("ignore:store='ternary'.* become 0:bitsift.BitsiftWarning")
def test_scores_are_the_same_bits_on_every_level(codec, metric, isa):
    calibrator = bitsift.MinMaxCalibrator().fit(RANGES)
    index = bitsift.Index(
        len(BOUNDS), store=codec.name, metric=metric, calibrator=calibrator, isa=isa
    )
    index.add(VALUES.astype(np.float32))
    ranges = index.calibrators[codec.name].ranges
    np.testing.assert_array_equal(ranges, RANGES)
    base, step = codec.affine(ranges)
    codes = np.array(integers.quantize(codec.name, VALUES.astype(np.float32), ranges))
    vectors = base + step * codes
    query = np.float32([*np.linspace(-2, 2, len(BOUNDS) - 2), SMALLEST, 1e20])
    exact = query.astype(np.float64)
    products, squares = lane_sums(exact * vectors), lane_sums(vectors * vectors)
    if metric == "l2":
        wanted = np.sqrt(lane_sums((exact - vectors) ** 2))
    elif metric == "cosine":
        wanted = products / (np.sqrt(lane_sums(exact[np.newaxis] ** 2)) * np.sqrt(squares))
    else:
        wanted = products
    n = len(VALUES)
    found = index.search(query, n, oversampling=1, rescore=True)
    with np.errstate(over="ignore"):  # products beyond float32 are infinite, and rank first
        expected = wanted.astype(np.float32)[found.ids]
    assert sorted(found.ids.tolist()) == list(range(n))
    assert found.scores.tobytes() == (expected + np.float32(0)).tobytes()


@pytest.mark.parametrize("make", [bitsift.MinMaxCalibrator, lambda: bitsift.RollingCalibrator(3)])
@pytest.mark.parametrize("value", CONSTANTS)
def test_bounds_of_constants(make, value):
    for other in (0.0, 1.0, SMALLEST, LARGEST):
        sample = np.array([[value, 0.0], [value, other]], np.float32)
        lower, upper = make().fit(sample).ranges
        assert (lower < upper).all()
        assert np.isfinite([lower, upper]).all()
        assert lower[0] <= value <= upper[0]


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("n_std", [SMALLEST, 0.7, 3, 1e300])
def test_bounds_of_deviations(bounds, n_std):
    calibrator = bitsift.RollingCalibrator(n_std).fit(np.array([bounds]).T)
    lower, upper = calibrator.ranges[:, 0]
    assert lower < upper
    assert np.isfinite([lower, upper]).all()
    assert 0 <= calibrator.share_clipped(np.array([bounds]).T) <= 1


def test_every_pair_of_ends():
    ends = [-LARGEST, -1.0, -NORMAL, -SMALLEST, 0.0, SMALLEST, NORMAL, 1.0, LARGEST]
    pairs = np.array(list(itertools.combinations_with_replacement(ends, 2)))
    ranges = bitsift.MinMaxCalibrator().fit(pairs.T).ranges
    assert (ranges[0] < ranges[1]).all()
    differ = pairs[:, 0] < pairs[:, 1]
    np.testing.assert_array_equal(ranges.T[differ], pairs[differ].astype(np.float32))
