# SPDX-License-Identifier: Apache-2.0
"""The work of ``bitsift eval`` and ``bitsift compare``."""
