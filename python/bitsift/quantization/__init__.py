# SPDX-License-Identifier: Apache-2.0
"""Quantize floats to fewer bits: functions and calibrators, without an index."""

from bitsift.quantization.bits import pack, unpack
from bitsift.quantization.calibration import Calibrator
from bitsift.quantization.calibrators import MinMaxCalibrator, RollingCalibrator
from bitsift.quantization.embeddings import quantize_embeddings

__all__ = [
    "Calibrator",
    "MinMaxCalibrator",
    "RollingCalibrator",
    "pack",
    "quantize_embeddings",
    "unpack",
]
