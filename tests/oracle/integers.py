# SPDX-License-Identifier: Apache-2.0
"""The oracle of vectors as small integers.

Python numbers one value at a time, never fast; and the formula in NumPy, for many values.
"""

from __future__ import annotations

import numpy as np

LEVELS = {"int8": 256, "uint8": 256, "int4": 16}
CODES = {
    "int8": range(-128, 128),
    "uint8": range(-128, 128),
    "int4": range(-8, 8),
    "ternary": range(-1, 2),
}


def code(name, value, lower, upper):
    if name == "ternary":
        return 1 if value > upper else -1 if value < lower else 0
    levels = LEVELS[name]
    nearest = round(levels * (value - lower) / (upper - lower) - levels / 2)  # halves to even
    return max(-levels // 2, min(levels // 2 - 1, nearest))


def value(name, c, lower, upper):
    if name == "ternary":
        return (lower + upper) / 2 + c * (upper - lower)
    levels = LEVELS[name]
    return lower + (c + levels // 2) * (upper - lower) / levels


def quantize(name, values, ranges):
    """Codes of the values of each row."""
    bounds = np.asarray(ranges, np.float64).T.tolist()
    return [
        [code(name, v, lower, upper) for v, (lower, upper) in zip(row, bounds, strict=True)]
        for row in np.asarray(values, np.float64).tolist()
    ]


def quantize_array(name, values, ranges):
    """Codes of many values, float16, float32 or float64: the formula in NumPy, in float64."""
    lower, upper = ranges.astype(np.float64)
    values = values.astype(np.float64)
    if name == "ternary":
        return (values > upper).astype(np.int8) - (values < lower).astype(np.int8)
    levels = LEVELS[name]
    half = levels // 2
    nearest = np.rint((values - lower) * levels / (upper - lower) - half)
    return np.clip(nearest, -half, half - 1).astype(np.int8)


def decode(name, codes, ranges):
    """Values of the codes of each row."""
    bounds = np.asarray(ranges, np.float64).T.tolist()
    return [
        [value(name, c, lower, upper) for c, (lower, upper) in zip(row, bounds, strict=True)]
        for row in np.asarray(codes).tolist()
    ]


def pack_row(name, codes):
    """Stored numbers of a row, by way of its digits in print."""
    codes = [int(c) for c in codes]
    if name == "int8":
        return codes
    if name == "uint8":
        return [c + 128 for c in codes]
    base, a_byte = (16, 2) if name == "int4" else (3, 5)
    digits = [f"{c % 16:x}" if name == "int4" else "012"[c + 1] for c in codes]
    pad = "0" if name == "int4" else "1"
    digits += [pad] * (-len(digits) % a_byte)
    return [int("".join(digits[i : i + a_byte]), base) for i in range(0, len(digits), a_byte)]
