# SPDX-License-Identifier: Apache-2.0
"""Import and search on a processor with the x86-64 baseline alone (run under emulation)."""

import tempfile
from pathlib import Path

import numpy as np

import bitsift

assert bitsift.available_isas() == ["scalar"], bitsift.available_isas()

rng = np.random.default_rng(0)
vectors = rng.standard_normal((500, 100), dtype=np.float32)
assert (bitsift.pack(vectors) == np.packbits(vectors > 0, axis=1)).all()

index = bitsift.Index(100, store="float16")
index.add(vectors)
for batch in (1, 20):
    assert (index.search(vectors[:batch], k=3).ids[:, 0] == np.arange(batch)).all()
with tempfile.TemporaryDirectory() as folder:
    index.save(Path(folder) / "index")
    loaded = bitsift.Index.load(Path(folder) / "index", mmap=True)
    assert (loaded.search(vectors, k=5).ids == index.search(vectors, k=5).ids).all()
print("imports and searches without AVX, level", *bitsift.available_isas())
