# SPDX-License-Identifier: Apache-2.0
"""Quantize floats to fewer bits: functions and calibrators, without an index."""

from bitsift.quantization.bits import pack, unpack
from bitsift.quantization.calibration import Calibrator
from bitsift.quantization.embeddings import quantize_embeddings
from bitsift.quantization.min_max import MinMaxCalibrator
from bitsift.quantization.rolling import RollingCalibrator

__all__ = [
    "Calibrator",
    "MinMaxCalibrator",
    "RollingCalibrator",
    "pack",
    "quantize_embeddings",
    "unpack",
]
