# SPDX-License-Identifier: Apache-2.0
"""The command line (extra ``cli``).

Nothing outside this package imports it, so ``import bitsift`` needs numpy alone.
"""

from bitsift.cli.program import main

__all__ = ["main"]
