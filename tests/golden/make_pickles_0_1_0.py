# SPDX-License-Identifier: Apache-2.0
"""Make the pickles of version 0.1.0 in ``pickles-0.1.0``, once and for all.

Run with bitsift 0.1.0 and NumPy 1.24, whose pickles every later NumPy reads. Pickles that are there
stay as they are: later releases must open them.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

import bitsift

FOLDER = Path(__file__).parent / "pickles-0.1.0"


def vectors() -> np.ndarray[Any, Any]:
    """Return 120 vectors of 12 dimensions, not centred; multiples of 1/64."""
    row, column = np.indices((120, 12))
    return (((row * 31 + column * 17 + row * column) % 255 - 100) / 64).astype(np.float32)


def indexes() -> dict[str, bitsift.Index]:
    """Return an index of each kind."""
    x = vectors()
    bits = bitsift.Index(12, metric="dot", store=None)
    bits.add(x)
    floats = bitsift.Index(12, metric="l2", store="float16", threshold=0.25)
    floats.add(x, ids=np.arange(120)[::-1] * 7)
    everything = bitsift.Index(
        12,
        store=("int8", "uint8", "int4", "ternary", "float32"),
        threshold="mean",
        rotate=True,
        correction=True,
    )
    everything.add(x, ids=np.arange(1000, 1120))
    unfitted = bitsift.Index(12, threshold="median", store="int8")
    return {"bits": bits, "floats": floats, "everything": everything, "unfitted": unfitted}


def things() -> dict[str, Any]:
    """Return what was pickled, by file name."""
    x = vectors()
    found = {f"index-{name}": index for name, index in indexes().items()}
    found["calibrators"] = [
        bitsift.MinMaxCalibrator().fit(x),
        bitsift.RollingCalibrator(2.5).fit(x),
        bitsift.RollingCalibrator(1.5),
    ]
    codes = bitsift.pack(x)
    found["result"] = bitsift.search(codes, codes[:3], 4)
    found["advice"] = bitsift.advise(x)
    found["evaluation"] = bitsift.evaluate(x[:100], x[100:], k=5, threads=1)
    path_errors = [
        getattr(bitsift, name)("a/folder", "a reason")
        for name in (
            "CorruptIndexError",
            "IndexFileError",
            "IndexNotFoundError",
            "IndexWriteError",
            "NotAnIndexError",
            "UnsupportedVersionError",
        )
    ]
    found["errors"] = [
        *path_errors,
        bitsift.BitsiftError("what"),
        bitsift.UnsupportedIsaError("what"),
        bitsift.BitsiftWarning("what"),
    ]
    found["names"] = [
        getattr(bitsift, name) for name in sorted(bitsift.__all__) if name != "__version__"
    ]
    return found


def main() -> None:
    """Write the pickles that are not there yet."""
    if bitsift.__version__ != "0.1.0" or not np.__version__.startswith("1.24."):
        raise SystemExit(
            f"needs bitsift 0.1.0 and NumPy 1.24; got {bitsift.__version__}, {np.__version__}"
        )
    FOLDER.mkdir(exist_ok=True)
    for name, thing in things().items():
        path = FOLDER / f"{name}.pickle"
        if not path.exists():
            path.write_bytes(pickle.dumps(thing, protocol=4))


if __name__ == "__main__":
    main()
