# SPDX-License-Identifier: Apache-2.0
"""How much search quality fewer bits cost, measured on the caller's own data; memory and price."""

from bitsift.evaluation.checks import EvaluationCheck
from bitsift.evaluation.conditions import ADVISED as ADVISED
from bitsift.evaluation.conditions import DEFAULT as DEFAULT
from bitsift.evaluation.conditions import KEPT as KEPT
from bitsift.evaluation.conditions import MORE_OVERSAMPLINGS as MORE_OVERSAMPLINGS
from bitsift.evaluation.conditions import OVERSAMPLINGS as OVERSAMPLINGS
from bitsift.evaluation.conditions import ROLLING_STDS as ROLLING_STDS
from bitsift.evaluation.conditions import SOURCES as SOURCES
from bitsift.evaluation.conditions import Selection as Selection
from bitsift.evaluation.conditions import rescored_name as rescored_name
from bitsift.evaluation.evaluate import evaluate
from bitsift.evaluation.planning import Plan, PlanRow, plan
from bitsift.evaluation.prices import PRICE_PER_GB as PRICE_PER_GB
from bitsift.evaluation.prices import gigabytes as gigabytes
from bitsift.evaluation.prices import short_count as short_count
from bitsift.evaluation.result import N_VECTORS as N_VECTORS
from bitsift.evaluation.result import Evaluation, EvaluationRow

# The names above that are not listed here are for the command line.
__all__ = ["Evaluation", "EvaluationCheck", "EvaluationRow", "Plan", "PlanRow", "evaluate", "plan"]
