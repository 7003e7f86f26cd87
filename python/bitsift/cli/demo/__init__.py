# SPDX-License-Identifier: Apache-2.0
"""The work of ``bitsift demo``: a search of the papers that come with the package."""
