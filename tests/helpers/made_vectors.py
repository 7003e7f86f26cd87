# SPDX-License-Identifier: Apache-2.0
"""Made vectors for which it is known what threshold and rotation help."""

import numpy as np


def centred(rng, n=2_000, dim=64):
    return rng.standard_normal((n, dim), dtype=np.float32)


def shifted(rng, n=2_000, dim=64):
    """Far from centred: at zero, nearly all signs are the same."""
    return centred(rng, n, dim) + np.float32(4)


def loud(rng, n=2_000, dim=64):
    """Centred, with a few dimensions that decide."""
    vectors = centred(rng, n, dim)
    vectors[:, :4] *= 10
    return vectors
