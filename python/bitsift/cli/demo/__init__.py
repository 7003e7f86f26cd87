# SPDX-License-Identifier: Apache-2.0
"""``bitsift demo``: search of the papers that come with the package."""
