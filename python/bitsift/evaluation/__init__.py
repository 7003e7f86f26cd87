# SPDX-License-Identifier: Apache-2.0
"""What is lost with fewer bits, measured on the caller's own data."""

from bitsift.evaluation.evaluate import evaluate
from bitsift.evaluation.result import Evaluation

__all__ = ["Evaluation", "evaluate"]
