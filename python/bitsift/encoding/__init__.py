# SPDX-License-Identifier: Apache-2.0
"""What an index keeps of a vector: its code, its originals, its correction."""

__all__: list[str] = []
