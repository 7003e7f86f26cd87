# SPDX-License-Identifier: Apache-2.0
"""The index."""

from bitsift.index.filters import Filter
from bitsift.index.index import Index

__all__ = ["Filter", "Index"]
