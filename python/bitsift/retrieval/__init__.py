# SPDX-License-Identifier: Apache-2.0
"""Search of encoded rows: candidates, rescoring, and advice on how to encode."""

from bitsift.retrieval.advice import Advice, Trial
from bitsift.retrieval.ladder import LadderOptions as LadderOptions
from bitsift.retrieval.trials import advise

# LadderOptions is for the command line.
__all__ = ["Advice", "Trial", "advise"]
