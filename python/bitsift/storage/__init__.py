# SPDX-License-Identifier: Apache-2.0
"""An index as a folder of ``.npy`` files and one manifest that is replaced atomically."""

from bitsift.storage.inspection import index_around as index_around
from bitsift.storage.inspection import is_vacant as is_vacant
from bitsift.storage.reader import read_stored as read_stored
from bitsift.storage.reader import verify

# The names above that are not listed here are for the command line.
__all__ = ["verify"]
