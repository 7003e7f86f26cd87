# SPDX-License-Identifier: Apache-2.0
"""The commands of ``bitsift``, one file each: options, work and output."""
