# SPDX-License-Identifier: Apache-2.0
"""Laws that the quick run tries on few examples of Hypothesis, and the slow one on many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings


def few_or_many(few: int, many: int) -> Any:
    """Give the parameter `n_examples`; many are for the slow run."""
    many_examples = pytest.param(many, marks=pytest.mark.slow)
    return pytest.mark.parametrize("n_examples", [few, many_examples])


def try_law(law: Callable[..., None], n_examples: int, **strategies: Any) -> None:
    """Call the law with that many examples of the strategies."""
    settings(deadline=None, max_examples=n_examples)(given(**strategies)(law))()
