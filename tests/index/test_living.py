# SPDX-License-Identifier: Apache-2.0
"""Any sequence of changes and questions: the index answers as a dictionary from ids to vectors."""

from hypothesis import settings

from helpers.living_index import LivingIndex

TestLivingIndex = LivingIndex.TestCase
TestLivingIndex.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)
