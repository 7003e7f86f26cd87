# SPDX-License-Identifier: Apache-2.0
"""One question about speed a file."""
