# SPDX-License-Identifier: Apache-2.0
"""``bitsift eval`` and ``bitsift compare``."""
