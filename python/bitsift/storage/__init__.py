# SPDX-License-Identifier: Apache-2.0
"""An index as a folder of ``.npy`` files and one manifest that is replaced atomically."""

from bitsift.storage.reader import verify

__all__ = ["verify"]
