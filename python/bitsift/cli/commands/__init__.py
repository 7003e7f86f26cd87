# SPDX-License-Identifier: Apache-2.0
"""One command of ``bitsift`` a file: what it does and what it prints."""
