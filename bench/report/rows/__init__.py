# SPDX-License-Identifier: Apache-2.0
"""The questions of the report, which are rows of its tables: one kind a file."""
